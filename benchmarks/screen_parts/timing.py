"""CPU seconds and what they say: ratios of medians with intervals. Knows no screen."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long, by medians, with a bootstrap's 95 % interval over n repetitions."""

    times: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.times:.2f} [{self.low:.2f}, {self.high:.2f}]"


def in_turn(
    ways: Mapping[str, Callable[[int], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.thread_time,
    pause: float = 0,
) -> dict[str, list[float]]:
    """CPU seconds of this thread for each way in each round, one after the other.

    What else the machine does falls on each. A way is told the number of its round.
    clock: what to count instead; pause: seconds before each, for the last one's threads to sleep.
    """
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for at in range(rounds):
        for name, way in ways.items():
            time.sleep(pause)
            began = clock()
            way(at)
            spent[name].append(clock() - began)
    return spent


def ratio(long: Sequence[float], short: Sequence[float]) -> Ratio:
    """How many times as long as the second the first takes; rounds are drawn together."""
    first, second = np.array(long), np.array(short)
    drawn = np.random.default_rng(0).integers(0, len(first), (DRAWS, len(first)))
    ratios = np.median(first[drawn], axis=1) / np.median(second[drawn], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return Ratio(float(np.median(first) / np.median(second)), float(low), float(high), len(first))
