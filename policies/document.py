"""A YAML file as values with positions. Knows no model and no policy.

YAML here is the part that configuration needs, with the scalars of YAML 1.2: only `true` and
`false` are truth values, so `off`, `no`, `12:30`, `0123` and dates are text. Anchors, aliases,
merge keys, tags, repeated keys and further documents are refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from policies.problem import Problem

KeyPath = tuple[str | int, ...]

MOST_BYTES = 1 << 20  # of one file; longer lists of texts have files of their own
DEEPEST = 32  # nested lists and mappings

NULL = re.compile(r"|~|null|Null|NULL")
TRUE = re.compile(r"true|True|TRUE")
FALSE = re.compile(r"false|False|FALSE")
# Digits are bounded: Python refuses to read very long numbers, and nothing here needs them.
INTEGER = re.compile(r"-?[0-9]{1,18}")
FRACTION = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")
SURROGATE = re.compile("[\ud800-\udfff]")

# What PyYAML says, and what an author can do about it.
REMEDIES = {
    "mapping values are not allowed": "put a text that contains ': ' into quotes",
    "'\\t' that cannot start any token": "indent with spaces, not with tabs",
    "could not find expected ':'": "write `key: value`, and a quote's end on the quote's line",
    "while scanning a quoted scalar": "close the quotes",
    "cannot start any token": "put the text into quotes",
    "expected alphabetic or numeric character": "put a text that begins with & or * into quotes",
}
OTHER_REMEDY = "check the indentation, brackets and quotes here and on the line before"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file, both numbers counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds.

    `keys` and `values` tell where each key and each value begins; `refused` are paths whose value
    could not be taken, `problems` says why. A file that is no YAML at all has a `value` of None.
    """

    path: Path
    value: object = field(default=None, repr=False)
    keys: Mapping[KeyPath, Position] = field(default_factory=dict, repr=False)
    values: Mapping[KeyPath, Position] = field(default_factory=dict, repr=False)
    refused: frozenset[KeyPath] = field(default=frozenset(), repr=False)
    problems: tuple[Problem, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether there is a value to validate."""
        return () in self.values

    def problem(self, at: KeyPath, message: str, *, on: str = "value") -> Problem:
        """Describe what is wrong at a path: on its value, or on its key.

        A key that is not there is reported where the mapping begins that lacks it.
        """
        places = self.keys if on == "key" else self.values
        present = at
        while present and present not in places:
            present, places = present[:-1], self.values
        found = places.get(present, Position(0, 0))
        return Problem(self.path, found.line, found.column, written(at), message)


def written(at: KeyPath) -> str:
    """A path as a person writes it: `concepts[0].name`."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def parse(path: Path) -> Document:
    """Read a file. Never raises: what is wrong stands in `problems`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        return _unreadable(path, f"cannot be read: {error.strerror}")
    if len(raw) > MOST_BYTES:
        message = f"is larger than {MOST_BYTES} bytes; split it, or keep the texts in files"
        return _unreadable(path, message)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        return _unreadable(path, "is not UTF-8; save it as UTF-8", _end(before))
    return _Composer(path, text).document()


class _StopError(Exception):
    """Nothing behind this place can be read."""

    def __init__(self, position: Position, message: str, at: KeyPath = ()) -> None:
        super().__init__(message)
        self.position = position
        self.at = at


class _Composer:
    """Events of one text into one document."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._events = self._read()
        self._last = Position(1, 1)
        self._keys: dict[KeyPath, Position] = {}
        self._values: dict[KeyPath, Position] = {}
        self._refused: set[KeyPath] = set()
        self._problems: list[Problem] = []

    def document(self) -> Document:
        try:
            value = self._whole()
        except _StopError as stop:
            self._report(stop.position, stop.at, str(stop))
            return Document(self._path, problems=tuple(self._problems))
        return Document(
            self._path,
            value,
            self._keys,
            self._values,
            frozenset(self._refused),
            tuple(self._problems),
        )

    def _read(self) -> Iterator[yaml.Event]:
        """PyYAML's events; whatever it raises ends in a place and a sentence."""
        try:
            yield from yaml.parse(self._text, Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            place = _end(self._text[: error.position])
            character = ord(self._text[error.position])
            message = f"holds the control character U+{character:04X}; remove it"
            raise _StopError(place, message) from None
        except yaml.MarkedYAMLError as error:
            raise _StopError(self._place(error), _sentence(error)) from None
        except (ValueError, OverflowError):
            # PyYAML converts escapes such as \UFFFFFFFF and version numbers without a check.
            message = "is not YAML: an escape or a number that means nothing; check the quotes"
            raise _StopError(self._last, message) from None

    def _place(self, error: yaml.MarkedYAMLError) -> Position:
        return _position(error.problem_mark) if error.problem_mark else self._last

    def _next(self) -> yaml.Event:
        event = next(self._events)
        self._last = _position(event.start_mark)
        return event

    def _whole(self) -> object:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise _StopError(Position(0, 0), "is empty")
        value = self._value(self._next(), ())
        if value is None and not self._problems:
            raise _StopError(Position(0, 0), "is empty")
        self._next()  # the document's end
        if not isinstance(self._next(), yaml.StreamEndEvent):
            raise _StopError(self._last, "a second document begins; one file holds one document")
        return value

    def _value(self, event: yaml.Event, at: KeyPath) -> object:
        self._values.setdefault(at, self._last)
        if len(at) > DEEPEST:
            raise _StopError(self._last, f"is nested deeper than {DEEPEST} levels; flatten it")
        self._refuse_references(event, at)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(at)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(at)
        return None  # an alias, refused above

    def _list(self, at: KeyPath) -> list[object]:
        found: list[object] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._value(event, (*at, len(found))))
        return found

    def _mapping(self, at: KeyPath) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _StopError(self._last, "a key must be plain text", at)
            key = (*at, event.value)
            if repeated := event.value in found:
                line = self._keys[key].line
                message = f"stands here a second time (first on line {line}); keep one of them"
                self._report(self._last, key, message)
            self._keys.setdefault(key, self._last)
            self._refuse_references(event, key)
            merging = event.value == "<<" and event.style is None
            if merging:
                message = "merge keys are not accepted; write the keys out"
                self._report(self._last, key, message)
            value = self._value(self._next(), key)
            if not (repeated or merging):
                found[event.value] = value
        return found

    def _scalar(self, event: yaml.ScalarEvent, at: KeyPath) -> object:
        if SURROGATE.search(event.value):
            self._refuse(at, "holds half of a surrogate pair; write the character itself")
        plain = event.style is None
        return _resolved(event.value) if plain else event.value

    def _refuse_references(self, event: yaml.Event, at: KeyPath) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(at, "aliases (*name) are not accepted; write the value out, or quote it")
        elif getattr(event, "anchor", None) is not None:
            self._refuse(at, "anchors (&name) are not accepted; remove it, or quote the text")
        if getattr(event, "tag", None) is not None:
            self._refuse(at, "tags (!name) are not accepted; remove it, or quote the text")

    def _refuse(self, at: KeyPath, message: str) -> None:
        self._refused.add(at)
        self._report(self._last, at, message)

    def _report(self, place: Position, at: KeyPath, message: str) -> None:
        self._problems.append(Problem(self._path, place.line, place.column, written(at), message))


def _resolved(text: str) -> object:
    """A plain scalar's value.

    Only a number that prints as it is written is a number: a ticket 1.10 or 0042 stays as it is.
    """
    if NULL.fullmatch(text):
        return None
    if TRUE.fullmatch(text) or FALSE.fullmatch(text):
        return bool(TRUE.fullmatch(text))
    for kind, form in ((int, INTEGER), (float, FRACTION)):
        if form.fullmatch(text) and str(kind(text)) == text:
            return kind(text)
    return text


def _unreadable(path: Path, message: str, place: Position | None = None) -> Document:
    place = place or Position(0, 0)
    return Document(path, problems=(Problem(path, place.line, place.column, "", message),))


def _position(mark: Any) -> Position:  # noqa: ANN401 - PyYAML has two classes of marks, untyped
    return Position(mark.line + 1, mark.column + 1)


def _end(text: str) -> Position:
    """Where a text ends, in lines and columns."""
    return Position(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _sentence(error: yaml.MarkedYAMLError) -> str:
    said = f"{error.context or ''} {error.problem or ''}"
    remedy = next((do for sign, do in REMEDIES.items() if sign in said), OTHER_REMEDY)
    return f"is not YAML: {error.problem or 'it breaks off'}; {remedy}"
