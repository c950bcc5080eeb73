"""Exemplars of all concepts, and which are near. Knows no concept's threshold."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.encoder import Vectors
from classifiers.rows import EVERYTHING, EXACT, Near, arranged


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest exemplar of one concept: its row in the index and its cosine similarity."""

    row: int
    score: float


class Index:
    """Unit vectors as rows, which belong to concepts.

    For every text, the best row of *each* concept above a floor, not the best few of all. Exact up
    to `exact` rows; with more of them a row may be missed, and `recall` says how many are (see
    `rows.Probed`).
    """

    def __init__(self, vectors: Vectors, owners: Sequence[str], *, exact: int = EXACT) -> None:
        if len(vectors) != len(owners):
            raise ValueError(
                f"index: {len(vectors)} vectors and {len(owners)} owners; give one each"
            )
        self._keys = sorted(set(owners))
        numbers = {key: number for number, key in enumerate(self._keys)}
        self._owners = np.array([numbers[key] for key in owners], dtype=np.int64)
        by_owner = np.argsort(self._owners, kind="stable")
        sizes = np.bincount(self._owners, minlength=len(self._keys)).tolist()
        ends = itertools.accumulate(sizes)
        self._own = {
            key: by_owner[end - size : end]
            for key, size, end in zip(self._keys, sizes, ends, strict=True)
        }
        self._rows = arranged(vectors, exact=exact)

    @property
    def recall(self) -> float:
        """The share of the eight nearest rows that is found: 1.0 where none is ever missed."""
        return self._rows.recall

    @property
    def vectors(self) -> Vectors:
        """All rows, in order; not a copy."""
        return self._rows.vectors

    def nearest(self, vectors: Vectors, *, floor: float = EVERYTHING) -> list[dict[str, Nearest]]:
        """For each vector, concept → its nearest row, of those more similar than `floor`.

        Of rows equally near the first counts.
        """
        if not len(self._owners):
            return [{} for _ in range(len(vectors))]
        # One by one: FAISS multiplies batches of twenty and more in another way, and a score must
        # not depend, be it in the last digit, on the company.
        return [self._best(self._rows.near(one, floor=floor)) for one in vectors]

    def best(self, vector: Vectors, keys: Iterable[str]) -> dict[str, Nearest]:
        """The nearest row, however far, of each of some concepts that have any: exact always."""
        found = {}
        for key in keys:
            rows = self._own.get(key)
            if rows is not None:
                scores = (self.vectors[rows] * vector).sum(axis=1)
                at = int(np.argmax(scores))
                found[key] = Nearest(int(rows[at]), float(scores[at]))
        return found

    def _best(self, near: Near) -> dict[str, Nearest]:
        best_first = np.lexsort((near.rows, -near.scores))
        owners, first = np.unique(self._owners[near.rows[best_first]], return_index=True)
        return {
            self._keys[owner]: Nearest(int(near.rows[at]), float(near.scores[at]))
            for owner, at in zip(owners, best_first[first], strict=True)
        }
