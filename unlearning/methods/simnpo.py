"""SimNPO: NPO without a reference, its likelihood taken per token.

Knows two batches and a model; no data, no optimiser.
"""

from dataclasses import dataclass

import torch.nn.functional as nn
from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import logits, sequence_logprobs
from unlearning.methods.step import Reference, Step, retained


@dataclass(frozen=True, slots=True)
class SimNpo:
    """L = -gamma (2 / beta) E log sigmoid(beta (l / n - delta)) + alpha mean CE(retain).

    l is the negative log-likelihood of an answer and n its number of tokens. arXiv 2410.07163.
    """

    beta: float = 4.5
    delta: float = 0.0
    gamma: float = 0.125
    alpha: float = 1.0

    def trains(self, parameter: str) -> bool:  # noqa: ARG002 (every parameter)
        """Every parameter."""
        return True

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:  # noqa: ARG002
        """The scalar to descend on."""
        sums, counts = sequence_logprobs(logits(model, step.forget), step.forget.labels)
        margin = self.beta * (-sums / counts - self.delta)
        forgetting = -2 / self.beta * nn.logsigmoid(margin).mean()
        if not self.alpha:
            return self.gamma * forgetting
        return self.gamma * forgetting + self.alpha * retained(model, step.retain)
