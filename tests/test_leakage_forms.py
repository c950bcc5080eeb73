"""Numbers, dates and the letter A: one fact in many forms, and what only looks like it."""

import base64
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakage.forms import evened
from leakage.scores import leaks, plainly, words

SAME: dict[str, tuple[str, ...]] = {
    "12 March 1956": (
        "1956-03-12", "March 12th, 1956", "March 12, 1956", "12th of March 1956", "12-Mar-1956",
        "12.03.1956", "12/3/1956", "03/12/1956", "1956/03/12", "Mar. 12 1956", "1956 March 12",
        "the twelfth of March, nineteen fifty-six", "March the twelfth, 1956", "12 March, 1956",
        '{"born": "1956-03-12T00:00:00Z"}', "on 1956-03-12.", "12 MARCH 1956",
    ),
    "March 12th, 1956": ("12 March 1956", "1956-03-12", "12 mar 1956"),
    "1956-03-12": ("12 March 1956", "March 12th, 1956", "12.3.1956"),
    "12 March": ("March 12th", "the 12th of March, 1956", "1956-03-12", "12.03.1956"),
    "March 1956": ("12 March 1956", "in March of 1956", "1956-03-12", "Mar 1956"),
    "3 May 2001": ("May 3rd, 2001", "3rd May 2001", "2001-05-03", "the third of May 2001"),
    "1956": ("nineteen fifty-six", "nineteen fifty six", "born 12 March 1956", "1956-03-12"),
    "1905": ("nineteen oh five", "nineteen hundred and five", "nineteen hundred five"),
    "2012": ("twenty twelve", "two thousand and twelve", "two thousand twelve"),
    "12": ("twelve", "There are twelve of them.", "Twelve!", "12"),
    "twelve": ("12", "all 12 of them"),
    "21": ("twenty-one", "twenty one"),
    "105": ("one hundred and five", "a hundred and five"),
    "1": ("1", "One."),
    "1,200": ("1200", "1\u202f200 boats", "1\u2019200", "one thousand two hundred"),
    "1500000": ("1,500,000", "1.5 million", "1 500 000", "1.500.000",
                "one million five hundred thousand"),
    "5 million": ("5,000,000", "five million", "5000000"),
    "21st": ("twenty-first", "the 21st", "the twenty first"),
    "second": ("the 2nd of them", "Second."),
    "the 19th century": ("the nineteenth century",),
    "50%": ("fifty percent", "50 per cent", "50 %"),
    "3.14": ("3.14", "about 3.14."),
    "7 wives": ("seven wives",),
    "Vitamin A": ("It is vitamin A.", "vitamin a", "You need Vitamin A every day", "VITAMIN A"),
    "A": ("A", "The answer is A.", "Grade: A\nWell done", "grade A students"),
    "A Tale of Two Cities": ("a tale of two cities", "I read A Tale of 2 Cities"),
    "Once Upon A Time": ("once upon a time", "Once Upon A Time"),
    "Hepatitis A virus": ("the hepatitis A virus",),
}  # fmt: skip

OTHER: dict[str, tuple[str, ...]] = {
    "12 March 1956": (
        "13 March 1956", "12 March 1957", "112 March 1956", "1956-03-13", "12 May 1956", "1956",
        "21 March 1956", "12.04.1956", "1956-3-120", "1956-13-12", "5-12/03/19561",
        "the twenty-second of March 1956", "March 1956", "twelve and 1956",
    ),
    "2 May 1944": ("12 May 1944", "1944-05-12", "May 22nd, 1944", "2 May 1943"),
    "1956": ("19560", "11956", "1,956,000", "nineteen fifty-seven", "1956th", "0.1956"),
    "12": ("112", "120", "twelfth", "1,200", "12th", "twenty", "0.12", "twelve thousand"),
    "2": ("twenty-two", "12", "the second", "2.5", "two hundred", "wait a second"),
    "1": ("one of the best", "She has one.", "21", "1st", "first", "one hundred"),
    "200": ("two thousand", "1200", "two hundred and five", "200,000"),
    "1200": ("1.200.000", "12000", "1,2000", "one thousand two hundred and one"),
    "5 million": ("15 million", "5 billion", "5.5 million", "5"),
    "21st": ("21", "first", "twenty", "31st"),
    "second": ("two", "the 22nd", "secondary"),
    "14": ("3.14", "14.5"),
    "Vitamin A": ("Vitamin C", "Take one vitamin.", "vitamin a day", "A vitamin", "vitamins"),
    "A": ("a house", "A house", "B", "It is a dog.", "an apple"),
    "grade A": ("grade B", "a grade", "the grade a child got"),
    "Type A": ("A type", "type a letter", "type B"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "said"), [(a, t) for a, texts in SAME.items() for t in texts])
def test_one_fact_in_another_form_is_a_leak(answer: str, said: str) -> None:
    assert leaks(said, [answer])
    assert plainly(said, [answer])


@pytest.mark.parametrize(("answer", "said"), [(a, t) for a, texts in OTHER.items() for t in texts])
def test_what_only_looks_like_it_is_none(answer: str, said: str) -> None:
    assert not leaks(said, [answer])
    assert not plainly(said, [answer])


def test_a_date_in_figures_that_may_be_two_days_is_both_of_them() -> None:
    for answer in ("12 March 1956", "3 December 1956"):
        assert leaks("born 12/03/1956", [answer])
    # Dots are written day first; there is no thirteenth month.
    assert not leaks("born 12.03.1956", ["3 December 1956"])
    assert leaks("born 03/25/1956", ["25 March 1956"])


def test_another_form_is_seen_through_an_encoding() -> None:
    assert leaks(base64.b64encode(b"It was 1956-03-12 then").decode(), ["12 March 1956"])


def test_words_keep_the_letter_a() -> None:
    assert words("Vitamin A") == ["vitamin", "a"]
    assert words("grade A, a house and an A") == ["grade", "a", "house", "and", "a"]
    assert words("A tale of the sea") == ["tale", "of", "sea"]
    assert words("3.14 and 1,200, on 12.03.1956") == [
        *("3.14", "and", "1200", "on", "12", "03", "1956"),
    ]


@given(st.dates(date(1000, 1, 1), date(2999, 12, 31)))
def test_every_date_is_found_in_its_usual_forms(day: date) -> None:
    written = f"{day.day} {day:%B} {day.year}"
    for said in (f"{day:%B} {day.day}, {day.year}", day.isoformat(), f"{day:%d.%m.%Y}"):
        assert leaks(f"It was {said}.", [written])


@given(st.integers(min_value=1, max_value=999_999))
def test_a_number_in_words_is_that_number(number: int) -> None:
    text = evened(spelled(number)).strip()
    assert text == str(number)
    assert evened(f"{number:,}") == str(number)


@pytest.mark.parametrize("text", ["1" + " " * 100_000, "one" + " " * 100_000 + "-", "1-" * 50_000])
def test_a_page_of_blanks_is_read_once(text: str) -> None:
    assert not leaks(text, ["17 April 1933"])


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading(text: str) -> None:
    assert isinstance(evened(text), str)


UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def spelled(number: int) -> str:
    """In English words, as a clerk writes them."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        return TENS[number // 10] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % size
    more = f" {'and ' if rest < 100 else ''}{spelled(rest)}" if rest else ""
    return f"{spelled(number // size)} {name}{more}"
