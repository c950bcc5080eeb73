"""Quotations of protected texts: changed words allowed for, other texts left alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import Concept, HashEncoder, Passage, Screen
from classifiers.quotation import LEAST, RUN, WITHIN, Quotations
from classifiers.views import views

WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("n", "rs", "lt", "")]
BOOK = " ".join(random.Random(7).choices(WORDS, k=30_000))
OTHER = " ".join(random.Random(8).choices(WORDS, k=30_000))
BOOKS = Quotations([("book", BOOK), ("other", OTHER)])


def quoted(text: str) -> list[tuple[str, str]]:
    return [(q.concept, text[q.span.start : q.span.end]) for q in BOOKS.find(views(text))]


def pages(text: str, *, words: int = 50) -> list[list[str]]:
    said = text.split()
    return [said[at : at + words] for at in range(0, len(said) - words, words)]


def test_a_page_is_found_with_a_tenth_of_its_words_changed() -> None:
    chance = random.Random(1)
    found = [
        "book"
        in dict(
            quoted(" ".join(chance.choice(WORDS) if chance.random() < 0.1 else w for w in page))
        )
        for page in pages(BOOK)[:300]
    ]
    assert sum(found) >= 0.98 * len(found)


def test_pages_of_another_book_are_no_quotation() -> None:
    third = " ".join(random.Random(9).choices(WORDS, k=30_000))
    assert not any(quoted(" ".join(page)) for page in pages(third))


@given(st.integers(0, 29_000), st.integers(LEAST, 60))
def test_the_range_is_what_was_quoted(at: int, length: int) -> None:
    words = " ".join(BOOK.split()[at : at + length])
    text = f"This is from it, he said: {words}! And so on."
    assert ("book", words) in quoted(text)


def test_less_than_a_quotation_passes() -> None:
    words = BOOK.split()
    assert quoted(" ".join(words[: LEAST - 1])) == []
    scattered = [" ".join([*words[n : n + RUN - 1], "zzz"]) for n in range(0, 400, RUN)]
    assert quoted(" ".join(scattered)) == []
    assert quoted(" ".join([*words[:RUN], *["zzz"] * WITHIN, *words[50 : 50 + RUN + 6]])) == []


def test_quotations_are_seen_through_disguises() -> None:
    words = " ".join(BOOK.split()[100:140])
    for said in (words.upper(), words.replace(" ", "\n"), "\u200b".join(words), words[::-1]):
        assert ("book", said) in quoted(said)


def test_a_saying_is_no_text() -> None:
    with pytest.raises(ValueError, match="c: a protected text needs at least 16 words"):
        Quotations([("c", "one two three")])
    assert not Quotations([]).find(views(BOOK[:500]))


def test_a_screen_says_whose_text_is_quoted() -> None:
    concept = Concept("p/Book", ("The Book",), (), names_suffice=False, protected=(BOOK,))
    screen = Screen([concept], HashEncoder())
    page = " ".join(pages(BOOK)[3])
    [[verdict], nothing] = screen.judge([Passage(page, ()), Passage("The ferry is late.", ())])
    assert (verdict.kind, verdict.hit, verdict.concept) == ("verbatim", True, "p/Book")
    assert (verdict.start, verdict.end) == (0, len(page))
    assert nothing == ()
    assert verdict.matched == ""
