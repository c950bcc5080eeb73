"""All evidence about one concept into one score. Knows no text, no vector and no threshold.

The weights, and what they were fitted on, stand in combine.json, which
`benchmarks/detection_fit.py` writes.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from classifiers.evidence import FEATURES, Evidence

FILE = "combine.json"
Scope = Literal["entity", "fact"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A logistic regression: a weight for each of FEATURES, in their order, and a bias.

    No weight is negative: more evidence never lowers a score.
    """

    bias: float
    each: tuple[float, ...]

    def log_odds(self, evidence: Evidence) -> float:
        """The sum that `combine` squeezes into [0, 1]; tells scores near 1 apart."""
        seen = zip(self.each, evidence.numbers(), strict=True)
        return self.bias + sum([weight * number for weight, number in seen if weight])


def combine(evidence: Evidence, *, scope: Scope = "entity") -> float:
    """How much the evidence is like that of a forbidden exchange, in [0, 1].

    entity  the concept is forgotten as a whole: its name speaks for it
    fact    only what its exemplars say is: names say nothing
    It is no probability of anything in your traffic: hold it against a threshold that was
    calibrated on harmless replies.
    """
    odds = shipped()[scope].log_odds(evidence)
    return 1 / (1 + math.exp(-max(odds, -500.0)))


def parsed(text: str) -> dict[str, Weights]:
    """Weights by scope; raises ValueError where features are not ours or a weight is negative."""
    found = {}
    for scope, fitted in json.loads(text)["scopes"].items():
        each: Mapping[str, float] = fitted["weights"]
        if set(each) != set(FEATURES) or min(each.values()) < 0:
            raise ValueError(
                f"{FILE}: {scope}: one weight for each feature, none below 0; "
                "run benchmarks/detection_fit.py --write"
            )
        found[scope] = Weights(fitted["bias"], tuple(each[name] for name in FEATURES))
    return found


@cache
def shipped() -> Mapping[str, Weights]:
    """The weights of this package, by scope."""
    return parsed((files("classifiers") / FILE).read_text(encoding="utf-8"))
