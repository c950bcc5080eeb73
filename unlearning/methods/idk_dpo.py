"""IdkDPO: prefer "I don't know" to the true answer."""

from dataclasses import dataclass

import torch.nn.functional as nn
from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import Batch, logits, sequence_logprobs
from unlearning.methods.step import Reference, Step, retained


@dataclass(frozen=True, slots=True)
class IdkDpo:
    """L = -gamma (2 / beta) E log sigmoid(beta (r(unknown) - r(true))) + alpha mean CE(retain).

    r(y) = log p(y) - log p_before(y), summed over the answer's tokens. DPO, arXiv 2305.18290, as
    TOFU uses it, arXiv 2401.06121; the factor 2 / beta, which only scales, is that of NPO.
    """

    beta: float = 0.1
    gamma: float = 1.0
    alpha: float = 1.0

    def trains(self, parameter: str) -> bool:  # noqa: ARG002 (every parameter)
        """Every parameter."""
        return True

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:
        """The scalar to descend on."""
        winner = self._ratio(model, before, step.unknown)
        loser = self._ratio(model, before, step.forget)
        forgetting = -2 / self.beta * nn.logsigmoid(self.beta * (winner - loser)).mean()
        if not self.alpha:
            return self.gamma * forgetting
        return self.gamma * forgetting + self.alpha * retained(model, step.retain)

    def _ratio(self, model: Module, before: Reference, batch: Batch) -> Tensor:
        now, _ = sequence_logprobs(logits(model, batch), batch.labels)
        then, _ = sequence_logprobs(before.logits(batch), batch.labels)
        return now - then
