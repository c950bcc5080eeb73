"""`lethe unlearning apply | train | sisa | list | testbed`: forgetting in the weights.

Knows no formula: it reads arguments, opens models, and puts results where they were asked for.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from unlearning import lineage, testbed
from unlearning.checkpoint_files import MEMBERS

if TYPE_CHECKING:  # torch takes seconds to import; the commands that need it do so when they run
    from unlearning.methods import Method
    from unlearning.training import Run, Settings

NAMES = ("gradient-ascent", "gradient-difference", "idk-dpo", "npo", "rmu", "simnpo", "undial")
Command = Callable[[argparse.Namespace], int]


class Commands(Protocol):
    """What `add_subparsers` gives."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:  # noqa: A002
        """A parser of one more sub-command."""


def register(commands: Commands) -> None:
    """Add the five sub-commands; each sets `run`, which returns a status."""
    apply = commands.add_parser("apply", help="unlearn rows from a model's weights")
    apply.add_argument("method", choices=NAMES, help="how")
    _model(apply)
    apply.add_argument("--forget", type=Path, required=True, metavar="FILE", help="JSONL rows")
    apply.add_argument("--retain", type=Path, required=True, metavar="FILE", help="JSONL rows")
    apply.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the method"
    )
    apply.add_argument("--check-every", type=int, default=0, help="steps between retain losses")
    apply.add_argument(
        "--retain-limit",
        type=float,
        default=0.5,
        help="nats a token it may rise (%(default)s)",
    )
    apply.set_defaults(run=_caught("apply", _apply))
    taught = commands.add_parser("train", help="train a model on rows: a target, or the reference")
    _model(taught)
    taught.add_argument("--data", type=Path, required=True, metavar="FILE", help="JSONL rows")
    taught.set_defaults(run=_caught("train", _train))
    _register_sisa(commands.add_parser("sisa", help="an ensemble that rows can be deleted from"))
    listed = commands.add_parser("list", help="what is known of the weights in directories")
    listed.add_argument("directories", type=Path, nargs="+", metavar="DIR", help="where they lie")
    listed.add_argument("--json", action="store_true", help="one object a line")
    listed.set_defaults(run=_caught("list", _list))
    tried = commands.add_parser("testbed", help="train and score tiny models that forgot")
    tried.add_argument("--out", type=Path, required=True, metavar="DIR", help="what is kept, where")
    tried.add_argument("--size", choices=testbed.SIZES, default="small", help="(%(default)s)")
    tried.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    tried.add_argument(
        "--arms",
        nargs="+",
        choices=testbed.ARMS,
        default=list(testbed.ARMS),
        help="which of them (default: all)",
    )
    tried.add_argument("--jobs", type=int, default=2, help="processes at once (%(default)s)")
    tried.add_argument("--from-scratch", action="store_true", help="train the base, too")
    tried.add_argument("--json", action="store_true", help="one object an arm and line")
    tried.add_argument(
        "--details", action="store_true", help="with --json: counts, P(answer), truth ratios too"
    )
    tried.set_defaults(run=_caught("testbed", _testbed))


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="where to begin")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new directory")
    parser.add_argument("--steps", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-5, help="(%(default)s)")
    parser.add_argument("--warmup", type=int, default=10, help="steps (%(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="rows a part of a step (%(default)s)")
    parser.add_argument("--accumulate", type=int, default=1, help="parts a step (%(default)s)")
    parser.add_argument("--longest", type=int, default=512, help="tokens a row (%(default)s)")
    parser.add_argument("--lora", type=int, default=0, metavar="RANK", help="an adapter instead")
    parser.add_argument("--device", help="such as cuda (default: a GPU where there is one)")
    parser.add_argument(
        "--precision", choices=["auto", "float32", "bfloat16"], default="auto", help="(%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--state", type=Path, metavar="DIR", help="go on from here after a break")
    parser.add_argument("--save-every", type=int, default=50, help="steps, with --state")


def _register_sisa(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", dest="sisa", required=True)
    made = commands.add_parser("create", help="train an ensemble from rows")
    made.add_argument("--model", type=Path, required=True, metavar="DIR", help="where to begin")
    made.add_argument("--data", type=Path, required=True, metavar="FILE", help="JSONL rows")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new directory")
    for name, default in (("shards", 4), ("slices", 3), ("batch", 24), ("seed", 0)):
        made.add_argument(f"--{name}", type=int, default=default, help="(%(default)s)")
    made.add_argument("--epochs", type=float, default=10.0, help="(%(default)s)")
    made.add_argument("--learning-rate", type=float, default=1e-5, help="(%(default)s)")
    made.add_argument(
        "--device",
        default="cpu",
        help="such as cuda, where a deletion may not come to the same bits (%(default)s)",
    )
    made.set_defaults(run=_caught("sisa create", _sisa_create))
    gone = commands.add_parser("delete", help="delete units and what was learned from them")
    gone.add_argument("directory", type=Path, metavar="DIR", help="the ensemble")
    gone.add_argument("--unit", action="append", required=True, help="whose rows; may be repeated")
    gone.set_defaults(run=_caught("sisa delete", _sisa_delete))
    again = commands.add_parser("build", help="train what is missing after a break")
    again.add_argument("directory", type=Path, metavar="DIR", help="the ensemble")
    again.set_defaults(run=_caught("sisa build", _sisa_build))


def _caught(name: str, command: Command) -> Command:
    def run(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        # ValueError is what every error of this package is: each says where and what to do.
        except (ValueError, OSError) as error:
            print(f"lethe unlearning {name}: {error}", file=sys.stderr)
            return 1

    return run


def _apply(arguments: argparse.Namespace) -> int:
    from unlearning.methods import METHODS, rows  # noqa: PLC0415 (torch-sized)
    from unlearning.methods.unlearn import Data, unlearn  # noqa: PLC0415

    method = _set(METHODS[arguments.method](), arguments.set)
    forget, retain = rows.read(arguments.forget), rows.read(arguments.retain)
    rows.check(forget, retain)
    model, words = _opened(arguments)
    settings, run = _settings(arguments), _run(arguments, arguments.method)
    settings = replace(
        settings, check_every=arguments.check_every, retain_limit=arguments.retain_limit
    )
    data = Data(
        forget,
        retain,
        batch=arguments.batch,
        longest=arguments.longest,
        seed=arguments.seed,
    )
    outcome = unlearn(model, words, method, data, settings, run=run)
    told = {"method": asdict(method), "training": asdict(settings)}  # type: ignore[call-overload]
    said = lineage.Lineage(
        arguments.method,
        told,
        lineage.weights_digest(arguments.model),
        "",
        arguments.seed,
        forget=lineage.rows_digest(row.as_json() for row in forget),
        retain=lineage.rows_digest(row.as_json() for row in retain),
        precision=outcome.precision,
        cost=outcome.cost,
        notes={"steps": outcome.steps, "stopped_early": outcome.stopped},
    )
    return _keep(arguments, model, words, said)


def _train(arguments: argparse.Namespace) -> int:
    from unlearning.methods import rows  # noqa: PLC0415 (torch-sized)
    from unlearning.methods.unlearn import Data, teach  # noqa: PLC0415

    given = rows.read(arguments.data)
    model, words = _opened(arguments)
    settings = _settings(arguments)
    data = Data((), given, batch=arguments.batch, longest=arguments.longest, seed=arguments.seed)
    outcome = teach(model, words, data, settings, run=_run(arguments, "training"))
    said = lineage.Lineage(
        "train",
        {"training": asdict(settings)},
        lineage.weights_digest(arguments.model),
        "",
        arguments.seed,
        retain=lineage.rows_digest(row.as_json() for row in given),
        precision=outcome.precision,
        cost=outcome.cost,
    )
    return _keep(arguments, model, words, said)


def _set(method: "Method", pairs: list[str]) -> "Method":
    known = {each.name: each.type for each in fields(method)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in known:
            raise ValueError(f"--set {name}: this method has {', '.join(known)}")
        before = getattr(method, name)
        try:
            changes[name] = type(before)(value)
        except ValueError:
            raise ValueError(f"--set {name}: not a {type(before).__name__}") from None
        if name == "retain" and value not in {"nll", "kl"}:
            raise ValueError("--set retain: nll or kl")
    changed: Method = replace(method, **changes)  # type: ignore[type-var]
    return changed


def _opened(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """The model and its tokenizer; refuses before anything is trained where `--out` is there."""
    from unlearning import checkpoint  # noqa: PLC0415 (torch-sized)
    from unlearning.methods.unlearn import adapted  # noqa: PLC0415

    if arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: already there; choose another place or remove it")
    found = checkpoint.load(
        arguments.model, checkpoint.Options(device=arguments.device, dtype="float32")
    )
    if len(found.members) != 1:
        raise ValueError(f"{arguments.model}: an ensemble; use lethe unlearning sisa")
    model = found.members[0]
    for each in model.parameters():
        each.requires_grad = True
    if arguments.lora:
        model = adapted(model, rank=arguments.lora, alpha=2 * arguments.lora, seed=arguments.seed)
    return model, found.tokenizer


def _settings(arguments: argparse.Namespace) -> "Settings":
    from unlearning.training import Settings  # noqa: PLC0415 (torch-sized)

    return Settings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        accumulate=arguments.accumulate,
        warmup=arguments.warmup,
        precision=arguments.precision,
        save_every=arguments.save_every if arguments.state else 0,
    )


def _run(arguments: argparse.Namespace, about: str) -> "Run":
    from unlearning.training import Run  # noqa: PLC0415 (torch-sized)

    # Rows and method are known to whoever trains; where it begins is known here alone.
    begins = f"{lineage.weights_digest(arguments.model)} lora {arguments.lora}"
    return Run(keep=arguments.state, about=about, progress=sys.stderr.isatty(), of=begins)


def _keep(arguments: argparse.Namespace, model: Any, words: Any, said: lineage.Lineage) -> int:  # noqa: ANN401
    device = next(model.parameters()).device.type
    with lineage.placed(arguments.out) as filling:
        model.save_pretrained(filling)
        words.save_pretrained(str(filling))
        replace(
            said,
            weights=lineage.weights_digest(filling),
            device=device,
            packages=lineage.packages(),
        ).write(filling)
    cost = said.cost
    print(
        f"{arguments.out}: {said.method}, {cost.steps} steps, {cost.tokens} tokens, "
        f"{cost.wall_s:.1f} s, {cost.peak_bytes / 2**20:.0f} MiB at most"
    )
    return 0


def _sisa_create(arguments: argparse.Namespace) -> int:
    from unlearning import checkpoint, sisa  # noqa: PLC0415 (torch-sized)
    from unlearning.methods import rows  # noqa: PLC0415

    plan = sisa.Plan(
        shards=arguments.shards,
        slices=arguments.slices,
        epochs=arguments.epochs,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        device=arguments.device,
    )
    given = rows.read(arguments.data)
    found = checkpoint.load(
        arguments.model, checkpoint.Options(device=plan.device, dtype="float32")
    )
    if len(found.members) != 1:
        raise ValueError(f"{arguments.model}: an ensemble; begin with one model")
    sisa.create(found.members[0], found.tokenizer, given, plan, arguments.out)
    return _built(arguments.out, sisa.build(arguments.out, progress=sys.stderr.isatty()))


def _sisa_delete(arguments: argparse.Namespace) -> int:
    from unlearning import sisa  # noqa: PLC0415 (torch-sized)

    built = sisa.delete(arguments.directory, arguments.unit, progress=sys.stderr.isatty())
    return _built(arguments.directory, built)


def _sisa_build(arguments: argparse.Namespace) -> int:
    from unlearning import sisa  # noqa: PLC0415 (torch-sized)

    built = sisa.build(arguments.directory, progress=sys.stderr.isatty())
    return _built(arguments.directory, built)


def _built(directory: Path, built: Any) -> int:  # noqa: ANN401 (sisa.Built, torch-sized)
    trained = ", ".join(str(shard) for shard in built.shards) or "none"
    print(f"{directory}: shards trained: {trained}; {built.rows_seen} rows seen")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    # An ensemble has a lineage, and so has each of its members.
    places = [
        part
        for directory in arguments.directories
        for part in (directory, *sorted(directory.glob("shard-*")))
        if part != directory or (part / lineage.FILE).is_file() or not (part / MEMBERS).is_file()
    ]
    for directory in places:
        found = lineage.verify(directory)
        if arguments.json:
            print(json.dumps({"directory": str(directory), **asdict(found)}, ensure_ascii=False))
            continue
        print(
            f"{directory}: {found.method}, seed {found.seed}, weights {found.weights[:12]}, "
            f"base {found.base[:12] or 'none'}, forget set {found.forget[:12] or 'none'}, "
            f"{found.cost.cpu_s:.1f} CPU seconds"
        )
    return 0


def _testbed(arguments: argparse.Namespace) -> int:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    shown = sys.stderr.isatty()
    found = testbed.bed(
        arguments.out,
        size=arguments.size,
        seed=arguments.seed,
        from_scratch=arguments.from_scratch,
        shown=shown,
    )
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task("arms", total=len(set(arguments.arms)))
        rows = testbed.rows(
            found, arguments.arms, jobs=arguments.jobs, done=lambda _arm: bar.advance(task)
        )
    if arguments.json:
        for row in rows:
            kept = row if arguments.details else {key: row[key] for key in testbed.FIELDS}
            print(json.dumps(kept))
        return 0
    heads = ("forget", "chance", "retain", "alias", "prefill", "relearn", "CPU s")
    print(f"{'arm':24}{''.join(f'{head:>8}' for head in heads)}")
    keys = ("forget_accuracy", "chance_accuracy", "retain_accuracy", "alias_leak", "prefill_leak")
    for row in rows:
        shares = "".join(f"{row[key]:8.2f}" for key in (*keys, "relearned_accuracy"))
        print(f"{row['arm']!s:24}{shares}{row['cpu_seconds']:8.1f}")
    return 0
