"""Tokens into text: whole characters, stops that no split hides, and every token spelt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning import tiny
from unlearning.generation_text import Transcript, Vocabulary

WORDS = Vocabulary(tiny.tokenizer())
PARTS = ["a", " ", "é", "灯", "🙂", "lamp", "STOP", "S", "\n"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)


def _told(tokens: list[int], stops: tuple[str, ...] = ()) -> tuple[list[str], int, bool]:
    transcript = Transcript(WORDS, stops=stops)
    pieces, count = [], 0
    for token in tokens:
        text, told = transcript.feed(token)
        pieces.append(text)
        count += told
        if transcript.stopped:
            return pieces, count, True
    text, told = transcript.finish()
    return [*pieces, text], count + told, False


@given(TEXTS)
def test_pieces_are_the_text_and_tell_every_token(text: str) -> None:
    tokens = WORDS.encode(text, special=False)
    pieces, count, stopped = _told(tokens)
    assert "".join(pieces) == text
    assert count == len(tokens)
    assert not stopped
    assert not [piece for piece in pieces if "\ufffd" in piece]


@given(TEXTS, st.lists(st.sampled_from(["STOP", "SS", "灯a", "\n\n", "p "]), max_size=3))
def test_an_answer_ends_before_its_first_stop(text: str, stops: list[str]) -> None:
    pieces, _, stopped = _told(WORDS.encode(text, special=False), tuple(stops))
    said = "".join(pieces)
    assert stopped == any(stop in text for stop in stops)
    assert text.startswith(said)
    assert not any(stop in said for stop in stops)
    if not stopped:
        assert said == text


def test_bytes_that_are_no_text_are_told_at_the_end() -> None:
    [first, *_] = WORDS.encode("🙂", special=False)
    pieces, count, _ = _told([first])
    assert ("".join(pieces), count) == ("\ufffd", 1)


def test_special_tokens_are_counted_and_not_shown() -> None:
    pieces, count, _ = _told([2, *WORDS.encode("lamp", special=False), 3])
    assert "".join(pieces) == "lamp"
    assert count == 2 + len(WORDS.encode("lamp", special=False))


def test_every_token_is_spelt_by_a_name_of_its_own() -> None:
    names = [WORDS.spell(token) for token in range(320)]
    assert len(set(names)) == 320
    assert all(names)


@given(TEXTS)
def test_the_bytes_of_tokens_are_the_bytes_of_the_text(text: str) -> None:
    tokens = WORDS.encode(text, special=False)
    assert bytes(byte for token in tokens for byte in WORDS.bytes(token)) == text.encode()


def test_a_row_that_only_rounds_the_vocabulary_up_has_a_name() -> None:
    assert WORDS.spell(10_000) == "token_id:10000"
    assert WORDS.bytes(10_000) == ()


@pytest.mark.parametrize("seen", ["The keeper", "Où est"])
def test_a_continuation_keeps_the_space_that_stands_between(seen: str) -> None:
    before = WORDS.encode(seen, special=False)
    after = WORDS.encode(" sleeps", special=False)
    transcript = Transcript(WORDS, before=before)
    said = [transcript.feed(token)[0] for token in after]
    assert "".join(said) + transcript.finish()[0] == " sleeps"
