"""What a record says without its labels: JSON, YAML, forms, tables, arguments, whole or broken.

Knows no schema and no offsets beyond the text given. Who takes a record apart may read its values
in order, those of one label together, or any two of one record: a name may be split over them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise

MOST_SAID = 400  # characters of a value
MOST_SHORT = 40  # of one that may be half of a name
MOST_PAIRED = 12  # short values of a record
APART = " 0 "  # between ways to read: no name goes over it

_QUOTE = r"\\{0,15}[\"'`]"
_KEY = r"(?:[^\"'`\\\n]|\\u[0-9a-fA-F]{4}){0,120}+"
_WORDS = r"[^\W\d]\w{0,40}(?:(?: |[._/-])\w{1,40}){0,4}+"
_MARKS = r"(?:\*\*|__)?"
_APART = r"(?:\*\*|__|[ \t]{1,2}(?=[:=]{1,2}>?[\s\"'`\\]))?"
_SIGN = r"(?:=>|:=|:(?!//)|=(?!=))"
# What says what the value behind it is.
_LABEL = "|".join(
    (
        rf"{_QUOTE}{_KEY}{_QUOTE}\s{{0,8}}{_SIGN}(?!(?<=\s:)[a-z])",
        rf"[\[(]\s{{0,8}}{_QUOTE}{_KEY}{_QUOTE}\s{{0,8}},",  # of a pair
        # Of several words where something ends before it, else of one.
        rf"(?:(?<=[\n,;{{(|&.!?])|(?<![\s\S]))[ \t>*_#+-]{{0,8}}{_WORDS}{_APART}{_SIGN}{_MARKS}",
        rf"(?<![\w.-])[^\W\d]\w{{0,40}}{_APART}{_SIGN}{_MARKS}",
        r"(?<![\w:]):[a-z][\w-]{0,40}(?=\s)",
        r"<[A-Za-z][\w:.-]{0,40}>",
        r"(?m:^[ \t]{0,8}\|?[\w .'-]{1,40}[|,\t](?=[\w .'-]{1,80}\|?[ \t]{0,8}$))",
    )
)
# What names nobody: numbers and switches, and the initial of a second name.
_OTHER = (
    r"(?<![\w.])(?:[-+]?\d[\d.,:/%+-]{0,40}|(?i:null|true|false|none|nil|undefined|nan))(?!\w)"
    r"|(?<=\w )[A-Z]\.(?= \w)"
)
_NO_VALUE = re.compile(rf"</?[A-Za-z][\w:.-]{{0,40}}|{_OTHER}")
_LABELLED = re.compile(_LABEL)
_ROW = re.compile(r"(?m)^[ \t]{0,8}\|(?:[^|\n]{0,200}\|){3,20}[ \t]{0,8}$")
_EDGES = " \t\r\n\"'`\\,;:{}[]()<>/|*_=&.-"

FIELDS = rf"{_LABEL}|{_OTHER}"  # the labels, and what else stands between two values


@dataclass(frozen=True, slots=True)
class Record:
    """Where a record stands, and the ways to read its values together, as one text."""

    start: int
    end: int
    said: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Value:
    label: str = field(repr=False)
    said: str = field(repr=False)
    start: int
    end: int


def records(text: str) -> Iterator[Record]:
    """Every run of values with labels that holds more than one value, in order."""
    for run in _runs(list(_values(text))):
        yield from _record(run)


def rows(text: str) -> Iterator[Record]:
    """Every row of a table that holds two cells with others between them, in order."""
    for row in _ROW.finditer(text):
        cells = [cell.strip(_EDGES) for cell in row[0].split("|")]
        if pairs := list(_pairs([cell for cell in cells if cell])):
            yield Record(*row.span(), APART.join(pairs))


def _values(text: str) -> Iterator[_Value]:
    labels = list(_LABELLED.finditer(text))
    ends = [*(label.start() for label in labels[1:]), len(text)][: len(labels)]
    for label, end in zip(labels, ends, strict=True):
        stop = min(end, label.end() + MOST_SAID)
        said = _NO_VALUE.sub(" ", text[label.end() : stop]).strip(_EDGES)
        yield _Value(label[0].strip(_EDGES).casefold(), said, label.start(), stop)


def _runs(values: list[_Value]) -> Iterator[list[_Value]]:
    """Values that follow one another."""
    run: list[_Value] = []
    for value in values:
        if run and run[-1].end < value.start:
            yield run
            run = []
        run.append(value)
    if run:
        yield run


def _record(run: list[_Value]) -> Iterator[Record]:
    said = [value for value in run if value.said]
    if len(said) < 2:
        return
    columns: dict[str, list[str]] = {}
    for value in said:
        columns.setdefault(value.label, []).append(value.said)
    ways = [" ".join(column) for column in columns.values() if len(column) > 1]
    own: list[str] = []
    labels: set[str] = set()
    for value in said:
        # A label that comes again begins another record: nobody's first name, another's last.
        if value.label in labels:
            ways += _pairs(own)
            own, labels = [], set()
        own.append(value.said)
        labels.add(value.label)
    ways += _pairs(own)
    if ways:
        yield Record(run[0].start, run[-1].end, APART.join(ways))


def _pairs(values: list[str]) -> Iterator[str]:
    """Every two short values that do not stand side by side."""
    short = [value for value in values if len(value) <= MOST_SHORT][:MOST_PAIRED]
    beside = set(pairwise(short))
    yield from (" ".join(pair) for pair in combinations(short, 2) if pair not in beside)
