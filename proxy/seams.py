"""Where one text ends and another begins: a name may be split over both.

Knows no HTTP, no wire format and no policy. Keeps the beginning and the end of what each channel
said, and puts them next to each other as whoever reads the whole answer would.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, takewhile

from proxy.citations import Citations
from proxy.exchange import Channel
from proxy.joints import Joined, joined
from proxy.release import DISGUISE, LEAST_AHEAD, visible

KEPT = 4000  # characters of each end of a channel
MOST_SIDE = 6  # texts that are read in every order
MOST_FIELDS = 4  # of prose, that a chat answer may have: content, refusal, reasoning by two names
MOST_ENDS = 256  # texts of one kind that are read in a row
PROSE = {"content", "reasoning", "refusal"}
CALLS = {"tool", "function"}  # what a call does is released once all that was said is cleared

_GAP = re.compile(r"[\W_]{17,}")  # shows nothing of a name, however long it is
_GAP_ENDS = 8


class _Ends:
    """The beginning and the end of what a channel said, without the length of its gaps."""

    def __init__(self, whole: str = "") -> None:
        self._head = self._tail = whole
        self._new: list[str] = []
        self._size = 0

    def add(self, text: str) -> None:
        self._new.append(text)
        self._size += len(text)
        # Not at once: an answer may come a character at a time, and this looks at all that is kept.
        if self._size > KEPT:
            self._take_up()

    @property
    def head(self) -> str:
        self._take_up()
        return self._head

    @property
    def tail(self) -> str:
        self._take_up()
        return self._tail

    @property
    def whole(self) -> bool:
        """Whether head and tail are one and the same."""
        return self.head == self.tail

    def _take_up(self) -> None:
        if self._new:
            text, self._new, self._size = "".join(self._new), [], 0
            if len(self._head) < KEPT:
                self._head = squeezed(self._head + text)[:KEPT]
            self._tail = squeezed(self._tail + text)[-KEPT:]


class Seams:
    """The ends of the channels of all choices, in the order in which they began to speak.

    longest    folded characters of the longest name that a screen looks for
    ahead      visible characters in which such a name shows itself
    read       a channel's texts as they will be understood, where that is not as they were said
    """

    def __init__(self, *, longest: int, read: Callable[[Channel], Sequence[str] | None]) -> None:
        self.ahead = max(longest * DISGUISE, LEAST_AHEAD)
        self._ends: dict[Channel, _Ends] = {}
        self._cited: dict[int, Citations] = {}
        self._read = read

    def heard(self, channel: Channel, text: str) -> None:
        """Note what a channel said next."""
        self._ends.setdefault(channel, _Ends()).add(text)
        if channel.kind in PROSE and channel.choice in self._cited:
            self._cited[channel.choice].heard(channel.kind, text)

    def followed(self, channel: Channel) -> bool:
        """Whether enough prose was said behind a channel for a name begun at its end to show."""
        behind = [other for other in self._after(channel) if other.kind in PROSE]
        return sum(visible(self._ends[other].head) for other in behind) >= self.ahead

    def at_end(self, channel: Channel) -> Iterator[Joined]:
        """The end of a channel beside what followed it so far: all of it, and each thing alone."""
        tail = self.tail(self._ends[channel].tail)
        after = self._after(channel)
        heads = [self._ends[other].head for other in after if other.kind in PROSE]
        yield from joined([tail, *map(self.head, heads)])
        for other in after[:MOST_SIDE]:
            for text in self._said(other):
                yield from joined([tail, self.head(text)])

    def opening(
        self, channel: Channel, text: str, before: Sequence[str], *, cut: bool
    ) -> Iterator[Joined]:
        """The beginning of a channel behind a question, and behind all that was said earlier."""
        head = self.head(text)
        cut = cut and len(head) >= len(squeezed(text))
        earlier = self._before(channel)
        ends = [*before]
        # Whoever reads one kind alone passes over any number of others in between.
        alike = [other for other in earlier if other.kind == channel.kind]
        for other in dict.fromkeys((*alike[-MOST_SIDE:], *earlier[-MOST_SIDE:])):
            ends += self._said(other)
        for end in dict.fromkeys(map(self.tail, ends)):
            yield from joined([end, head], cut=cut)
        if channel.kind in PROSE and len(alike) > 1:
            yield from joined([*self._last_of(alike), head], cut=cut)

    def cited(
        self, choice: int, texts: Sequence[tuple[str, str]], questions: Sequence[str]
    ) -> list[Joined]:
        """The texts of a citation, as field and text, behind questions, prose and citations."""
        prose = [
            ends.tail
            for other, ends in self._ends.items()
            if other.choice == choice and other.kind in PROSE
        ]
        if choice not in self._cited:
            self._cited[choice] = Citations(self.ahead, self.head, self.tail)
        return self._cited[choice].read(texts, [*questions, *prose])

    def behind_citations(self, choice: int) -> list[Joined]:
        """What prose said behind the citations of a choice."""
        return self._cited[choice].behind() if choice in self._cited else []

    def of(self, choice: int, *, cut: bool) -> Iterator[Joined]:
        """All channels of a choice side by side; long ones without their middle."""
        mine = [channel for channel in self._ends if channel.choice == choice]
        for order in _orders(mine):
            texts = [text for channel in order for text in self._both(channel)]
            # The name of a call may stand between two values.
            unnamed = [
                t for channel in order if channel.part != "name" for t in self._both(channel)
            ]
            yield from joined(texts, cut=cut)
            if len(unnamed) < len(texts):
                yield from joined(unnamed, cut=cut)
        # Which of them is read first is the reader's choice.
        prose = [self._ends[channel] for channel in mine if channel.kind in PROSE]
        for first, second in permutations(prose[:MOST_SIDE], 2):
            pair = [self.tail(first.tail), self.head(second.head)]
            yield from joined(pair, cut=cut and second.whole)

    def _last_of(self, channels: Sequence[Channel]) -> list[str]:
        """As many ends of texts, in their order, as a name that is split over them could need."""
        ends: list[str] = []
        seen = 0
        for other in reversed(channels):
            if seen >= self.ahead or len(ends) >= MOST_ENDS:
                break
            ends.insert(0, self.tail(self._ends[other].tail))
            seen += visible(ends[0])
        return ends

    def _before(self, channel: Channel) -> list[Channel]:
        earlier = takewhile(lambda other: other != channel, self._ends)
        return [other for other in earlier if other.choice == channel.choice]

    def _after(self, channel: Channel) -> list[Channel]:
        order = list(self._ends)
        after = order[order.index(channel) + 1 :] if channel in self._ends else []
        return [other for other in after if other.choice == channel.choice]

    def _said(self, channel: Channel) -> Sequence[str]:
        """A channel's texts as they are understood, else its end."""
        understood = self._read(channel)
        return [self._ends[channel].tail] if understood is None else understood

    def _both(self, channel: Channel) -> list[str]:
        understood, ends = self._read(channel), self._ends[channel]
        if understood is not None:
            whole = squeezed(understood[0]) if understood else ""
            ends = _Ends(whole)
        head, tail = self.head(ends.head), self.tail(ends.tail)
        if ends.whole and len(head) + len(tail) >= len(ends.head):
            return [ends.head]
        return [head, tail]

    def head(self, text: str) -> str:
        """As much of a beginning as a name could need, the same however it arrived."""
        text = squeezed(text[: 4 * KEPT])
        end = self.ahead
        while end < min(len(text), KEPT) and visible(text[:end]) < self.ahead:
            end *= 2
        return text[: min(end, KEPT)]

    def tail(self, text: str) -> str:
        """As much of an end as a name could need."""
        text = squeezed(text[-64 * KEPT :])
        length = self.ahead
        while length < min(len(text), KEPT) and visible(text[-length:]) < self.ahead:
            length *= 2
        return text[-min(length, KEPT) :]


def squeezed(text: str) -> str:
    """A text with long stretches of nothing but white space, marks and the invisible shortened."""
    return _GAP.sub(lambda gap: gap[0][:_GAP_ENDS] + gap[0][-_GAP_ENDS:], text)


def _orders(channels: list[Channel]) -> list[list[Channel]]:
    """As they came up; and calls by number, names first, behind the prose, in any order if few.

    Few is what a body has a field each for, whose order is the reader's; blocks have their own.
    A call is written with its name first, whatever came first.
    """
    calls = [channel for channel in channels if channel.kind in CALLS]
    calls.sort(key=lambda c: (c.index, c.part != "name"))
    others = [channel for channel in channels if channel.kind not in CALLS]
    prose = [channel for channel in others if channel.kind in PROSE]
    beside = [channel for channel in others if channel.kind not in PROSE]
    turned = permutations(prose) if len(prose) <= MOST_FIELDS else ()
    orders = [channels, [*others, *calls], *([*order, *beside, *calls] for order in turned)]
    return [order for at, order in enumerate(orders) if order not in orders[:at]]
