"""Every channel of every choice behind a window of its own: pieces in, cleared pieces out.

Knows no HTTP and no wire format. Fails by raising: whoever drives it refuses what is still open.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from classifiers import Passage, Span, Verdict
from proxy.exchange import Channel, Delta, Finished, Piece
from proxy.release import Ask, SentenceWindow, WholeWindow, Window, readings

Action = Literal["refuse", "regenerate", "reroute", "redact", "flag"]
SEVERITY: tuple[Action, ...] = ("refuse", "regenerate", "reroute", "redact", "flag")
WHOLE = {"tool", "function"}

Judge = Callable[[Sequence[Passage]], Awaitable[list[tuple[Verdict, ...]]]]


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a hit: the action, and the words it uses."""

    action: Action
    refusal: str = field(repr=False)
    marker: str = "[…]"
    to: str | None = None


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
    far are then to be thrown away.
    """

    def __init__(
        self, *, judge: Judge, decide: Decide, bounds: Bounds, question: str, json_promised: bool
    ) -> None:
        self.seen: list[Seen] = []
        self.again: Consequence | None = None
        self.acted: set[Action] = set()
        self.closed: set[int] = set()
        self.windows: dict[Channel, Window] = {}
        self.screened: dict[Channel, int] = {}
        self._judge = judge
        self._decide = decide
        self._bounds = bounds
        self._question = question
        self._json_promised = json_promised
        self._behind: dict[int, str] = {}

    async def take(self, piece: Piece) -> list[Piece]:
        """Take a piece as it arrives; return what may leave now.

        Raises HeldTooLongError, and whatever judging raises: nothing of the piece has left then.
        """
        choice = piece.choice if isinstance(piece, Finished) else piece.channel.choice
        if choice in self.closed or self.again:
            return []
        if isinstance(piece, Finished):
            return await self._finish(piece)
        window = self._window(piece.channel)
        return await self._cleared([(piece.channel, ask) for ask in window.feed(piece.text)])

    def open(self) -> list[int]:
        """Choices that have begun to speak and have not been closed."""
        return sorted({channel.choice for channel in self.windows} - self.closed)

    def _refuse(self, choice: int, words: str) -> list[Piece]:
        self.closed.add(choice)
        self.acted.add("refuse")
        return refusal_pieces(
            choice, words, json_promised=self._json_promised, behind=self._behind.get(choice, "")
        )

    async def _finish(self, piece: Finished) -> list[Piece]:
        mine = [channel for channel in self.windows if channel.choice == piece.choice]
        # Sentences first: what a call does is released only once all that was said is cleared.
        mine.sort(key=lambda channel: isinstance(self.windows[channel], WholeWindow))
        asks = [(channel, ask) for channel in mine for ask in self.windows[channel].finish()]
        wholes = [(c, w) for c in mine if isinstance(w := self.windows[c], WholeWindow)]
        together = _together(wholes) if len(wholes) > 1 else []
        released = await self._cleared(asks, together=together)
        if piece.choice in self.closed or self.again:
            return released
        self.closed.add(piece.choice)
        return [*released, piece]

    async def _cleared(
        self, asks: Sequence[tuple[Channel, Ask]], *, together: Sequence[str] = ()
    ) -> list[Piece]:
        """Judge in one batch, settle in order; a refusal closes the choice where it falls."""
        if not asks:
            return []
        passages = [ask.passage for _, ask in asks]
        passages += [Passage(text, ()) for text in together]
        verdicts = await self._judge(passages)
        joint = [verdict for found in verdicts[len(asks) :] for verdict in found]
        sentences: list[Piece] = []
        calls: list[Piece] = []
        for (channel, ask), found in zip(asks, verdicts, strict=False):
            window = self.windows[channel]
            whole = isinstance(window, WholeWindow)
            consequences = self._consequences(
                channel, window, ask, [*found, *(joint if whole else ())]
            )
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
            if worst and (worst.action == "refuse" or (whole and worst.action == "redact")):
                return [*sentences, *self._refuse(channel.choice, worst.refusal)]
            cuts = [span for span, consequence in consequences if consequence.action == "redact"]
            text = window.settle(ask, cuts, marker=worst.marker if worst else "")
            if text:
                (calls if whole else sentences).append(Delta(channel, text))
                if channel.kind == "content":
                    self._behind[channel.choice] = text
        return sentences + calls

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
            whole = channel.kind in WHOLE or (self._json_promised and channel.kind == "content")
            bounds = self._bounds
            self.windows[channel] = (
                WholeWindow(before=self._question, max_held=bounds.max_whole)
                if whole
                else SentenceWindow(
                    longest=bounds.longest,
                    before=self._question,
                    max_segment=bounds.max_segment,
                    max_held=bounds.max_held,
                )
            )
        return self.windows[channel]


def refusal_pieces(
    choice: int, words: str, *, json_promised: bool, behind: str = ""
) -> list[Piece]:
    """End a choice in the words of somebody who does not know, behind what it said before.

    Where JSON was promised the words come as JSON.
    """
    if json_promised:
        words = json.dumps({"refusal": words}, ensure_ascii=False)
    elif behind and not behind[-1].isspace():
        words = f" {words}"
    return [Delta(Channel(choice), words), Finished(choice, "content_filter")]


def _together(wholes: Sequence[tuple[Channel, WholeWindow]]) -> list[str]:
    """Calls read together, for a name split over two: with their names, and their values alone."""
    said = [(channel, (readings(window.text) or [window.text])[-1]) for channel, window in wholes]
    values = [text for channel, text in said if channel.part != "name"]
    return [" ".join(text for _, text in said), " ".join(values), "".join(values)]
