"""Answers of a draw that is still being made, on disk, so that a kill repeats none of them.

A draw may take many requests and leaves one record, at its end. Until then each answer stands in a
file of its own draw, which only its owner may read, and which goes with the record. Knows no probe.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PART = ".part"  # behind the name of such a file


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer: the request that it is to, the number of requests it took, and what came.

    error  of an arm that answered and would not, such as HTTP 400
    taken  whole objects or events of a stream, as they came
    """

    asked: str
    status: int
    error: str | None
    requests: int
    latency_s: float
    first_token_s: float | None
    taken: Sequence[str] = field(repr=False)


class Journal:
    """The answers of one draw, in order; those that an earlier run left are given out first.

    replayed  requests that were not sent, because their answers were there
    """

    def __init__(self, path: Path) -> None:
        self.replayed = 0
        self._path = path
        self._known = _read(path)
        self._end = 0  # bytes of the file that hold
        self._waiting: Kept | None = None
        self._file = -1

    def answer(self, asked: str) -> Kept | None:
        """The answer to the next request, if the same was asked then. Raises OSError."""
        self._write()
        if self._known and self._known[0][0].asked == asked:
            kept, self._end = self._known.pop(0)
            self.replayed += kept.requests
            return kept
        self._known.clear()  # another way than then: what comes behind belongs to that one
        return None

    def keep(self, kept: Kept) -> None:
        """Remember an answer. It is written when there is another request: else it is the last."""
        self._waiting = kept

    def close(self) -> None:
        """The draw has its record: its answers are deleted."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._waiting is None:
            return
        if self._file < 0:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(self._file, self._end)
        rest = memoryview(_line(self._waiting))
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._waiting = None


CURRENT: ContextVar[Journal | None] = ContextVar("journal", default=None)


def digest(url: str, body: Mapping[str, Any]) -> str:
    """A request, whatever the port of its arm is this time."""
    text = json.dumps([url.rpartition("/")[2], body], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _line(kept: Kept) -> bytes:
    row = [getattr(kept, each.name) for each in fields(kept)]
    return json.dumps(row).encode() + b"\n"


def _read(path: Path) -> list[tuple[Kept, int]]:
    """Answers, and where each ends; a kill may have cut the last one off."""
    found: list[tuple[Kept, int]] = []
    end = 0
    with suppress(OSError, ValueError, TypeError):
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            end += len(line)
            found.append((Kept(*json.loads(line)), end))
    return found
