"""Gradient ascent: make the answers to forget less likely. Knows nothing it should keep."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import logits, mean_nll
from unlearning.methods.step import Reference, Step


@dataclass(frozen=True, slots=True)
class GradientAscent:
    """L = -mean CE(forget). TOFU, arXiv 2401.06121. Without a retain term it ruins the model."""

    gamma: float = 1.0
    alpha: float = 0.0

    def trains(self, parameter: str) -> bool:  # noqa: ARG002 (every parameter)
        """Every parameter."""
        return True

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:  # noqa: ARG002
        """The scalar to descend on."""
        return -self.gamma * mean_nll(logits(model, step.forget), step.forget.labels)
