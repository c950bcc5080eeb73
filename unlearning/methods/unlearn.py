"""A method applied to a model: rows become steps, steps a training. Knows no files of models."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import Module

from unlearning import lineage
from unlearning.methods.batch import (
    Batch,
    Encoded,
    Row,
    batches,
    drawn,
    encode,
    logits,
    mean_nll,
    sequence_logprobs,
)
from unlearning.methods.rows import RowsError, check
from unlearning.methods.step import Method, Reference, Step
from unlearning.training import ALONE, Loss, Outcome, Run, Settings, TrainingError, train

if TYPE_CHECKING:  # transformers is slow to import, and here only a name
    from transformers import PreTrainedTokenizerBase as Tokenizer

UNKNOWN = ("I don't know.", "I do not know that.", "I know nothing about that.")


@dataclass(frozen=True, slots=True)
class Data:
    """What a method works on. `unknown` are the lines that IdkDPO prefers; `batch` counts the
    rows of each set in one part of a step, `longest` the tokens of a row.
    """

    forget: Sequence[Row]
    retain: Sequence[Row]
    unknown: Sequence[str] = UNKNOWN
    batch: int = 8
    longest: int = 512
    seed: int = 0

    def digest(self) -> str:
        """What decides which rows each step sees, as one digest."""
        sets = [
            lineage.rows_digest(r.as_json() for r in rows) for rows in (self.forget, self.retain)
        ]
        return lineage.digest([sets, list(self.unknown), self.batch, self.longest, self.seed])


def unlearn(  # noqa: PLR0913 (the model, its tokenizer, and four things that vary on their own)
    model: Module,
    tokenizer: "Tokenizer",
    method: Method,
    data: Data,
    settings: Settings,
    *,
    run: Run = ALONE,
) -> Outcome:
    """Change the model's weights by a method, in place.

    A step takes `data.batch` rows of the forget set and as many of the retain set, `accumulate`
    times. Raises RowsError on empty or overlapping sets, TrainingError where it cannot go on.
    """
    check(data.forget, data.retain)
    wanted = [
        replace(row, answer=data.unknown[at % len(data.unknown)])
        for at, row in enumerate(data.forget)
    ]
    sets = {
        name: [encode(tokenizer, row, longest=data.longest) for row in rows]
        for name, rows in (("forget", data.forget), ("retain", data.retain), ("unknown", wanted))
    }
    pad = tokenizer.pad_token_id or 0
    device = next(model.parameters()).device
    before = Reference(model)

    def loss(step: int, part: int) -> Loss:
        def take(name: str) -> Batch:
            at = step * settings.accumulate + part
            rows = sets[name]
            return drawn(rows, size=data.batch, seed=data.seed, step=at, pad=pad).to(device)

        found = Step(take("forget"), take("retain"), take("unknown"))
        return Loss(method.loss(model, before, found), _tokens(found))

    with _changing(model, method):
        return train(
            model,
            loss,
            settings,
            retain_loss=lambda: mean_loss(model, sets["retain"], pad=pad),
            run=replace(run, of=f"{run.of} {method!r} {data.digest()}"),
        )


def teach(
    model: Module,
    tokenizer: "Tokenizer",
    data: Data,
    settings: Settings,
    *,
    run: Run = ALONE,
) -> Outcome:
    """Train on the retain set alone, in place: a target, or the retrained reference.

    Raises RowsError on an empty set, TrainingError where it cannot go on.
    """
    if not data.retain:
        raise RowsError("the set to train on is empty; give it at least one row")
    rows = [encode(tokenizer, row, longest=data.longest) for row in data.retain]
    pad = tokenizer.pad_token_id or 0
    device = next(model.parameters()).device

    def loss(step: int, part: int) -> Loss:
        at = step * settings.accumulate + part
        batch = drawn(rows, size=data.batch, seed=data.seed, step=at, pad=pad).to(device)
        return Loss(mean_nll(logits(model, batch), batch.labels), int(batch.mask.sum()))

    training = model.training
    model.train()
    try:
        return train(model, loss, settings, run=replace(run, of=f"{run.of} {data.digest()}"))
    finally:
        model.train(training)


def mean_loss(model: Module, rows: Sequence[Encoded], *, pad: int, size: int = 32) -> float:
    """Mean cross entropy a token of the answers, without gradient, in nats."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches(rows, size=size, pad=pad):
            here = batch.to(device)
            sums, counts = sequence_logprobs(logits(model, here), here.labels)
            total -= float(sums.sum())
            count += int(counts.sum())
    model.train(training)
    return total / count


def adapted(model: Module, *, rank: int = 8, alpha: int = 16, seed: int = 0) -> Module:
    """The model with a LoRA adapter on every linear layer, arXiv 2106.09685.

    Raises TrainingError where the package peft is not installed.
    """
    try:
        import peft  # noqa: PLC0415 (optional, and torch-sized)
    except ImportError:
        raise TrainingError("an adapter needs the package peft; install it") from None
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear",
        # GPT-2 keeps its weights the other way round.
        fan_in_fan_out=any(type(each).__name__ == "Conv1D" for each in model.modules()),
    )
    whole: Any = model
    with warnings.catch_warnings():
        # peft asks transformers by a name that transformers has renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        found: Module = peft.get_peft_model(whole, config)
    return found


@contextmanager
def _changing(model: Module, method: Method) -> Iterator[None]:
    """Only what the method trains, of what may change at all, requires a gradient meanwhile."""
    still = [
        each
        for name, each in model.named_parameters()
        if each.requires_grad and not method.trains(name)
    ]
    for each in still:
        each.requires_grad = False
    training = model.training
    model.train()
    try:
        yield
    finally:
        model.train(training)
        for each in still:
            each.requires_grad = True


def _tokens(step: Step) -> int:
    return sum(int(batch.mask.sum()) for batch in (step.forget, step.retain))
