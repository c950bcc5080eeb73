"""Text cut into sentences as it arrives, the same way however it arrives. Knows nothing of meaning.

A segment ends where white space ends behind a sentence's end or a line's, behind a full-width
terminator, or at a limit of characters. White space belongs to the segment before it. A boundary
depends on the text up to it and on one character behind it, never on how the text was fed.
"""
# ruff: noqa: RUF001 - quotes and terminators of other scripts are meant

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from classifiers.verdict import Span

LIMIT = 400
LONG = 24  # words from which a sentence is also compared in clauses
SHORT = 8  # words that two sentences have together, below which more are read with them
CLAUSE = 16  # words of a clause; the next begins in its middle
WORD = re.compile(r"\S+")

CLOSERS = "\"'”’»)]}*_`」』）】》〉"
ENDED = re.compile(rf"[.!?…][{re.escape(CLOSERS)}]*\Z")
# An initial, a title before a name or a Latin abbreviation does not end a sentence.
ABBREVIATED = re.compile(
    r"(?:^|[\s(\"'“‘\[])"
    r"(?:[^\W\d]|Dr|Mrs?|Ms|Prof|St|Jr|Sr|Rev|Hon|Gen|Col|Capt|Lt|Sgt|Gov|Sen|Rep|Mt|Ft|vs|cf|ca|Vol"
    r"|e\.g|i\.e|Ph\.D|(?:\w\.)+\w)\.\Z",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"(?:^|[\s(\"'“‘\[])(?:nos?|nr|pp?|vol|ch|fig)\.\Z", re.IGNORECASE)
WIDE_ENDS = frozenset("。！？")
LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")
TAIL = 24  # characters looked back at to tell an abbreviation


class Segmenter:
    """Feed text, get closed segments; their concatenation is the text.

    No segment is longer than `limit` characters.
    """

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
        """Return what is still open, if anything, and begin anew."""
        rest, self._open, self._at = self._open, "", 1
        return [rest] if rest else []

    def _closed(self) -> Iterator[str]:
        text, start, at = self._open, 0, self._at
        while at < len(text):
            if at - start >= self._limit:
                end = self._cut(text, start, at)
            elif _ends(text, start, at):
                end = at
            else:
                at += 1
                continue
            yield text[start:end]
            start, at = end, max(end + 1, at)
        self._open, self._at = text[start:], at - start

    def _cut(self, text: str, start: int, at: int) -> int:
        """Where an overlong segment is cut: behind its last white space, else at the limit.

        Not before its middle: a table of short cells must not be cut one by one.
        """
        for end in range(at, start + self._limit // 2, -1):
            if text[end - 1].isspace():
                return end
        return at


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
    return (*spans, *(Span(first.start, second.end) for first, second in pairwise(spans)))


def windows_at(text: str, spans: Sequence[Span], at: int) -> tuple[Span, ...]:
    """The windows that begin with one sentence of a text: every way a fact can stand there.

    Alone and with the next; a long one also in overlapping clauses, because what it says besides
    would water it down; a short one also with as many behind it as make a sentence.
    """
    own = spans[at]
    found = [own]
    if at + 1 < len(spans):
        found.append(Span(own.start, spans[at + 1].end))
    words = [match.span() for match in WORD.finditer(text, own.start, own.end)]
    if len(words) > LONG:
        found += [
            Span(words[first][0], words[min(first + CLAUSE, len(words)) - 1][1])
            for first in range(0, len(words) - CLAUSE // 2, CLAUSE // 2)
        ]
    end, count = at, len(words)
    while end + 1 < len(spans) and count < LONG and end - at < LONG:
        end += 1
        count += sum(1 for _ in WORD.finditer(text, spans[end].start, spans[end].end))
        if end == at + 1 and count >= SHORT:
            break
    if end > at + 1:
        found.append(Span(own.start, spans[end].end))
    return tuple(found)


def _ends(text: str, start: int, at: int) -> bool:
    """Whether a segment that began at `start` ends before the character at `at`."""
    last, following = text[at - 1], text[at]
    if following.isspace():
        return False
    if last in WIDE_ENDS or (last in CLOSERS and _wide(text, start, at - 1)):
        return following not in WIDE_ENDS and following not in CLOSERS
    if not last.isspace():
        return False
    said = at - 1
    while said > start and text[said - 1].isspace():
        said -= 1
    if not LINE_ENDS.isdisjoint(text[said:at]):
        return True
    tail = text[max(start, said - TAIL) : said]
    if not ENDED.search(tail) and not _wide(text, start, said):
        return False
    return not ABBREVIATED.search(tail) and not (following.isdigit() and NUMBERED.search(tail))


def _wide(text: str, start: int, end: int) -> bool:
    """Whether a full-width terminator, closed or not, stands before `end`."""
    last = text[max(start, end - TAIL) : end].rstrip(CLOSERS)[-1:]
    return last in WIDE_ENDS
