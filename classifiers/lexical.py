"""Names and phrases of all concepts in one pass over every view of a text. Knows no scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick

from classifiers.verdict import Span
from classifiers.views import View, fold

LEAST = 2  # folded characters of a name
LEAST_JOINED = 8  # of a name that is also looked for with its spaces left out
LEAST_UNBOUNDED = 5  # of a name that is looked for where words have no bounds
WORDLESS = 0x2E80  # scripts from here on do not put spaces between words


@dataclass(frozen=True, slots=True)
class Found:
    """A name of a concept, where it stands in the original text, and in which view it showed."""

    concept: str
    name: str = field(repr=False)
    span: Span
    view: str


class Lexicon:
    """Every name of every concept in one automaton (Aho and Corasick, CACM 18(6), 1975).

    `longest` is the length in folded characters of the longest name.
    Raises ValueError for a name that is not long enough to be told from noise.
    """

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        owners: dict[str, dict[str, str]] = {}
        for name, concept in names:
            folded = fold(name)
            if len(folded.replace(" ", "")) < LEAST:
                raise ValueError(
                    f"{concept}: a name needs at least {LEAST} letters or digits to be recognised"
                )
            for pattern in _patterns(folded):
                owners.setdefault(pattern, {}).setdefault(concept, name)
        self._owners = list(owners.items())
        self._automaton = AhoCorasick(list(owners)) if owners else None
        self.longest = max(map(len, owners), default=0)

    def find(self, views: Sequence[View]) -> list[Found]:
        """Every name in every view, each place of the original once."""
        found: dict[tuple[str, Span], Found] = {}
        for view in views:
            for pattern, start, end in self._matches(view.text):
                if _stands_alone(view, start, end):
                    span = view.span(start, end)
                    for concept, name in self._owners[pattern][1].items():
                        found.setdefault((concept, span), Found(concept, name, span, view.name))
        return list(found.values())

    def _matches(self, text: str) -> list[tuple[int, int, int]]:
        if self._automaton is None:
            return []
        matches: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(
            text, overlapping=True
        )
        return matches


def _patterns(folded: str) -> Iterable[str]:
    yield folded
    joined = folded.replace(" ", "")
    if joined != folded and len(joined) >= LEAST_JOINED:
        yield joined


def _stands_alone(view: View, start: int, end: int) -> bool:
    """Whether a match is no part of a longer word: "Ann" is not in "annual"."""
    text = view.text
    if not view.strict:
        return end - start >= LEAST_UNBOUNDED
    before = start == 0 or text[start - 1] == " " or ord(text[start]) >= WORDLESS
    after = end == len(text) or text[end] == " " or ord(text[end - 1]) >= WORDLESS
    return before and after
