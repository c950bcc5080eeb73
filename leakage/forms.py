"""One form for each number and date, however it is written: English, day and month by name or not.

Knows no answer and no probe. "twelve" is 12, "1.5 million" 1500000, "nineteen fifty-six" 1956, "the
twelfth of March 1956" and "1956-03-12" are "1956 march 12". What stays as it is: "one" and "second"
alone, which are words more often than numbers, years of two digits, Roman numerals, fractions.
"""

import re
from decimal import Decimal

_UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNIT_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13,
    "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18,
    "nineteenth": 19,
}  # fmt: skip
_TENS_ORDINALS = {word[:-1] + "ieth": value for word, value in _TENS.items()}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_MONTH_OF = {name: at for at, name in enumerate(_MONTHS, start=1)}
_MONTH_OF |= {name[:3]: at for name, at in _MONTH_OF.items()} | {"sept": 9}

_WORDS = sorted(
    {*_UNITS, *_TENS, *_SCALES, "hundred", *_UNIT_ORDINALS, *_TENS_ORDINALS, "and", "oh", "o", "a"},
    key=len,
    reverse=True,
)
# Bounded, or a page of blanks would be read again from each of them.
_BLANK, _MAY = r"\s{1,9}", r"\s{0,9}"
_RUN = re.compile(
    rf"(?<![^\W_])(?:{'|'.join(_WORDS)})(?:(?:{_MAY}-{_MAY}|{_BLANK})(?:{'|'.join(_WORDS)}))*(?![^\W_])"
)
_PART = re.compile(r"[a-z]+")

# NFKC makes a plain space of each of these: they are read before it.
_SPACED_THOUSANDS = re.compile(r"(?<=\d)[\u2009\u00a0\u202f](?=\d{3}(?!\d))")
_THOUSANDS = re.compile(
    r"(?<![\d.,])\d{1,3}(?:(?:[,\u2019']\d{3})+|(?:\.\d{3}){2,}|(?: \d{3}){2,})(?![\d]|[.,]\d)"
)
_SCALED = re.compile(
    rf"(?<![\d.])(\d+(?:\.\d+)?){_MAY}-?{_MAY}(thousand|million|billion|trillion)(?![^\W_])"
)
_ORDINAL = re.compile(r"(?<![\d.])(\d+)(?:st|nd|rd|th)(?![^\W_])")
_PER_CENT = re.compile(rf"(?<=\d){_MAY}(?:%|per{_BLANK}cents?(?![^\W_]))")

_MONTH = rf"(?P<m#>{'|'.join(sorted(_MONTH_OF, key=len, reverse=True))})(?![^\W_])\.?"
_DAY = r"(?P<d#>0?[1-9]|[12]\d|3[01])(?:th)?(?!\d)"
_YEAR = r"(?P<y#>[12]\d{3})(?!\d)"
_GAP = r"[\s,./-]{1,3}"
_DAY_MONTH = rf"{_DAY}(?:{_BLANK}of)?{_GAP}{_MONTH}(?:(?:{_BLANK}(?:of|in))?{_GAP}{_YEAR})?"
_MONTH_DAY = rf"{_MONTH}(?:{_BLANK}the)?{_GAP}{_DAY}(?:(?:{_BLANK}(?:of|in))?{_GAP}{_YEAR})?"
_ISO = (
    rf"{_YEAR}(?P<x>[-/.])(?P<m#>0?[1-9]|1[0-2])(?P=x)(?P<d#>0?[1-9]|[12]\d|3[01])"
    r"(?:t(?=\d\d:))?(?!\d)(?![./-]\d)"
)
_DATES = (
    _ISO,
    rf"(?P<a>\d{{1,2}})(?P<k>[-/.])(?P<b>\d{{1,2}})(?P=k){_YEAR}(?![./-]\d)",
    _DAY_MONTH,
    _MONTH_DAY,
    rf"{_YEAR}{_GAP}{_MONTH}(?:{_BLANK}the)?{_GAP}{_DAY}",
    rf"{_MONTH}(?:{_BLANK}(?:of|in))?{_GAP}{_YEAR}",
)
# A group's name stands once in a pattern: each way to write a date has its own.
_NUMBERED = (way.replace("#", str(at)) for at, way in enumerate(_DATES))
_DATE = re.compile(rf"(?<!\w)(?<!\d[./-])(?:{'|'.join(_NUMBERED)})")


def unspaced(text: str) -> str:
    """Numbers whose thousands are set apart by a thin or fixed space, without it."""
    return _SPACED_THOUSANDS.sub("", text)


def evened(folded: str, *, day_first: bool = True) -> str:
    """A case-folded text with each number and date in its one form.

    `12/03/1956` is a day of March where `day_first`, of December otherwise; where only one of the
    two is a date it is that one.
    """
    text = _THOUSANDS.sub(lambda found: re.sub(r"\D", "", found[0]), folded)
    if text.strip(" .!?\"'") in {"one", "second"}:
        text = "1" if "one" in text else "2th"
    text = _RUN.sub(_in_digits, text)
    text = _SCALED.sub(_scaled, text)
    text = _ORDINAL.sub(r"\1th", text)
    text = _PER_CENT.sub(" percent ", text)
    return _DATE.sub(lambda found: _dated(found, day_first=day_first), text)


def _scaled(found: re.Match[str]) -> str:
    value = Decimal(found[1]) * _SCALES[found[2]]
    return str(int(value)) if value == int(value) and len(found[1]) < 20 else found[0]


def _dated(found: re.Match[str], *, day_first: bool) -> str:
    # The letter of a group says what it is, its number which way to write a date it belongs to.
    said = {name[0]: text for name, text in found.groupdict().items() if text}
    if "a" in said:
        day, month = int(said["a"]), int(said["b"])
        if month > 12 or (not day_first and day <= 12 and found["k"] != "."):
            day, month = month, day  # with dots the day comes first
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return found[0]
        return f" {said['y']} {_MONTHS[month - 1]} {day} "
    month = int(said["m"]) if said["m"].isdigit() else _MONTH_OF[said["m"]]
    return f" {said.get('y', '')} {_MONTHS[month - 1]} {said.get('d', '').lstrip('0')} "


# --- numbers in words


def _in_digits(run: re.Match[str]) -> str:
    """A run of number words with each number in it as digits."""
    parts = list(_PART.finditer(run[0]))
    said = [part[0] for part in parts]
    made: list[str] = []
    at = last = 0
    while at < len(said):
        value, length, ordinal = _number(said, at)
        alone = length == 1 and said[at] in {"one", "second"}
        if alone and not (said[at] == "second" and run.string.endswith("the ", 0, run.start())):
            length = 0
        if length:
            made.append(run[0][last : parts[at].start()] + f"{value}{'th' if ordinal else ''}")
            last = parts[at + length - 1].end()
        at += max(length, 1)
    return "".join(made) + run[0][last:]


def _number(said: list[str], at: int) -> tuple[int, int, bool]:
    """The number that begins at a word: its value, how many words, whether it is an ordinal."""
    year = _year(said, at)
    if year is not None:
        return year
    total, used = 0, 0
    largest = 10**15
    while True:
        joined = 1 if used and _word(said, at + used) == "and" else 0
        value, length, ordinal = _below_thousand(said, at + used + joined)
        if not length:
            return total, used, False
        scale = _SCALES.get(_word(said, at + used + joined + length), 1)
        if ordinal or scale == 1:
            if used and (largest == 1 or value >= largest):
                return total, used, False
            return total + value, used + joined + length, ordinal
        if scale >= largest:
            return total, used, False
        total += value * scale
        used += joined + length + 1
        largest = scale


def _year(said: list[str], at: int) -> tuple[int, int, bool] | None:
    """Nineteen fifty-six, nineteen oh five, nineteen hundred, twenty twelve."""
    century = _UNITS.get(_word(said, at), 0) if _word(said, at) != "twenty" else 20
    if not 13 <= century <= 20:
        return None
    after = _word(said, at + 1)
    if after in {"oh", "o"} and 1 <= _UNITS.get(_word(said, at + 2), 0) <= 9:
        return 100 * century + _UNITS[_word(said, at + 2)], 3, False
    value, length, ordinal = _below_hundred(said, at + 1)
    if length and value >= 10 and not ordinal:
        return 100 * century + value, 1 + length, False
    if after == "hundred":
        joined = 1 if _word(said, at + 2) == "and" else 0
        value, length, ordinal = _below_hundred(said, at + 2 + joined)
        if length and not ordinal:
            return 100 * century + value, 2 + joined + length, False
        return 100 * century, 2, False
    return None


def _below_thousand(said: list[str], at: int) -> tuple[int, int, bool]:
    if _word(said, at) == "a":
        known = _word(said, at + 1) in {"hundred", *_SCALES}
        value, length, ordinal = 1, int(known), False
        if _word(said, at + 1) in _SCALES:
            return value, length, ordinal
    else:
        value, length, ordinal = _below_hundred(said, at)
    if not length or ordinal or value > 9 or _word(said, at + length) != "hundred":
        return value, length, ordinal
    joined = 1 if _word(said, at + length + 1) == "and" else 0
    more, further, ordinal = _below_hundred(said, at + length + 1 + joined)
    if not further:
        return 100 * value, length + 1, False
    return 100 * value + more, length + 1 + joined + further, ordinal


def _below_hundred(said: list[str], at: int) -> tuple[int, int, bool]:
    word, after = _word(said, at), _word(said, at + 1)
    if word in _TENS:
        if 1 <= _UNITS.get(after, 0) <= 9:
            return _TENS[word] + _UNITS[after], 2, False
        if 1 <= _UNIT_ORDINALS.get(after, 0) <= 9:
            return _TENS[word] + _UNIT_ORDINALS[after], 2, True
        return _TENS[word], 1, False
    if word in _UNITS:
        return _UNITS[word], 1, False
    if word in _UNIT_ORDINALS:
        return _UNIT_ORDINALS[word], 1, True
    return (_TENS_ORDINALS[word], 1, True) if word in _TENS_ORDINALS else (0, 0, False)


def _word(said: list[str], at: int) -> str:
    return said[at] if at < len(said) else ""
