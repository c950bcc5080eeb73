"""The index: exactly the best row of each concept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers.index import Index, Nearest
from classifiers.rows import SCANNED, WANTED, Coded, Probed, Scanned, arranged
from classifiers.vectors import unit


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


def sentences(rows: int, *, seed: int = 3) -> NDArray[np.float32]:
    """Clustered, as exemplars are: twenty rows around each centre."""
    centres = units(rows=rows // 20, seed=seed, dimensions=32)
    drawn = np.float32(0.5) * units(rows=rows, seed=seed + 1, dimensions=32)
    return unit(np.repeat(centres, 20, axis=0) + drawn)


@pytest.mark.parametrize("floor", [-2.0, 0.0, 0.45, 0.9])
def test_bytes_miss_no_row(floor: float) -> None:
    vectors = sentences(6_000)
    coded = Coded(vectors)
    assert coded.recall == 1.0
    for text in units(rows=30, seed=9, dimensions=32):
        scores, near = vectors @ text, coded.near(text, floor=floor)
        found = set(near.rows.tolist())
        assert set(np.flatnonzero(scores > floor + 1e-5).tolist()) <= found
        assert found <= set(np.flatnonzero(scores > floor - 1e-5).tolist())
        assert near.scores == pytest.approx(scores[near.rows], abs=1e-5)


def test_cells_say_how_many_rows_they_find_and_scores_stay_exact() -> None:
    vectors = sentences(10_000)
    probed = Probed(vectors)
    asked = unit(vectors[:200] + vectors[-200:] + vectors[5_000:5_200])
    found = 0
    for text in asked:
        near = probed.near(text, floor=0.4)
        assert near.scores == pytest.approx(vectors[near.rows] @ text, abs=1e-5)
        best = set(np.argsort(-(vectors @ text))[:8].tolist())
        found += len(best & set(near.rows.tolist()))
    assert WANTED <= probed.recall <= 1
    assert found / (8 * 200) == pytest.approx(probed.recall, abs=0.02)


def test_the_same_rows_make_the_same_cells() -> None:
    vectors = sentences(8_000)
    one, other = Probed(vectors), Probed(vectors)
    for text in units(rows=20, seed=6, dimensions=32):
        first, second = one.near(text, floor=0.3), other.near(text, floor=0.3)
        assert first.rows.tolist() == second.rows.tolist()
        assert first.scores.tolist() == second.scores.tolist()
    assert one.recall == other.recall


def test_the_number_of_rows_decides_how_they_are_searched() -> None:
    vectors, most = sentences(12_000), 11_000
    kinds = [type(arranged(vectors[:n], exact=most)) for n in (0, 1, SCANNED, SCANNED + 1, most)]
    assert kinds == [Scanned, Scanned, Scanned, Coded, Coded]
    assert type(arranged(vectors, exact=most)) is Probed
    assert Index(vectors, ["a"] * 12_000).recall == 1.0
    assert Index(vectors, ["a"] * 12_000, exact=most).recall <= 1.0


def test_cells_that_would_miss_too_much_are_not_used() -> None:
    """Rows that no centre is near: nothing is saved by looking at some of them."""
    noise = units(rows=11_000, seed=7, dimensions=384)
    assert type(arranged(noise, exact=10_500)) is Coded


def test_some_concepts_are_compared_however_far_they_are() -> None:
    vectors, owners = units(rows=40, seed=1), ["a", "b", "c", "d"] * 10
    index = Index(vectors, owners)
    for text in units(rows=10, seed=2):
        everything = index.nearest(text[np.newaxis])[0]
        found = index.best(text, ["c", "a", "unknown"])
        assert found.keys() == {"a", "c"}
        for key, nearest in found.items():
            assert nearest.row == everything[key].row
            assert nearest.score == pytest.approx(everything[key].score, abs=1e-6)
