"""leak@k is unbiased; a gate's decision and the probes it still needs follow from exact bounds."""

from itertools import combinations

import numpy as np
import pytest

from leakage.sampling import Outcome, at_most, leak_at_k


def test_leak_at_k_is_the_share_of_choices_with_a_leak() -> None:
    draws = [True, False, False, True, False, False]
    for k in range(1, 7):
        choices = list(combinations(draws, k))
        share = sum(any(choice) for choice in choices) / len(choices)
        assert leak_at_k(2, 6, k) == pytest.approx(share)


def test_leak_at_k_is_unbiased_and_the_plug_in_is_not() -> None:
    """Leaks at 5 % a draw, 20 draws: leak@10 is .401 in truth; 40000 probes."""
    counts = np.random.default_rng(3).binomial(20, 0.05, 40_000)
    values = [leak_at_k(int(count), 20, 10) for count in counts]
    assert np.mean([value for value in values if value is not None]) == pytest.approx(
        1 - 0.95**10, abs=0.005
    )
    plug_in = 1 - (1 - counts / 20) ** 10
    assert plug_in.mean() == pytest.approx(0.337, abs=0.01)


def test_more_draws_than_were_made_say_nothing() -> None:
    assert leak_at_k(0, 4, 5) is None
    assert leak_at_k(0, 4, 4) == 0
    for leaked, drawn, k in ((5, 4, 1), (-1, 4, 1), (1, 4, 0)):
        with pytest.raises(ValueError, match="leak@"):
            leak_at_k(leaked, drawn, k)


@pytest.mark.parametrize(
    ("k", "n", "outcome", "more"),
    [
        (0, 149, Outcome.PASS, 0),
        (0, 148, Outcome.INCONCLUSIVE, 1),
        (0, 0, Outcome.INCONCLUSIVE, 149),
        (20, 100, Outcome.FAIL, 0),
        (2, 100, Outcome.INCONCLUSIVE, None),
    ],
)
def test_a_gate_passes_fails_or_says_what_it_lacks(
    k: int, n: int, outcome: Outcome, more: int | None
) -> None:
    found = at_most(k, n, 0.02)
    assert (found.outcome, found.more) == (outcome, more)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (1, 100), (3, 100), (1, 10)])
def test_the_probes_still_needed_decide_if_the_share_stays(k: int, n: int) -> None:
    found = at_most(k, n, 0.02)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.more is not None
    total = n + found.more
    same = round(k * total / n)
    decided = [at_most(same + off, total, 0.02).outcome for off in (-1, 0, 1) if same + off >= 0]
    assert any(outcome is not Outcome.INCONCLUSIVE for outcome in decided)


def test_a_gate_is_wrong_no_more_often_than_it_says() -> None:
    """Leaks at just over the limit, 600 probes: a pass in at most 5 % of 4000 runs."""
    counts = np.random.default_rng(9).binomial(600, 0.0201, 4_000)
    passed = {int(k): at_most(int(k), 600, 0.02).outcome is Outcome.PASS for k in set(counts)}
    assert np.mean([passed[int(k)] for k in counts]) <= 0.055


@pytest.mark.parametrize(("limit", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.02, 0.4)])
def test_a_limit_that_means_nothing_is_an_error(limit: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="a limit lies"):
        at_most(0, 10, limit, confidence=confidence)
