"""Weights from evidence, and scores by weights that never saw the person. Knows no file."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Numbers = NDArray[np.float64]

PENALTY = 10.0  # on the squared weights of standardised features
FOLDS = 10


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
