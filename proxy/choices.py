"""Every channel of every choice behind a window of its own: pieces in, cleared pieces out.

Knows no HTTP and no wire format. Fails by raising: whoever drives it refuses what is still open.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from classifiers import Passage, Span, Verdict
from proxy.exchange import (
    Channel,
    Closed,
    Delta,
    Finished,
    FormatError,
    Piece,
    Refused,
    choice_of,
)
from proxy.joints import Joined, joined
from proxy.release import Ask, SentenceWindow, WholeWindow, Window, readings
from proxy.released import Released
from proxy.seams import CALLS, PROSE, Seams

Action = Literal["refuse", "regenerate", "reroute", "redact", "flag"]
SEVERITY: tuple[Action, ...] = ("refuse", "regenerate", "reroute", "redact", "flag")
WHOLE = {"tool", "function", "annotation"}
MOST_CHANNELS = 1024  # of a choice: each is read beside others, and the work grows faster

Judge = Callable[[Sequence[Passage]], Awaitable[list[tuple[Verdict, ...]]]]


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a hit: the action, and the words it uses."""

    action: Action
    refusal: str = field(repr=False)
    marker: str = "[…]"
    to: str | None = None
    on_down: Literal["refuse", "original"] = "refuse"


Decide = Callable[[Verdict], Consequence]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a window may hold: see `SentenceWindow`. Characters."""

    longest: int
    max_segment: int = 400
    max_held: int = 8000
    max_whole: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A verdict and the channel it fell on."""

    where: str
    verdict: Verdict


class Choices:
    """What a model says, held until it is cleared.

    `again` is set instead of a refusal where a policy wants another answer: the pieces released so
    far are then to be thrown away. `questions` gives what a choice is judged behind, and further
    texts that it may go on from.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        decide: Decide,
        bounds: Bounds,
        questions: Callable[[int], Sequence[str]],
        json_promised: bool,
    ) -> None:
        self.seen: list[Seen] = []
        self.again: Consequence | None = None
        self.acted: set[Action] = set()
        self.closed: set[int] = set()
        self.windows: dict[Channel, Window] = {}
        self._counts = Counter[int]()  # of channels, by choice
        self.screened: dict[Channel, int] = {}
        self._judge = judge
        self._decide = decide
        self._bounds = bounds
        self._questions = questions
        self._json_promised = json_promised
        self._seams = Seams(longest=bounds.longest, read=self._read)
        self._readings: dict[Channel, tuple[int, list[str]]] = {}  # by what had been received
        self._released = Released(self._seams, self._read)
        self._around: list[tuple[int, Joined]] = []  # with the number of the piece to be released
        self._uncited: set[int] = set()  # choices of which a citation was cut: no more of them
        self._closing: list[Channel] = []
        self._done: set[Channel] = set()

    async def take(self, piece: Piece) -> list[Piece]:
        """Take a piece as it arrives; return what may leave now.

        Raises HeldTooLongError, and whatever judging raises: nothing of the piece has left then.
        """
        if choice_of(piece) in self.closed or self.again:
            return []
        if isinstance(piece, Finished):
            return await self._finish(piece)
        if isinstance(piece, Closed):
            return await self._close(piece.channel)
        if isinstance(piece, Refused):
            raise FormatError("a refusal is ours to write")
        if piece.channel in self._done or piece.channel in self._closing:
            raise FormatError("a channel that has ended speaks on")
        window = self._window(piece.channel)
        self._seams.heard(piece.channel, piece.text)
        asks = [(piece.channel, ask) for ask in window.feed(piece.text)]
        released = await self._cleared(asks, choice=piece.channel.choice)
        return [*released, *await self._close_those_followed(piece.channel.choice)]

    def open(self) -> list[int]:
        """Choices that have begun to speak and have not been closed."""
        return sorted({channel.choice for channel in self.windows} - self.closed)

    def _refuse(self, choice: int, words: str) -> list[Piece]:
        self.closed.add(choice)
        self.acted.add("refuse")
        return [Refused(choice, words)]

    async def _close(self, channel: Channel) -> list[Piece]:
        """A channel has ended: what it held leaves once what follows cannot be part of it."""
        window = self.windows.get(channel)
        if channel in self._done or window is None:
            return []
        if isinstance(window, WholeWindow) and channel.kind != "annotation":
            return []  # at the end, together with others
        if channel not in self._closing:
            self._closing.append(channel)
        return await self._close_those_followed(channel.choice)

    async def _close_those_followed(self, choice: int) -> list[Piece]:
        released: list[Piece] = []
        for channel in [c for c in self._closing if c.choice == choice]:
            apart = channel.kind == "annotation"  # no part of the text before or behind it
            if choice in self.closed or self.again or not (apart or self._seams.followed(channel)):
                break
            asks = [(channel, ask) for ask in self.windows[channel].finish()]
            joined = () if apart else tuple(self._seams.at_end(channel))
            released += await self._cleared(asks, joined=joined, choice=choice)
            self._closing.remove(channel)
            self._done.add(channel)
            if choice not in self.closed and not self.again:
                released.append(Closed(channel))
        return released

    async def _finish(self, piece: Finished) -> list[Piece]:
        mine = [c for c in self.windows if c.choice == piece.choice and c not in self._done]
        # Sentences first: what a call does is released only once all that was said is cleared.
        mine.sort(key=lambda channel: channel.kind in CALLS)
        asks = [(channel, ask) for channel in mine for ask in self.windows[channel].finish()]
        cut = piece.reason == "length" or piece.cut
        if cut:
            asks = [(c, replace(ask, passage=replace(ask.passage, cut=True))) for c, ask in asks]
        joined = list(self._seams.of(piece.choice, cut=cut))
        calls = sorted(
            (c for c in mine if c.kind in CALLS), key=lambda c: (c.index, c.part != "name")
        )
        joined += _together([(c, (self._read(c) or [""])[0]) for c in calls], cut=cut)
        released = await self._cleared(asks, joined=joined, choice=piece.choice)
        if piece.choice in self.closed or self.again:
            return released
        self.closed.add(piece.choice)
        return [*released, *map(Closed, mine), piece]

    def _read(self, channel: Channel) -> list[str] | None:
        """What is released whole as whoever takes it apart reads it: all in one, then each text."""
        window = self.windows[channel]
        if not isinstance(window, WholeWindow):
            return None
        length, read = self._readings.get(channel, (-1, []))
        if length != window.received:
            said = window.said()
            ways = readings(said)
            texts = [text for _, text in _values(said)] if channel.kind == "annotation" else []
            read = [*(ways[-1:] or [said]), *texts]
            self._readings[channel] = window.received, read
        return read

    async def _cleared(
        self,
        asks: Sequence[tuple[Channel, Ask]],
        *,
        joined: Sequence[Joined] = (),
        choice: int,
    ) -> list[Piece]:
        """Judge in one batch, settle in order; a refusal closes the choice where it falls.

        What is hit only where texts are read together cannot be cut out: it is refused.
        """
        if not asks:
            return []
        openings = self._openings(asks)
        if any(channel.kind in PROSE for channel, _ in asks):
            joined = [*joined, *self._seams.behind_citations(choice)]
        passages = [ask.passage for _, ask in asks]
        passages += [one.passage for _, one in openings]
        passages += [one.passage for one in joined]
        verdicts = await self._judge(passages)
        own, split = verdicts[: len(asks)], list(verdicts[len(asks) :])
        for (at, one), found in zip(openings, split, strict=False):
            whole = asks[at][1].own
            own[at] = (
                *own[at],
                *(replace(v, start=whole.start, end=whole.end) for v in _split(one, found)),
            )
        for one, found in zip(joined, split[len(openings) :], strict=True):
            for verdict in _split(one, found):
                self.seen.append(Seen(f"{choice}.joined", verdict))
                consequence = self._decide(verdict)
                self.acted.add(consequence.action)
                if consequence.action in ("regenerate", "reroute"):
                    self.again = consequence
                    return []
                if consequence.action != "flag":
                    return self._refuse(choice, consequence.refusal)
        return await self._across_gaps(self._settled(asks, own))

    def _openings(self, asks: Sequence[tuple[Channel, Ask]]) -> list[tuple[int, Joined]]:
        """What begins with these asks, behind whatever may have been read before it."""
        found: list[tuple[int, Joined]] = []
        cited: set[Channel] = set()
        for at, (channel, ask) in enumerate(asks):
            before = self._questions(channel.choice)
            if channel.kind == "annotation":
                if channel not in cited:  # it is asked about in several ways
                    texts = _values(self._whole(channel))
                    cited.add(channel)
                    found += [(at, j) for j in self._seams.cited(channel.choice, texts, before)]
            elif not ask.offset and not ask.own.start:
                passage = ask.passage
                opening = self._seams.opening(channel, passage.text, before, cut=passage.cut)
                found += [(at, one) for one in opening]
        return found

    def _whole(self, channel: Channel) -> str:
        window = self.windows[channel]
        return window.said() if isinstance(window, WholeWindow) else ""

    async def _across_gaps(self, pieces: list[Piece]) -> list[Piece]:
        """What stands around a redaction is read once more: the cut may have made a name whole."""
        around, self._around = self._around, []
        for at, piece in enumerate(pieces):
            joints = [one for place, one in around if place == at]
            found = await self._judge([one.passage for one in joints]) if joints else []
            for one, verdicts in zip(joints, found, strict=True):
                for verdict in _split(one, verdicts):
                    choice = choice_of(piece)
                    self.seen.append(Seen(f"{choice}.joined", verdict))
                    consequence = self._decide(verdict)
                    if consequence.action != "flag":
                        return [*pieces[:at], *self._refuse(choice, consequence.refusal)]
        return pieces

    def _settled(
        self, asks: Sequence[tuple[Channel, Ask]], verdicts: Sequence[Sequence[Verdict]]
    ) -> list[Piece]:
        sentences: list[Piece] = []
        calls: list[Piece] = []
        around: list[tuple[int, Joined]] = []
        for (channel, ask), found in zip(asks, verdicts, strict=True):
            window = self.windows[channel]
            call = channel.kind in CALLS
            consequences = self._consequences(channel, window, ask, found)
            self.screened[channel] = self.screened.get(channel, 0) + ask.own.end - ask.own.start
            worst = min(
                (consequence for _, consequence in consequences),
                key=lambda consequence: SEVERITY.index(consequence.action),
                default=None,
            )
            if worst:
                self.acted.add(worst.action)
            if worst and worst.action in ("regenerate", "reroute"):
                self.again = worst
                return []
            whole = isinstance(window, WholeWindow) and channel.kind != "annotation"
            if worst and (worst.action == "refuse" or (whole and worst.action == "redact")):
                return [*sentences, *self._refuse(channel.choice, worst.refusal)]
            cuts = [span for span, consequence in consequences if consequence.action == "redact"]
            marker = worst.marker if worst and channel.kind != "annotation" else ""
            text = window.settle(ask, cuts, marker=marker)
            if channel.kind == "annotation":
                text = self._citation(channel.choice, text, cut=bool(cuts))
            if cuts or (not text and isinstance(window, SentenceWindow)):
                around += ((0, one) for one in self._released.left_out(channel))
            elif text:
                at = len(sentences) + (len(calls) if call else 0)
                around += ((at, one) for one in self._released.left(channel, text))
            if text:
                (calls if call else sentences).append(Delta(channel, text))
        self._around = around
        return sentences + calls

    def _citation(self, choice: int, text: str, *, cut: bool) -> str:
        """A citation as it is released. What stood around one that is cut would stand together."""
        if cut:
            self._uncited.add(choice)
        return "" if choice in self._uncited else text

    def _consequences(
        self, channel: Channel, window: Window, ask: Ask, verdicts: Sequence[Verdict]
    ) -> list[tuple[Span, Consequence]]:
        consequences = []
        for verdict in verdicts:
            self.seen.append(Seen(str(channel), verdict))
            span = Span(verdict.start, verdict.end)
            if verdict.hit and window.stops(ask, span):
                consequences.append((span, self._decide(verdict)))
        return consequences

    def _window(self, channel: Channel) -> Window:
        if channel not in self.windows:
            self._counts[channel.choice] += 1
            if self._counts[channel.choice] > MOST_CHANNELS:
                raise FormatError("an answer of too many parts")
            whole = channel.kind in WHOLE or (self._json_promised and channel.kind == "content")
            bounds = self._bounds
            self.windows[channel] = (
                WholeWindow(before=self._questions(channel.choice)[0], max_held=bounds.max_whole)
                if whole
                else SentenceWindow(
                    longest=bounds.longest,
                    before=self._questions(channel.choice)[0],
                    max_segment=bounds.max_segment,
                    max_held=bounds.max_held,
                )
            )
        return self.windows[channel]


def _values(annotation: str) -> list[tuple[str, str]]:
    """Every text of an annotation, which is JSON of ours, with its field; links as they read."""
    found: list[tuple[str, str]] = []
    with suppress(ValueError):
        left = [("", json.loads(annotation))]
        while left:
            key, node = left.pop(0)
            if isinstance(node, dict):
                left += node.items()
            elif isinstance(node, list):
                left += [(key, item) for item in node]
            elif isinstance(node, str) and key != "type":
                found.append((key, node.rpartition("://")[2] if key.endswith("url") else node))
    return found


def _split(joined: Joined, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Hits that lie in more than one of the joined texts; the others were seen where they stand."""
    return [v for v in verdicts if v.hit and joined.splits(v.start, v.end)]


def _together(calls: Sequence[tuple[Channel, str]], *, cut: bool) -> list[Joined]:
    """Calls read together, for a name split over two: with their names, and their values alone."""
    values = [text for channel, text in calls if channel.part != "name"]
    everything = [text for _, text in calls]
    return [*joined(everything, glues=(" ",), cut=cut), *joined(values, cut=cut)]
