"""Text cut into sentences as it arrives, the same way however it arrives. Knows nothing of meaning.

A segment ends where white space ends behind a sentence's end or a line's, behind a full-width
terminator, or at a limit of characters. White space belongs to the segment before it. A boundary
depends on the text up to it and on one character behind it, never on how the text was fed.
"""

import re
from collections.abc import Iterator, Sequence

from classifiers.verdict import Span

LIMIT = 400

CLOSERS = "\"'”’»)]}*_`"
ENDED = re.compile(rf"[.!?…][{re.escape(CLOSERS)}]*\Z")
# An initial or a title before a name does not end a sentence.
ABBREVIATED = re.compile(
    r"(?:^|[\s(\"'“‘\[])(?:\w|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Jj]r|[Ss]r|[Nn]o|[Vv]s|e\.g|i\.e|\w\.\w)\.\Z"
)
WIDE_ENDS = frozenset("。！？")
LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")
TAIL = 24  # characters looked back at to tell an abbreviation


class Segmenter:
    """Feed text, get closed segments; their concatenation is the text."""

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 1:
            raise ValueError("limit: a segment holds at least one character")
        self._limit = limit
        self._open = ""
        self._at = 1  # the next boundary to be looked at lies before this character

    def feed(self, delta: str) -> list[str]:
        """Take more text; return the segments that it closes."""
        self._open += delta
        return list(self._closed())

    def finish(self) -> list[str]:
        """Return what is still open, if anything."""
        rest, self._open, self._at = self._open, "", 1
        return [rest] if rest else []

    def _closed(self) -> Iterator[str]:
        text, start, at = self._open, 0, self._at
        while at < len(text):
            if at - start >= self._limit:
                end = self._cut(text, start, at)
            elif self._ends(text, start, at):
                end = at
            else:
                at += 1
                continue
            yield text[start:end]
            start, at = end, max(end + 1, at)
        self._open, self._at = text[start:], at - start

    def _cut(self, text: str, start: int, at: int) -> int:
        """Where an overlong segment is cut: behind its last white space, else at the limit."""
        for end in range(at, start + self._limit // 2, -1):
            if text[end - 1].isspace():
                return end
        return at

    def _ends(self, text: str, start: int, at: int) -> bool:
        last, following = text[at - 1], text[at]
        if following.isspace():
            return False
        if last in WIDE_ENDS:
            return following not in WIDE_ENDS and following not in CLOSERS
        if not last.isspace():
            return False
        said = at - 1
        while said > start and text[said - 1].isspace():
            said -= 1
        if not LINE_ENDS.isdisjoint(text[said:at]):
            return True
        tail = text[max(start, said - TAIL) : said]
        return bool(ENDED.search(tail)) and not ABBREVIATED.search(tail)


def segment(text: str, *, limit: int = LIMIT) -> list[Span]:
    """Cut a whole text; the spans cover it without a gap."""
    segmenter = Segmenter(limit)
    spans: list[Span] = []
    at = 0
    for part in (*segmenter.feed(text), *segmenter.finish()):
        spans.append(Span(at, at + len(part)))
        at += len(part)
    return spans


def windows(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Each sentence alone, and each pair of neighbours: a fact may stand in two sentences."""
    pairs = [Span(a.start, b.end) for a, b in zip(spans, spans[1:], strict=False)]
    return (*spans, *pairs)
