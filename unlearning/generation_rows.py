"""Sequences on their way through a checkpoint together: masks, positions, caches, probabilities.

Knows no text and no sampling. Rows are padded on the left, so that all of them end in one column.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from unlearning.checkpoint import Checkpoint

# Elements of one block of logits in float32: 512 MiB, whatever the vocabulary.
_LOGITS = 1 << 27
_WINDOW = 8192

# Told the first column of a window and the log-probabilities (rows by columns by vocabulary) that
# each of its columns gives to what comes next.
Visit = Callable[[int, torch.Tensor], None]


def _mean(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Log of the members' mean probability: arXiv 1912.03817, section IV-B, on next tokens."""
    each = [one.float().log_softmax(-1) for one in logits]
    if len(each) == 1:
        return each[0]
    return torch.stack(each).logsumexp(0) - math.log(len(each))


class Rows:
    """Some sequences of one checkpoint, each with its place in every member's cache."""

    def __init__(self, checkpoint: Checkpoint, prompts: Sequence[Sequence[int]]) -> None:
        longest = max(len(prompt) for prompt in prompts)
        # Any token will do as padding: no other ever looks at it.
        padded = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        real = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._members = checkpoint.members
        self._vocabulary = checkpoint.vocabulary
        self._prompt = torch.tensor(padded, device=checkpoint.device)
        self._real = torch.tensor(real, device=checkpoint.device)
        self._caches: list[Any] = [None] * len(self._members)
        self._takes = [
            frozenset(inspect.signature(each.forward).parameters) for each in self._members
        ]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, padding included."""
        rows, columns = self._real.shape
        return rows, columns

    @torch.inference_mode()
    def read(self, visit: Visit | None = None) -> torch.Tensor:
        """Take the prompts in. Returns what the first new token may be: log-probabilities, rows by
        vocabulary.

        `visit` is told every window's; without it only the last column's are computed.
        """
        rows, columns = self._prompt.shape
        window = max(1, _WINDOW // rows)
        if visit is not None:
            window = min(window, max(1, _LOGITS // (rows * self._vocabulary)))
        scores = torch.empty(0)
        for start in range(0, columns, window):
            block = self._prompt[:, start : start + window]
            scores = self._forward(block, start, keep=0 if visit else 1)
            if visit is not None:
                visit(start, scores)
        return scores[:, -1]

    @torch.inference_mode()
    def extend(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token a row. Returns log-probabilities of the next one, rows by vocabulary."""
        start = self._real.shape[1]
        self._real = functional.pad(self._real, (0, 1), value=1)
        return self._forward(tokens[:, None], start, keep=1)[:, -1]

    def _forward(self, block: torch.Tensor, start: int, *, keep: int) -> torch.Tensor:
        end = start + block.shape[1]
        real = self._real[:, :end]
        places = (real.cumsum(-1) - 1).clamp(min=0)[:, start:]
        logits = []
        for index, member in enumerate(self._members):
            given: dict[str, Any] = {"input_ids": block, "attention_mask": real, "use_cache": True}
            given |= {"position_ids": places, "logits_to_keep": keep}
            given = {name: value for name, value in given.items() if name in self._takes[index]}
            out = member(**given, past_key_values=self._caches[index])
            self._caches[index] = out.past_key_values
            logits.append(out.logits[:, -keep:])
        return _mean(logits)

    def select(self, kept: Sequence[int]) -> None:
        """Keep the rows with these numbers, in this order; a number twice makes two rows of one."""
        index = torch.tensor(kept, device=self._real.device)
        self._real = self._real[index]
        for cache in self._caches:
            cache.batch_select_indices(index)

    def join(self, other: "Rows") -> None:
        """Take in the rows of another, behind one's own; only where rows of a checkpoint batch."""
        longest = max(self.size[1], other.size[1])
        theirs_real, others = other._held()  # noqa: SLF001 (of the same class)
        real = torch.cat([_widened(each, longest) for each in (self._real, theirs_real)])
        pairs = [
            (layer, more)
            for mine, theirs in zip(self._caches, others, strict=True)
            for layer, more in zip(mine.layers, theirs.layers, strict=True)
        ]
        joined = [
            (_stacked(layer.keys, more.keys, longest), _stacked(layer.values, more.values, longest))
            for layer, more in pairs
        ]
        # Only now, with memory for all of it: half a join would answer one with another's past.
        self._real = real
        for (layer, _), (keys, values) in zip(pairs, joined, strict=True):
            layer.keys, layer.values = keys, values

    def _held(self) -> tuple[torch.Tensor, list[Any]]:
        return self._real, self._caches

    def trim(self) -> None:
        """Drop the columns in which every row is padding; only where rows of a checkpoint batch."""
        spare = int(self._real.argmax(-1).min())
        if spare:
            self._real = self._real[:, spare:]
            for cache in self._caches:
                for layer in cache.layers:
                    layer.keys = layer.keys[:, :, spare:]
                    layer.values = layer.values[:, :, spare:]


def _widened(real: torch.Tensor, columns: int) -> torch.Tensor:
    return functional.pad(real, (columns - real.shape[1], 0))


def _stacked(mine: torch.Tensor, theirs: torch.Tensor, columns: int) -> torch.Tensor:
    """Keys or values, rows by heads by columns by width, padded to one length and put together."""
    both = [functional.pad(each, (0, 0, columns - each.shape[2], 0)) for each in (mine, theirs)]
    return torch.cat(both)
