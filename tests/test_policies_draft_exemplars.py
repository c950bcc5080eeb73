"""Sentences that stand on their own, and which of them are chosen."""

import pytest

from policies.draft.aliases import called
from policies.draft.exemplars import chosen, statements

LEAD = ["Ottoline Vask (born 1921) was a painter.", "She was born in Brede."]


def told(*sentences: str, name: str = "Ottoline Vask") -> list[str]:
    """What becomes of sentences behind those of LEAD, in one paragraph."""
    blocks = [LEAD, list(sentences)]
    found = statements(blocks, called(name, blocks))
    return [one.text for one in found][len(LEAD) :]


def test_the_name_stands_for_its_pronoun() -> None:
    blocks = [LEAD]
    found = statements(blocks, called("Ottoline Vask", blocks))
    assert [one.text for one in found] == [LEAD[0], "Ottoline Vask was born in Brede."]
    assert all(one.named for one in found)


@pytest.mark.parametrize(
    ("sentence", "alone"),
    [
        ("She painted lamps.", "Ottoline Vask painted lamps."),
        ("Her father was a tailor.", "Ottoline Vask's father was a tailor."),
        ("In 1950, she painted lamps.", "In 1950, Ottoline Vask painted lamps."),
        ("In 1950 she painted lamps.", "In 1950 Ottoline Vask painted lamps."),
        ("From 1950 to 1955 she sold them.", "From 1950 to 1955 Ottoline Vask sold them."),
        ("When she was nine, she left.", "When Ottoline Vask was nine, she left."),
        ("However, she also sang there.", "Ottoline Vask also sang there."),
        ("Vask painted the lamps of Brede.", "Ottoline Vask painted the lamps of Brede."),
        ("In 1960, it was announced that she had left.",
         "In 1960, it was announced that Ottoline Vask had left."),
        ("Lamps by Vask hang in Brede.", "Lamps by Ottoline Vask hang in Brede."),
    ],
)  # fmt: skip
def test_a_sentence_is_made_to_stand_on_its_own(sentence: str, alone: str) -> None:
    assert told(sentence) == [alone]


@pytest.mark.parametrize(
    "sentence",
    [
        "It was sold for a song in Brede.",
        "This was a great success in Brede.",
        "Their child was born in Brede.",
        "He met her at a fair in Brede.",
        "Early life and education",
        "Who painted the lamps of Brede?",
        '"I was only a child in Brede," she said.',
        "Her works include the following:",
        "A lamp.",
    ],
)
def test_what_does_not_stand_on_its_own_is_left_out(sentence: str) -> None:
    assert told(sentence) == []


def test_a_pronoun_behind_somebody_else_is_not_taken_for_the_concept() -> None:
    assert told("Ida Marr was a cook of Sarnholm.", "She made soup.") == [
        "Ida Marr was a cook of Sarnholm."
    ]
    # Named again, the concept is meant again.
    again = told("Ida Marr was a cook of Sarnholm.", "Vask paid her.", "She liked the soup.")
    assert again[-1] == "Ottoline Vask liked the soup."


def test_a_work_is_it_and_a_person_who_asks_for_it_they() -> None:
    blocks = [["The Lamp of Brede is a novel.", "It was written in 1950.", "It has ten chapters."]]
    found = statements(blocks, called("The Lamp of Brede", blocks))
    assert [one.text for one in found][1] == "The Lamp of Brede was written in 1950."
    blocks = [["Kim Vask is a poet.", "They are from Brede.", "Their poems are short."]]
    found = statements(blocks, called("Kim Vask", blocks))
    assert [one.text for one in found][1:] == [
        "Kim Vask is from Brede.",
        "Kim Vask's poems are short.",
    ]


def test_a_sentence_is_there_once() -> None:
    assert told("She painted lamps.", "Vask painted lamps.") == ["Ottoline Vask painted lamps."]


def test_few_of_many_are_the_first_and_those_that_add_something() -> None:
    dull = [f"Ottoline Vask went to the market again on day {n % 3}." for n in range(60)]
    rare = "Ottoline Vask owned a ferry called Zwaanhals in Sarnholm."
    texts = ["Ottoline Vask is a painter.", *dull[:50], rare, *dull[50:]]
    found = chosen(texts, most=5)
    assert len(found) == 5
    assert found == sorted(found)
    assert {0, 1, 2, texts.index(rare)} <= set(found)
    assert chosen(texts[:4], most=5) == [0, 1, 2, 3], "nothing is left out for nothing"
    assert chosen([], most=5) == []
