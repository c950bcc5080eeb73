"""Vectors of exemplars, and which of them are near. Hides FAISS; knows no concept's threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from classifiers.encoder import Vectors

EVERYTHING = -2.0  # no two unit vectors are less similar


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest exemplar of one concept: its row in the index and its cosine similarity."""

    row: int
    score: float


class Index:
    """A flat inner-product index whose rows, unit vectors, belong to concepts.

    Exact: for every text, the best row of *each* concept above a floor, not the best few of all.
    """

    def __init__(self, vectors: Vectors, owners: Sequence[str]) -> None:
        if len(vectors) != len(owners):
            raise ValueError(
                f"index: {len(vectors)} vectors and {len(owners)} owners; give one each"
            )
        self._keys = sorted(set(owners))
        numbers = {key: number for number, key in enumerate(self._keys)}
        self._owners = np.array([numbers[key] for key in owners], dtype=np.int64)
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        # One thread: requests run side by side, a search takes microseconds.
        faiss.omp_set_num_threads(1)
        self._flat.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def nearest(self, vectors: Vectors, *, floor: float = EVERYTHING) -> list[dict[str, Nearest]]:
        """For each vector, concept → its nearest row, of those more similar than `floor`.

        Of rows equally near the first counts.
        """
        if not len(self._owners):
            return [{} for _ in range(len(vectors))]
        # One by one: FAISS multiplies batches of twenty and more in another way, and a score must
        # not depend, be it in the last digit, on the company.
        return [self._best(*self._flat.range_search(one[np.newaxis], floor)[1:]) for one in vectors]

    def _best(self, scores: Vectors, rows: NDArray[np.int64]) -> dict[str, Nearest]:
        best_first = np.lexsort((rows, -scores))
        owners, first = np.unique(self._owners[rows[best_first]], return_index=True)
        return {
            self._keys[owner]: Nearest(int(rows[at]), float(scores[at]))
            for owner, at in zip(owners, best_first[first], strict=True)
        }
