"""Whether two models answer alike: two samples compared as wholes. Pure; knows no record.

Every formula names its source.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit
from scipy.stats import ks_2samp, rankdata

from leakage.statistics import Floats, clopper_pearson

_SWAPS = 1_000  # of whole clusters between two models, for one p-value


@dataclass(frozen=True, slots=True)
class Kolmogorov:
    """The largest gap between two empirical distributions, and what it says.

    d          the gap, in [0, 1]: the size of the difference, which does not grow with n
    n, m       values of the first and of the second
    p          of no difference, values taken as independent: falls with n for the same gap
    p_paired   the same where clusters of answers to the same questions are swapped between the two
               models; None where they were not paired
    most       the upper end of a 95 % interval for the gap behind it
    """

    d: float
    n: int
    m: int
    p: float
    p_paired: float | None
    most: float

    def equivalent(self, margin: float) -> bool:
        """Whether the distributions are shown to be no further apart than the margin."""
        return self.most <= margin


@dataclass(frozen=True, slots=True)
class Area:
    """Area under the ROC curve, with an interval: .5 if two samples cannot be told apart."""

    auc: float
    n: int
    m: int
    low: float
    high: float


def kolmogorov(
    first: Sequence[float] | Floats,
    second: Sequence[float] | Floats,
    *,
    clusters: Sequence[str] | None = None,
) -> Kolmogorov:
    """Smirnov's test of two samples; with `clusters`, of answers to the same questions in order.

    scipy's exact or asymptotic p-value. A cluster's answers are related, so that p is far too small
    where they are many: `p_paired` swaps whole clusters between the models (Fisher 1935). `most`
    adds the bands of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (Annals of Probability
    18(3), 1990), half the error for each sample. Raises ValueError.
    """
    if not len(first) or not len(second):
        raise ValueError("two distributions are compared by at least one value each")
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a value is no finite number; leave out what was not measured")
    with warnings.catch_warnings():
        # Where the exact p-value cannot be had, it takes the asymptotic one and warns.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = ks_2samp(one, other)
    band = sum(math.sqrt(math.log(4 / 0.05) / (2 * size)) for size in (len(one), len(other)))
    d = float(found.statistic)
    return Kolmogorov(
        d=d,
        n=len(one),
        m=len(other),
        p=float(found.pvalue),
        p_paired=None if clusters is None else _swapped(one, other, clusters),
        most=min(1.0, d + band),
    )


def area(positive: Sequence[float], negative: Sequence[float], *, level: float = 0.95) -> Area:
    """How well a score tells the first from the second: Mann & Whitney's statistic, ties a half.

    The interval is DeLong's (Biometrics 44(3), 1988) on the logit scale, Student's t of the smaller
    sample; where all are told apart, Clopper & Pearson's of that sample. Raises ValueError.
    """
    n, m = len(positive), len(negative)
    if not n or not m:
        raise ValueError("an area under the curve needs values of both kinds")
    everything = rankdata([*positive, *negative])
    # How many of the others each value beats.
    won = (everything[:n] - rankdata(positive)) / m
    lost = 1 - (everything[n:] - rankdata(negative)) / n
    auc = float(won.mean())
    if min(n, m) < 2:
        return Area(auc, n, m, 0.0, 1.0)
    variance = float(won.var(ddof=1) / n + lost.var(ddof=1) / m)
    if auc in (0, 1):
        # Told apart without a fault, the variance says nothing: as if each of the fewer were one.
        fewer = min(n, m)
        exact = clopper_pearson(round(auc) * fewer, fewer, level=level)
        return Area(auc, n, m, exact.low, exact.high)
    least = auc * (1 - auc) / (n * m)
    variance = max(variance, least)
    t = float(stdtrit(min(n, m) - 1, (1 + level) / 2))
    half = t * math.sqrt(variance) / (auc * (1 - auc))
    middle = math.log(auc / (1 - auc))
    low, high = (1 / (1 + math.exp(-end)) for end in (middle - half, middle + half))
    return Area(auc, n, m, low, high)


def _swapped(first: Floats, second: Floats, clusters: Sequence[str]) -> float:
    if not len(first) == len(second) == len(clusters):
        raise ValueError("answers to the same questions come in pairs, each with its cluster")
    names = {name: at for at, name in enumerate(sorted(set(clusters)))}
    of = np.array([names[cluster] for cluster in clusters])
    everything = np.concatenate([first, second])
    order = np.argsort(everything, kind="stable")
    ranked = everything[order]
    # The distributions differ between distinct values only, so the steps of ties are one step.
    ends = np.append(ranked[1:] != ranked[:-1], [True])
    steps = np.concatenate([np.ones(len(first)), -np.ones(len(second))])[order]
    signs = np.random.default_rng(len(names)).choice([-1.0, 1.0], size=(_SWAPS, len(names)))
    signs[0] = 1.0  # as they are
    turned = signs[:, np.concatenate([of, of])[order]]
    gaps = np.abs(np.cumsum(turned * steps, axis=1)[:, ends]).max(axis=1)
    return float(np.mean(gaps >= gaps[0] - 1e-9))
