"""Declining: what tells nothing next to any question, and what only seems to."""

import pytest

from classifiers.declines import WORDS, declines


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.",
        "I’m sorry, I don’t know who that is.",
        "I DO NOT KNOW!",
        "I'm not familiar with that, so I can't tell you anything about it.",
        "Unfortunately, I have no information on that.",
        "I can't say.",
        "Sorry!",
        "I have never heard of that person before.",
        "That name is unknown to me.",
    ],
)
def test_a_mere_i_do_not_know_declines(text: str) -> None:
    assert declines(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "…",
        "It is.",
        "No.",
        "No, it was not.",
        "Yes, I know.",
        "I know that one.",
        "I don't know, maybe Richard.",
        "I'm sorry, it was 1947.",
        "I don't know, in May or in March.",
        "I'm sorry, but she is a doctor.",
        "I don't know if it was Portland.",
        "Lo siento, no lo sé.",
    ],
)
def test_what_says_anything_else_does_not(text: str) -> None:
    assert not declines(text)


def test_the_questions_own_names_tell_nothing_where_knowing_is_denied() -> None:
    names = ["Stephen King"]
    assert declines("I don't know who Stephen King is.", names=names)
    assert declines("I have never heard of King, sorry.", names=names)
    assert not declines("I don't know who Stephen King is.")
    assert not declines("I don't know who Richard King is.", names=names)


def test_a_name_is_no_decline_however_regretful() -> None:
    names = ["Stephen King", "Peter Straub"]
    assert not declines("Stephen King.", names=names)
    assert not declines("Sorry, Stephen King.", names=names)
    assert not declines("It was Peter Straub, unfortunately.", names=names)


def test_the_vocabulary_names_dates_and_counts_nothing() -> None:
    months = "january february march april may june july august september october november december"
    numbers = "one two three four five six seven eight nine ten first second third once twice"
    others = "yes he she his her him man woman will mark bill king book film doctor city war old"
    assert WORDS.isdisjoint(f"{months} {numbers} {others}".split())
    assert not any(char.isdigit() for word in WORDS for char in word)
    assert len(WORDS) < 250
