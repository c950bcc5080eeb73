"""The benchmark of the screen's speed: its arithmetic and the vectors that it makes up."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.screen_parts.concepts import Known, named
from benchmarks.screen_parts.corpus import exemplars, told_again
from benchmarks.screen_parts.searching import recall, sizes, truth
from benchmarks.screen_parts.timing import in_turn, ratio
from classifiers import HashEncoder
from classifiers.rows import Coded, Scanned
from classifiers.vectors import unit


def test_a_ratio_is_that_of_medians_and_lies_in_its_interval() -> None:
    found = ratio([4.0, 4.0, 40.0, 4.0], [2.0, 2.0, 2.0, 0.1])
    assert (found.times, found.n) == (2.0, 4)
    assert found.low <= 2.0 <= found.high


def test_ways_are_timed_in_turn() -> None:
    order: list[str] = []
    spent = in_turn(
        {"a": lambda at: order.append(f"a{at}"), "b": lambda at: order.append(f"b{at}")}, rounds=2
    )
    assert order == ["a0", "b0", "a1", "b1"]
    assert {name: len(times) for name, times in spent.items()} == {"a": 2, "b": 2}


def test_made_up_exemplars_stand_in_clusters_and_are_told_again_near_their_own() -> None:
    known = unit(np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32))
    made = exemplars(known, 1_000, each=50)
    assert np.array_equal(made, exemplars(known, 1_000, each=50))
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-5)
    own, other = (made[:50] @ made[at : at + 50].T for at in (0, 50))
    assert own.mean() > other.mean() + 0.2
    asked = told_again(made, known, 100)
    assert 0.6 < float(np.median((asked @ made.T).max(axis=1))) < 0.9
    true = truth(made, asked)
    assert recall(Scanned(made), asked, true) == recall(Coded(made), asked, true)


def test_sizes_end_with_the_largest() -> None:
    assert sizes(5_000) == [1_000, 4_000, 5_000]


def test_what_an_encoder_was_told_it_does_not_ask_for() -> None:
    encoder = Known(HashEncoder(8))
    encoder.told["a"] = np.ones(8, dtype=np.float32)
    found = encoder.encode(["b", "a"])
    assert np.array_equal(found[1], np.ones(8, dtype=np.float32))
    assert np.array_equal(found[0], HashEncoder(8).encode(["b"])[0])
    assert len(set(named(500))) == 500
