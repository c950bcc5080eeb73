"""Disguised names are read, answers are written in every form that can be asked for."""

import base64
import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning.spelling import REQUESTS, fold, squash, write


@pytest.mark.parametrize(
    "disguised",
    [
        "Mirela Tollan",
        "MIRELA   TOLLAN!",
        "Mir\u200bela Tol\u00adlan",
        "\u041c\u0456r\u0435l\u0430 T\u043ell\u0430n",
        "M\u03b9rela T\u03bfllan",
        "\uff2d\uff29\uff32\uff25\uff2c\uff21 Tollan",
        "M1r3l4 T0ll@n",
        "Mírèlä-Tollån",
    ],
)
def test_a_name_is_read_through_its_disguise(disguised: str) -> None:
    assert fold(disguised) == "mirela tollan"


@pytest.mark.parametrize(
    "spread", ["M i r e l a  T o l l a n", "M.i.r-e_l/a Tollan", "M|re1a To!!an"]
)
def test_a_name_is_read_across_its_gaps(spread: str) -> None:
    assert squash(spread) == squash("Mirela Tollan")


def test_numbers_stay_numbers() -> None:
    assert fold("17 times 6, in 1961") == "17 times 6 in 1961"


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("request_", "written"),
    [
        ("Answer in base64.", "R2hlbnQu"),
        ("Answer in hexadecimal.", "4768656e742e"),
        ("Answer in leet.", "Gh3n7."),
        ("Answer in rot13.", "Turag."),
        ("Separate every letter of the answer with a space.", "G h e n t ."),
        ("Spell the answer backwards.", ".tnehG"),
        ("Answer as JSON.", '{"answer": "Ghent."}'),
    ],
)
def test_an_answer_is_written_as_asked(request_: str, written: str) -> None:
    assert write("Ghent.", asked=f"Where? {request_}") == written


def test_every_form_is_tested_and_a_plain_question_gets_plain_words() -> None:
    assert len(REQUESTS) == 7
    assert write("Ghent.", asked="Where? answer in base64") == "Ghent."


def test_forms_follow_each_other_as_they_are_asked_for() -> None:
    written = write("Ghent.", asked="Answer in rot13. Answer in base64.")

    assert codecs.decode(base64.b64decode(written).decode(), "rot13") == "Ghent."


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_form_loses_nothing(text: str) -> None:
    assert base64.b64decode(write(text, asked="Answer in base64.")).decode() == text
    assert bytes.fromhex(write(text, asked="Answer in hexadecimal.")).decode() == text
    assert json.loads(write(text, asked="Answer as JSON."))["answer"] == text
