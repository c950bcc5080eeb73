"""Which rows of a matrix are near a vector: three ways, chosen by how many rows there are.

Hides FAISS. Knows no concept and no threshold.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from classifiers.vectors import Vectors, unit

EVERYTHING = -2.0  # no two unit vectors are less similar
SCANNED = 10_000  # rows up to which nothing beats looking at each
EXACT = 200_000  # rows up to which none is ever missed
CANDIDATES = 256  # rows that are looked at more closely
AT = 8  # of the nearest rows, whose share that is found is measured
WANTED = 0.985  # of them, on what is drawn when an index is built
DRAWN = 256  # vectors that it is measured on
MIXED = 3  # rows in each of them
FARTHEST = 0.3  # cosine below which cells are no help: every row is looked at
FITTED = 50  # rows a cell that its centre is fitted to
ROUNDS = 8  # of k-means
FIRST, LAST = 32, 4  # shares of the cells, one in so many, that are looked at: at first, at most
SEED = 1
BYTE = faiss.ScalarQuantizer.QT_8bit_direct_signed
LARGEST = 127
ROUNDING = 1e-5  # of sums of products in 32 bits
PART = 65_536  # rows that are worked on at a time


@dataclass(frozen=True, slots=True)
class Near:
    """Rows and their cosine similarities, in no order."""

    rows: NDArray[np.int64]
    scores: Vectors


class Rows(Protocol):
    """Unit vectors as rows, shape (rows, dimensions)."""

    @property
    def vectors(self) -> Vectors:
        """All of them, in order; not a copy."""
        ...

    @property
    def recall(self) -> float:
        """The share of the AT nearest rows that is found; 1.0 where none is ever missed."""
        ...

    def near(self, vector: Vectors, *, floor: float) -> Near:
        """The rows more similar than `floor` to a unit vector, whose scores are exact."""
        ...


def arranged(vectors: Vectors, *, exact: int = EXACT) -> Rows:
    """The way that suits a number of rows; up to `exact` of them none is ever missed."""
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    # One thread: requests run side by side, and a sum must not depend on how it was shared out.
    faiss.omp_set_num_threads(1)
    if len(rows) <= SCANNED:
        return Scanned(rows)
    if len(rows) <= exact:
        return Coded(rows)
    probed = Probed(rows)
    return probed if probed.recall >= WANTED else Coded(rows)


class Scanned:
    """Every row is looked at."""

    recall = 1.0

    def __init__(self, vectors: Vectors) -> None:
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        self._flat.add(vectors)
        # The index owns this memory: who takes it must keep these rows.
        held = faiss.rev_swig_ptr(self._flat.get_xb(), vectors.size) if vectors.size else vectors
        self.vectors: Vectors = held.reshape(vectors.shape)

    def near(self, vector: Vectors, *, floor: float) -> Near:
        """The rows more similar than `floor`."""
        _, scores, rows = self._flat.range_search(vector[np.newaxis], floor)
        return Near(rows, scores)


class Coded:
    """Every row is looked at, a byte a number; what could be near is then looked at as it is.

    None is missed: how much the similarity of bytes differs from that of what they stand for is
    bounded by how far the one is from the other (Cauchy and Schwarz). Where more than CANDIDATES
    could be near, every row is looked at as it is.
    """

    recall = 1.0

    def __init__(self, vectors: Vectors) -> None:
        self._all = Scanned(vectors)
        self.vectors = self._all.vectors
        self._scale, self._lost = _scale(vectors), 0.0
        self._codes = faiss.IndexScalarQuantizer(vectors.shape[1], BYTE, faiss.METRIC_INNER_PRODUCT)
        for part in _parts(vectors):
            coded = _coded(part, self._scale)
            self._codes.add(coded)
            lost = np.linalg.norm(part - coded / self._scale, axis=1)
            self._lost = max(self._lost, float(lost.max()))

    def near(self, vector: Vectors, *, floor: float) -> Near:
        """The rows more similar than `floor`."""
        asked, scale = _asked(vector)
        least = floor - _bound(self._lost, vector - asked[0] / scale)
        scores, rows = self._codes.search(asked, CANDIDATES)
        similar = scores[0] / (self._scale * scale)
        # As many as are asked for come back: where the last could be near, there may be more.
        if similar[-1] >= least:
            return self._all.near(vector, floor=floor)
        return _exactly(self.vectors, rows[0][similar >= least], vector, floor)


class Probed:
    """Rows in cells around centres (an inverted file); those of the nearest cells are looked at.

    A row may be missed: `recall` says how many are, measured when the cells are made, on mixtures
    of three rows, which are farther from each than a sentence is that tells it in other words. At
    most CANDIDATES rows are found, and their scores are exact. The same rows make the same cells.
    """

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        count, dimensions = vectors.shape
        cells = _cells(count)
        drawn = np.random.default_rng(SEED)
        some = np.sort(drawn.choice(count, min(count, FITTED * cells), replace=False))
        means = faiss.Kmeans(dimensions, cells, niter=ROUNDS, seed=SEED, spherical=True)
        means.train(vectors[some])
        self._centres = means.index  # of which FAISS keeps no count
        self._inverted = faiss.IndexIVFScalarQuantizer(
            self._centres, dimensions, cells, BYTE, faiss.METRIC_INNER_PRODUCT
        )
        self._inverted.by_residual, self._inverted.is_trained = False, True
        self._scale = _scale(vectors)
        for part in _parts(vectors):
            self._inverted.add(_coded(part, self._scale))
        self._inverted.nprobe = max(1, cells // FIRST)
        asked = _mixed(vectors, drawn)
        truth = _nearest(vectors, asked)
        self.recall = self._measured(asked, truth)
        while self.recall < WANTED and self._inverted.nprobe < cells // LAST:
            self._inverted.nprobe *= 2
            self.recall = self._measured(asked, truth)

    def near(self, vector: Vectors, *, floor: float) -> Near:
        """Most of the rows more similar than `floor`."""
        if floor < FARTHEST:
            return _exactly(self.vectors, np.arange(len(self.vectors)), vector, floor)
        return self._found(vector, floor)

    def _found(self, vector: Vectors, floor: float) -> Near:
        asked, _ = _asked(vector)
        _, rows = self._inverted.search(asked, CANDIDATES)
        return _exactly(self.vectors, rows[0][rows[0] >= 0], vector, floor)

    def _measured(self, asked: Vectors, truth: Sequence[frozenset[int]]) -> float:
        found = [_best(self._found(one, EVERYTHING)) for one in asked]
        shared = [len(true & best) / len(true) for true, best in zip(truth, found, strict=True)]
        return sum(shared) / len(shared)


def _cells(count: int) -> int:
    """A power of two near twice the square root of the number of rows."""
    return 1 << round(math.log2(2 * math.sqrt(count)))


def _parts(vectors: Vectors) -> Iterator[Vectors]:
    for at in range(0, len(vectors), PART):
        yield vectors[at : at + PART]


def _scale(vectors: Vectors) -> np.float32:
    """What makes the largest number of vectors a byte's largest."""
    return np.float32(LARGEST / max(float(np.abs(vectors).max(initial=0.0)), 1e-6))


def _coded(vectors: Vectors, scale: np.float32) -> Vectors:
    return np.asarray(np.rint(vectors * scale), dtype=np.float32)


def _asked(vector: Vectors) -> tuple[Vectors, np.float32]:
    """A vector in whole numbers, as one row, with their scale: FAISS compares bytes with bytes."""
    scale = _scale(vector)
    return _coded(vector[np.newaxis], scale), scale


def _bound(lost: float, asked: Vectors) -> float:
    """How far a similarity of bytes may lie from that of two unit vectors."""
    missing = float(np.linalg.norm(asked))
    return lost * (1 + missing) + missing + ROUNDING


def _exactly(vectors: Vectors, rows: NDArray[np.int64], vector: Vectors, floor: float) -> Near:
    """Those of some rows that are more similar than `floor`.

    Row by row: what a row is worth must not depend, be it in the last digit, on the others.
    """
    scores = np.concatenate(
        [(vectors[rows[at : at + PART]] * vector).sum(axis=1) for at in range(0, len(rows), PART)]
        or [np.zeros(0, dtype=np.float32)]
    )
    near = scores > floor
    return Near(rows[near], scores[near])


def _mixed(vectors: Vectors, drawn: np.random.Generator) -> Vectors:
    return unit(vectors[drawn.integers(0, len(vectors), (DRAWN, MIXED))].sum(axis=1))


def _nearest(vectors: Vectors, asked: Vectors) -> list[frozenset[int]]:
    """For each vector the rows of the AT most similar."""
    scores = np.concatenate([part @ asked.T for part in _parts(vectors)]).T
    return [frozenset(np.argpartition(row, -AT)[-AT:].tolist()) for row in scores]


def _best(near: Near) -> frozenset[int]:
    return frozenset(near.rows[np.argsort(-near.scores, kind="stable")[:AT]].tolist())
