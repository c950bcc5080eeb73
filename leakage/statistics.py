"""Intervals for shares, means and medians. Pure functions; knows no record.

Every formula names its source.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import bdtr, betaincinv

Floats = npt.NDArray[np.float64]

# Gauss-Legendre points on (0, 1), stretched over (0, oo), for `_negative`.
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_AT: Floats = (1 + _POINTS) / (1 - _POINTS)
_STEP: Floats = _WEIGHTS * 2 / (1 - _POINTS) ** 2


@dataclass(frozen=True, slots=True)
class Rate:
    """`k` of `n`, and an interval for the share behind it: `low` and `high` in [0, 1]."""

    k: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """k / n; None where nothing was counted."""
        return self.k / self.n if self.n else None

    def __str__(self) -> str:
        """As in `0 of 96, 0.0 % [0.0, 3.8]`: never without its interval."""
        if self.share is None:
            return "nothing counted"
        interval = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"{self.k} of {self.n}, {100 * self.share:.1f} % {interval}"


@dataclass(frozen=True, slots=True)
class Count:
    """`k` of `n` in one cluster."""

    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of `n` values in [0, 1], all of one cluster."""

    sum: float
    n: int


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `n` values and an interval for what is behind it; None where there are none."""

    mean: float | None
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Middle:
    """A median of `n` values and its interval; None where there are too few values for one."""

    n: int
    median: float
    low: float | None
    high: float | None


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> Rate:
    """The exact binomial interval: it covers at least `level`, whatever the share.

    Clopper & Pearson 1934, Biometrika 26(4). n = 0 knows nothing: [0, 1]. Raises ValueError.
    """
    _check(k, n)
    low, high = _beta_interval(k, n, level=level)
    return Rate(k=k, n=n, low=low, high=high)


def wilson(k: int, n: int, *, level: float = 0.95) -> Rate:
    """The score interval: covers `level` on average, shorter than the exact one.

    Wilson 1927, JASA 22(158). Raises ValueError.
    """
    _check(k, n)
    if n == 0:
        return Rate(k=0, n=0, low=0.0, high=1.0)
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    # Exactly 0 and 1 at the ends, where rounding leaves a trace.
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return Rate(k=k, n=n, low=low, high=high)


def upper_bound(k: int, n: int, *, confidence: float = 0.95) -> float:
    """What the share is at most: the one-sided exact bound, wrong once in 1 / (1 - confidence).

    Clopper & Pearson 1934. 1.0 where nothing was counted. Raises ValueError.
    """
    _check(k, n)
    return 1.0 if k >= n else float(betaincinv(k + 1, n - k, confidence))


def lower_bound(k: int, n: int, *, confidence: float = 0.95) -> float:
    """What the share is at least, as `upper_bound`. Raises ValueError."""
    return 1 - upper_bound(n - k, n, confidence=confidence)


def clustered(counts: Iterable[Count], *, level: float = 0.95) -> Rate:
    """An interval for a share of items that come in clusters, however related they are.

    `bounds` over clusters, never narrower than the exact interval of the items. Where nothing
    happened it is the exact interval of the clusters, which is right even if the items of a
    cluster always agree. Raises ValueError.
    """
    given = [count for count in counts if count.n]
    for count in given:
        _check(count.k, count.n)
    k, n = sum(c.k for c in given), sum(c.n for c in given)
    exact = clopper_pearson(k, n, level=level)
    low, high = bounds([Total(count.k, count.n) for count in given], level=level)
    return Rate(k=k, n=n, low=min(low, exact.low), high=max(high, exact.high))


def averaged(totals: Iterable[Total], *, level: float = 0.95) -> Mean:
    """The mean of values in [0, 1] that come in clusters, with `bounds`. Raises ValueError."""
    given = [total for total in totals if total.n]
    n = sum(total.n for total in given)
    low, high = bounds(given, level=level)
    return Mean(sum(total.sum for total in given) / n if n else None, n, low, high)


def bounds(totals: Sequence[Total], *, level: float = 0.95) -> tuple[float, float]:
    """Between which the mean of values in [0, 1] lies, if clusters are independent of each other.

    Gaffke 2005 ("Three test statistics for a nonparametric one-sided hypothesis on the mean of a
    nonnegative variable", Mathematical Methods of Statistics 14(4)); Learned-Miller & Thomas 2019,
    arXiv 1905.06208. The clusters, and one more of mean size that is all 1, get random weights that
    sum to 1; the quantile of the weighted mean is the upper bound, and all 0 gives the lower one.
    No distribution within or between clusters is assumed. Of clusters of one item it is Clopper &
    Pearson's interval. benchmarks/intervals.py simulates it: nowhere below the nominal level, and
    wider than methods that trust a model of how clusters differ. Raises ValueError.
    """
    for total in totals:
        if not -1e-9 <= total.sum <= total.n + 1e-9:
            raise ValueError(f"{total.sum} of {total.n}: a sum of values in [0, 1] lies between")
    if not totals:
        return 0.0, 1.0
    outside = (1 - level) / 2
    mirrored = [Total(total.n - total.sum, total.n) for total in totals]
    return 1 - _weighted_upper(mirrored, outside), _weighted_upper(totals, outside)


def quantile(values: Iterable[float], q: float) -> float:
    """The q-quantile, interpolated: type 7 of Hyndman & Fan 1996, Am. Stat. 50(4).

    Raises ValueError for no values and for q outside [0, 1].
    """
    ranked = sorted(values)
    if not ranked or not 0 <= q <= 1:
        raise ValueError("a quantile needs at least one value and q in [0, 1]")
    at = q * (len(ranked) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (at - below) * (ranked[above] - ranked[below])


def median_interval(values: Iterable[float], *, level: float = 0.95) -> Middle:
    """The median and the interval between order statistics, whatever the distribution.

    Conover 1999, "Practical Nonparametric Statistics", section 3.2. At 95 % it needs six values.
    Raises ValueError for no values.
    """
    ranked = sorted(values)
    if not ranked:
        raise ValueError("a median needs at least one value")
    n = len(ranked)
    outside = (1 - level) / 2
    # The r-th value from either end, for the largest r that leaves out no more than it may.
    r = 0
    while 2 * (r + 1) <= n and float(bdtr(r, n, 0.5)) <= outside:
        r += 1
    low, high = (ranked[r - 1], ranked[n - r]) if r else (None, None)
    return Middle(n=n, median=median(ranked), low=low, high=high)


def _weighted_upper(totals: Sequence[Total], outside: float) -> float:
    """Where the randomly weighted mean of the clusters and one that is all 1 seldom lies above."""
    given = Counter((total.sum, total.n) for total in totals)
    sums = np.array([total for total, _ in given], dtype=float)
    sizes = np.array([n for _, n in given], dtype=float)
    times = np.array(list(given.values()), dtype=float)
    if math.fsum(times * (sizes - sums)) <= 0:
        return 1.0
    one = float(times @ sizes / times.sum())
    sums, sizes, times = np.append(sums, one), np.append(sizes, one), np.append(times, 1.0)

    def over(mean: float) -> float:
        return _negative(sums - mean * sizes, times) - (1 - outside)

    # At 1 all terms are negative or nought, at 0 none is.
    return float(brentq(over, 0.0, 1.0 - 1e-12, xtol=1e-10))


def _negative(factors: Floats, times: Floats) -> float:
    """How likely a sum of `times` exponential variables a factor is at most 0.

    Imhof 1961, Biometrika 48(3), inverting the characteristic function; weights that sum to 1 are
    exponential variables divided by their sum (Devroye 1986, chapter 5).
    """
    scaled = _AT[:, None] * (factors / math.sqrt(float(times @ factors**2)))
    size = np.exp(-0.5 * (np.log1p(scaled**2) @ times))
    turn = np.sin(np.arctan(scaled) @ times)
    return 0.5 - float(_STEP @ (size * turn / _AT)) / math.pi


def _beta_interval(k: float, n: float, *, level: float) -> tuple[float, float]:
    outside = (1 - level) / 2
    low = 0.0 if k <= 0 else float(betaincinv(k, n - k + 1, outside))
    high = 1.0 if k >= n else float(betaincinv(k + 1, n - k, 1 - outside))
    return low, high


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n}: a count lies between 0 and the number counted")
