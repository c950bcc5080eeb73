"""Does a text repeat a run of words of a protected text? Knows nothing of what the words mean."""

import re
from collections.abc import Iterable, Iterator

from classifiers.verdict import Span
from classifiers.views import views

WORD = re.compile(r"\S+")


class Verbatim:
    """Runs of `words` folded words in a row, as a set of hashes.

    A protected text shorter than that is one run.
    """

    def __init__(self, texts: Iterable[str], *, words: int = 8) -> None:
        if words < 1:
            raise ValueError("words: a run holds at least one word")
        self._words = words
        self._runs: set[tuple[str, ...]] = set()
        for text in texts:
            tokens = [word for view in views(text)[:1] for word in view.text.split()]
            for run in _runs(tokens, min(words, len(tokens))):
                self._runs.add(run)
        self._sizes = sorted({len(run) for run in self._runs})

    def find(self, text: str) -> list[Span]:
        """The ranges of a text that repeat a run, in any view; touching ones are one range."""
        found: list[Span] = []
        for view in views(text):
            places = [match.span() for match in WORD.finditer(view.text)]
            tokens = [view.text[start:end] for start, end in places]
            for size in self._sizes:
                for at, run in enumerate(_runs(tokens, size)):
                    if run in self._runs:
                        found.append(view.span(places[at][0], places[at + size - 1][1]))
        return _merged(found)


def _runs(tokens: list[str], size: int) -> Iterator[tuple[str, ...]]:
    if size:
        yield from zip(*(tokens[at:] for at in range(size)), strict=False)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged
