"""What was released of each channel, and where something was left out.

Knows no wire format and no policy. A cut puts side by side what was heard apart: within a channel,
and where one channel ends and another begins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from proxy.exchange import Channel
from proxy.joints import Joined, joined
from proxy.release import plain
from proxy.seams import CALLS, KEPT, MOST_SIDE, PROSE, Seams, squeezed


@dataclass(slots=True)
class _Gap:
    """A place where something was left out: what was released before it, and behind it so far."""

    before: str
    behind: str = ""

    def add(self, text: str) -> None:
        if len(self.behind) < KEPT:
            self.behind = squeezed(self.behind + text)[:KEPT]


class Released:
    """The ends and the beginnings of what left, without what was cut and what marks a cut.

    understood   a channel's texts as they are read, where that is not as they were said
    """

    def __init__(self, seams: Seams, understood: Callable[[Channel], Sequence[str] | None]) -> None:
        self._seams = seams
        self._understood = understood
        self._ends: dict[Channel, list[str]] = {}
        self._beginnings: dict[Channel, str] = {}
        self._gaps: dict[Channel, _Gap] = {}  # behind what was left out last

    def left_out(self, channel: Channel) -> Iterator[Joined]:
        """Note that something is left out here; what stood before it beside all other beginnings.

        Others may have left already when what stands before the cut does.
        """
        before = " ".join(self._ends.get(channel, ()))
        self._gaps[channel] = _Gap(before)
        for other in self._others(channel, self._beginnings):
            yield from self._beside([before], self._texts(other))

    def left(self, channel: Channel, text: str) -> Iterator[Joined]:
        """Note what leaves; what must be read together because of a cut."""
        if gap := self._gaps.get(channel):
            short = plain(gap.behind) < self._seams.ahead
            gap.add(text)
            yield from joined([gap.before, gap.behind])
            for other in self._others(channel, self._ends) if short else ():
                yield from self._beside(self._ends[other], [gap.behind])
        begun = self._beginnings.get(channel, "")
        if plain(begun) < self._seams.ahead and channel.kind != "annotation":
            self._beginnings[channel] = begun + text
            texts = self._texts(channel)
            for other in self._others(channel, self._ends):
                # A call leaves behind all prose: then only a cut makes released and heard differ.
                if other.kind in PROSE and (channel.kind not in CALLS or other in self._gaps):
                    yield from self._beside(self._ends[other], texts)
        understood = self._understood(channel)
        if understood is None:
            end = squeezed("".join(self._ends.get(channel, ())) + text)[-KEPT:]
            self._ends[channel] = [end]
        else:
            self._ends[channel] = list(understood)

    def _texts(self, channel: Channel) -> Sequence[str]:
        understood = self._understood(channel)
        return [self._beginnings[channel]] if understood is None else understood

    def _others(self, channel: Channel, of: dict[Channel, Any]) -> list[Channel]:
        others = (o for o in reversed(of) if o.choice == channel.choice and o != channel)
        return list(islice(others, MOST_SIDE))

    def _beside(self, ends: Sequence[str], texts: Sequence[str]) -> Iterator[Joined]:
        for end in ends:
            for text in texts:
                yield from joined([self._seams.tail(end), self._seams.head(text)])
