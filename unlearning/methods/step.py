"""What a method is given at each step, and what it must answer: one loss.

Knows no method, no optimiser and no data; a reference is a frozen copy of the model before.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as nn
from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import UNSEEN, Batch, logits, mean_nll


@dataclass(frozen=True, slots=True)
class Step:
    """One step's batches. `unknown` holds the forget questions answered by "I don't know"."""

    forget: Batch
    retain: Batch
    unknown: Batch


class Reference:
    """The model as it was before: a frozen copy, or for LoRA the model without its adapter.

    Everything it returns carries no gradient.
    """

    def __init__(self, model: Module) -> None:
        self._adapted = hasattr(model, "disable_adapter")
        self._model: Any = model if self._adapted else _frozen(model)

    def logits(self, batch: Batch) -> Tensor:
        """Logits, (rows, tokens, vocabulary)."""
        with self._before():
            return logits(self._model, batch)

    def hidden(self, batch: Batch, layer: int) -> Tensor:
        """The output of layer `layer` (from 0), (rows, tokens, width)."""
        with self._before():
            return hidden(self._model, batch, layer)

    @contextmanager
    def _before(self) -> Iterator[None]:
        with torch.no_grad():
            if self._adapted:
                training = self._model.training
                self._model.eval()
                with self._model.disable_adapter():
                    yield
                self._model.train(training)
            else:
                yield


class Method(Protocol):
    """A way of unlearning: settings that can be written down, and a loss."""

    @property
    def gamma(self) -> float:
        """The weight of forgetting."""

    @property
    def alpha(self) -> float:
        """The weight of retaining."""

    def trains(self, parameter: str) -> bool:
        """Whether a parameter, by its name in the model, may change."""

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:
        """The scalar to descend on."""


def hidden(model: Module, batch: Batch, layer: int) -> Tensor:
    """The output of layer `layer` (from 0) of any Hugging Face causal LM.

    The last layer's is the one after the final norm: choose an earlier one. Raises IndexError.
    """
    answer = model(input_ids=batch.ids, attention_mask=batch.mask, output_hidden_states=True)
    found: Tensor = answer.hidden_states[layer + 1]
    return found


def retained(model: Module, batch: Batch) -> Tensor:
    """The retain term by cross entropy of the true answers: a scalar."""
    return mean_nll(logits(model, batch), batch.labels)


def kept_close(model: Module, before: Reference, batch: Batch) -> Tensor:
    """The retain term KL(before || now) at the answers' tokens, mean over them: a scalar."""
    now = logits(model, batch)[:, :-1].float().log_softmax(-1)
    then = before.logits(batch)[:, :-1].float().log_softmax(-1)
    counted = batch.labels[:, 1:] != UNSEEN
    return nn.kl_div(now[counted], then[counted], reduction="none", log_target=True).sum(-1).mean()


def _frozen(model: Module) -> Module:
    twin = copy.deepcopy(model).eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(False)  # noqa: FBT003 (their signature)
    return twin
