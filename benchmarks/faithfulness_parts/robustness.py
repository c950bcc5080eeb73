"""Whether a metric sees what relearning brings back. Knows no table and no training.

After OpenUnlearning (arXiv 2506.12618): R = min((ret' - ret) / (unl' - unl), 1), where ' is after
relearning, `ret` the model that never knew and `unl` one that was unlearned. 1: the unlearned model
gains no more than the one that never knew. Near 0: the metric had called forgotten what a few steps
bring back.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leakage.statistics import quantile

RESAMPLES = 2000
Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Relearned:
    """One model before and after relearning: by part of the forget set, each metric's value."""

    name: str
    seed: int
    before: Mapping[str, Values]
    after: Mapping[str, Values]

    def gain(self, part: str, metric: str) -> float:
        """What relearning brought."""
        return self.after[part][metric] - self.before[part][metric]


@dataclass(frozen=True, slots=True)
class Robust:
    """Of one metric on one part of the forget set: means over models, and R with its interval.

    The interval is the percentile bootstrap over unlearned models, Efron 1979.
    """

    metric: str
    part: str
    unlearned: tuple[float, float]
    retrained: tuple[float, float]
    r: float
    low: float
    high: float
    n: int


def ratio(retrained: float, unlearned: float) -> float:
    """R of two gains. A loss counts as no gain; 1 where the unlearned model gained no more."""
    never, unlearned = max(retrained, 0.0), max(unlearned, 0.0)
    return 1.0 if unlearned <= never else never / unlearned


def robust(
    unlearned: Sequence[Relearned], retrained: Sequence[Relearned], *, metric: str, part: str
) -> Robust:
    """R of a metric; every unlearned model is held against the retrained one of its seed.

    Raises ValueError where there is no unlearned model.
    """
    if not unlearned:
        raise ValueError("robustness to relearning needs an unlearned model")
    never = {each.seed: each.gain(part, metric) for each in retrained}
    ratios = [ratio(never[each.seed], each.gain(part, metric)) for each in unlearned]
    rng = random.Random(0)  # noqa: S311 (a sample, no secret)
    drawn = [sum(rng.choices(ratios, k=len(ratios))) / len(ratios) for _ in range(RESAMPLES)]
    return Robust(
        metric=metric,
        part=part,
        unlearned=_means(unlearned, part, metric),
        retrained=_means(retrained, part, metric),
        r=sum(ratios) / len(ratios),
        low=quantile(drawn, 0.025),
        high=quantile(drawn, 0.975),
        n=len(ratios),
    )


def _means(models: Sequence[Relearned], part: str, metric: str) -> tuple[float, float]:
    before = [each.before[part][metric] for each in models]
    after = [each.after[part][metric] for each in models]
    return sum(before) / len(before), sum(after) / len(after)
