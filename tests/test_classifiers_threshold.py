"""Thresholds: what harmless scores allow."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.threshold import CEILING, FLOOR, automatic, threshold

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
