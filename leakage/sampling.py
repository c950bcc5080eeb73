"""How many draws and probes tell how much: leak@k, and how many more a decision needs.

Pure functions; knows no record. Every formula names its source.
"""

from dataclasses import dataclass
from enum import Enum
from math import comb

from leakage.statistics import lower_bound, upper_bound

MOST = 1_000_000  # probes thought about


class Outcome(Enum):
    """What a bound says about a limit."""

    PASS = "pass"  # noqa: S105 (an outcome, no password)
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a share is at most a limit, as far as `n` items tell.

    bound     the one-sided bound that decided or did not: the upper one, and the lower for `fail`
    more      items still needed if the share stays as it is; 0 where it is decided, None where
              the share lies so near the limit that a million would not decide
    """

    outcome: Outcome
    k: int
    n: int
    limit: float
    confidence: float
    bound: float
    more: int | None


def leak_at_k(leaked: int, drawn: int, k: int) -> float | None:
    """How likely at least one of k draws leaks, from `leaked` of `drawn`, without bias.

    1 - C(n-c, k) / C(n, k): Chen et al. 2021, arXiv 2107.03374, for pass@k; for leakage Leak@k,
    arXiv 2511.04934. None where fewer than k were drawn. With n < 2k it varies widely.
    Raises ValueError.
    """
    if not 0 <= leaked <= drawn or k < 1:
        raise ValueError(f"leak@{k} of {leaked} in {drawn}: counts lie in range, k is at least 1")
    if k > drawn:
        return None
    return 1 - comb(drawn - leaked, k) / comb(drawn, k)


def at_most(k: int, n: int, limit: float, *, confidence: float = 0.95) -> Decision:
    """Whether the share behind k of n is at most the limit, at that confidence.

    Passes where the upper bound is at most the limit, fails where the lower one is above it: both
    exact and one-sided (Clopper & Pearson 1934). Raises ValueError.
    """
    if not 0 < limit < 1 or not 0.5 <= confidence < 1:
        raise ValueError("a limit lies between 0 and 1, a confidence between .5 and 1")
    outcome = _outcome(k, n, limit, confidence=confidence)
    bound = lower_bound if outcome is Outcome.FAIL else upper_bound
    undecided = outcome is Outcome.INCONCLUSIVE
    return Decision(
        outcome=outcome,
        k=k,
        n=n,
        limit=limit,
        confidence=confidence,
        bound=bound(k, n, confidence=confidence),
        more=_needed(k, n, limit, confidence=confidence) if undecided else 0,
    )


def _outcome(k: int, n: int, limit: float, *, confidence: float) -> Outcome:
    if upper_bound(k, n, confidence=confidence) <= limit:
        return Outcome.PASS
    if lower_bound(k, n, confidence=confidence) > limit:
        return Outcome.FAIL
    return Outcome.INCONCLUSIVE


def _needed(k: int, n: int, limit: float, *, confidence: float) -> int | None:
    """The fewest more items after which the same share would decide."""

    def decides(total: int) -> bool:
        # Leaks come whole: rounded against what the share would show.
        same = -(-k * total // n) if k <= limit * n else k * total // n
        return _outcome(same, total, limit, confidence=confidence) is not Outcome.INCONCLUSIVE

    seen = n
    if not n:
        k, n = 0, 1  # as if nothing leaked: the fewest that could pass
    low, high = n, 2 * n
    while not decides(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high - seen
