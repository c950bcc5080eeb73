"""Thresholds: what harmless scores allow."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.threshold import CEILING, FLOOR, Share, automatic, needed, rank, threshold

scores = st.lists(st.floats(-1, 1), max_size=50)


def test_the_threshold_is_the_score_of_the_conformal_rank() -> None:
    nineteen = [n / 100 for n in range(19)]
    assert threshold(nineteen, alpha=0.05) == 0.18  # the 19th of 19
    assert threshold(nineteen, alpha=0.1) == 0.17
    assert threshold(nineteen[::-1], alpha=0.5) == 0.09


def test_too_few_scores_give_no_threshold() -> None:
    assert threshold([0.1] * 18, alpha=0.05) == math.inf
    assert threshold([], alpha=0.5) == math.inf


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5])
def test_a_rate_lies_between_none_and_all(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha: .* is no rate; give one between 0 and 1"):
        threshold([0.5], alpha=alpha)


@given(scores, st.floats(0.01, 0.99))
def test_no_more_than_the_rate_of_its_own_scores_exceed_it(
    found: list[float], alpha: float
) -> None:
    bound = threshold(found, alpha=alpha)
    assert sum(score > bound for score in found) <= alpha * (len(found) + 1)


def test_new_harmless_scores_exceed_it_at_most_at_the_promised_rate() -> None:
    draw = np.random.default_rng(0)
    exceeded = [draw.random() > threshold(draw.random(39).tolist(), alpha=0.1) for _ in range(5000)]
    assert sum(exceeded) / len(exceeded) == pytest.approx(0.1, abs=0.015)


@given(scores, scores)
def test_a_derived_threshold_stays_between_floor_and_ceiling(
    neighbours: list[float], background: list[float]
) -> None:
    assert FLOOR <= automatic(neighbours, background) <= CEILING


def test_a_derived_threshold_lies_above_the_background_and_most_neighbours() -> None:
    assert automatic([], []) == FLOOR
    assert automatic([], [0.2] * 150) == FLOOR
    assert automatic([], [0.2] * 149 + [0.65]) == 0.65
    assert automatic([], [0.2] * 149 + [0.99]) == CEILING
    assert automatic([0.66], []) == 0.66  # too few for a rate: the most similar decides
    assert automatic([0.1] * 3 + [0.63] + [0.9], [0.3]) == CEILING
    assert automatic([0.1] * 8 + [0.64, 0.69], [0.3]) == 0.64


def test_the_rank_is_exact_where_floating_point_is_not() -> None:
    for alpha in ("0.001", "0.005", "0.01", "0.05", "0.07", "0.1", "0.2", "0.3"):
        for n in range(1, 2_000, 7):
            exact = math.ceil((n + 1) * (1 - Fraction(alpha)))
            assert rank(n, alpha=float(alpha)) == exact


@pytest.mark.parametrize(
    ("alpha", "confidence", "count"),
    [(0.001, None, 999), (0.001, 0.95, 2995), (0.01, 0.95, 299), (0.2, None, 4), (0.2, 0.95, 14)],
)
def test_so_many_harmless_texts_back_a_rate_and_one_less_does_not(
    alpha: float, confidence: float | None, count: int
) -> None:
    assert needed(alpha=alpha, confidence=confidence) == count
    assert rank(count, alpha=alpha, confidence=confidence) == count
    assert rank(count - 1, alpha=alpha, confidence=confidence) == count  # one more than there are


@given(st.integers(1, 5_000), st.floats(0.001, 0.5), st.floats(0.5, 0.99))
def test_a_rank_with_confidence_is_the_first_whose_bound_keeps_the_rate(
    n: int, alpha: float, confidence: float
) -> None:
    at = rank(n, alpha=alpha, confidence=confidence)
    assert at > n or Share(n - at, n).at_most(confidence) <= alpha + 1e-9
    assert at == 1 or Share(n - at + 1, n).at_most(confidence) > alpha - 1e-9


def test_with_confidence_the_rate_holds_in_all_but_its_share_of_draws() -> None:
    """The rate behind the threshold of a uniform draw is what lies above it."""
    draw = np.random.default_rng(1)
    rates = {
        confidence: np.array(
            [
                1 - threshold(draw.random(120).tolist(), alpha=0.1, confidence=confidence)
                for _ in range(4000)
            ]
        )
        for confidence in (None, 0.95)
    }
    assert rates[None].mean() == pytest.approx(0.1, abs=0.005)
    assert (rates[None] > 0.1).mean() > 0.3  # on average is not in every draw
    assert 0.01 < (rates[0.95] > 0.1).mean() <= 0.05 + 0.01


def test_bounds_of_a_share_are_those_of_clopper_and_pearson() -> None:
    assert Share(0, 299).at_most(0.95) == pytest.approx(1 - 0.05 ** (1 / 299))
    assert Share(20, 20).at_least(0.95) == pytest.approx(0.05 ** (1 / 20))
    assert Share(0, 0).at_most(0.95) == Share(5, 5).at_most(0.95) == 1
    assert Share(0, 0).at_least(0.95) == Share(0, 5).at_least(0.95) == 0
    assert Share(3, 50).at_least(0.95) < 3 / 50 < Share(3, 50).at_most(0.95)
