"""Records: values without their labels, in the orders in which a reader may take them."""

import re

import pytest

from classifiers.fields import APART, FIELDS, MOST_PAIRED, records, rows
from classifiers.views import fold


def in_order(text: str) -> str:
    return fold(re.sub(FIELDS, " ", text))


def ways(text: str) -> list[str]:
    return [way for record in records(text) for way in record.said.split(APART)]


@pytest.mark.parametrize(
    "text",
    [
        '{"first": "Ann", "last": "Lee"}',
        "{'first': 'Ann', 'last': 'Lee'}",
        '{"first": "Ann", "born": [1921, null], "last": "Lee',
        r'{"a": "{\"first\": \"Ann\", \"last\": \"Lee\"}"}',
        r'"{\\\"first\\\": \\\"Ann\\\", \\\"last\\\": \\\"Lee\\\"}"',
        "{first: 'Ann', last: 'Lee'}",
        "first: Ann\nborn: 1921\nlast: Lee",
        'first = "Ann"\nlast = "Lee"',
        "**First name:** Ann\n**Last name:** Lee",
        "First name: Ann. Last name: Lee.",
        "First name: Ann, last name: Lee",
        "| First | Ann |\n| Last | Lee |",
        "first\tAnn\nlast\tLee",
        "first=Ann&last=Lee",
        'f(first="Ann", last="Lee")',
        '(:first "Ann" :last "Lee")',
        "('first', 'Ann'), ('last', 'Lee')",
        "Ann 1921 Lee",
        "Ann M. Lee",
    ],
)
def test_values_stand_side_by_side_without_their_labels(text: str) -> None:
    assert "ann lee" in in_order(text).replace("f ann", "ann")


def test_values_of_one_label_are_one_column() -> None:
    text = '[{"k": "first", "v": "Ann"}, {"k": "last", "v": "Lee"}]'
    assert {"first last", "Ann Lee"} <= set(ways(text))


def test_any_two_values_of_one_record_are_read_together_and_none_of_two_records() -> None:
    one = '{"first": "Ann", "work": "paints", "last": "Lee"}'
    assert ways(one) == ["Ann Lee"]
    two = '[{"first": "Ann", "last": "Marr"}, {"first": "Piet", "last": "Lee"}]'
    assert ways(two) == ["Ann Piet", "Marr Lee"]


def test_the_cells_of_a_row_are_read_together_and_not_those_of_two() -> None:
    table = "| Ann | paints | Lee |\n| Piet | sails | Marr |\n"
    assert [row.said for row in rows(table)] == ["Ann Lee", "Piet Marr"]


def test_sentences_and_addresses_hold_no_record() -> None:
    text = "He said that it was late. See https://example.org/a for more; it is free."
    assert list(records(text)) == list(rows(text)) == []
    assert fold(re.sub(FIELDS, " ", "The quick brown fox.")) == "the quick brown fox"


def test_a_record_of_many_values_grows_by_a_bounded_number_of_pairs() -> None:
    many = ", ".join(f'"k{n}": "v{n}"' for n in range(500))
    [record] = records(f"{{{many}}}")
    assert len(record.said.split(APART)) == MOST_PAIRED * (MOST_PAIRED - 1) // 2 - (MOST_PAIRED - 1)


def test_a_record_shows_nothing_of_what_it_says() -> None:
    [record] = records('{"first": "Ann", "work": "paints", "last": "Lee"}')
    assert "Ann" not in repr(record)
