"""TOFU's measures of forgetting and of what stays: numbers in, numbers out. Knows no record.

Maini et al. 2024, arXiv 2401.06121, in the form of OpenUnlearning (arXiv 2506.12618), which divides
the false answers' mean by the true one's: TOFU's own first code has the reciprocal, with the same
distance between two models. `right` and `wrong` are log-probabilities a token, one each a text.
"""

import math
from collections.abc import Sequence

_TINY = 1e-10  # as theirs, against a division by nought


def truth_ratio(right: float, wrong: Sequence[float]) -> float:
    """How much likelier false answers are than the true one in other words, by geometric means.

    Raises ValueError where there is no false answer.
    """
    if not wrong:
        raise ValueError("a truth ratio needs a false answer at least")
    return math.exp(math.fsum(wrong) / len(wrong)) / (math.exp(right) + _TINY)


def nearness(ratio: float) -> float:
    """Of what is forgotten: 1 where false and true are equally likely, 0 where one is certain."""
    return min(ratio, 1 / (ratio + _TINY))


def truthfulness(ratio: float) -> float:
    """Of what is kept: 1 where false answers are out of the question, 0 where they are likelier."""
    return max(0.0, 1 - ratio)


def preference(right: float, wrong: Sequence[float]) -> float:
    """The true answer's share of the probability of it and the false ones."""
    others = math.fsum(math.exp(each) for each in wrong)
    return math.exp(right) / (math.exp(right) + others + _TINY)


def utility(values: Sequence[float]) -> float:
    """The harmonic mean: of nine values, TOFU's utility. 0 where any is. Raises ValueError."""
    if not values or any(value < 0 for value in values):
        raise ValueError("a harmonic mean needs values that are not negative")
    if any(value == 0 for value in values):
        return 0.0
    return len(values) / math.fsum(1 / value for value in values)
