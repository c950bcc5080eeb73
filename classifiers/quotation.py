"""How much of a text is quoted from protected ones, changed words allowed for? Knows no meaning.

Overlap of runs of words, as in winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003), with every
run kept: a whole book is one sorted array of hashes, which hold for one process.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.verbatim import WORD
from classifiers.verdict import Span
from classifiers.views import View, fold

RUN = 5  # words in a row: of other books, a page shares one by chance
LEAST = 16  # words in such runs that are a quotation …
WITHIN = 40  # … where they stand among so many
AHEAD = 40  # folded characters of a quotation that may be needed to see it begin
_FACTOR = 0x9E3779B97F4A7C15  # odd, and far from any power of two

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Quoted:
    """A range of a text that quotes: whose text, and how many of WITHIN words are its own."""

    concept: str
    span: Span
    view: str
    words: int


class Quotations:
    """The runs of RUN folded words of all protected texts.

    Raises ValueError for a text of less than LEAST words, which is a saying and no text.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self._concepts: list[str] = []
        runs: list[Hashes] = []
        owners: list[NDArray[np.int32]] = []
        for concept, text in texts:
            said = _runs(WORD.findall(fold(text)))
            if len(said) < LEAST - RUN + 1:
                raise ValueError(
                    f"{concept}: a protected text needs at least {LEAST} words; make it an exemplar"
                )
            if concept not in self._concepts:
                self._concepts.append(concept)
            runs.append(said)
            owners.append(np.full(len(said), self._concepts.index(concept), dtype=np.int32))
        if not runs:
            self._runs, self._owners = np.zeros(0, np.uint64), np.zeros(0, np.int32)
            return
        every, mine = np.concatenate(runs), np.concatenate(owners)
        order = np.lexsort((mine, every))
        every, mine = every[order], mine[order]
        new = np.ones(len(every), dtype=bool)
        new[1:] = (every[1:] != every[:-1]) | (mine[1:] != mine[:-1])
        self._runs, self._owners = every[new], mine[new]

    def __len__(self) -> int:
        return len(self._runs)

    def find(self, views: Iterable[View]) -> list[Quoted]:
        """The ranges that quote a protected text, in any view."""
        return [quoted for view in views for quoted in self._quoted(view)] if len(self) else []

    def _quoted(self, view: View) -> Iterator[Quoted]:
        places = [match.span() for match in WORD.finditer(view.text)]
        said = _runs([view.text[start:end] for start, end in places])
        if len(said) < LEAST - RUN + 1:
            return
        first = np.searchsorted(self._runs, said, side="left")
        behind = np.searchsorted(self._runs, said, side="right")
        matched = np.flatnonzero(behind > first)
        if len(matched) < LEAST // RUN:
            return
        own = {int(o) for at in matched for o in self._owners[first[at] : behind[at]]}
        for owner in sorted(own):
            mine = np.zeros(len(said), dtype=bool)
            mine[[at for at in matched if owner in self._owners[first[at] : behind[at]]]] = True
            for start, end, words in _dense(_covered(mine)):
                span = view.span(places[start][0], places[end - 1][1])
                yield Quoted(self._concepts[owner], span, view.name, words)


def _runs(words: list[str]) -> Hashes:
    """A hash for each run of RUN words, shape (len(words) - RUN + 1,); empty for fewer."""
    hashes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    if len(hashes) < RUN:
        return hashes[:0]
    runs = np.zeros(len(hashes) - RUN + 1, dtype=np.uint64)
    for at in range(RUN):
        runs = runs * np.uint64(_FACTOR) + hashes[at : at + len(runs)]
    return runs


def _covered(matched: Mask) -> Mask:
    """Which words stand in a run that matched."""
    covered = np.zeros(len(matched) + RUN - 1, dtype=bool)
    for at in range(RUN):
        covered[at : at + len(matched)] |= matched
    return covered


def _dense(covered: Mask) -> Iterator[tuple[int, int, int]]:
    """Ranges of words from a covered one to a covered one, with at least LEAST in WITHIN."""
    until = np.concatenate(([0], np.cumsum(covered)))
    starts = np.flatnonzero(covered)
    ends = np.minimum(starts + WITHIN, len(covered))
    counts = until[ends] - until[starts]
    open_: tuple[int, int, int] | None = None
    for start, end, count in zip(starts.tolist(), ends.tolist(), counts.tolist(), strict=True):
        if count < LEAST:
            continue
        last = start + int(np.flatnonzero(covered[start:end])[-1]) + 1
        if open_ and start <= open_[1]:
            open_ = (open_[0], max(open_[1], last), max(open_[2], count))
        else:
            if open_:
                yield open_
            open_ = (start, last, count)
    if open_:
        yield open_
