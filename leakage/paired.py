"""Two arms on the same questions: tests, intervals, and what is left over the retrained model.

Pure functions; knows no record. Every formula names its source.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, stdtrit

from leakage.statistics import Floats

FEWEST = 6  # clusters: below, no swapping of arms gives a p-value below .05

_ALL_SWAPS = 12  # clusters up to which every way to swap is looked at
_SWAPS = 4_000  # ways looked at beyond


@dataclass(frozen=True, slots=True)
class Paired:
    """How two arms did on the same items, and the p-value of no difference between them."""

    both: int
    first_only: int
    second_only: int
    neither: int
    p: float

    @property
    def n(self) -> int:
        """Pairs."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def difference(self) -> float | None:
        """By how much the second's share is above the first's; None where nothing was paired."""
        return (self.second_only - self.first_only) / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Change:
    """In one cluster: `more` is how many more the second arm has, of `n` pairs."""

    more: int
    n: int


@dataclass(frozen=True, slots=True)
class Range:
    """From where to where something lies; None where the data set no end."""

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Triple:
    """Of the same `n` items in one cluster: on how many it happened, by arm."""

    arm: int
    reference: int
    retrained: int
    n: int


@dataclass(frozen=True, slots=True)
class Excess:
    """What an arm leaks beyond a model that never knew.

    over     (arm - retrained): the share that is not explained by guessing
    share    (arm - retrained) / (reference - retrained): 0 as if never known, 1 as if nothing were
             done; None where the reference does no better than the retrained model
    range    Fieller's for `share`; None where an end is not set by the data
    """

    over: float
    share: float | None
    range: Range
    n: int
    clusters: int


def mcnemar(pairs: Iterable[tuple[bool, bool]]) -> Paired:
    """Compare two arms item by item, by the exact test on the pairs that differ.

    McNemar 1947, Psychometrika 12(2), with the binomial distribution in place of chi-squared.
    Takes the items as independent; `sign_flip` does not.
    """
    table = {(a, b): 0 for a in (True, False) for b in (True, False)}
    for first, second in pairs:
        table[first, second] += 1
    one, other = table[True, False], table[False, True]
    p = min(1.0, 2 * float(bdtr(min(one, other), one + other, 0.5))) if one + other else 1.0
    return Paired(
        both=table[True, True],
        first_only=one,
        second_only=other,
        neither=table[False, False],
        p=p,
    )


def sign_flip(differences: Iterable[int]) -> float | None:
    """The p-value of no difference between two arms, over one difference of counts per cluster.

    The exact permutation test that swaps the arms in whole clusters (Fisher 1935, "The Design of
    Experiments", section 21), for any correlation within them. The sums are integers, so all 2^m
    swaps of m clusters are counted and none is drawn. The smallest p it can give is 2^(1-m): None
    below `FEWEST` clusters, where it could not tell any difference.
    """
    given = list(differences)
    if len(given) < FEWEST:
        return None
    ways = {0: 1}
    for difference in given:
        swapped: dict[int, int] = {}
        for total, count in ways.items():
            for signed in (total + difference, total - difference):
                swapped[signed] = swapped.get(signed, 0) + count
        ways = swapped
    observed = abs(sum(given))
    extreme = sum(c for total, c in ways.items() if abs(total) >= observed)
    return extreme / sum(ways.values())


def difference_range(changes: Sequence[Change], *, level: float = 0.95) -> Range:
    """Between which the difference of two arms' shares lies: all that `sign_flip` would not reject.

    Swapping arms in whole clusters after taking the supposed difference away (Fisher 1935; Rosen-
    baum 2002, "Observational Studies", section 2.4): the wild cluster bootstrap with random signs.
    Up to 12 clusters every way to swap, beyond that 4000 that are always the same. Both ends None
    below `FEWEST` clusters.
    """
    given = [change for change in changes if change.n]
    if len(given) < FEWEST:
        return Range(None, None)
    more = np.array([change.more for change in given], dtype=float)
    sizes = np.array([change.n for change in given], dtype=float)
    signs = _signs(len(given))
    swapped_more, swapped_sizes = signs @ more, signs @ sizes
    total, n = float(more.sum()), float(sizes.sum())

    def rejected(supposed: float) -> bool:
        seen = abs(total - supposed * n) - 1e-9
        p = float(np.mean(np.abs(swapped_more - supposed * swapped_sizes) >= seen))
        return p <= 1 - level

    middle = total / n
    return Range(_edge(rejected, middle, -1.0), _edge(rejected, middle, 1.0))


def excess(triples: Sequence[Triple], *, level: float = 0.95) -> Excess | None:
    """How much an arm leaks over the retrained model, plain and as a share of what there was.

    Fieller 1954, JRSS B 16(2), over clusters, with Student's t of their number less one: the set of
    ratios that the data do not reject. It is unbounded where the reference's own excess may be
    nought. None where nothing was counted.
    """
    given = [triple for triple in triples if triple.n]
    n, m = sum(triple.n for triple in given), len(given)
    if not n:
        return None
    above = np.array([triple.arm - triple.retrained for triple in given], dtype=float)
    base = np.array([triple.reference - triple.retrained for triple in given], dtype=float)
    total, whole = float(above.sum()), float(base.sum())
    share = total / whole if whole > 0 else None
    ends = Range(None, None)
    if share is not None and m > 1:
        sizes = np.array([triple.n for triple in given], dtype=float)
        ends = _fieller(above, base, sizes, t=float(stdtrit(m - 1, (1 + level) / 2)))
    return Excess(total / n, share, ends, n, m)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for their number, in the order given; None stays and does not count.

    Holm 1979, Scand. J. Stat. 6(2).
    """
    known = [(p, at) for at, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, at) in enumerate(sorted(known)):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[at] = highest
    return adjusted


def _signs(m: int) -> Floats:
    if m <= _ALL_SWAPS:
        swapped: npt.NDArray[np.int64] = np.arange(2**m)[:, None] >> np.arange(m) & 1
    else:
        swapped = np.random.default_rng(m).integers(0, 2, size=(_SWAPS, m))
        swapped[0] = 0  # as it was
    return 1 - 2 * swapped.astype(np.float64)


def _edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """The last value between the two that is not rejected, to a ten-thousandth."""
    if not rejected(outside):
        return outside
    while abs(outside - inside) > 1e-4:
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
    return outside


def _fieller(above: Floats, base: Floats, sizes: Floats, *, t: float) -> Range:
    m = len(above)
    n = sizes.sum()
    # Ratio estimates: what a cluster has beyond its share of the items.
    one = above - above.sum() / n * sizes
    other = base - base.sum() / n * sizes
    factor = m / (m - 1) * t * t
    a = float(base.sum() ** 2 - factor * (other @ other))
    b = float(base.sum() * above.sum() - factor * (one @ other))
    c = float(above.sum() ** 2 - factor * (one @ one))
    inside = b * b - a * c
    if a <= 0 or inside < 0:
        return Range(None, None)
    root = math.sqrt(inside)
    return Range((b - root) / a, (b + root) / a)
