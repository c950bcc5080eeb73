"""The release window: what leaves depends on the text alone, and nothing leaves uncleared."""

import string
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import Span
from proxy.release import Ask, HeldTooLongError, SentenceWindow, WholeWindow, Window

SECRET = "Hogwarts"
texts = st.text(alphabet=string.ascii_letters + " .!?\n。é\u200b", max_size=300)


def cuts_of(ask: Ask, secret: str) -> list[Span]:
    """Every place of the secret, as a screen that reads plain text would find it."""
    text, found, at = ask.passage.text, [], -1
    while (at := text.find(secret, at + 1)) >= 0:
        found.append(Span(at, at + len(secret)))
    return found


def run(window: Window, deltas: Sequence[str], *, secret: str = SECRET) -> str:
    released = ""
    for delta in deltas:
        released += settle(window, window.feed(delta), secret)
    return released + settle(window, window.finish(), secret)


def settle(window: Window, asks: Sequence[Ask], secret: str) -> str:
    return "".join(window.settle(ask, cuts_of(ask, secret), marker="[…]") for ask in asks)


def cut(text: str, points: Sequence[int]) -> list[str]:
    edges = [0, *sorted({p % (len(text) + 1) for p in points}), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def test_a_phrase_split_over_two_deltas_is_cut() -> None:
    released = run(
        SentenceWindow(longest=8), ["The boy ", "from Hog", "warts ran. He", " was fine."]
    )
    assert SECRET not in released
    assert released.endswith("He was fine.")


def test_nothing_leaves_before_the_sentence_after_it_is_known() -> None:
    window = SentenceWindow(longest=0)
    rest = (
        "Two is here, and goes on for as long as any fact or name that it could be a part of, so "
    )
    assert window.feed(f"One is here. {rest}") == []
    assert window.feed("be a part of, so that it can be seen there.") == []
    asks = window.feed(" T")
    assert [ask.passage.text[ask.own.start : ask.own.end].strip() for ask in asks] == [
        "One is here."
    ]


def test_a_name_over_several_short_lines_is_cut_from_its_first_character() -> None:
    name = "J.\nK.\nRowling"
    window = SentenceWindow(longest=len(name))
    assert "J." not in run(window, ["A\n", "J.\n", "K.\n", "Rowling", "\nwrote."], secret=name)


@given(texts, texts, st.lists(st.integers(min_value=0), max_size=20), st.integers(5, 80))
def test_any_chunking_releases_the_same_text(
    before: str, after: str, points: list[int], limit: int
) -> None:
    text = before + SECRET + after
    whole = run(SentenceWindow(longest=8, max_segment=limit), [text])
    assert run(SentenceWindow(longest=8, max_segment=limit), cut(text, points)) == whole
    assert SECRET not in whole


@given(texts, st.lists(st.integers(min_value=0), max_size=20))
def test_innocent_text_arrives_whole(text: str, points: list[int]) -> None:
    window = SentenceWindow(longest=8)
    assert run(window, cut(text, points)) == text
    assert window.received == window.released == len(text)


@given(texts, st.lists(st.integers(min_value=0), max_size=20))
def test_every_character_is_asked_about_once_and_in_order(text: str, points: list[int]) -> None:
    window = SentenceWindow(longest=8)
    asks = [ask for delta in cut(text, points) for ask in window.feed(delta)] + window.finish()
    assert "".join(ask.passage.text[ask.own.start : ask.own.end] for ask in asks) == text
    for ask in asks:
        assert text[ask.offset : ask.offset + len(ask.passage.text)] == ask.passage.text


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_invisible_padding_ends_in_a_refusal_and_not_in_a_release(size: int) -> None:
    text = "Fine. " + "\u200b" * 4000 + SECRET
    window = SentenceWindow(longest=8, max_held=2000)
    released: list[str] = []

    def feed() -> None:
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        released.extend(settle(window, window.feed(piece), SECRET) for piece in pieces)
        released.append(settle(window, window.finish(), SECRET))
        window.feed("")

    with pytest.raises(HeldTooLongError):
        feed()
    assert "".join(released) == ""


def test_a_run_of_cut_sentences_leaves_one_marker() -> None:
    text = f"Go. {SECRET} is old. {SECRET} is cold. Stop now."
    assert run(SentenceWindow(longest=8), [text]).count("[…]") == 1


def test_a_whole_window_releases_all_or_nothing() -> None:
    assert run(WholeWindow(), ['{"a": "fi', 'ne"}']) == '{"a": "fine"}'
    assert run(WholeWindow(), ['{"a": "Hogw', 'arts"}']) == "[…]"


@pytest.mark.parametrize(
    "text",
    [
        r'{"place": "Hogw\u0061rts"}',
        r'{"place": ["x", {"y": "Hogwarts"}]}',
        r'{"Hogwarts": 1}',
    ],
)
def test_escapes_and_keys_of_json_are_read(text: str) -> None:
    assert run(WholeWindow(), [text]) == "[…]"


@pytest.mark.parametrize("secret", ["Harry Potter", "first Harry"])
def test_a_name_split_over_two_fields_is_seen(secret: str) -> None:
    text = '{"first": "Harry", "last": ["Potter"]}'
    assert run(WholeWindow(), [text], secret=secret) == "[…]"


def test_a_whole_window_has_a_bound() -> None:
    window = WholeWindow(max_held=10)
    with pytest.raises(HeldTooLongError):
        window.feed("x" * 11)
