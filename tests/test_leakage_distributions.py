"""Two samples as wholes: the traps of the KS test are reproduced, areas have honest intervals."""

import numpy as np
import pytest

from leakage.distributions import area, kolmogorov


def test_a_model_against_itself_is_no_different() -> None:
    values = [0.1 * at for at in range(40)]
    found = kolmogorov(values, values, clusters=[str(at // 10) for at in range(40)])
    assert (found.d, found.p, found.p_paired) == (0.0, 1.0, 1.0)
    assert (found.n, found.m) == (40, 40)


def test_the_gap_is_that_of_the_empirical_distributions() -> None:
    found = kolmogorov([1, 2, 3, 4], [3, 4, 5, 6])
    assert found.d == 0.5
    assert found.p_paired is None


def test_the_p_value_of_one_shift_falls_with_the_number_of_questions_and_the_gap_does_not() -> None:
    """LEAKAGE.md's trap: never compare p-values between forget sets of different sizes."""
    chance = np.random.default_rng(2)
    few, many = (
        [kolmogorov(chance.normal(0, 1, n), chance.normal(0.17, 1, n)) for _ in range(200)]
        for n in (40, 400)
    )
    assert np.median([found.p for found in few]) > 0.3
    assert np.median([found.p for found in many]) < 0.05
    assert np.median([found.d for found in many]) < np.median([found.d for found in few])


def test_related_answers_reject_equals_and_swapping_authors_does_not() -> None:
    """Two models that are alike, 20 authors of 20 questions, authors differing by as much again."""
    chance = np.random.default_rng(4)
    authors = [str(at // 20) for at in range(400)]
    naive, swapped = [], []
    for _ in range(60):
        one, other = (np.repeat(chance.normal(0, 1, 20), 20) for _ in range(2))
        found = kolmogorov(
            one + chance.normal(0, 1, 400), other + chance.normal(0, 1, 400), clusters=authors
        )
        assert found.p_paired is not None
        naive.append(found.p < 0.05)
        swapped.append(found.p_paired < 0.05)
    assert np.mean(naive) > 0.4
    assert np.mean(swapped) <= 0.15


def test_alike_is_shown_and_not_assumed() -> None:
    chance = np.random.default_rng(6)
    same = kolmogorov(chance.normal(0, 1, 2000), chance.normal(0, 1, 2000))
    assert same.equivalent(0.15)
    few = kolmogorov(chance.normal(0, 1, 20), chance.normal(0, 1, 20))
    assert few.p > 0.05
    assert not few.equivalent(0.15)


@pytest.mark.parametrize(
    ("first", "second", "clusters", "message"),
    [
        ([], [1.0], None, "at least one value each"),
        ([float("nan")], [1.0], None, "no finite number"),
        ([1.0, 2.0], [1.0], ["a", "b"], "come in pairs"),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    first: list[float], second: list[float], clusters: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kolmogorov(first, second, clusters=clusters)


def test_the_area_counts_pairs_in_the_right_order() -> None:
    assert area([3, 4], [1, 2]).auc == 1.0
    assert area([1, 2], [1, 2]).auc == 0.5
    found = area([2, 2, 5], [1, 2, 3])
    assert found.auc == pytest.approx((1.5 + 1.5 + 3) / 9 + 0)
    assert area([1], [0]).low == 0.0
    with pytest.raises(ValueError, match="both kinds"):
        area([], [1])


def test_an_area_is_never_known_to_be_1() -> None:
    found = area(list(range(20, 40)), list(range(20)))
    assert (found.auc, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.99


def test_the_interval_of_an_area_covers() -> None:
    """Normal scores one apart: the area is .760; 20 and 20, 400 runs."""
    chance = np.random.default_rng(8)
    true = 0.7602
    covered = 0
    for _ in range(400):
        found = area(list(chance.normal(1, 1, 20)), list(chance.normal(0, 1, 20)))
        covered += found.low <= true <= found.high
    assert covered / 400 >= 0.93
