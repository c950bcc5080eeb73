"""Citations beside the prose and beside one another: a name may be split over them.

Knows no wire format and no policy. What a reader is likely to read in a row is joined pair by pair;
the many other pairs stand in one text, because it is texts that a screen takes its time over.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from classifiers import Passage, Span
from proxy.joints import Joined, joined
from proxy.release import plain, visible

APART = " qzvj xkwq "  # no name goes on behind it
LAST = 2  # citations beside which each is read: one between two halves may show little
MOST_BEHIND = 64  # citations that wait for what is said behind them

Cut = Callable[[str], str]


@dataclass(slots=True)
class _Open:
    """A citation, and what each kind of prose said behind it so far."""

    texts: list[str]
    behind: dict[str, str] = field(default_factory=dict)

    def enough(self, ahead: int) -> bool:
        return any(visible(said) >= ahead for said in self.behind.values())


@dataclass(slots=True)
class Citations:
    """The citations of one choice.

    ahead   visible characters in which a name shows itself
    head    cuts a text down to as much of its beginning as a name could need; tail, of its end
    """

    ahead: int
    head: Cut = field(repr=False)
    tail: Cut = field(repr=False)
    _columns: dict[str, str] = field(default_factory=dict, repr=False)
    _row: str = field(default="", repr=False)
    _last: deque[list[str]] = field(default_factory=lambda: deque(maxlen=LAST), repr=False)
    _open: deque[_Open] = field(default_factory=lambda: deque(maxlen=MOST_BEHIND), repr=False)

    def heard(self, kind: str, said: str) -> None:
        """Note what prose of a kind said next."""
        for one in self._open:
            one.behind[kind] = one.behind.get(kind, "") + said

    def read(self, texts: Sequence[tuple[str, str]], before: Iterable[str]) -> list[Joined]:
        """A citation's texts, as field and text, behind all that a reader may come from.

        That is what was said `before` and the same field of earlier citations; and, in one text for
        all, each text of the last citations, and all texts in their order.
        """
        shown = [(key, text) for key, text in texts if plain(text)]
        alone = [(end, text) for end in before for _, text in shown]
        alone += [(self._columns.get(key, ""), text) for key, text in shown]
        across = [(end, text) for last in self._last for end in last for _, text in shown]
        across += [(self._row, text) for _, text in shown]
        for key, text in shown:
            self._columns[key] = self.tail(f"{self._columns.get(key, '')} {text}")
        self._row = self.tail(" ".join([self._row, *(text for _, text in shown)]))
        if shown:
            self._last.append([text for _, text in shown])
            self._open.append(_Open([text for _, text in shown]))
        apart = [one for pair in self._cut(alone) for one in joined(pair)]
        return [*apart, *_together(self._cut(across))]

    def behind(self) -> list[Joined]:
        """What prose said behind citations, behind each of their texts and before it.

        A citation may be told before the words that it belongs to. Each is forgotten once enough
        was said for a name to show.
        """
        said = [(text, b) for one in self._open for b in one.behind.values() for text in one.texts]
        pairs = [*said, *((behind, text) for text, behind in said)]
        while self._open and self._open[0].enough(self.ahead):
            self._open.popleft()
        return [one for pair in self._cut(pairs) for one in joined(pair)]

    def _cut(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        cut = dict.fromkeys((self.tail(end), self.head(text)) for end, text in pairs)
        return [(end, text) for end, text in cut if plain(end) and plain(text)]


def _together(pairs: Sequence[tuple[str, str]]) -> list[Joined]:
    """Pairs in one passage, each apart from the others: a name in plain letters shows there."""
    if not pairs:
        return []
    found = []
    for glue in (" ", ""):
        parts: list[str] = []
        spans: list[Span] = []
        at = 0
        for end, text in pairs:
            for part, behind in ((end, glue), (text, APART)):
                spans.append(Span(at, at + len(part)))
                parts += [part, behind]
                at += len(part) + len(behind)
        found.append(Joined(Passage("".join(parts), ()), tuple(spans)))
    return found
