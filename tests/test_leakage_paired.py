"""Arms on the same questions: tests by hand, ranges by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakage.paired import (
    Change,
    Range,
    Triple,
    difference_range,
    excess,
    holm,
    mcnemar,
    sign_flip,
)

Chance = np.random.Generator


def test_mcnemar_looks_at_the_pairs_that_differ() -> None:
    pairs = [(True, False)] * 8 + [(False, True)] * 1 + [(True, True)] * 40 + [(False, False)] * 3
    found = mcnemar(pairs)
    assert (found.both, found.first_only, found.second_only, found.neither) == (40, 8, 1, 3)
    assert found.n == 52
    assert found.p == pytest.approx(2 * (1 + 9) / 2**9)


def test_mcnemar_without_a_difference_finds_none() -> None:
    assert mcnemar([(True, True)] * 5).p == 1.0
    assert mcnemar([(True, False), (False, True)]).p == 1.0


def test_sign_flip_counts_every_swap() -> None:
    assert sign_flip([3] * 6) == 2 / 2**6
    # All but two ways to sign 1, 1, 1, 1, 1, -5 sum to at least 0 on one side: none is nearer.
    assert sign_flip([1, 1, 1, 1, 1, -5]) == 1.0
    assert sign_flip([0] * 6) == 1.0


def test_below_six_concepts_no_test_tells_anything() -> None:
    assert sign_flip([3] * 5) is None
    assert difference_range([Change(3, 3)] * 5) == Range(None, None)


@given(st.lists(st.integers(-9, 9), min_size=6, max_size=9))
def test_sign_flip_is_the_share_of_swaps_as_extreme(differences: list[int]) -> None:
    m = len(differences)
    sums = [
        sum(d if swap >> at & 1 else -d for at, d in enumerate(differences)) for swap in range(2**m)
    ]
    extreme = sum(abs(total) >= abs(sum(differences)) for total in sums)
    assert sign_flip(differences) == pytest.approx(extreme / 2**m)


def test_holm_adjusts_in_the_order_given() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_cannot_be_tested_is_not_counted_among_the_tests() -> None:
    assert holm([None, 0.02, None, 0.03]) == pytest.approx([None, 0.04, None, 0.04])


def _related(chance: Chance, concepts: int, *shares: float) -> np.ndarray:
    """Counts of 20 by concept, a row an arm: concepts differ, and in the same way on every arm."""
    shift = chance.normal(0, 1, concepts)
    odds = [np.exp(np.log(share / (1 - share)) + shift) for share in shares]
    return np.array([chance.binomial(20, odd / (1 + odd)) for odd in odds])


def _share(odds: float) -> float:
    """The mean over concepts that `_related` gives."""
    at = np.linspace(-6, 6, 2001)
    odd = np.exp(np.log(odds / (1 - odds)) + at)
    density = np.exp(-(at**2) / 2)
    return float((odd / (1 + odd) * density).sum() / density.sum())


@pytest.mark.parametrize("concepts", [8, 30])
def test_the_range_of_a_difference_covers_it(concepts: int) -> None:
    """Arms of 40 and 10 %, related by concept: 150 runs; a fair 95 % gives .9 in 1 of 100."""
    chance = np.random.default_rng(11)
    true = _share(0.1) - _share(0.4)
    covered = 0
    for _ in range(150):
        one, other = _related(chance, concepts, 0.4, 0.1)
        changes = [Change(int(b - a), 20) for a, b in zip(one, other, strict=True)]
        found = difference_range(changes)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high
    assert covered / 150 >= 0.9


def test_the_range_of_a_difference_holds_what_was_seen() -> None:
    found = difference_range([Change(-3, 4)] * 6)
    assert [found.low, found.high] == pytest.approx([-0.75, -0.75], abs=2e-4)


def test_excess_is_counted_over_the_retrained_model() -> None:
    found = excess([Triple(arm=3, reference=9, retrained=1, n=10)] * 4)
    assert found is not None
    assert (found.over, found.share, found.n, found.clusters) == (0.2, 0.25, 40, 4)
    assert [found.range.low, found.range.high] == pytest.approx([0.25, 0.25])
    assert excess([]) is None
    nothing = excess([Triple(arm=3, reference=1, retrained=1, n=10)] * 4)
    assert nothing is not None
    assert (nothing.share, nothing.range) == (None, Range(None, None))


def test_where_the_reference_may_know_no_more_the_share_has_no_ends() -> None:
    triples = [Triple(2, 3, 1, 10), Triple(0, 1, 4, 10), Triple(5, 6, 2, 10)]
    found = excess(triples)
    assert found is not None
    assert found.share is not None
    assert found.range == Range(None, None)


def test_fiellers_range_covers_the_share() -> None:
    """Of 12 concepts, arms of 90, 30 and 5 %: 400 runs; a fair 95 % gives .92 in 1 of 100."""
    chance = np.random.default_rng(5)
    base, arm, none = _share(0.9), _share(0.3), _share(0.05)
    true = (arm - none) / (base - none)
    covered = 0
    for _ in range(400):
        counts = _related(chance, 12, 0.3, 0.9, 0.05)
        found = excess([Triple(int(a), int(b), int(c), 20) for a, b, c in counts.T])
        assert found is not None
        low, high = found.range.low, found.range.high
        covered += (low is None or low <= true) and (high is None or true <= high)
    assert covered / 400 >= 0.92
