"""What a screen is asked and what it says. Knows no policy, no HTTP and no encoder."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["alias", "exemplar", "verbatim"]


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing to recognise, as a screen is built from it.

    `names_suffice` is true where naming the concept already touches it (a policy's entity scope);
    where false, a name alone only makes the concept *near* (fact scope).
    `protected` are whole texts whose wording must not be repeated, however little of it means
    anything. `threshold` is a cosine similarity in [0, 1]; None lets the screen derive it from the
    neighbours and a benign background.
    """

    key: str
    aliases: tuple[str, ...] = field(repr=False)
    exemplars: tuple[str, ...] = field(repr=False)
    neighbours: tuple[str, ...] = field(default=(), repr=False)
    names_suffice: bool = True
    threshold: float | None = None
    protected: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters, `text[start:end]`."""

    start: int
    end: int


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same characters in as few ranges as hold them, in order."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def overlaps(span: Span, ranges: Sequence[Span]) -> bool:
    """Whether a range shares a character with any of merged ones."""
    at = bisect_right(ranges, span.start, key=lambda one: one.end)
    return at < len(ranges) and ranges[at].start < span.end


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be judged: scanned whole for names, compared window by window with exemplars.

    `before` is what was said before it (the question to an answer): every window is compared
    alone and once more behind `before`, because an answer may only mean something next to its
    question. `cut` says that the text was cut off: a name that is begun at its end counts.
    """

    text: str = field(repr=False)
    windows: tuple[Span, ...]
    before: str = field(default="", repr=False)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One concept, touched by one place of a passage.

    `start` and `end` are offsets in the passage's `text`. `score` is 1.0 for a name, a share of
    words for a verbatim run, and for an exemplar what all evidence is worth or, where a concept is
    not weighed, the similarity. `similarity` is the cosine to the nearest exemplar and `neighbour`
    the best one to anything that must stay sayable, where they were measured. `hit` says that the
    concept's threshold is reached, `near` that the concept is close enough for its instruction to
    be relevant (every hit is near). `matched` is forbidden text: it never goes into a log.
    """

    concept: str
    kind: Kind
    start: int
    end: int
    score: float
    threshold: float
    hit: bool
    near: bool
    similarity: float | None = None
    neighbour: float | None = None
    view: str = "plain"
    exchange: bool = False
    matched: str = field(default="", repr=False)

    @property
    def margin(self) -> float | None:
        """How much nearer the text is to what is forbidden than to what must stay, if measured."""
        if self.similarity is None or self.neighbour is None:
            return None
        return self.similarity - self.neighbour
