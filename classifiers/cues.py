"""What speaks for a text being near a concept, seen without an encoder: words and token vectors.

Knows no weight and no threshold.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from classifiers.evidence import LEAD
from classifiers.fingerprint_terms import rarity, stem, terms
from classifiers.readings import Reading
from classifiers.static import static
from classifiers.verdict import Concept
from classifiers.views import fold, reading

CUES = ("similar", "lead", "shared", "shared_before", "share_said")
# A long exemplar shares words by chance: as in BM25 (Robertson and Zaragoza, 2009) three quarters
# of what it shares is weighed by its length, beside one of so many different words.
LENGTH, USUAL = 0.75, 12
Terms = Mapping[str, float]
Needed = Callable[[NDArray[np.float32]], NDArray[np.bool_]]


def folded(text: str) -> tuple[str, ...]:
    """The words of a text that can be compared."""
    return tuple(fold(text).split())


def _all(cues: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.ones(cues.shape[:2], dtype=np.bool_)


class Cues:
    """Concepts that have exemplars, their words in one inverted file.

    keys   concepts in the order of columns
    sizes  exemplars of each, shape (concepts,)
    """

    def __init__(self, concepts: Sequence[Concept]) -> None:
        known = [concept for concept in concepts if concept.exemplars]
        texts = [reading(text) for concept in known for text in concept.exemplars]
        self.keys = tuple(concept.key for concept in known)
        self.sizes = np.array([len(concept.exemplars) for concept in known], dtype=np.int64)
        self._starts = np.cumsum(self.sizes) - self.sizes
        held: dict[str, list[int]] = defaultdict(list)
        for row, text in enumerate(texts):
            for term in terms(folded(text)):
                held[term].append(row)
        self._rows = {term: np.array(rows, dtype=np.int64) for term, rows in held.items()}
        self._count = len(texts)
        lengths = np.bincount([row for rows in held.values() for row in rows], minlength=len(texts))
        self._weights = 1 / (1 - LENGTH + LENGTH * lengths / USUAL)
        self._vectors = static().encode(texts)
        sizes = np.minimum(self.sizes, LEAD)
        lead = [at + own for at, few in zip(self._starts, sizes, strict=True) for own in range(few)]
        self._lead = np.ascontiguousarray(self._vectors[lead].T)
        self._lead_starts = np.cumsum(sizes) - sizes
        self._names: dict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
        for column, concept in enumerate(known):
            for name in concept.aliases:
                of = frozenset(map(stem, folded(name)))
                self._names[max(of, key=rarity)].append((column, of))

    def named(self, words: Iterable[str]) -> NDArray[np.bool_]:
        """Whether all words of a name are among those of a text, shape (concepts,)."""
        said = frozenset(map(stem, words))
        found = np.zeros(len(self.keys), dtype=np.bool_)
        for word in said & self._names.keys():
            for column, of in self._names[word]:
                found[column] |= of <= said
        return found

    def seen(
        self, asked: Sequence[Reading], words: Mapping[str, Terms], needed: Needed = _all
    ) -> NDArray[np.float32]:
        """Each reading beside each concept, shape (readings, concepts, CUES).

        similar        static similarity of the text to the nearest exemplar
        lead           the same of the question, to those that say who is meant
        shared         rarities of the words that the text shares with one exemplar, summed, the
                       longer the exemplar the less; of the exemplar with the highest sum
        shared_before  the same of the question alone, whatever the exemplar's length
        share_said     the same of what is said behind it, as a share of all its words

        words   the terms of each text in `said` and `before`
        needed  says of cues, those not seen yet at their highest, which readings beside which
                concepts are worth seeing them: elsewhere they stay at their highest
        A text by itself is its own question.
        """
        found = np.ones((len(asked), len(self.keys), len(CUES)), dtype=np.float32)
        if not self._count:
            return np.zeros_like(found)
        self._see_words(found, asked, words)
        if rows := np.flatnonzero(needed(found).any(axis=1)).tolist():
            questions = static().encode([asked[row].before or asked[row].said for row in rows])
            similar = questions @ self._lead
            found[rows, :, 1] = np.maximum.reduceat(similar, self._lead_starts, axis=1)
        places = needed(found)
        if rows := np.flatnonzero(places.any(axis=1)).tolist():
            texts = static().encode([asked[row].text for row in rows])
            for column in np.flatnonzero(places.any(axis=0)).tolist():
                start = self._starts[column]
                known = self._vectors[start : start + self.sizes[column]]
                found[rows, column, 0] = (texts @ known.T).max(axis=1)
        return found

    def _see_words(
        self, found: NDArray[np.float32], asked: Sequence[Reading], words: Mapping[str, Terms]
    ) -> None:
        sums = {text: self._sums(of) for text, of in words.items()}
        shared = {text: self._best(of) for text, of in sums.items()}
        for row, one in enumerate(asked):
            both = sums[one.said]
            if one.before:
                both = self._sums({**words[one.before], **words[one.said]})
            found[row, :, 2] = self._best(both * self._weights)
            found[row, :, 3] = shared[one.before or one.said]
            total = sum(words[one.said].values())
            found[row, :, 4] = shared[one.said] / total if total else 0.0

    def _sums(self, said: Terms) -> NDArray[np.float64]:
        """Rarities of the words that are shared with each exemplar."""
        hits = [(self._rows[term], rare) for term, rare in said.items() if term in self._rows]
        if not hits:
            return np.zeros(self._count)
        rows = np.concatenate([rows for rows, _ in hits])
        weights = np.repeat([rare for _, rare in hits], [len(rows) for rows, _ in hits])
        return np.bincount(rows, weights, minlength=self._count).astype(np.float64)

    def _best(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The highest of each concept."""
        return np.asarray(np.maximum.reduceat(sums, self._starts))
