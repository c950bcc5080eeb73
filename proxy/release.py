"""Text in as it arrives, text out once it is cleared: the release window of one channel, sans-io.

Knows no HTTP, no wire format and no policy: it says what must be judged before anything moves, and
moves nothing else. What is released depends on the text alone, never on how it was cut into deltas.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from classifiers import Passage, Segmenter, Span, fold, segment, windows, windows_at

# A disguised name is longer than the name: separated hex doubles it, percent escapes treble it.
DISGUISE = 3
# Codes take more room for a letter than that (binary eight digits), so text without words counts
# for less.
CODED = 10
LEAST_AHEAD = 80  # visible characters: a fact told in a word a line is compared in one piece
WORDS = re.compile(r"[^\W\d_]{3,}")


class HeldTooLongError(RuntimeError):
    """More text was held back than the window may hold: nothing of it was cleared."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What must be judged before a piece of text can move.

    `own` is where that piece stands in the passage, `offset` where the passage begins in the
    channel's text.
    """

    passage: Passage
    own: Span
    offset: int = 0


class Window(Protocol):
    """One channel's text between its arrival and its release. Counts are in characters."""

    received: int
    released: int
    most_held: int

    def feed(self, delta: str) -> list[Ask]:
        """Take more text; return what can be judged now. Raises HeldTooLongError."""
        ...

    def finish(self) -> list[Ask]:
        """No more text will come; return what is left to be judged. Raises HeldTooLongError."""
        ...

    def settle(self, ask: Ask, /, cuts: Sequence[Span], *, marker: str) -> str:
        """Return what may leave once `ask` was judged; asks are settled in the order they came.

        `cuts` are the ranges of the passage that must not leave: a segment touched by one leaves
        as `marker`.
        """
        ...

    def stops(self, ask: Ask, cut: Span, /) -> bool:
        """Whether a range of the passage touches the text that `ask` decides on."""
        ...


class SentenceWindow:
    """Releases sentence by sentence.

    A sentence leaves once it was judged alone, together with the sentence after it, and with as
    much text behind it as the longest name could need to show itself in any disguise.

    longest      folded characters of the longest name or phrase that a screen looks for
    before       the question that the text answers
    max_segment  characters after which an open sentence is cut
    max_held     characters that may wait for their look-ahead
    """

    def __init__(
        self, *, longest: int, before: str = "", max_segment: int = 400, max_held: int = 8000
    ) -> None:
        self.received = self.released = self.most_held = 0
        self._segmenter = Segmenter(max_segment)
        self._lookahead = max(longest * DISGUISE, LEAST_AHEAD)
        self._before = before
        self._max_held = max_held
        self._segments: list[str] = []
        self._visible: list[int] = []
        self._first = 0  # number of the first segment kept: the one before the next to be asked
        self._asked = 0  # segments that have been asked about
        self._offset = 0  # where the first segment kept stands in the whole text
        self._settled = 0
        self._overfull = False
        self._cuts: list[Span] = []
        self._marked = False

    def feed(self, delta: str) -> list[Ask]:
        """Take more text; return the sentences that can be judged now."""
        self.received += len(delta)
        self.most_held = max(self.most_held, self.received - self._settled)
        return self._take(self._segmenter.feed(delta))

    def finish(self) -> list[Ask]:
        """Return the sentences left, judged with whatever stands behind them."""
        asks = self._take(self._segmenter.finish())
        while not self._overfull and self._asked < self._first + len(self._segments):
            asks.append(self._ask(len(self._segments)))
        return asks

    def settle(self, ask: Ask, cuts: Sequence[Span], *, marker: str) -> str:
        """Return the sentence, or the marker once for a run of sentences that must not leave."""
        text = ask.passage.text[ask.own.start : ask.own.end]
        self._cuts += [
            Span(ask.offset + cut.start, ask.offset + cut.end)
            for cut in cuts
            if self.stops(ask, cut)
        ]
        start, end = ask.offset + ask.own.start, ask.offset + ask.own.end
        self._cuts = [cut for cut in self._cuts if cut.end > start]
        self._settled = end
        if any(cut.start < end for cut in self._cuts):
            text = "" if self._marked else _in_place_of(text, marker)
            self._marked = True
        else:
            self._marked = self._marked and not text.strip()
            self.released += len(text)
        return text

    def stops(self, ask: Ask, cut: Span) -> bool:
        """Whether a range of the passage touches the sentence."""
        return cut.start < ask.own.end and cut.end > ask.own.start

    def _take(self, segments: Sequence[str]) -> list[Ask]:
        if self._overfull:
            raise HeldTooLongError(f"more than {self._max_held} characters wait for visible text")
        asks: list[Ask] = []
        for text in segments:
            self._segments.append(text)
            self._visible.append(visible(text))
            while (end := self._enough()) is not None:
                asks.append(self._ask(end))
            waiting = self._segments[self._asked - self._first :]
            if sum(map(len, waiting)) > self._max_held:
                # What was cleared before leaves first, or the chunking would show.
                self._overfull = True
                break
        return asks

    def _enough(self) -> int | None:
        """The end of the look-ahead of the next sentence, once all of it has arrived."""
        position = self._asked - self._first
        seen = 0
        for at in range(position + 1, len(self._segments)):
            seen += self._visible[at]
            if seen >= self._lookahead:
                return at + 1
        return None

    def _ask(self, end: int) -> Ask:
        position = self._asked - self._first
        behind = "".join(self._segments[:position])
        own = self._segments[position]
        after = self._segments[position + 1 : end]
        text = behind + own + "".join(after)
        spans = [Span(at - len(part), at) for part, at in _ends([behind, own, *after])]
        passage = Passage(text, windows_at(text, spans, 1), self._before)
        ask = Ask(passage, spans[1], self._offset)
        self._asked += 1
        if position:
            self._first += 1
            self._offset += len(self._segments[0])
            del self._segments[0], self._visible[0]
        return ask


class WholeWindow:
    """Releases all of a text or nothing: tool arguments and promised JSON make no sense in part.

    Strings inside a JSON text are judged as they will be read: unescaped, and joined, so that a
    name split over two fields is seen.
    """

    def __init__(self, *, before: str = "", max_held: int = 1_000_000) -> None:
        self.received = self.released = self.most_held = 0
        self._before = before
        self._max_held = max_held
        self._parts: list[str] = []
        self._asks_left = 0
        self._cut = False

    def feed(self, delta: str) -> list[Ask]:
        """Keep the text; nothing can be judged before its end."""
        self.received += len(delta)
        self.most_held = max(self.most_held, self.received)
        if self.received > self._max_held:
            raise HeldTooLongError(f"more than {self._max_held} characters in one piece")
        self._parts.append(delta)
        return []

    def finish(self) -> list[Ask]:
        """Return the text as it stands and, where it is JSON, as it reads."""
        text = self.said()
        ways = [text, *readings(text)]
        self._asks_left = len(ways)
        return [
            Ask(Passage(way, windows(segment(way)), self._before), Span(0, len(way)))
            for way in ways
        ]

    def said(self) -> str:
        """All of the text that came so far."""
        return "".join(self._parts)

    def settle(self, _: Ask, cuts: Sequence[Span], *, marker: str) -> str:
        """Return the whole text with the last ask, or the marker if any range must not leave."""
        self._cut = self._cut or bool(cuts)
        self._asks_left -= 1
        if self._asks_left:
            return ""
        self.released = 0 if self._cut else self.received
        return marker if self._cut else "".join(self._parts)

    def stops(self, _: Ask, __: Span) -> bool:
        """Any range touches all of it."""
        return True


def plain(text: str) -> int:
    """Letters and digits of a text, whatever they tell."""
    return sum(map(str.isalnum, fold(text)))


def visible(text: str) -> int:
    """Characters of a text that a name could need: letters and digits, of codes a tenth."""
    count = plain(text)
    return count if WORDS.search(text) else count // CODED


def _ends(parts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each part with the place where it ends in all of them together."""
    end = 0
    for part in parts:
        end += len(part)
        yield part, end


def _in_place_of(text: str, marker: str) -> str:
    """The marker with the white space that stood around the text."""
    head = text[: len(text) - len(text.lstrip())]
    tail = text[len(text.rstrip()) :] if text.strip() else ""
    return f"{head}{marker}{tail}"


def readings(text: str) -> list[str]:
    """The strings of a JSON text joined by a space: with the keys between them, and without.

    A string that is JSON itself is read too, and so are all values of one key.
    """
    pairs = list(_strings(_json(text)))
    joined = [
        " ".join(word for pair in pairs for word in pair if word),
        " ".join(said for _, said in pairs if said),
        " ".join(said for _, said in sorted(pairs, key=lambda pair: pair[0]) if said),
    ]
    return [reading for reading in dict.fromkeys(joined) if reading not in ("", text)]


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written: of a key that stands there twice, one reader takes the first."""


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any, key: str = "", depth: int = 4) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """Every string with the key that it stands under."""
    if isinstance(value, str):
        inner = _json(value) if depth and value[:1] in ("{", "[", '"') else None
        if inner is None or inner == value:
            yield key, value
        else:
            yield from _strings(inner, key, depth - 1)
    elif isinstance(value, _Pairs):
        for name, item in value:
            if isinstance(item, list):
                yield name, ""
            yield from _strings(item, name, depth)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, key, depth)
    elif value is not None:
        yield key, str(value)
