"""UNDIAL: distil from oneself, with the token to forget made less likely.

Knows two batches, the model now and before; no data, no optimiser.
"""

from dataclasses import dataclass

import torch.nn.functional as nn
from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import UNSEEN, logits
from unlearning.methods.step import Reference, Step, retained


@dataclass(frozen=True, slots=True)
class Undial:
    """L = gamma CE(softmax(z_before - beta onehot(y)), softmax(z)) + alpha mean CE(retain).

    z are logits, y the answer's token; the mean is over the answers' tokens. arXiv 2402.10052.
    """

    beta: float = 10.0
    gamma: float = 1.0
    alpha: float = 0.0

    def trains(self, parameter: str) -> bool:  # noqa: ARG002 (every parameter)
        """Every parameter."""
        return True

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:
        """The scalar to descend on."""
        labels = step.forget.labels[:, 1:]
        # Only what is counted: -100 as an index would lower an entry of the vocabulary.
        counted = labels != UNSEEN
        wanted = before.logits(step.forget)[:, :-1][counted].float()
        lower = nn.one_hot(labels[counted], wanted.shape[-1]) * self.beta
        now = logits(model, step.forget)[:, :-1][counted].float()
        forgetting = nn.cross_entropy(now, (wanted - lower).softmax(-1))
        if not self.alpha:
            return self.gamma * forgetting
        return self.gamma * forgetting + self.alpha * retained(model, step.retain)
