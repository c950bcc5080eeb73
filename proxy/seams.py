"""Where one channel of a choice ends and another begins: a name may be split over both.

Knows no HTTP, no wire format and no policy. Keeps the beginning and the end of what each channel
said, and puts them next to each other as whoever reads the whole answer would.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from classifiers import Passage, Span
from proxy.exchange import Channel
from proxy.release import DISGUISE, LEAST_AHEAD, visible

KEPT = 4000  # characters of each end of a channel
MOST_PROSE = 6  # channels of prose that are read in every order


@dataclass(slots=True)
class _Ends:
    """The beginning and the end of what a channel said."""

    head: str = ""
    tail: str = ""
    length: int = 0

    def add(self, text: str) -> None:
        if len(self.head) < KEPT:
            self.head = (self.head + text)[:KEPT]
        self.tail = (self.tail + text)[-KEPT:]
        self.length += len(text)


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts of several channels as one passage, and where each of them stands in it."""

    passage: Passage
    spans: tuple[Span, ...]

    def splits(self, start: int, end: int) -> bool:
        """Whether a range of the passage lies in more than one of the texts."""
        return sum(span.start < end and span.end > start for span in self.spans) > 1


class Seams:
    """The ends of the channels of all choices, in the order in which they began to speak.

    longest    folded characters of the longest name that a screen looks for
    """

    def __init__(self, *, longest: int) -> None:
        self._ahead = max(longest * DISGUISE, LEAST_AHEAD)
        self._ends: dict[Channel, _Ends] = {}

    def heard(self, channel: Channel, text: str) -> None:
        """Note what a channel said next."""
        self._ends.setdefault(channel, _Ends()).add(text)

    def followed(self, channel: Channel) -> bool:
        """Whether enough was said behind a channel for a name begun at its end to show."""
        behind = self._behind(channel)
        return sum(visible(self._ends[other].head) for other in behind) >= self._ahead

    def at_end(self, channel: Channel) -> Iterator[Joined]:
        """The end of a channel beside what followed it so far."""
        texts = [self._tail(self._ends[channel].tail)] if channel in self._ends else []
        for other in self._behind(channel):
            texts.append(self._head(self._ends[other].head))
            if visible(texts[-1]) >= self._ahead:
                break
        yield from joined(texts)

    def of(self, choice: int, read: Callable[[Channel], str | None]) -> Iterator[Joined]:
        """All channels of a choice side by side; long ones without their middle.

        `read` gives a channel's text as it will be understood where that is not as it was said.
        """
        texts: list[str] = []
        unnamed: list[str] = []
        prose: list[_Ends] = []
        for channel, ends in self._ends.items():
            if channel.choice == choice:
                understood = read(channel)
                said = (
                    self._both(ends.head, ends.tail, ends.length)
                    if understood is None
                    else self._both(understood, understood, len(understood))
                )
                texts += said
                unnamed += [] if channel.part == "name" else said  # of a call: it may stand between
                prose += [ends] if understood is None else []
        yield from joined(texts)
        if len(unnamed) < len(texts):
            yield from joined(unnamed)
        # Which of them is read first is the reader's choice.
        for first, second in permutations(prose[:MOST_PROSE], 2):
            yield from joined([self._tail(first.tail), self._head(second.head)])

    def begun(self, question: str, text: str) -> Iterator[Joined]:
        """The end of a question beside the beginning of its answer."""
        yield from joined([self._tail(question), self._head(text)])

    def _behind(self, channel: Channel) -> list[Channel]:
        order = list(self._ends)
        after = order[order.index(channel) + 1 :] if channel in self._ends else []
        return [other for other in after if other.choice == channel.choice]

    def _both(self, head: str, tail: str, length: int) -> list[str]:
        head, tail = self._head(head), self._tail(tail)
        if len(head) + len(tail) >= length:
            return [tail if len(tail) >= length else head + tail[len(head) + len(tail) - length :]]
        return [head, tail]

    def _head(self, text: str) -> str:
        """As much of a beginning as a name could need, the same however it arrived."""
        end = self._ahead
        while end < min(len(text), KEPT) and visible(text[:end]) < self._ahead:
            end *= 2
        return text[: min(end, KEPT)]

    def _tail(self, text: str) -> str:
        length = self._ahead
        while length < min(len(text), KEPT) and visible(text[-length:]) < self._ahead:
            length *= 2
        return text[-min(length, KEPT) :]


def joined(texts: Sequence[str], *, glues: Sequence[str] = (" ", "")) -> Iterator[Joined]:
    """Texts side by side, with a space between them and without; one alone is none."""
    texts = [text for text in texts if text.strip()]
    if len(texts) < 2:
        return
    for glue in glues:
        spans, at = [], 0
        for text in texts:
            spans.append(Span(at, at + len(text)))
            at += len(text) + len(glue)
        yield Joined(Passage(glue.join(texts), ()), tuple(spans))
