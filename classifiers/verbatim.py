"""Does a text repeat a run of words of a protected text? Knows nothing of what the words mean."""

import re
from collections.abc import Iterable, Iterator

from classifiers.verdict import Span, merged
from classifiers.views import View, fold, views

# Where no spaces part words (Thai, Burmese, Khmer, Chinese, Japanese) a character counts as one.
_WIDE = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\U0010ffff"
WORD = re.compile(rf"[{_WIDE}]|[^ {_WIDE}]+")


class Verbatim:
    """Runs of `words` folded words in a row, as a set.

    A protected text shorter than that is one run; one without any word protects nothing.
    """

    def __init__(self, texts: Iterable[str], *, words: int = 8) -> None:
        if words < 1:
            raise ValueError("words: a run holds at least one word")
        self._runs: set[tuple[str, ...]] = set()
        for text in texts:
            said = WORD.findall(fold(text))
            self._runs.update(_runs(said, min(words, len(said))))
        self._sizes = sorted({len(run) for run in self._runs})

    def find(self, text: str) -> list[Span]:
        """The ranges of a text that repeat a run, in any view, in order.

        Runs that overlap or touch are one range: the longest passage repeated.
        """
        return merged(s for view in views(text) for s in self._repeated(view))

    def _repeated(self, view: View) -> Iterator[Span]:
        places = [match.span() for match in WORD.finditer(view.text)]
        said = [view.text[start:end] for start, end in places]
        for size in self._sizes:
            for at, run in enumerate(_runs(said, size)):
                if run in self._runs:
                    yield view.span(places[at][0], places[at + size - 1][1])


def _runs(said: list[str], size: int) -> Iterator[tuple[str, ...]]:
    if size:
        yield from zip(*(said[at:] for at in range(size)), strict=False)
