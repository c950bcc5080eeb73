"""What is known of every concept, read when it is first asked for. Knows no text and no score."""

from collections.abc import Sequence

import numpy as np

from classifiers.encoder import Vectors
from classifiers.evidence import Known
from classifiers.verdict import Concept

MOST = 10_000  # concepts whose words are kept in mind


class Knowledge:
    """One Known a concept, made from rows of two matrices that are not copied.

    vectors  unit vectors of all exemplars of all concepts, in order
    kept     the same of their neighbours
    """

    def __init__(self, concepts: Sequence[Concept], vectors: Vectors, kept: Vectors) -> None:
        self._concepts = {concept.key: concept for concept in concepts}
        self._vectors, self._kept = vectors, kept
        self._rows: dict[str, tuple[slice, slice]] = {}
        own = other = 0
        for concept in concepts:
            behind = own + len(concept.exemplars), other + len(concept.neighbours)
            self._rows[concept.key] = slice(own, behind[0]), slice(other, behind[1])
            own, other = behind
        self._read: dict[str, Known] = {}

    def vectors(self, key: str) -> tuple[Vectors, Vectors]:
        """A concept's exemplars and its neighbours. Raises KeyError."""
        own, other = self._rows[key]
        return self._vectors[own], self._kept[other]

    def first(self, key: str) -> int:
        """The row of a concept's first exemplar. Raises KeyError."""
        row: int = self._rows[key][0].start
        return row

    def nearest(self, texts: Vectors) -> dict[str, list[float]]:
        """For each concept with exemplars: how near the nearest of them is to each text."""
        keys = [key for key, (own, _) in self._rows.items() if own.start < own.stop]
        if not keys:
            return {}
        scores = self._vectors @ texts.T
        best = np.maximum.reduceat(scores, [self._rows[key][0].start for key in keys], axis=0)
        return dict(zip(keys, best.tolist(), strict=True))

    def of(self, key: str) -> Known:
        """What is known of a concept. Raises KeyError."""
        if key not in self._read:
            while len(self._read) >= MOST:
                del self._read[next(iter(self._read))]
            concept, (own, kept) = self._concepts[key], self.vectors(key)
            self._read[key] = Known(concept.aliases, concept.exemplars, own, neighbours=kept)
        # The one that was asked for least lately is the first to be forgotten.
        self._read[key] = known = self._read.pop(key)
        return known
