"""Rows of a conversation and its answer, made into tensors; the sums every loss is built from.

Knows no file, no optimiser and no method.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as nn
from torch import Tensor
from torch.nn import Module

if TYPE_CHECKING:  # transformers is slow to import, and here only a name
    from transformers import PreTrainedTokenizerBase as Tokenizer

UNSEEN = -100  # the label of a position that no loss counts


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation and the answer to learn or to forget.

    `turns` are (role, text) pairs before the answer; `unit` is whose data this is: what is
    deleted, clipped and counted as one (a person's name, or an id).
    """

    turns: tuple[tuple[str, str], ...] = field(repr=False)
    answer: str = field(repr=False)
    unit: str = field(repr=False)

    def as_json(self) -> dict[str, object]:
        """The row as it stands in a JSONL file."""
        turns = [{"role": role, "content": text} for role, text in self.turns]
        return {"messages": turns, "answer": self.answer, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids`, `labels` and `mask`, each (rows, tokens), padded on the right.

    A label is the id itself where it belongs to an answer, UNSEEN elsewhere.
    """

    ids: Tensor
    labels: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        return Batch(self.ids.to(device), self.labels.to(device), self.mask.to(device))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as ids: the prompt's, then the answer's with the end token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def encode(tokenizer: "Tokenizer", row: Row, *, longest: int = 512) -> Encoded:
    """The ids of a row; a prompt too long loses its beginning.

    Raises ValueError where the answer has no tokens or alone is longer than `longest`.
    """
    prompt = prompt_ids(tokenizer, row.turns)
    answer = list(tokenizer(row.answer, add_special_tokens=False)["input_ids"])
    if not answer:
        raise ValueError("a row's answer has no tokens; leave the row out")
    if tokenizer.eos_token_id is not None:
        answer.append(tokenizer.eos_token_id)
    if len(answer) >= longest:
        raise ValueError(f"an answer is {len(answer)} tokens long; at most {longest - 1} fit")
    return Encoded(tuple(prompt[-(longest - len(answer)) :]), tuple(answer))


def prompt_ids(tokenizer: "Tokenizer", turns: Sequence[tuple[str, str]]) -> list[int]:
    """A conversation up to where the answer begins, by the model's template where it has one."""
    if tokenizer.chat_template:
        messages = [{"role": role, "content": text} for role, text in turns]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    text = "".join(f"{text}\n" for _, text in turns)
    return list(tokenizer(text, add_special_tokens=True)["input_ids"])


def collate(rows: Sequence[Encoded], *, pad: int) -> Batch:
    """Rows side by side, padded on the right."""
    longest = max(len(row.prompt) + len(row.answer) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    labels = torch.full((len(rows), longest), UNSEEN)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for at, row in enumerate(rows):
        begin, end = len(row.prompt), len(row.prompt) + len(row.answer)
        ids[at, :end] = torch.tensor((*row.prompt, *row.answer))
        labels[at, begin:end] = ids[at, begin:end]
        mask[at, :end] = 1
    return Batch(ids, labels, mask)


def drawn(rows: Sequence[Encoded], *, size: int, seed: int, step: int, pad: int) -> Batch:
    """The batch of one step: epochs are shuffled, and a step is the same whenever it is drawn."""
    return collate([rows[at] for at in order(len(rows), size=size, seed=seed, step=step)], pad=pad)


def order(count: int, *, size: int, seed: int, step: int) -> list[int]:
    """Which of `count` rows step `step` takes: the step-th piece of shuffled epochs in a row."""
    first, last = step * size, (step + 1) * size
    chosen: list[int] = []
    for epoch in range(first // count, (last - 1) // count + 1):
        shuffled = list(range(count))
        random.Random(f"{seed}/{epoch}").shuffle(shuffled)  # noqa: S311 (an order, no secret)
        offset = epoch * count
        chosen += shuffled[max(first - offset, 0) : last - offset]
    return chosen


def batches(rows: Sequence[Encoded], *, size: int, pad: int) -> Iterator[Batch]:
    """Every row once, in order."""
    for first in range(0, len(rows), size):
        yield collate(rows[first : first + size], pad=pad)


def logits(model: Module, batch: Batch) -> Tensor:
    """The model's logits, (rows, tokens, vocabulary)."""
    found: Tensor = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    return found


def logprobs(scores: Tensor, labels: Tensor) -> Tensor:
    """log p of each labelled token given those before it, zero elsewhere: (rows, tokens - 1).

    `scores` are logits, (rows, tokens, vocabulary); the one at t predicts the label at t + 1.
    """
    return -nn.cross_entropy(
        scores[:, :-1].float().transpose(1, 2),
        labels[:, 1:],
        ignore_index=UNSEEN,
        reduction="none",
    )


def sequence_logprobs(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the answer's log-probabilities, and its number of tokens; each (rows,)."""
    return logprobs(scores, labels).sum(dim=1), (labels[:, 1:] != UNSEEN).sum(dim=1)


def mean_nll(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the answers' tokens, a scalar."""
    sums, counts = sequence_logprobs(scores, labels)
    return -sums.sum() / counts.sum()
