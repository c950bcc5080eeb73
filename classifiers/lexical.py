"""Names and phrases of all concepts in one pass over every view of a text. Knows no scores."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick

from classifiers.verdict import Span
from classifiers.views import View, fold

LEAST = 2  # folded characters of a name
MOST_FIRST = 3  # words before the last one that may also stand behind it
LEAST_JOINED = 8  # of a name found across words cut or run together: "Hog-warts", "HarryPotter"
LEAST_WITHIN = 10  # of one of several words found within a longer word: "#teamharrypotter"
LEAST_SPELT = 5  # of a name found across letters that stand alone
MISSPELT = "misspelt"  # a view in audit records
LEAST_MISSPELT = 11  # letters of a name that is found with a mistake
MAX = "\U0010ffff"  # behind every name
LEAST_BEGUN = 5  # of a name that is cut off, and more than half of it
# Scripts that put no spaces between words, or join particles to them: Thai and Lao, Burmese,
# Korean (decomposed), Khmer, and everything from the CJK radicals on.
WORDLESS = ((0xE00, 0xEFF), (0x1000, 0x11FF), (0x1780, 0x17FF), (0x2E80, 0x10FFFF))


@dataclass(frozen=True, slots=True)
class Found:
    """A name of a concept, where it stands in the original text, and in which view it showed."""

    concept: str
    name: str = field(repr=False)
    span: Span
    view: str


class Lexicon:
    """Every name of every concept in one automaton (Aho and Corasick, CACM 18(6), 1975).

    A name is found as words of its own ("Ann" is not in "annual"), whatever stands between them,
    last word first too ("Vask, Ottoline"), and, if it is long enough, also where its words are run
    together or cut apart; a long one also with one letter wrong, missing, too many or swapped.
    `longest` is the length in folded characters of the longest name.
    Raises ValueError for a name that is too short to be told from noise.
    """

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        owners: dict[str, dict[str, str]] = {}
        self._spaced: set[str] = set()
        self._run_together: set[str] = set()
        for name, concept in names:
            folded = fold(name)
            if len(folded.replace(" ", "")) < LEAST:
                raise ValueError(
                    f"{concept}: a name needs at least {LEAST} letters or digits to be recognised; "
                    "write it out or leave it away"
                )
            for form in _orders(folded):
                self._spaced.add(form)
                if " " in form and len(form.replace(" ", "")) >= LEAST_WITHIN:
                    self._run_together.add(form.replace(" ", ""))
                for pattern in (form, form.replace(" ", "")):
                    owners.setdefault(pattern, {}).setdefault(concept, name)
        self._owners = list(owners.items())
        self._numbers = {form: number for number, form in enumerate(owners)}
        self._automaton = AhoCorasick(list(owners)) if owners else None
        halves: dict[str, list[tuple[str, str, bool]]] = {}
        for form in self._spaced:
            whole = form.replace(" ", "")
            if len(whole) >= LEAST_MISSPELT and not _wordless(whole[0]):
                middle = len(whole) // 2
                for half, first in ((whole[:middle], True), (whole[middle:], False)):
                    halves.setdefault(half, []).append((whole, form, first))
        self._halves = list(halves.values())
        self._halved = AhoCorasick(list(halves)) if halves else None
        self._forms = sorted((form.replace(" ", ""), form) for form in self._spaced)
        self.longest = max(map(len, owners), default=0)

    def find(self, views: Sequence[View]) -> list[Found]:
        """Every name in every view, each place of the original once."""
        found: dict[tuple[str, Span], Found] = {}
        for view in views:
            for pattern, start, end in (*self._as_words(view), *self._across_words(view)):
                span = view.span(start, end)
                for concept, name in self._owners[pattern][1].items():
                    found.setdefault((concept, span), Found(concept, name, span, view.name))
        exact = {concept for concept, _ in found}
        for view in views:
            for form, start, end in self._misspelt(view):
                span = view.span(start, end)
                for concept, name in self._owners[self._numbers[form]][1].items():
                    if concept not in exact:
                        found.setdefault((concept, span), Found(concept, name, span, MISSPELT))
        return list(found.values())

    def begun(self, view: View) -> list[Found]:
        """Names that a text breaks off in, past their half and past their first word."""
        text, found = view.text, []
        for start in range(max(0, len(text) - 2 * self.longest), len(text)):
            begin = text[start:].replace(" ", "")
            if text[start] == " " or not _bounded(text, start, len(text)):
                continue
            for at in range(bisect_right(self._forms, (begin, MAX)), len(self._forms)):
                whole, form = self._forms[at]
                if not whole.startswith(begin):
                    break
                if LEAST_BEGUN <= len(begin) < len(whole) < 2 * len(begin) and (
                    " " not in form or len(begin) > form.index(" ")
                ):
                    span = view.span(start, len(text))
                    owners = self._owners[self._numbers[form]][1]
                    found += [Found(c, name, span, "cut off") for c, name in owners.items()]
        return found

    def _as_words(self, view: View) -> Iterator[tuple[int, int, int]]:
        text = view.text
        for pattern, start, end in self._matches(text):
            if self._owners[pattern][0] in self._spaced and _bounded(text, start, end):
                yield pattern, start, end

    def _across_words(self, view: View) -> Iterator[tuple[int, int, int]]:
        text = view.text
        matches = self._matches(text.replace(" ", ""))
        if not matches:
            return
        places = [at for at, char in enumerate(text) if char != " "]
        for pattern, first, behind in matches:
            start, end = places[first], places[behind - 1] + 1
            said = text[start:end]
            within = " " not in said and self._owners[pattern][0] in self._run_together
            if within or (behind - first >= _least(said) and _bounded(text, start, end)):
                yield pattern, start, end

    def _misspelt(self, view: View) -> Iterator[tuple[str, int, int]]:
        """Names one letter away: one mistake leaves the first or the second half as it was."""
        text = view.text
        squashed = text.replace(" ", "")
        halves: list[tuple[int, int, int]] = (
            self._halved.find_matches_as_indexes(squashed, overlapping=True) if self._halved else []
        )
        places = [at for at, char in enumerate(text) if char != " "] if halves else []
        for number, first, behind in halves:
            for whole, form, begins in self._halves[number]:
                for more in (-1, 0, 1):
                    size = len(whole) + more
                    start, end = (first, first + size) if begins else (behind - size, behind)
                    if start < 0 or end > len(squashed) or not one_off(squashed[start:end], whole):
                        continue
                    from_, to = places[start], places[end - 1] + 1
                    if _bounded(text, from_, to):
                        yield form, from_, to

    def _matches(self, text: str) -> list[tuple[int, int, int]]:
        """Pattern, start and end of every match, overlapping ones too."""
        if self._automaton is None:
            return []
        matches: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(
            text, overlapping=True
        )
        return matches


def one_off(said: str, name: str) -> bool:
    """Whether a single letter is wrong, missing, too many or swapped with the next."""
    if said == name or abs(len(said) - len(name)) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(said, name, strict=False)) if a != b), None)
    if at is None:
        return True  # one letter more or less, at the end
    swapped = said[at : at + 2] == name[at : at + 2][::-1] and said[at + 2 :] == name[at + 2 :]
    more, less = len(said) > len(name), len(said) < len(name)
    return swapped or said[at + (not less) :] == name[at + (not more) :]


def _orders(folded: str) -> tuple[str, ...]:
    """A name as it is written, and with its last word first, as catalogues have it."""
    *first, last = folded.split()
    if not 1 <= len(first) <= MOST_FIRST or len("".join((*first, last))) < LEAST_JOINED:
        return (folded,)
    return folded, " ".join((last, *first))


def _least(matched: str) -> int:
    """Characters that a name must have to be believed across the words it was found in."""
    if _wordless(matched[0]) and _wordless(matched[-1]):
        return LEAST
    spelt = all(len(word) == 1 for word in matched.split())
    return LEAST_SPELT if spelt else LEAST_JOINED


def _bounded(text: str, start: int, end: int) -> bool:
    """Whether no longer word holds the match."""
    before = start == 0 or text[start - 1] == " " or _wordless(text[start])
    after = end == len(text) or text[end] == " " or _wordless(text[end - 1])
    return before and after


def _wordless(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in WORDLESS)
