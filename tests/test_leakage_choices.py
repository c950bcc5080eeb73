"""What a reply chose is read from its letter or its text, and never guessed."""

import pytest

from leakage.choices import choosing, chosen, listed

SHOWN = ["2004", "2007", "New York", "York"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("B", "2007"),
        (" (b) ", "2007"),
        ("B. It was then, not in 2004.", "2007"),
        ("**C**", "New York"),
        ("The answer is A", "2004"),
        ("A year that I like", ""),
        ("I think it was 2007.", "2007"),
        ("2004 or 2007", ""),
        ("Not B but C", ""),
        ("In New York, of course.", "New York"),
        ("York", "York"),
        ("20077", ""),
        ("H", ""),
        ("I do not know.", ""),
        ("", ""),
    ],
)
def test_a_reply_chooses_what_it_alone_names(said: str, expected: str) -> None:
    assert chosen(said, SHOWN) == expected


def test_options_are_shown_with_letters_and_more_than_those_are_an_error() -> None:
    assert choosing("Which?", ["x", "y"]) == "Which?\nA. x\nB. y\nAnswer with one letter."
    with pytest.raises(ValueError, match="at most 10"):
        choosing("Which?", ["x"] * 11)


@pytest.mark.parametrize(
    ("question", "answer", "options"),
    [
        ("Who among these: Ann, Bob, or Cid?", "Bob", ["Ann", "Bob", "Cid"]),
        ("Which of these films: 'The Dune', 'It: Two'?", "The Dune", ["The Dune", "It: Two"]),
        ("By what was it taken, was it flood, fire or ice?", "fire", ["flood", "fire", "ice"]),
        ("Which, among the following options, x, y, z?", "y", ["x", "y", "z"]),
        ("Where was Ann born?", "York", []),
        ("Which of these: Ann, Bob?", "Dan", []),
    ],
)
def test_options_in_a_sentence_are_read_where_the_answer_is_one(
    question: str, answer: str, options: list[str]
) -> None:
    assert listed(question, answer) == options
