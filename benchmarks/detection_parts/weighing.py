"""Weights and scales from evidence, and scores by weights that never saw the person.

Knows no file.
"""

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from classifiers.combine import Combination, Scale, Weights

Numbers = NDArray[np.float64]
Knots = tuple[tuple[float, float], ...]

PENALTY = 10.0  # on the squared weights of standardised features
FOLDS = 10

# A score of .9 is reached by a fifth of the neighbours, .95 by a tenth. They are the hardest of
# what must pass: of ordinary questions hardly one in a thousand comes as high.
SHARES = ((0.5, 0.75), (0.3, 0.85), (0.2, 0.9), (0.1, 0.95), (0.05, 0.975), (0.01, 0.995))
# Cosine similarity → score, for what needs no name; chosen by hand on RWKU's thirty people, of
# whose neighbours' questions 2 % are as similar as .78 and of whose bare answers 1.4 % as .65.
ASKED: Knots = ((0.6, 0.5), (0.78, 0.9), (0.82, 0.95), (0.9, 0.99), (1.0, 0.999))
SAID: Knots = ((0.5, 0.5), (0.65, 0.9), (0.7, 0.95), (0.8, 0.99), (1.0, 0.999))


def parted(numbers: Numbers, parts: Sequence[int]) -> Numbers:
    """How far each number is through each of so many equal parts of [0, 1], 0 to 1.

    numbers  shape (n, features); parts  of each feature, 0 leaves it out
    A number beyond an end is further through the part there: what `combine.Weights` weighs.
    """
    columns = []
    for column, count in zip(numbers.T, parts, strict=True):
        for part in range(count):
            low = -np.inf if part == 0 else 0.0
            high = np.inf if part == count - 1 else 1.0
            columns.append(np.clip(column * count - part, low, high))
    return np.stack(columns, axis=1)


def fitted(features: Numbers, forbidden: NDArray[np.bool_]) -> tuple[Numbers, float]:
    """A weight a feature, none below 0, and the bias: logistic regression with a ridge penalty.

    features  shape (n, features); forbidden  shape (n,)
    """
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    standard = (features - centre) / spread
    sign = np.where(forbidden, 1.0, -1.0)

    def loss(at: Numbers) -> tuple[float, Numbers]:
        margin = sign * (standard @ at[:-1] + at[-1])
        value = np.logaddexp(0, -margin).sum() + PENALTY / 2 * (at[:-1] ** 2).sum()
        slope = -sign / (1 + np.exp(np.minimum(margin, 500.0)))
        return float(value), np.append(standard.T @ slope + PENALTY * at[:-1], slope.sum())

    bounds = [(0.0, None)] * features.shape[1] + [(None, None)]
    start = np.zeros(features.shape[1] + 1)
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ centre)


def folds(groups: Sequence[str], *, count: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """A fold for each row; all rows of a group, a person, are in one."""
    names = sorted(set(groups))
    places = np.random.default_rng(seed).permutation(len(names)) % count
    fold = dict(zip(names, places.tolist(), strict=True))
    return np.array([fold[group] for group in groups], dtype=np.int64)


def crossed(
    features: Numbers,
    forbidden: NDArray[np.bool_],
    fold: NDArray[np.int64],
    *,
    judged: Numbers,
    judged_fold: NDArray[np.int64],
) -> Numbers:
    """Log-odds of each row of `judged`, by weights fitted on the `features` of the other folds."""
    scores = np.zeros(len(judged))
    for number in np.unique(fold):
        others, own = fold != number, judged_fold == number
        weights, bias = fitted(features[others], forbidden[others])
        scores[own] = judged[own] @ weights + bias
    return scores


def scaled(
    odds: Numbers, likeness: Numbers, kept: NDArray[np.bool_], *, shares: Knots = SHARES
) -> Scale:
    """Log-odds → score, so that with likeness the named share of what must pass comes as high.

    odds, likeness  the highest of each pair, shape (pairs,); kept  which of them must pass
    """
    knots: list[tuple[float, float]] = []
    for share, score in shares:
        reached = np.sort(np.where(likeness >= score, np.inf, odds)[kept])
        limit = float(reached[len(reached) - math.floor(share * len(reached)) - 1])
        if math.isfinite(limit) and (not knots or limit > knots[-1][0]):
            knots.append((round(limit + 5e-4, 3), score))
    # Where nothing that must pass comes near, an even chance decides.
    return Scale(tuple(knots) if len(knots) > 1 else ((0.0, 0.9), (1.0, 0.95)))


def combined(
    weights: Numbers, bias: float, parts: Sequence[int], odds: Scale, likeness: tuple[Knots, Knots]
) -> Combination:
    """What a Screen weighs by; `likeness` of what is asked, and of what is said."""
    left = iter(np.round(weights, 4).tolist())
    each = tuple(tuple(islice(left, count)) or (0.0,) for count in parts)
    return Combination(
        weights=Weights(round(bias, 4), each),
        odds=odds,
        asked=Scale(likeness[0]),
        said=Scale(likeness[1]),
    )
