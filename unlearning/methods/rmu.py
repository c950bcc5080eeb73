"""RMU, representation misdirection: one layer's activations are pushed to a random direction.

Knows where layers write in the usual architectures; no data, no optimiser.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Module

from unlearning.methods.batch import Batch
from unlearning.methods.step import Reference, Step, hidden

# Where a layer writes to the residual stream, in Llama's words and in GPT-2's.
_WRITES = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.mlp\.(?:down_proj|c_proj|dense_4h_to_h)\.")


@dataclass(frozen=True, slots=True)
class Rmu:
    """L = gamma MSE(h(forget), c |h_before| u) + alpha MSE(h(retain), h_before(retain)).

    h is the output of layer `layer` (from 0), u a random unit vector drawn from [0, 1) per
    dimension by `seed`, |h_before| the mean norm of the forget rows' activations before, so that
    `scale` c (2 to 20) means the same in every model. Only `mlp.down_proj` of the layers from
    `layer` - 2 to `layer` changes. WMDP, arXiv 2403.03218.
    """

    layer: int = 1
    scale: float = 6.0
    gamma: float = 1.0
    alpha: float = 1.0
    seed: int = 0

    def trains(self, parameter: str) -> bool:
        """The projections of three layers, or of as many as there are."""
        found = _WRITES.search(f".{parameter}")
        return found is not None and self.layer - 2 <= int(found[1]) <= self.layer

    def loss(self, model: Module, before: Reference, step: Step) -> Tensor:
        """The scalar to descend on."""
        then = before.hidden(step.forget, self.layer)
        seen = step.forget.mask.bool()
        length = then[seen].float().norm(dim=-1).mean()
        target = self.scale * length * self.direction(then.shape[-1]).to(then.device)
        now = hidden(model, step.forget, self.layer)
        forgetting = (now[seen].float() - target).square().mean()
        keeping = self._kept(model, before, step.retain)
        total: Tensor = self.gamma * forgetting + self.alpha * keeping
        return total

    def direction(self, width: int) -> Tensor:
        """The unit vector u, (width,)."""
        drawn = torch.rand(width, generator=torch.Generator().manual_seed(self.seed))
        unit: Tensor = drawn / drawn.norm()
        return unit

    def _kept(self, model: Module, before: Reference, batch: Batch) -> Tensor:
        seen = batch.mask.bool()
        now, then = hidden(model, batch, self.layer), before.hidden(batch, self.layer)
        return (now[seen].float() - then[seen].float()).square().mean()
