"""GradDiff: ascend on what to forget, descend on what to keep.

Knows two batches and a model; no data, no optimiser.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import logits, mean_nll
from unlearning.methods.step import Reference, Step, kept_close, retained


@dataclass(frozen=True, slots=True)
class GradientDifference:
    """L = -gamma mean CE(forget) + alpha R, where R is mean CE(retain) or KL(before || now).

    TOFU, arXiv 2401.06121 (there "Gradient Difference" and "KL Minimization").
    """

    gamma: float = 1.0
    alpha: float = 1.0
    retain: Literal["nll", "kl"] = "nll"

    def trains(self, parameter: str) -> bool:  # noqa: ARG002 (every parameter)
        """Every parameter."""
        return True

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:
        """The scalar to descend on."""
        forgetting = -mean_nll(logits(model, step.forget), step.forget.labels)
        if self.retain == "kl":
            keeping = kept_close(model, before, step.retain)
        else:
            keeping = retained(model, step.retain)
        return self.gamma * forgetting + self.alpha * keeping
