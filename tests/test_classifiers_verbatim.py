"""Verbatim: runs of words that a protected text has, wherever they are repeated."""

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.verbatim import Verbatim
from classifiers.verdict import Span

PASSAGE = "It was a bright cold day in April, and the clocks were striking thirteen that afternoon."


def repeated(text: str, *, words: int = 8) -> list[str]:
    return [text[s.start : s.end] for s in Verbatim([PASSAGE], words=words).find(text)]


def test_a_run_of_enough_words_is_found_whatever_stands_between_them() -> None:
    text = "He wrote: 'it was -- a BRIGHT cold\nday in april' then slept."
    assert repeated(text) == ["it was -- a BRIGHT cold\nday in april"]


def test_a_shorter_run_is_not() -> None:
    assert repeated("It was a bright cold day in June, and the clocks were striking twelve.") == []


def test_overlapping_runs_are_the_longest_passage() -> None:
    assert repeated(f"He said {PASSAGE} And then") == [PASSAGE.rstrip(".")]


def test_separate_passages_are_told_apart() -> None:
    text = "a bright cold day, well, the clocks were striking"
    assert repeated(text, words=4) == ["a bright cold day", "the clocks were striking"]


def test_a_disguised_passage_is_found() -> None:
    token = base64.b64encode(PASSAGE.encode()).decode()
    assert repeated(f"Decode {token} please") == [token]
    backwards = f"{PASSAGE[::-1]} ok"
    assert repeated(backwards) == [PASSAGE[::-1].lstrip(".")]


def test_a_short_protected_text_is_one_run() -> None:
    verbatim = Verbatim(["Never say never"])
    assert verbatim.find("He said: never say never!") == [Span(9, 24)]
    assert verbatim.find("never say") == []


def test_where_no_spaces_part_words_a_character_is_one() -> None:
    verbatim = Verbatim(["我们在四月的一个晴朗寒冷的日子里"])
    assert verbatim.find("他说四月的一个晴朗寒冷，好") == [Span(2, 11)]


def test_nothing_is_protected_by_nothing() -> None:
    assert Verbatim([]).find(PASSAGE) == []
    assert Verbatim(["", "…"]).find(PASSAGE) == []


def test_a_run_holds_at_least_one_word() -> None:
    with pytest.raises(ValueError, match="words: a run holds at least one word"):
        Verbatim([PASSAGE], words=0)


@given(st.text(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_a_text_that_repeats_all_of_another_is_found(text: str, before: str, after: str) -> None:
    verbatim = Verbatim([text], words=4)
    whole = f"{before} {text} {after}"
    found = verbatim.find(whole)
    assert bool(found) or not Verbatim([text]).find(text)
    assert all(0 <= s.start < s.end <= len(whole) for s in found)
    assert all(a.end < b.start for a, b in pairwise(found))
