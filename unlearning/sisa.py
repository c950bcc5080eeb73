"""SISA: an ensemble from which rows can be deleted exactly, by training a part of it again.

Bourtoule et al., arXiv 1912.03817. Knows no corpus and no server: units, slices, checkpoints.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module

from unlearning import lineage
from unlearning.lineage import Cost, Lineage, LineageError
from unlearning.methods.batch import Batch, Encoded, Row, drawn, encode, logits, mean_nll
from unlearning.methods.rows import read, write
from unlearning.training import Loss, Run, Settings, TrainingError, train

if TYPE_CHECKING:  # transformers is slow to import, and here only a name
    from transformers import PreTrainedTokenizerBase as Tokenizer

ROWS, PLAN, LOG, BASE, STORE = "rows.jsonl", "sisa.json", "deletions.jsonl", "base", "checkpoints"
MEMBERS = "members.json"  # names the members to whoever serves the directory


@dataclass(frozen=True, slots=True)
class Plan:
    """How an ensemble is cut and trained.

    A unit's rows all lie in one slice of one shard, chosen by a hash, so that what remains after
    a deletion lies where it lay. A shard's stage r trains on its slices 1 to r; all stages
    together see `epochs` times as many rows as the shard has (their section IV-B). All of it is
    trained on `device`, deletions too: another one would not come to the same bits.
    """

    shards: int = 4
    slices: int = 3
    epochs: float = 60.0
    batch: int = 24
    learning_rate: float = 2e-3
    warmup: int = 20
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.shards < 1 or self.slices < 1 or self.batch < 1 or self.epochs <= 0:
            raise TrainingError("shards, slices, batch and epochs are above 0")

    def place(self, unit: str) -> tuple[int, int]:
        """The shard and the slice of a unit, both from 0."""
        drawn_ = hashlib.sha256(f"{self.seed}/{unit}".encode()).digest()
        shard = int.from_bytes(drawn_[:8], "big") % self.shards
        return shard, int.from_bytes(drawn_[8:16], "big") % self.slices

    def expected_cost(self) -> float:
        """One deletion's expected share of a retraining: (1/S) (2/3 + 1/(3R)), for equal slices."""
        return (2 / 3 + 1 / (3 * self.slices)) / self.shards


@dataclass(frozen=True, slots=True)
class Stage:
    """A shard after some of its slices: its rows so far, and the key of its checkpoint.

    The key is a digest of base, plan, shard and rows: what it names never changes.
    """

    key: str
    rows: tuple[Row, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Built:
    """What building took: the shards trained (from 0), the rows seen, and the cost."""

    shards: tuple[int, ...]
    rows_seen: int
    cost: Cost


def stages(plan: Plan, rows: Sequence[Row], *, base: str) -> list[list[Stage]]:
    """Every shard's stages in order; `base` is the digest of the weights that all begin with."""
    found = []
    for shard in range(plan.shards):
        so_far: list[Row] = []
        key = lineage.digest([base, asdict(plan), shard])
        chain = []
        for part in range(plan.slices):
            so_far += [row for row in rows if plan.place(row.unit) == (shard, part)]
            told = lineage.rows_digest(row.as_json() for row in so_far)
            key = lineage.digest([key, part, told])
            chain.append(Stage(key, tuple(so_far)))
        found.append(chain)
    return found


def create(
    model: Module, tokenizer: "Tokenizer", rows: Sequence[Row], plan: Plan, out: Path
) -> None:
    """Put base, rows and plan into a new directory, ready for `build`. Nothing is trained yet.

    Raises FileExistsError where `out` is there, TrainingError where there are no rows.
    """
    if not rows:
        raise TrainingError("there are no rows to train on")
    with lineage.placed(out) as filling:
        _export(model, tokenizer, filling / BASE)
        write(rows, filling / ROWS)
        text = json.dumps(asdict(plan), indent=2)
        (filling / PLAN).write_text(f"{text}\n", encoding="utf-8")
        (filling / LOG).touch()


def build(directory: Path, *, progress: bool = False) -> Built:
    """Train what is missing, and nothing else; put the members where a server finds them.

    May be called again after a break: finished stages are kept. Checkpoints that no remaining row
    explains are removed. Raises TrainingError, RowsError, and LineageError on a damaged base.
    """
    plan, rows = _plan(directory), read(directory / ROWS)
    base = lineage.weights_digest(directory / BASE)
    chains = stages(plan, rows, base=base)
    model, tokenizer = _loaded(directory / BASE, device=plan.device)
    begin = {name: each.detach().clone() for name, each in model.state_dict().items()}
    trained, cost, seen = [], Cost(), 0
    for shard, chain in enumerate(chains):
        done = _finished(directory, chain)
        model.load_state_dict(_weights(directory, chain[done - 1]) if done else begin)
        for part in range(done, plan.slices):
            about = f"shard {shard + 1}/{plan.shards}, slice {part + 1}/{plan.slices}"
            rows_of = [encode(tokenizer, row) for row in chain[part].rows]
            spent = _train(model, rows_of, plan, chain[part].key, Run(None, about, progress))
            cost, seen = cost.plus(spent), seen + spent.steps * plan.batch
            _save(model, directory, chain[part])
        if done < plan.slices:
            trained.append(shard)
        if _published(directory, shard) != chain[-1].key:
            with _member_filled(directory, shard) as filling:
                _export(model, tokenizer, filling)
                notes = {"shard": shard, "checkpoint": chain[-1].key}
                _say(filling, (plan, base, chain[-1].rows, cost), notes)
    names = [_member(shard) for shard in range(plan.shards)]
    _replace(directory / MEMBERS, json.dumps({"members": names}))
    if trained or not _told(directory):
        _say(directory, (plan, base, rows, cost), {"shards": plan.shards})
    _collect(directory, chains)
    return Built(tuple(trained), seen, cost)


def delete(directory: Path, units: Sequence[str], *, progress: bool = False) -> Built:
    """Delete units and all that was learned from them; the log keeps digests, not names.

    The rows go first: a build after a break, too, ends without them. Raises TrainingError where a
    unit is not there, or nothing would remain.
    """
    plan, rows = _plan(directory), read(directory / ROWS)
    if missing := set(units) - {row.unit for row in rows}:
        raise TrainingError(f"{len(missing)} of {len(set(units))} units are not in {ROWS}")
    left = [row for row in rows if row.unit not in units]
    if not left:
        raise TrainingError("nothing would remain; remove the directory instead")
    part = directory / f"{ROWS}.part"
    write(left, part)
    os.replace(part, directory / ROWS)  # noqa: PTH105 (atomic, and says so)
    built = build(directory, progress=progress)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "units": [hashlib.sha256(unit.encode()).hexdigest() for unit in units],
        "rows": len(rows) - len(left),
        "shards": sorted({plan.place(unit)[0] for unit in units}),
        "trained": list(built.shards),
        "rows_seen": built.rows_seen,
        "cost": asdict(built.cost),
    }
    with (directory / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")
    return built


def mean_logprobs(members: Sequence[Module], batch: Batch) -> Tensor:
    """log of the members' mean next-token probability, (rows, tokens, vocabulary)."""
    each = torch.stack([logits(member, batch).float().log_softmax(-1) for member in members])
    return each.logsumexp(0) - torch.tensor(float(len(members))).log()


def load(directory: Path) -> tuple[list[Module], "Tokenizer"]:
    """The members in order, and their tokenizer. Raises TrainingError where a shard is missing."""
    names = json.loads((directory / MEMBERS).read_text("utf-8"))["members"]
    for name in names:
        if not (directory / name).is_dir():
            raise TrainingError(f"{directory / name}: missing; build the ensemble again")
        lineage.verify(directory / name)
    found = [_loaded(directory / name) for name in names]
    return [model for model, _ in found], found[0][1]


def _train(model: Module, rows: list[Encoded], plan: Plan, key: str, run: Run) -> Cost:
    # Stages over growing sets: epochs that add up to `epochs` passes over the whole shard.
    epochs = 2 * plan.epochs / (plan.slices + 1)
    steps = round(epochs * len(rows) / plan.batch)
    settings = Settings(
        steps=steps,
        learning_rate=plan.learning_rate,
        warmup=min(plan.warmup, steps // 4),
        schedule="cosine",
        floor=0.1,
        betas=(0.9, 0.98),
    )
    seed = int(key[:12], 16)
    torch.manual_seed(seed)

    def loss(step: int, _part: int) -> Loss:
        batch = drawn(rows, size=plan.batch, seed=seed, step=step, pad=0).to(plan.device)
        return Loss(mean_nll(logits(model, batch), batch.labels), int(batch.mask.sum()))

    model.train()
    return train(model, loss, settings, run=run).cost if steps else Cost()


def _plan(directory: Path) -> Plan:
    try:
        return Plan(**json.loads((directory / PLAN).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        raise TrainingError(f"{directory / PLAN}: missing or damaged") from None


def _loaded(directory: Path, *, device: str = "cpu") -> tuple[Module, "Tokenizer"]:
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 (torch-sized)

    from unlearning.checkpoint import check_device  # noqa: PLC0415 (imports transformers, too)

    check_device(device)
    model: Module = AutoModelForCausalLM.from_pretrained(
        directory, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    return model.to(device), tokenizer


def _export(model: Module, tokenizer: "Tokenizer", directory: Path) -> None:
    model.save_pretrained(directory)  # type: ignore[operator]
    tokenizer.save_pretrained(str(directory))


def _finished(directory: Path, chain: Sequence[Stage]) -> int:
    """How many stages of a chain, from the first, have their checkpoint."""
    held = [(directory / STORE / f"{stage.key}.safetensors").is_file() for stage in chain]
    return held.index(False) if False in held else len(held)


def _weights(directory: Path, stage: Stage) -> dict[str, Tensor]:
    return load_file(directory / STORE / f"{stage.key}.safetensors")


def _save(model: Module, directory: Path, stage: Stage) -> None:
    (directory / STORE).mkdir(exist_ok=True)
    part = directory / STORE / f"{stage.key}.part"
    # Clones: tied weights share memory, which the format refuses.
    save_file({name: each.clone() for name, each in model.state_dict().items()}, part)
    os.replace(part, part.with_suffix(".safetensors"))  # noqa: PTH105 (atomic, and says so)


def _member(shard: int) -> str:
    return f"shard-{shard}"


def _published(directory: Path, shard: int) -> object:
    """The checkpoint that a member was made of; None where it is missing or damaged."""
    try:
        return lineage.verify(directory / _member(shard)).notes.get("checkpoint")
    except LineageError:
        return None


@contextmanager
def _member_filled(directory: Path, shard: int) -> Iterator[Path]:
    target = directory / _member(shard)
    shutil.rmtree(target, ignore_errors=True)
    with lineage.placed(target) as filling:
        yield filling


def _told(directory: Path) -> bool:
    try:
        return bool(lineage.verify(directory))
    except LineageError:
        return False


def _say(
    directory: Path, made: tuple[Plan, str, Sequence[Row], Cost], notes: dict[str, object]
) -> None:
    """The lineage of a member, or of the ensemble: its cost is what this build took."""
    plan, base, rows, cost = made
    Lineage(
        method="sisa",
        settings=asdict(plan),
        base=base,
        weights=lineage.weights_digest(directory),
        seed=plan.seed,
        device=plan.device,
        retain=lineage.rows_digest(row.as_json() for row in rows),
        packages=lineage.packages(),
        cost=cost,
        notes=notes,
    ).write(directory)


def _collect(directory: Path, chains: Sequence[Sequence[Stage]]) -> None:
    """Remove checkpoints that no chain holds: they were trained on rows that are gone."""
    wanted = {f"{stage.key}.safetensors" for chain in chains for stage in chain}
    for path in (directory / STORE).iterdir():
        if path.name not in wanted:
            path.unlink()


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(f"{text}\n", encoding="utf-8")
    os.replace(part, path)  # noqa: PTH105 (atomic, and says so)
