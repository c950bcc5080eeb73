"""A judge's count corrected for its errors, with what is not known of them."""

import numpy as np
import pytest

from leakage.judged import Judge, corrected
from leakage.statistics import Count


def test_a_judge_without_faults_leaves_the_count() -> None:
    found = corrected(Count(30, 100), Judge(Count(5000, 5000), Count(5000, 5000)))
    assert found is not None
    assert (found.k, found.n) == (30, 100)
    assert found.low == pytest.approx(0.219, abs=0.01)
    assert found.high == pytest.approx(0.396, abs=0.01)


def test_a_judge_no_better_than_guessing_says_nothing() -> None:
    assert corrected(Count(30, 100), Judge(Count(5, 10), Count(4, 10))) is None
    assert corrected(Count(30, 100), Judge(Count(0, 0), Count(4, 10))) is None


def test_the_corrected_interval_covers_and_the_judges_own_does_not() -> None:
    """10 % leak; the judge finds 85 % of them and clears 93 % of the rest; 1000 runs."""
    chance = np.random.default_rng(1)
    seen = 0.1 * 0.85 + 0.9 * 0.07
    covered = []
    for _ in range(1000):
        judge = Judge(
            Count(int(chance.binomial(100, 0.85)), 100), Count(int(chance.binomial(150, 0.93)), 150)
        )
        found = corrected(Count(int(chance.binomial(400, seen)), 400), judge)
        assert found is not None
        covered.append(found.low <= 0.1 <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.98
