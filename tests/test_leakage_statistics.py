"""Intervals cover what they promise, on numbers from the sources and by simulation."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakage.statistics import (
    Count,
    clopper_pearson,
    clustered,
    holm,
    mcnemar,
    median_interval,
    quantile,
    sign_flip,
    wilson,
)

counts = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
clusters = st.lists(
    st.integers(1, 30).flatmap(lambda n: st.builds(Count, st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=15,
)


def test_no_leak_in_512_still_leaves_0_72_percent() -> None:
    assert clopper_pearson(0, 512).low == 0.0
    assert clopper_pearson(0, 512).high == pytest.approx(0.0072, abs=5e-5)
    # One-sided in effect: 1 - 0.025 ** (1 / n), by the definition of the interval.
    assert clopper_pearson(0, 512).high == pytest.approx(1 - 0.025 ** (1 / 512))
    assert wilson(0, 512).high == pytest.approx(0.0074, abs=5e-5)


def test_a_textbook_interval_comes_out() -> None:
    rate = clopper_pearson(7, 50)
    assert [rate.low, rate.high] == pytest.approx([0.0582, 0.2674], abs=5e-5)
    score = wilson(7, 50)
    assert [score.low, score.high] == pytest.approx([0.0695, 0.2619], abs=5e-5)


def test_nothing_counted_knows_nothing() -> None:
    for rate in (clopper_pearson(0, 0), wilson(0, 0), clustered([])):
        assert (rate.low, rate.high, rate.share) == (0.0, 1.0, None)
        assert str(rate) == "nothing counted"


def test_a_rate_is_never_said_without_its_interval() -> None:
    assert str(clopper_pearson(0, 96)) == "0 of 96, 0.0 % [0.0, 3.8]"


@pytest.mark.parametrize(("k", "n"), [(2, 1), (-1, 3)])
def test_an_impossible_count_is_an_error(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        clopper_pearson(k, n)
    with pytest.raises(ValueError, match="between 0 and"):
        wilson(k, n)
    with pytest.raises(ValueError, match="between 0 and"):
        clustered([Count(k, n)])


@given(counts)
def test_intervals_hold_their_share_and_mirror(counted: tuple[int, int]) -> None:
    k, n = counted
    for interval in (clopper_pearson, wilson):
        rate, mirrored = interval(k, n), interval(n - k, n)
        assert 0 <= rate.low < rate.high <= 1
        assert rate.share is None or rate.low <= rate.share <= rate.high
        assert rate.low == pytest.approx(1 - mirrored.high, abs=1e-9)


@given(clusters)
def test_related_items_never_tell_more_than_independent_ones(given_counts: list[Count]) -> None:
    rate = clustered(given_counts)
    exact = clopper_pearson(rate.k, rate.n)
    assert rate.low <= exact.low + 1e-9
    assert rate.high >= exact.high - 1e-9


def test_where_nothing_leaked_concepts_count_and_not_items() -> None:
    assert clustered([Count(0, 20)] * 12).high == pytest.approx(clopper_pearson(0, 12).high)
    assert clustered([Count(20, 20)] * 12).low == pytest.approx(clopper_pearson(12, 12).low)


def test_one_cluster_tells_as_much_as_one_item() -> None:
    rate = clustered([Count(3, 9)])
    assert rate.low < 0.01
    assert rate.high > 0.9


@pytest.mark.parametrize("concepts", [12, 40])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_clustered_interval_covers_related_items_and_the_exact_one_does_not(
    share: float, concepts: int
) -> None:
    """Beta-binomial items, 20 a concept, correlation 0.3 within: 600 runs of each."""
    chance = random.Random(20240501)
    spread = 1 / 0.3 - 1
    runs = 600
    covered = {"exact": 0, "clustered": 0}
    for _ in range(runs):
        sizes = []
        for _ in range(concepts):
            own = chance.betavariate(share * spread, (1 - share) * spread)
            sizes.append(Count(sum(chance.random() < own for _ in range(20)), 20))
        related = clustered(sizes)
        exact = clopper_pearson(related.k, related.n)
        covered["clustered"] += related.low <= share <= related.high
        covered["exact"] += exact.low <= share <= exact.high
    assert covered["clustered"] / runs >= 0.9
    assert covered["exact"] / runs <= 0.75


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
    assert sign_flip([3, 3, 3, 3]) == 2 / 2**4
    # Of +-1 +-2 the sums are 3, 1, -1, -3: all but one way to be as far as 1 from zero.
    assert sign_flip([1, -2]) == 1.0
    assert sign_flip([]) == 1.0
    assert sign_flip([0, 0]) == 1.0


@given(st.lists(st.integers(-9, 9), max_size=8))
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


def test_quantiles_interpolate() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([1, 2, 3], 1) == 3
    assert quantile([7], 0.95) == 7
    assert quantile(range(101), 0.95) == 95


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_a_quantile_of_nothing_is_an_error(values: list[float], q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile(values, q)


def test_a_median_has_an_interval_from_six_values_on() -> None:
    six = median_interval([6, 5, 4, 3, 2, 1])
    assert (six.n, six.median, six.low, six.high) == (6, 3.5, 1, 6)
    five = median_interval([5, 4, 3, 2, 1])
    assert (five.median, five.low, five.high) == (3, None, None)
    with pytest.raises(ValueError, match="at least one"):
        median_interval([])


def test_the_median_interval_covers() -> None:
    chance = random.Random(7)
    runs = 500
    covered = 0
    for _ in range(runs):
        found = median_interval([chance.expovariate(1.0) for _ in range(25)])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= math.log(2) <= found.high
    assert covered / runs >= 0.93
