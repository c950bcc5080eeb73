"""All evidence about one concept into one score. Knows no text, no vector and no threshold.

The weights, and what they were fitted on, stand in combine.json, which
`benchmarks/detection_fit.py` writes.
"""

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from classifiers.evidence import FEATURES, Evidence

FILE = "combine.json"
Scope = Literal["entity", "fact"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression on a curve of each feature, and a bias.

    each  for each of FEATURES, in their order, how much the log-odds rise over equal parts of
          [0, 1]: straight in each, the first and the last going on beyond. One part is a weight as
          usual. None falls: more evidence never lowers a score
    """

    bias: float
    each: tuple[tuple[float, ...], ...]

    def log_odds(self, evidence: Evidence) -> float:
        """The sum of what all evidence raises them by."""
        seen = zip(self.each, evidence.numbers(), strict=True)
        return self.bias + sum([_risen(parts, number) for parts, number in seen])


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers into scores in (0, 1): straight lines between knots, exponential tails beyond.

    knots  (number, score), both ascending, at least two
    Raises ValueError where they do not ascend.
    """

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        columns = [list(column) for column in zip(*self.knots, strict=True)]
        if len(self.knots) < 2 or any(column != sorted(set(column)) for column in columns):
            raise ValueError("a scale needs two knots or more, which ascend")

    def score(self, number: float) -> float:
        """Ascending in `number`."""
        (first, low), (last, high) = self.knots[0], self.knots[-1]
        if number < first:
            return low * math.exp((number - first) * self._slope(1) / low)
        if number >= last:
            left = 1 - high
            return 1 - left * math.exp((last - number) * self._slope(-1) / left) if left else 1.0
        at = bisect_right(self.knots, (number, math.inf))
        return self.knots[at - 1][1] + (number - self.knots[at - 1][0]) * self._slope(at)

    def _slope(self, at: int) -> float:
        """How steep the line is that ends in a knot."""
        (low, below), (high, above) = self.knots[at - 1], self.knots[at]
        return (above - below) / (high - low)


@dataclass(frozen=True, slots=True)
class Combination:
    """How one scope weighs evidence, and what a sum of it is worth.

    odds         log-odds → score
    asked, said  cosine similarity to an exemplar → score, whatever else is seen, because a fact
                 that is told again needs no name: of an exchange or a prompt, and of what an answer
                 says by itself, which looks like an exemplar less often without telling one
    """

    weights: Weights
    odds: Scale
    asked: Scale
    said: Scale

    def score(self, evidence: Evidence, *, said: bool, beside: Scale | None = None) -> float:
        """How much the evidence is like that of a forbidden text, in (0, 1).

        `beside` stands for the likeness of a concept whose neighbours are known.
        """
        likeness = beside or (self.said if said else self.asked)
        by_weights = self.odds.score(self.weights.log_odds(evidence))
        return max(by_weights, likeness.score(evidence.exchange))


def _risen(parts: tuple[float, ...], number: float) -> float:
    at = number * len(parts)
    passed = min(max(int(at), 0), len(parts) - 1)
    return sum(parts[:passed]) + parts[passed] * (at - passed)


def beside(similarity: float) -> Scale:
    """The likeness of a concept that is .9 at a cosine similarity derived from its neighbours.

    They may be trusted with more: a text that is nearer to one of them is no hit.
    """
    return Scale(
        ((similarity - 0.15, 0.5), (similarity, 0.9), (similarity + 0.05, 0.95), (0.9, 0.99),
         (1.0, 0.999))
    )  # fmt: skip


def parsed(text: str) -> dict[str, Combination]:
    """Combinations by scope.

    Raises ValueError where features are not ours, a weight is negative or a scale does not ascend.
    """
    found = {}
    for scope, fitted in json.loads(text)["scopes"].items():
        try:
            found[scope] = Combination(
                weights=_weights(fitted["weights"], fitted["bias"]),
                odds=_scale(fitted["odds"]),
                asked=_scale(fitted["likeness"]["asked"]),
                said=_scale(fitted["likeness"]["said"]),
            )
        except ValueError as error:
            raise ValueError(
                f"{FILE}: {scope}: {error}; run benchmarks/detection_fit.py --write"
            ) from None
    return found


def _weights(fitted: Mapping[str, Sequence[float]], bias: float) -> Weights:
    if set(fitted) != set(FEATURES) or not all(p and min(p) >= 0 for p in fitted.values()):
        raise ValueError("weights for each feature, none below 0")
    return Weights(bias, tuple(tuple(fitted[name]) for name in FEATURES))


def _scale(knots: Sequence[tuple[float, float]]) -> Scale:
    return Scale(tuple((number, score) for number, score in knots))


@cache
def shipped() -> Mapping[str, Combination]:
    """The combinations of this package, by scope."""
    return parsed(_content())


def digest() -> str:
    """SHA-256 (hex) of the combinations of this package: a threshold belongs to one of them."""
    weighing = {scope: asdict(combination) for scope, combination in shipped().items()}
    return hashlib.sha256(json.dumps(weighing, sort_keys=True).encode()).hexdigest()


def fitted_for(fingerprint: str) -> bool:
    """Whether the weights of this package hold for an encoder: its cosines are those of theirs.

    The model and its weights decide, not the precision that a processor computes them in.
    """
    model: str = json.loads(_content())["encoder"]
    return fingerprint.split(":")[:2] == model.split(":")[:2]


@cache
def _content() -> str:
    return (files("classifiers") / FILE).read_text(encoding="utf-8")
