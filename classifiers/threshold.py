"""From scores of harmless texts to a threshold. Pure arithmetic: knows no text and no encoder.

Split conformal prediction: the threshold is the ceil((n+1)(1-alpha))-th smallest of n harmless
scores; a new harmless text from the same source exceeds it with probability at most alpha, on
average over the n that were drawn (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random
World, 2005, section 2; Lei et al., JASA 113, 2018). With a confidence, the rank is the smallest
above which so few of the n stand that the Clopper-Pearson bound of their share is at most alpha:
then the rate holds for all but 1 - confidence of the draws (Vovk, Conditional validity of inductive
conformal predictors, ACML 2012).
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from scipy.special import bdtr, betaincinv

# Rates that a derived threshold aims at. Neighbours may exceed it more often: they are also held
# against the exemplars by the margin, text that is merely everyday is not.
BACKGROUND_ALPHA = 0.01
NEIGHBOUR_ALPHA = 0.2
# For all-MiniLM-L6-v2, chosen on the data that these numbers are from: starting points, not a
# calibration. With twenty of TOFU's authors forgotten by exemplars alone, 9 % of single texts about
# others are stopped at .60 and 18 % at .55 (whole answers behind their questions: 17 % at .60, 8 %
# at .65). Of RWKU's questions about twelve forgotten people 88 % are found at .65 and 67 % at .70.
FLOOR = 0.60
CEILING = 0.70


@dataclass(frozen=True, slots=True)
class Share:
    """`k` of `n`, and what the share behind it may be."""

    k: int
    n: int

    def at_most(self, confidence: float) -> float:
        """The one-sided Clopper-Pearson bound (Biometrika 26, 1934); 1 where nothing was seen."""
        return float(betaincinv(self.k + 1, self.n - self.k, confidence)) if self.k < self.n else 1

    def at_least(self, confidence: float) -> float:
        """The bound on the other side; 0 where nothing was seen."""
        return float(betaincinv(self.k, self.n - self.k + 1, 1 - confidence)) if self.k else 0


def rank(n: int, *, alpha: float, confidence: float | None = None) -> int:
    """Which of `n` harmless scores, ascending from 1, is the threshold; n + 1 where too few.

    Without a confidence the rate holds on average over draws, with one in that share of them.
    Raises ValueError unless 0 < alpha < 1 and the confidence, if any, too.
    """
    _check(alpha, confidence)
    if confidence is None:
        # Exactly: (n + 1)(1 - alpha) in floating point may land above a whole number.
        return math.ceil((n + 1) * (1 - Fraction(str(alpha))))
    above = bisect_right(range(n), 1 - confidence, key=lambda k: float(bdtr(k, n, alpha)))
    return n + 1 - above


def needed(*, alpha: float, confidence: float | None = None) -> int:
    """How many harmless scores it takes at least to back a rate. Raises ValueError as `rank`."""
    _check(alpha, confidence)
    if confidence is None:
        return math.ceil(1 / Fraction(str(alpha))) - 1
    return math.ceil(math.log(1 - confidence) / math.log1p(-alpha))


def threshold(scores: Sequence[float], *, alpha: float, confidence: float | None = None) -> float:
    """The score of that rank, to be exceeded; infinite where there are too few for `alpha`.

    Raises ValueError as `rank`.
    """
    at = rank(len(scores), alpha=alpha, confidence=confidence)
    return math.inf if at > len(scores) else sorted(scores)[at - 1]


def automatic(neighbours: Sequence[float], background: Sequence[float]) -> float:
    """The threshold of a concept that names none, between FLOOR and CEILING.

    Of neighbours and of background texts: the cosine similarity of each to the nearest of the
    concept's exemplars. Where they are too few for their rate, the most similar one decides.
    """
    bounds = (
        _bound(neighbours, alpha=NEIGHBOUR_ALPHA),
        _bound(background, alpha=BACKGROUND_ALPHA),
    )
    return min(CEILING, max(FLOOR, *bounds))


def _bound(scores: Sequence[float], *, alpha: float) -> float:
    return min(threshold(scores, alpha=alpha), max(scores, default=0.0))


def _check(alpha: float, confidence: float | None) -> None:
    for name, rate in (("alpha", alpha), ("confidence", confidence)):
        if rate is not None and not 0 < rate < 1:
            raise ValueError(f"{name}: {rate} is no rate; give one between 0 and 1, such as 0.01")
