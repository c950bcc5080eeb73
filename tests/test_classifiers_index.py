"""The index: exactly the best row of each concept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers.index import Index, Nearest


def units(*, rows: int, seed: int, dimensions: int = 12) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(-1, 1))
def test_the_best_of_each_concept_is_that_of_a_matrix_product(
    seed: int, rows: int, floor: float
) -> None:
    vectors, texts = units(rows=rows, seed=seed), units(rows=25, seed=seed + 1)
    owners = [f"c{n}" for n in np.random.default_rng(seed).integers(0, 5, rows)]
    found = Index(vectors, owners).nearest(texts, floor=floor)
    for text, best in zip(texts, found, strict=True):
        scores = vectors @ text
        for owner in set(owners):
            own = [n for n in range(rows) if owners[n] == owner]
            row = max(own, key=lambda n: float(scores[n]))
            if scores[row] > floor + 1e-5:
                assert best[owner].score == pytest.approx(float(scores[row]), abs=1e-5)
                assert owners[best[owner].row] == owner
            elif scores[row] < floor - 1e-5:
                assert owner not in best


def test_a_score_does_not_depend_on_the_company() -> None:
    index = Index(units(rows=50, seed=1, dimensions=384), ["a"] * 50)
    texts = units(rows=64, seed=2, dimensions=384)
    assert index.nearest(texts) == [index.nearest(text[np.newaxis])[0] for text in texts]


def test_of_rows_equally_near_the_first_counts() -> None:
    one = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert Index(one, ["b", "b", "a"]).nearest(one[:1])[0] == {
        "a": Nearest(2, 0.0),
        "b": Nearest(0, 1.0),
    }


def test_nothing_is_near_nothing() -> None:
    empty = np.zeros((0, 3), dtype=np.float32)
    assert Index(empty, []).nearest(units(rows=2, seed=0, dimensions=3)) == [{}, {}]
    assert Index(units(rows=2, seed=0, dimensions=3), ["a", "b"]).nearest(empty) == []


def test_every_vector_has_an_owner() -> None:
    with pytest.raises(ValueError, match="2 vectors and 1 owners; give one each"):
        Index(units(rows=2, seed=0), ["a"])
