"""A loss, descended on: steps, checkpoints, early stop, progress, and what it cost.

Knows no method and no corpus: it calls for the loss of a step, and asks what the retain loss is.
"""

import hashlib
import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import Module

from unlearning.lineage import Cost

STATE = "training-state.safetensors"


class TrainingError(ValueError):
    """A training that cannot begin, go on or be believed. Says why and what to do."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A scalar to descend on, and how many tokens it took to compute."""

    value: Tensor
    tokens: int


# The loss of part `part` of step `step`; a step's parts are averaged.
LossAt = Callable[[int, int], Loss]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to descend.

    A step sums `accumulate` parts. `warmup` steps rise linearly, then the learning rate falls to
    `floor` times itself (`cosine`, `linear`) or stays (`constant`); where `horizon` is set, it
    falls over that many steps instead of `steps`. Gradients are clipped to norm `clip`. Every
    `check_every` steps the retain loss is looked at: once it lies more than `retain_limit` (nats a
    token) above where it began, training stops and the last weights within the limit come back.
    `precision` bfloat16 computes in it and keeps float32 weights.
    """

    steps: int
    learning_rate: float = 1e-5
    accumulate: int = 1
    warmup: int = 0
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    floor: float = 0.0
    horizon: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    check_every: int = 0
    retain_limit: float = 0.5
    save_every: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        if self.steps < 0 or self.accumulate < 1 or self.learning_rate <= 0:
            raise TrainingError("steps is at least 0, accumulate 1, and learning_rate above 0")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training came to: its cost, the last step taken, whether it stopped early, and the
    precision that it computed in.
    """

    cost: Cost
    steps: int
    stopped: bool
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a training. With `keep`, the state is written into that directory every
    `save_every` steps, and a training that broke off goes on from it, ending in the same weights.
    `until(step)` true ends it; `about` stands before the progress bar, shown with `progress`.
    `of` says what is trained on what, by what: a state of anything else is refused.
    """

    keep: Path | None = None
    about: str = "training"
    progress: bool = False
    until: Callable[[int], bool] | None = None
    of: str = ""


ALONE = Run()


def train(
    model: Module,
    loss: LossAt,
    settings: Settings,
    *,
    retain_loss: Callable[[], float] | None = None,
    run: Run = ALONE,
) -> Outcome:
    """Descend, changing the model's parameters that require a gradient.

    Raises TrainingError where the loss is not a number, or the state is another training's.
    """
    weights = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    if not weights:
        raise TrainingError("no parameter is to change; check the method's layers")
    device = weights[0][1].device
    optimiser = torch.optim.AdamW(
        [each for _, each in weights],
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    guard = _Guard(weights, settings, retain_loss)
    saved = (
        _State(run.keep / STATE, _key(settings, weights, run.of), optimiser, guard, weights)
        if run.keep
        else None
    )
    first, spent = saved.load() if saved else (0, Cost())
    meter = Meter(device, spent)
    guard.begin()
    step = first
    with bar(run.about, total=settings.steps, shown=run.progress) as advance:
        advance(first)
        while step < settings.steps and not guard.stopped and not (run.until and run.until(step)):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * rate(settings, step)
            with _computing(settings, device):
                _accumulate(loss, settings, step, meter)
            torch.nn.utils.clip_grad_norm_([each for _, each in weights], settings.clip)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            advance(1)
            guard.look(step)
            if saved and settings.save_every and step % settings.save_every == 0:
                saved.write(step, meter.read(step))
    cost = meter.read(step)
    if saved:
        saved.forget()
    return Outcome(cost, step, guard.stopped, precision(settings, device))


def rate(settings: Settings, step: int) -> float:
    """The learning rate of a step (from 0) as a share of the highest."""
    rising = min(1.0, (step + 1) / (settings.warmup + 1))
    done = min(1.0, step / max(1, settings.horizon or settings.steps))
    if settings.schedule == "constant":
        return rising
    falling = (1 + math.cos(math.pi * done)) / 2 if settings.schedule == "cosine" else 1 - done
    return rising * (settings.floor + (1 - settings.floor) * falling)


def _accumulate(loss: LossAt, settings: Settings, step: int, meter: "Meter") -> None:
    for part in range(settings.accumulate):
        found = loss(step, part)
        if not torch.isfinite(found.value):
            raise TrainingError(
                f"step {step}: the loss is not finite; lower learning_rate or raise alpha"
            )
        (found.value / settings.accumulate).backward()  # type: ignore[no-untyped-call]
        meter.tokens += found.tokens


def precision(settings: Settings, device: torch.device) -> Literal["float32", "bfloat16"]:
    """What a training computes in; `auto` is bfloat16 on a GPU that has it, float32 elsewhere."""
    if settings.precision != "auto":
        return settings.precision
    # On a CPU bfloat16 is slower than float32 unless the chip has instructions for it.
    pays = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return "bfloat16" if pays else "float32"


@contextmanager
def _computing(settings: Settings, device: torch.device) -> Iterator[None]:
    short = precision(settings, device) == "bfloat16"
    with torch.autocast(device.type, torch.bfloat16) if short else nullcontext():
        yield


class Meter:
    """Counts what is spent, on top of what was spent before."""

    def __init__(self, device: torch.device | str = "cpu", before: Cost | None = None) -> None:
        self._before = before or Cost()
        self._cuda = torch.device(device).type == "cuda"
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.tokens = 0
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()

    def read(self, steps: int) -> Cost:
        """The cost so far, of all runs; `steps` counts from the first of them.

        GPU seconds are the wall clock of the runs on it: a GPU that waits is as taken.
        """
        if self._cuda:
            torch.cuda.synchronize()
        wall = time.perf_counter() - self._wall
        now = Cost(
            wall_s=wall,
            cpu_s=time.process_time() - self._cpu,
            gpu_s=wall if self._cuda else 0.0,
            steps=steps - self._before.steps,
            tokens=self.tokens,
            peak_bytes=torch.cuda.max_memory_allocated() if self._cuda else _resident(),
        )
        return self._before.plus(now)


def _resident() -> int:
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024  # bytes there, KiB elsewhere


class _Guard:
    """Watches the retain loss, and brings back the last weights that kept it."""

    def __init__(
        self,
        weights: Sequence[tuple[str, Tensor]],
        settings: Settings,
        retain_loss: Callable[[], float] | None,
    ) -> None:
        self._weights, self._settings = weights, settings
        self._loss = retain_loss if settings.check_every else None
        self._limit: float | None = None
        self._good: dict[str, Tensor] = {}
        self.stopped = False

    def begin(self) -> None:
        """Look at where it begins, unless that was told by a state."""
        if self._loss and self._limit is None:
            self._limit = self._loss() + self._settings.retain_limit
            self._keep()

    def told(self) -> tuple[str, dict[str, Tensor]]:
        """The limit, empty where nothing is watched, and the last weights within it."""
        return "" if self._limit is None else repr(self._limit), self._good

    def take(self, limit: str, good: dict[str, Tensor]) -> None:
        """Take up what a state tells."""
        self._limit, self._good = (float(limit) if limit else None), good

    def look(self, step: int) -> None:
        """Check after a step, where it is time."""
        if self._loss is None or self._limit is None or step % self._settings.check_every:
            return
        if self._loss() <= self._limit:
            self._keep()
            return
        self.stopped = True
        with torch.no_grad():
            for name, each in self._weights:
                each.copy_(self._good[name])

    def _keep(self) -> None:
        self._good = {name: each.detach().clone() for name, each in self._weights}


def _key(settings: Settings, weights: Sequence[tuple[str, Tensor]], of: str) -> str:
    shapes = [(name, list(each.shape)) for name, each in weights]
    told = json.dumps([asdict(settings), shapes, of], default=str)
    return hashlib.sha256(told.encode()).hexdigest()


class _State:
    """The state of a training on disk: weights, moments, what is watched, step, cost. No pickle."""

    def __init__(
        self,
        path: Path,
        key: str,
        optimiser: torch.optim.AdamW,
        guard: _Guard,
        weights: Sequence[tuple[str, Tensor]],
    ) -> None:
        self._path, self._key, self._weights = path, key, weights
        self._optimiser, self._guard = optimiser, guard

    def write(self, step: int, cost: Cost) -> None:
        """Replace the file by the present state, whole or not at all."""
        limit, good = self._guard.told()
        tensors = {"random": torch.get_rng_state()}
        tensors |= {f"good.{name}": each.contiguous() for name, each in good.items()}
        for name, each in self._weights:
            tensors[f"weight.{name}"] = each.detach().clone().contiguous()
            for key, moment in self._optimiser.state[each].items():
                tensors[f"{key}.{name}"] = moment.detach().clone().contiguous()
        told = {"key": self._key, "step": str(step), "limit": limit}
        told["cost"] = json.dumps(asdict(cost))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        save_file(tensors, part, metadata=told)
        os.replace(part, self._path)  # noqa: PTH105 (atomic, and says so)

    def load(self) -> tuple[int, Cost]:
        """Take up the state on disk; (0, nothing spent) where there is none."""
        if not self._path.exists():
            return 0, Cost()
        try:
            with safe_open(self._path, framework="pt") as file:
                told = file.metadata()
                if told["key"] != self._key:
                    raise TrainingError(
                        f"{self._path}: another training's (settings, method, rows or model "
                        "differ); remove it to begin"
                    )
                self._take(file, told["limit"])
        except (SafetensorError, KeyError, TypeError):
            raise TrainingError(f"{self._path}: damaged; remove it to begin again") from None
        return int(told["step"]), Cost(**json.loads(told["cost"]))

    def _take(self, file: Any, limit: str) -> None:  # noqa: ANN401 (safetensors ships no type)
        names = set(file.keys())
        with torch.no_grad():
            for name, each in self._weights:
                each.copy_(file.get_tensor(f"weight.{name}"))
                self._optimiser.state[each] = {
                    key: file.get_tensor(f"{key}.{name}").to(_place(key, each))
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"{key}.{name}" in names
                }
        good = {
            name: file.get_tensor(f"good.{name}").to(each.device)
            for name, each in self._weights
            if limit
        }
        self._guard.take(limit, good)
        torch.set_rng_state(file.get_tensor("random"))

    def forget(self) -> None:
        """Remove the file of a training that is done."""
        self._path.unlink(missing_ok=True)


def _place(key: str, weight: Tensor) -> torch.device:
    # AdamW counts its steps in the processor's memory, wherever the weights are.
    return torch.device("cpu") if key == "step" else weight.device


@contextmanager
def bar(about: str, *, total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, advanced by what is yielded; silent unless `shown`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as shown_bar:
        task = shown_bar.add_task(about, total=total)
        yield lambda count: shown_bar.advance(task, count)
