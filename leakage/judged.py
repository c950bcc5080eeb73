"""A share that a fallible judge counted, corrected for the judge's errors. Knows no judge."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from leakage.statistics import Count, Rate


@dataclass(frozen=True, slots=True)
class Judge:
    """How a judge did on answers labelled by hand.

    found      of the answers that leak, how many it said leak: its sensitivity
    cleared    of those that do not, how many it said do not: its specificity
    """

    found: Count
    cleared: Count


def corrected(said: Count, judge: Judge, *, level: float = 0.95) -> Rate | None:
    """The share behind what a judge said, with the uncertainty of both samples.

    Rogan & Gladen 1978, Am. J. Epidemiology 107(1); the interval of Lang & Reiczigel 2014,
    Preventive Veterinary Medicine 113(1). `k` stays the judge's own count. None where the judge is
    no better than guessing, or where a sample is empty.
    """
    if not (said.n and judge.found.n and judge.cleared.n):
        return None
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = said.n + z * z
    p = (said.k + z * z / 2) / n
    n_found, n_cleared = judge.found.n + 2, judge.cleared.n + 2
    sensitivity, specificity = (judge.found.k + 1) / n_found, (judge.cleared.k + 1) / n_cleared
    better = sensitivity + specificity - 1
    if better <= 0:
        return None
    share = (p + specificity - 1) / better
    known = sensitivity * (1 - sensitivity) / n_found, specificity * (1 - specificity) / n_cleared
    variance = p * (1 - p) / n + share**2 * known[0] + (1 - share) ** 2 * known[1]
    half = z / better * math.sqrt(variance)
    shift = 2 * z * z * (share * known[0] - (1 - share) * known[1])
    low, high = (min(1.0, max(0.0, share + shift + way * half)) for way in (-1, 1))
    return Rate(k=said.k, n=said.n, low=low, high=high)
