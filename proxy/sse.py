"""Server-sent events, sans-io: bytes in, events out, and back. Knows no HTTP and no wire format.

Reads by the rules of https://html.spec.whatwg.org/multipage/server-sent-events.html, with two
differences on the safe side: bytes that are no UTF-8 and a stream that ends in the middle of an
event are errors, where a browser would guess and drop.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

DONE = b"data: [DONE]\n\n"

_END = "[DONE]"
_BOM = b"\xef\xbb\xbf"


class StreamError(ValueError):
    """A stream of events is broken. The message says how and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type (`message` where none was given), its data lines joined by newlines."""

    event: str
    data: str = field(repr=False)


class Decoder:
    """Bytes to events, the same ones however the bytes were cut into chunks.

    An error is raised once every event before it was handed out: by the call that met it where that
    one has no events, else by the next call. It is raised again by every call that follows.

    max_event_bytes    an event's lines together, comments included, line ends left out
    """

    def __init__(self, max_event_bytes: int = 1_048_576) -> None:
        self._max = max_event_bytes
        self._open: list[bytes] = []  # the line that has not ended yet, in the pieces it came in
        self._after_cr = False
        self._first = True
        self._size = 0
        self._type = ""
        self._data: list[str] = []
        self._complete = 0
        self._error: StreamError | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Take more bytes; return the events that they complete. Raises StreamError."""
        if self._error:
            raise self._error
        events: list[Event] = []
        try:
            for line in self._lines(chunk):
                if event := self._read(line):
                    events.append(event)  # noqa: PERF401 - kept where a later line raises
        except StreamError as error:
            self._error = error
            if not events:
                raise
        return events

    def finish(self) -> list[Event]:
        """No more bytes will come. Raises StreamError where they stop in the middle of an event.

        A last `[DONE]` may lack its empty line, as some servers send it: nothing can be missing.
        """
        rest = bool(self._open)
        self.feed(b"\n" if rest else b"")
        if self._data == [_END]:
            self._data = []
            return [Event(self._type or "message", _END)]
        if rest or self._data or self._type:
            self._error = self._broken("ends in the middle of an event")
            raise self._error
        return []

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that a chunk completes, without their ends: LF, CR or CRLF."""
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        for part in chunk.splitlines(keepends=True):
            line = part.rstrip(b"\r\n")
            self._size += len(line)
            if self._size > self._max:
                raise self._broken(f"an event is larger than {self._max} bytes")
            self._open.append(line)
            if len(line) < len(part):
                whole, self._open = b"".join(self._open), []
                yield whole

    def _read(self, line: bytes) -> Event | None:
        if self._first:
            self._first, line = False, line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        try:
            name, _, value = line.decode().partition(":")
        except UnicodeDecodeError:
            raise self._broken("a line is not UTF-8") from None
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif name == "event":
            self._type = value.removeprefix(" ")
        # Comments, and what only a browser that connects again has use for: `id` and `retry`.
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._type or "message", "\n".join(self._data)) if self._data else None
        self._type, self._data, self._size = "", [], 0
        self._complete += event is not None
        return event

    def _broken(self, how: str) -> StreamError:
        return StreamError(f"behind event {self._complete}: {how}")


def encode(data: object, event: str | None = None) -> bytes:
    """Write one event that carries JSON, in ASCII: no character of it can end a line.

    Raises ValueError for an event type of several lines and for what JSON cannot hold.
    """
    if event is not None and not event.isprintable():
        raise ValueError("an event type stands on one line; leave control characters out")
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    kind = f"event: {event}\n" if event else ""
    return f"{kind}data: {text}\n\n".encode()
