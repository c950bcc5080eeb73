"""JSON of a log, read strictly: every value is of the type it should be, or the place is named.

Knows no program's format. Messages quote keys and no values: a log holds what must not come out.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HUGE = 1e300  # larger whole numbers are no floating-point ones


class LogError(ValueError):
    """A log that is not understood. Names the file and the line or the key."""


@dataclass(frozen=True, slots=True)
class Row:
    """An object of a log, and where it stands."""

    where: str
    values: Mapping[str, Any] = field(repr=False)

    def fault(self, key: str, what: str) -> LogError:
        """What is wrong with a key, to be raised."""
        return LogError(f"{self.where}: {key}: {what}")

    def only(self, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Raises LogError where a key is missing or not among these."""
        for key in required:
            if key not in self.values:
                raise self.fault(key, "is missing; is this the log of another version?")
        known = {*required, *optional}
        for key in self.values:
            if key not in known:
                raise self.fault(key, "is not understood; is this the log of another version?")

    def text(self, key: str) -> str:
        """Raises LogError where it is no text."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.fault(key, "is no text")
        return value

    def whole(self, key: str) -> int:
        """Raises LogError where it is no whole number from 0 on."""
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fault(key, "is no whole number from 0 on")
        return value

    def number(self, key: str) -> float | None:
        """None for what is no finite number, as programs write it; else raises LogError."""
        return self._number(key, self.values.get(key))

    def numbers(self, key: str) -> list[float | None]:
        """Of a list, or of a single number, each as `number`."""
        value = self.values.get(key)
        return [self._number(key, each) for each in (value if isinstance(value, list) else [value])]

    def one(self, value: object, key: str) -> float | None:
        """A value of the list under a key, as `number`. Raises LogError."""
        return self._number(key, value)

    def row(self, key: str) -> "Row":
        """Raises LogError where it is no object."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self.fault(key, "is no object")
        return Row(f"{self.where}: {key}", value)

    def rows(self) -> Iterator[tuple[str, "Row"]]:
        """Every key with its object. Raises LogError where one is no object."""
        for key in self.values:
            yield key, self.row(key)

    def items(self, key: str) -> list[Any]:
        """Raises LogError where it is no list."""
        value = self.values.get(key)
        if not isinstance(value, list):
            raise self.fault(key, "is no list")
        return value

    def texts(self, key: str) -> list[str]:
        """Raises LogError where it is no list of texts."""
        value = self.items(key)
        if not all(isinstance(each, str) for each in value):
            raise self.fault(key, "is no list of texts")
        return value

    def _number(self, key: str, value: object) -> float | None:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        if not isinstance(value, float | int) or isinstance(value, bool):
            raise self.fault(key, "is no number")
        if not abs(value) < _HUGE:
            raise self.fault(key, "is no number to count with")
        return float(value)


def lines(path: Path) -> list[Row]:
    """The objects of a JSONL file, by line; empty lines are skipped. Raises LogError, OSError."""
    found = [
        _parsed(line, f"{path}:{number}")
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1)
        if line.strip()
    ]
    if not found:
        raise LogError(f"{path}: is empty")
    return found


def whole(path: Path) -> Row:
    """The object that a JSON file holds. Raises LogError, OSError."""
    return _parsed(path.read_bytes(), str(path))


def _parsed(text: bytes, where: str) -> Row:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        line = f":{error.lineno}" if error.lineno > 1 else ""
        raise LogError(f"{where}{line}: is no JSON ({error.msg})") from None
    except (ValueError, RecursionError):
        raise LogError(f"{where}: is no JSON in UTF-8") from None
    if not isinstance(found, dict):
        raise LogError(f"{where}: is no JSON object")
    return Row(where, found)
