"""Segments: the same sentences however the text arrives."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.segments import LIMIT, Segmenter, segment, windows
from classifiers.verdict import Span

texts = st.text(st.characters(), max_size=80) | st.text(' .!?…\n\u2028)"。」aBé1Dr', max_size=120)


def fed(parts: Sequence[str], limit: int = LIMIT) -> list[str]:
    segmenter = Segmenter(limit)
    return [closed for part in parts for closed in segmenter.feed(part)] + segmenter.finish()


@given(texts, st.lists(st.integers(min_value=0), max_size=30), st.integers(1, 40))
def test_segments_depend_on_the_text_and_not_on_its_chunks(
    text: str, points: Sequence[int], limit: int
) -> None:
    edges = [0, *sorted({point % (len(text) + 1) for point in points}), len(text)]
    parts = [text[a:b] for a, b in pairwise(edges)]
    whole = fed([text], limit)
    assert fed(parts, limit) == whole
    assert "".join(whole) == text
    assert all(1 <= len(closed) <= limit for closed in whole)
    assert [text[s.start : s.end] for s in segment(text, limit=limit)] == whole


@given(texts, texts)
def test_what_is_closed_is_not_changed_by_what_comes(text: str, more: str) -> None:
    closed = Segmenter().feed(text)
    assert fed([text + more])[: len(closed)] == closed


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("He left. She stayed!  Why?", ["He left. ", "She stayed!  ", "Why?"]),
        (
            '"He left." Then "No!" (Why?) *So.* End',
            ['"He left." ', 'Then "No!" ', "(Why?) ", "*So.* ", "End"],
        ),
        ("Wait… What?! Yes", ["Wait… ", "What?! ", "Yes"]),
        ("one\ntwo\n\n  three", ["one\n", "two\n\n  ", "three"]),
        ("- a\r\n- b", ["- a\r\n", "- b"]),
        ("今日は。「はい。」次！？はい", ["今日は。", "「はい。」", "次！？", "はい"]),
        ("終わり。 End", ["終わり。 ", "End"]),
        ("Dr. J. K. Smith of St. Mary's met Mr. X.", ["Dr. J. K. Smith of St. Mary's met Mr. X."]),
        (
            "Things, e.g. pi, i.e. 3.14 in the U.S. today",
            ["Things, e.g. pi, i.e. 3.14 in the U.S. today"],
        ),
        ("It is No. 5 on p. 7.", ["It is No. 5 on p. 7."]),
        ("Did he? No. He did not.", ["Did he? ", "No. ", "He did not."]),
        ("example.org and 3.5 kg", ["example.org and 3.5 kg"]),
        ("", []),
    ],
)
def test_a_sentence_ends_where_a_reader_would_say(text: str, sentences: list[str]) -> None:
    assert fed([text]) == sentences
    assert fed(list(text)) == sentences


def test_an_overlong_sentence_is_cut_behind_a_space_in_its_second_half() -> None:
    assert fed(["aaaa bbbb cccc dddd"], 11) == ["aaaa bbbb ", "cccc dddd"]
    assert fed(["a bbbbbbbbbbbbbbb"], 10) == ["a bbbbbbbb", "bbbbbbb"]


def test_a_segment_is_closed_by_the_character_behind_it() -> None:
    segmenter = Segmenter()
    assert segmenter.feed("He left.") == []
    assert segmenter.feed(" ") == []
    assert segmenter.feed("S") == ["He left. "]
    assert segmenter.finish() == ["S"]
    assert segmenter.finish() == []


def test_a_segment_holds_at_least_one_character() -> None:
    with pytest.raises(ValueError, match="limit: a segment holds at least one character"):
        Segmenter(0)


def test_windows_are_the_sentences_and_each_pair_of_neighbours() -> None:
    a, b, c = Span(0, 3), Span(3, 5), Span(5, 9)
    assert windows([a, b, c]) == (a, b, c, Span(0, 5), Span(3, 9))
    assert windows([a]) == (a,)
    assert windows([]) == ()
