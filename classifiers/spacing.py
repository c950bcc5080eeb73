"""Words that were run together, parted again by a vocabulary. Knows no concept and no offset."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

LEAST_RUN = 16  # letters without a space that are more than one word in most languages
LONGEST_RUN = 600
LONGEST_WORD = 24
COVERED = 0.6  # of the letters that must belong to known words
_RUN = re.compile(rf"[^\W\d_]{{{LEAST_RUN},{LONGEST_RUN}}}")
_STRAY = 3.0  # what a letter of no known word costs, where a known word costs one
_COMMON = """
a an and are as at be been born but by can did died do for from had has have he her him his i in
into is it its lived many most no not of on one or she so than that the their them there they
this to two up was were what when where which who will with won worked written wrote year years
you
"""


class Spacing:
    """Parts runs of letters into words of a vocabulary and the commonest English ones."""

    def __init__(self, texts: Iterable[str], *, counts: Mapping[str, int] | None = None) -> None:
        self._counts = Counter(counts)
        self._counts.update(word for text in texts for word in _words(text))
        self._words = _vocabulary(self._counts)

    def changed(self, texts: Iterable[str], *, gone: Iterable[str]) -> "Spacing":
        """The same with more texts and without some of its own."""
        counts = self._counts.copy()
        counts.subtract(word for text in gone for word in _words(text))
        return Spacing(texts, counts=counts)

    def parted(self, text: str) -> str | None:
        """The text with its long runs of letters parted; None where none could be."""
        said = _RUN.sub(lambda match: self._parted(match[0]) or match[0], text)
        return None if said == text else said

    def _parted(self, run: str) -> str | None:
        folded = run.casefold()
        if len(folded) != len(run):
            return None
        # The cheapest way to each place: (cost, where its last piece begins, whether it is known).
        best: list[tuple[float, int, bool]] = [(0.0, 0, True)]
        for end in range(1, len(run) + 1):
            ways = [(best[end - 1][0] + _STRAY, end - 1, False)]
            ways += [
                (best[start][0] + 1.0, start, True)
                for start in range(max(0, end - LONGEST_WORD), end)
                if folded[start:end] in self._words
            ]
            best.append(min(ways))
        pieces: list[str] = []
        known, end, stray = 0, len(run), False
        while end:
            _, start, is_known = best[end]
            if not is_known and stray:
                pieces[-1] = run[start:end] + pieces[-1]
            else:
                pieces.append(run[start:end])
            stray, known, end = not is_known, known + (end - start if is_known else 0), start
        return " ".join(reversed(pieces)) if known >= COVERED * len(run) else None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def _vocabulary(counts: Mapping[str, int]) -> set[str]:
    # A single letter is a word almost anywhere: only the two that are one in English.
    listed = {w for w, count in counts.items() if count and 1 < len(w) <= LONGEST_WORD}
    return listed | set(_COMMON.split())
