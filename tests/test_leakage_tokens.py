"""Measures of one text's tokens, on cases that are counted by hand."""

import math

import pytest

from leakage import muse, tofu, tokens
from leakage.muse import Point

LOG = math.log


def test_probability_is_the_geometric_mean_of_the_tokens() -> None:
    assert tokens.probability([LOG(0.5), LOG(0.125)]) == pytest.approx(0.25)


def test_min_k_is_the_mean_of_the_least_likely_tokens() -> None:
    values = [-1.0, -2.0, -3.0, -4.0, -10.0]
    assert tokens.min_k(values) == -7.0
    assert tokens.min_k(values, 0.2) == -10.0
    # One token at least.
    assert tokens.min_k([-3.0, -1.0], 0.1) == -3.0


def test_a_standard_score_is_taken_under_the_models_own_distribution() -> None:
    told = [LOG(0.5), LOG(0.25), LOG(0.25)]
    mean = 0.5 * LOG(0.5) + 0.5 * LOG(0.25)
    spread = math.sqrt(0.5 * LOG(0.5) ** 2 + 0.5 * LOG(0.25) ** 2 - mean**2)
    assert tokens.standard(LOG(0.25), told) == pytest.approx((LOG(0.25) - mean) / spread)
    assert tokens.standard(LOG(0.5), [LOG(0.5), LOG(0.4)]) is None
    # One token holds everything: open-unlearning's bound keeps the quotient finite.
    assert tokens.standard(0.0, [0.0]) == 0.0


def test_extraction_strength_is_the_share_that_comes_out_by_itself() -> None:
    assert tokens.extraction_strength([1, 1, 1, 1]) == 1.0
    assert tokens.extraction_strength([3, 1, 1, 1]) == 0.75
    assert tokens.extraction_strength([1, 1, 2, 1]) == 0.25
    assert tokens.extraction_strength([1, 1, 1, 2]) == 0.0
    assert tokens.exact_memorisation([1, 1, 2, 1]) == 0.75


@pytest.mark.parametrize("measure", [tokens.probability, tokens.min_k, tokens.exact_memorisation])
def test_no_tokens_have_no_measure(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="no tokens"):
        measure([])


def test_a_truth_ratio_divides_the_false_answers_geometric_mean_by_the_true_one() -> None:
    ratio = tofu.truth_ratio(LOG(0.5), [LOG(0.1), LOG(0.4)])
    assert ratio == pytest.approx(0.2 / 0.5)
    assert tofu.nearness(ratio) == pytest.approx(0.4)
    assert tofu.nearness(2.5) == pytest.approx(0.4)
    assert tofu.truthfulness(ratio) == pytest.approx(0.6)
    assert tofu.truthfulness(1.7) == 0.0
    assert tofu.preference(LOG(0.5), [LOG(0.1), LOG(0.4)]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="false answer"):
        tofu.truth_ratio(0.0, [])


def test_utility_is_a_harmonic_mean_and_nought_where_any_value_is() -> None:
    assert tofu.utility([0.5] * 8 + [0.25]) == pytest.approx(0.45)
    assert tofu.utility([1.0, 0.0]) == 0.0
    with pytest.raises(ValueError, match="not negative"):
        tofu.utility([0.4, -0.1])


def test_privacy_leakage_is_nought_for_the_retrained_and_minus_100_for_a_model_that_tells() -> None:
    assert muse.privacy_leakage(0.5, 0.5) == 0.0
    assert muse.privacy_leakage(1.0, 0.5) == -100.0
    assert muse.privacy_leakage(0.25, 0.5) == 50.0
    with pytest.raises(ValueError, match="retrained"):
        muse.privacy_leakage(0.5, 1.0)


def test_a_curve_is_in_order_and_says_what_is_kept_at_its_end() -> None:
    found = muse.curve(
        [Point("b", 3, 0.1, 0.4), Point("a", 1, 0.2, 0.8), Point("c", 2, None, None)]
    )
    assert [point.arm for point in found.points] == ["a", "c", "b"]
    assert found.kept == 0.5
    assert muse.curve([Point("a", 1, 0.2, 0.8)]).kept is None
    with pytest.raises(ValueError, match="its own"):
        muse.curve([Point("a", 1, None, None), Point("b", 1, None, None)])
