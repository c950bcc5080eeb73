"""How often each interval covers what it should, by simulation. Knows no record and no report.

`python -m benchmarks.intervals --runs 2000` prints a Markdown table: for related answers (questions
of one concept), for differences between two arms, and for the excess over a retrained model.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from leakage.paired import Change, Triple, difference_range, excess
from leakage.statistics import Count, clopper_pearson, clustered

Chance = np.random.Generator
Counted = npt.NDArray[np.int64]

SHARES = (0.02, 0.05, 0.1, 0.3, 0.5)
CONCEPTS = (3, 5, 10, 20, 40)


def beta_binomial(chance: Chance, share: float, related: float, sizes: Counted) -> Counted:
    """Concepts have shares of their own, by a beta distribution."""
    spread = 1 / related - 1
    own = chance.beta(share * spread, (1 - share) * spread, len(sizes))
    return chance.binomial(sizes, own)


def all_or_nothing(chance: Chance, share: float, related: float, sizes: Counted) -> Counted:
    """Some concepts come out whole or not at all; the rest have independent answers."""
    whole = chance.random(len(sizes)) < related**0.5
    agreed = sizes * chance.binomial(1, share, len(sizes))
    return np.where(whole, agreed, chance.binomial(sizes, share))


WORLDS: dict[str, Callable[[Chance, float, float, Counted], Counted]] = {
    "beta-binomial": beta_binomial,
    "all or nothing": all_or_nothing,
}


@dataclass(frozen=True, slots=True)
class Design:
    """What is simulated: `related` is the correlation in a concept, `even` 20 questions each."""

    world: str
    related: float
    share: float
    concepts: int
    even: bool

    def drawn(self, chance: Chance) -> list[Count]:
        """One run: what was counted of each concept."""
        size = self.concepts
        sizes = np.full(size, 20) if self.even else chance.integers(5, 36, size)
        happened = WORLDS[self.world](chance, self.share, self.related, sizes)
        return [Count(int(k), int(n)) for k, n in zip(happened, sizes, strict=True)]


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals, simulated.")
    parser.add_argument("--runs", type=int, default=1000, help="of each row (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the chance (default 1)")
    given = parser.parse_args()
    chance = np.random.default_rng(given.seed)
    print(f"{given.runs} runs a row, seed {given.seed}, nominal 95 %. Width: mean, in points.\n")
    titles = ("world", "correlation", "questions", "share", "concepts", "items", "width")
    print(_line(*titles, "by concept", "width"), _line(*["---"] * 9), sep="\n")
    for design in _designs():
        print(_row(chance, design, runs=given.runs))
    print("\n| concepts | difference of two arms | excess over retrained |\n|---|---|---|")
    for concepts in (6, 8, 12, 20, 40):
        print(_paired_row(chance, concepts, given.runs))
    return 0


def _designs() -> Iterator[Design]:
    for world, related, share, concepts, even in product(
        WORLDS, (0.05, 0.3), SHARES, CONCEPTS, (True, False)
    ):
        yield Design(world, related, share, concepts, even)


def _row(chance: Chance, design: Design, *, runs: int) -> str:
    found: dict[str, list[tuple[bool, float]]] = {"exact": [], "clustered": []}
    for _ in range(runs):
        counts = design.drawn(chance)
        related = clustered(counts)
        for name, rate in (
            ("clustered", related),
            ("exact", clopper_pearson(related.k, related.n)),
        ):
            found[name].append((rate.low <= design.share <= rate.high, rate.high - rate.low))
    told = " | ".join(_told(found[name]) for name in ("exact", "clustered"))
    questions = "20" if design.even else "5 to 35"
    row = f"| {design.world} | {design.related} | {questions} | {design.share} |"
    return f"{row} {design.concepts} | {told} |"


def _line(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"


def _told(found: Sequence[tuple[bool, float]]) -> str:
    covered, width = np.mean(np.array(found, dtype=float), axis=0)
    return f"{covered:.3f} | {100 * width:.0f}"


def _paired_row(chance: Chance, concepts: int, runs: int) -> str:
    """Three arms of .9, .3 and .05, concepts differing on the log-odds scale by a normal of 1."""
    true = {share: _mean(share) for share in (0.9, 0.3, 0.05)}
    difference = true[0.3] - true[0.9]
    share = (true[0.3] - true[0.05]) / (true[0.9] - true[0.05])
    covered = np.zeros(2)
    for _ in range(runs):
        shift = chance.normal(0, 1, concepts)
        base, arm, none = (chance.binomial(20, _near(s, shift)) for s in (0.9, 0.3, 0.05))
        first = difference_range([Change(int(b - a), 20) for a, b in zip(base, arm, strict=True)])
        second = excess(
            [Triple(int(a), int(b), int(c), 20) for a, b, c in zip(arm, base, none, strict=True)]
        )
        covered[0] += _holds(first.low, first.high, difference)
        covered[1] += second is not None and _holds(second.range.low, second.range.high, share)
    told = covered / runs
    return f"| {concepts} | {told[0]:.3f} | {told[1]:.3f} |"


def _holds(low: float | None, high: float | None, true: float) -> bool:
    return (low is None or low <= true) and (high is None or true <= high)


def _near(share: float, shift: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    odds = np.exp(np.log(share / (1 - share)) + shift)
    near: npt.NDArray[np.float64] = odds / (1 + odds)
    return near


def _mean(share: float) -> float:
    at = np.linspace(-7, 7, 4001)
    density = np.exp(-(at**2) / 2)
    return float((_near(share, at) * density).sum() / density.sum())


if __name__ == "__main__":
    raise SystemExit(main())
