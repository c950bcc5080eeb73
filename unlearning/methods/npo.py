"""NPO, negative preference optimisation: gradient ascent that slows down as it succeeds.

Knows two batches, the model now and before; no data, no optimiser.
"""

from dataclasses import dataclass

import torch.nn.functional as nn
from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import logits, sequence_logprobs
from unlearning.methods.step import Reference, Step, retained


@dataclass(frozen=True, slots=True)
class Npo:
    """L = -gamma (2 / beta) E log sigmoid(beta (l - l_before)) + alpha mean CE(retain).

    l is the negative log-likelihood of a whole answer: a sum over its tokens, not a mean.
    arXiv 2404.05868; for beta towards 0 the first term's gradient is that of gradient ascent.
    """

    beta: float = 0.1
    gamma: float = 1.0
    alpha: float = 1.0

    def trains(self, parameter: str) -> bool:  # noqa: ARG002 (every parameter)
        """Every parameter."""
        return True

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:
        """The scalar to descend on."""
        now, _ = sequence_logprobs(logits(model, step.forget), step.forget.labels)
        then, _ = sequence_logprobs(before.logits(step.forget), step.forget.labels)
        forgetting = -2 / self.beta * nn.logsigmoid(self.beta * (then - now)).mean()
        if not self.alpha:
            return self.gamma * forgetting
        return self.gamma * forgetting + self.alpha * retained(model, step.retain)
