"""Vectors of exemplars, and which of them are near. Hides FAISS; knows no threshold of a concept."""

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np

from classifiers.encoder import Vectors


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest exemplar of one concept: its row in the index and its cosine similarity."""

    row: int
    score: float


class Index:
    """A flat inner-product index whose rows belong to concepts.

    Exact: for every text, the best row of *each* concept above a floor, not the best few of all.
    """

    def __init__(self, vectors: Vectors, owners: Sequence[str]) -> None:
        if len(vectors) != len(owners):
            raise ValueError("index: every vector needs an owner")
        self._owners = tuple(owners)
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        faiss.omp_set_num_threads(1)
        if len(vectors):
            self._flat.add(np.ascontiguousarray(vectors))

    def nearest(self, vectors: Vectors, *, floor: float) -> list[dict[str, Nearest]]:
        """For each vector, concept → its nearest row, of those more similar than `floor`."""
        best: list[dict[str, Nearest]] = [{} for _ in range(len(vectors))]
        if not self._owners or not len(vectors):
            return best
        limits, scores, rows = self._flat.range_search(np.ascontiguousarray(vectors), floor)
        for text in range(len(vectors)):
            for at in range(limits[text], limits[text + 1]):
                row, score = int(rows[at]), float(scores[at])
                known = best[text].get(self._owners[row])
                if known is None or score > known.score:
                    best[text][self._owners[row]] = Nearest(row, score)
        return best
