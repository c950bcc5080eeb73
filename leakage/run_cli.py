"""`lethe leakage run` and `attacks`: from a configuration to records and a matrix.

Knows neither how to ask nor how to count.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from leakage import config as configuration
from leakage import data, matrix, measures, probes, records, sheets, summary, sweep
from leakage.arms import Arm
from leakage.attacks import CATALOGUE, FAMILIES
from leakage.attacks.turns import Attack
from leakage.calls import Limits
from leakage.config import Config, Ready
from leakage.data import Loaded
from leakage.encoder import Encoder
from leakage.measures import Finding
from leakage.plain import told
from leakage.processes import ProcessError, running
from leakage.records import Record
from leakage.selection import chosen
from leakage.shards import Shard
from leakage.sweep import Outcome, Sweep, attackable

VERSION = 1


def register_run(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe leakage run`."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="YAML: arms, probes, attacks")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="where records go; run again to go on",
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="where data sets lie, instead of what CONFIG says"
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write a row an arm, attack, split"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run shards on this Ray cluster, which must see --out; `local` starts one",
    )
    parser.set_defaults(run=run)


def register_attacks(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe leakage attacks`."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the list as JSON")
    parser.set_defaults(run=attacks)


def register_inspect(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe leakage from-inspect`."""
    parser.add_argument("log", metavar="LOG", type=Path, help="of `inspect eval lethe/…`")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="JSONL of records")
    parser.add_argument("--arm", metavar="NAME", help="what the records call the model")
    parser.set_defaults(run=from_inspect)


def from_inspect(arguments: argparse.Namespace) -> int:
    """Append the records of a log to a file. Returns 2 for what must be mended."""
    try:
        from leakage.inspect_engine import records_of  # noqa: PLC0415 (as large as torch)
    except ImportError:
        print(
            "lethe leakage from-inspect: needs inspect_ai: pip install 'lethe-proxy[inspect]', in "
            "an environment of its own",
            file=sys.stderr,
        )
        return 2
    try:
        made = records_of(arguments.log, arm=arguments.arm)
        records.write(arguments.out, made)
    except (ValueError, OSError, LookupError, TypeError) as error:
        what = f"{arguments.log}: is no log of a task of ours ({type(error).__name__})"
        print(f"lethe leakage from-inspect: {what}", file=sys.stderr)
        return 2
    print(f"{arguments.out}: {len(made)} records")
    return 0


def attacks(arguments: argparse.Namespace) -> int:
    """Print every attack with its family, what it needs and where it comes from."""
    table = Table()
    for title in ("attack", "family", "what is done", "turns", "needs", "source"):
        table.add_column(title, overflow="fold")
    for attack in CATALOGUE.values():
        family = FAMILIES[attack.family]
        turns = str(attack.turns)
        table.add_row(attack.name, attack.family, attack.summary, turns, _needs(attack), family)
    Console().print(table)
    if arguments.json:
        rows = [
            {
                "attack": attack.name,
                "family": attack.family,
                "summary": attack.summary,
                "turns": attack.turns,
                "needs": sorted(attack.needs),
                "helper": attack.helper,
                "source": FAMILIES[attack.family],
            }
            for attack in CATALOGUE.values()
        ]
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def _needs(attack: Attack) -> str:
    return ", ".join([*sorted(attack.needs), *(["a helper model, or the arm"] * attack.helper)])


def run(arguments: argparse.Namespace) -> int:
    """Finding. Returns 2 for what must be mended, 1 where an arm stopped or answered nothing."""
    started = time.monotonic()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    out = arguments.out.resolve()
    folder = arguments.config.resolve().parent
    try:
        config = configuration.read(arguments.config)
        out.mkdir(parents=True, exist_ok=True)
        ready = Ready(config, folder=folder, out=out)
        with running(ready.programs, folder=folder, logs=out / "logs"):
            loaded = _loaded(ready, arguments.data)
            plan = _sweep(ready, loaded)
            probes.write(out / "probes.jsonl", plan.probes)
            (out / "probes.jsonl").chmod(0o600)
            outcome = _measured(plan, out, ray=arguments.ray)
        found = _measures(plan, outcome)
        seconds = time.monotonic() - started
        _keep(out, ready, plan, loaded, outcome, found, at=at, seconds=seconds)
        return _shown(outcome, arguments.json, found, seconds=seconds)
    except (ValueError, OSError) as error:
        print(f"lethe leakage run: {told(error)}", file=sys.stderr)
        return 2
    except ProcessError as error:
        print(f"lethe leakage run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lethe leakage run: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _loaded(ready: Ready, folder: Path | None) -> Loaded:
    """Raises ProbeError, DataError, OSError."""
    given = ready.config.probes
    if folder is not None:
        return data.load(given.sets, folder=folder)
    if given.file is not None:
        return Loaded(tuple(probes.read(ready.path(given.file))))
    return data.load(given.sets, folder=ready.path(given.folder) if given.folder else None)


def _sweep(ready: Ready, loaded: Loaded) -> Sweep:
    config = ready.config
    kinds, seed = set(config.probes.kinds), config.seed
    fit = [probe for probe in loaded.probes if not kinds or probe.kind in kinds]
    asked = chosen([p for p in fit if p.asked], config.probes.most, seed=seed)
    unasked = chosen([p for p in fit if not p.asked], config.probes.most, seed=seed)
    attacked = chosen(attackable(asked), config.probes.attacked, seed=seed)
    arms = ready.arms(os.environ)
    return Sweep(
        arms=arms,
        probes=[*asked, *unasked],
        attacks=configuration.attacks_of(config),
        attacked=attacked,
        asked=asked,
        likelihoods=config.likelihoods,
        membership=unasked,
        extraction=config.extraction,
        helper=next((arm for arm in arms if arm.name == config.helper), None),
        draws=config.draws,
        seed=seed,
        concurrency=config.concurrency,
        limits=Limits(config.timeout_s, config.retries, config.backoff_s),
        sampling=config.sampling,
        keep_answers=config.keep_answers,
        stream=config.stream,
        where=ready.where(),
        made_of=ready.made_of(),
        encoder=None if config.encoder == "none" else config.encoder,
        judge=next((arm for arm in arms if arm.name == config.judge), None),
    )


def _measured(plan: Sweep, out: Path, *, ray: str | None) -> Outcome:
    """Run under a progress bar that counts draws by the turns they may take."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("asking", total=None)

        def expect(shards: Sequence[Shard], missing: int) -> None:
            progress.update(task, total=missing)
            if not sys.stderr.isatty():
                print(f"{missing} draws in {len(shards)} shards to be made", file=sys.stderr)

        def made(_shard: Shard, _record: Record) -> None:
            progress.advance(task)

        if ray is not None:
            return _on_ray(plan, out, ray)
        return asyncio.run(sweep.run(plan, out, expect=expect, made=made))


def _on_ray(plan: Sweep, out: Path, address: str) -> Outcome:
    """Raises ValueError where Ray is not there."""
    try:
        from leakage.ray_engine import run as run_there  # noqa: PLC0415 (as large as torch, and optional)
    except ImportError:
        raise ValueError("--ray: needs Ray: pip install 'lethe-proxy[ray]'") from None
    return run_there(plan, out, address=address)


def _keep(  # noqa: PLR0913, PLR0917 - all that must be known to repeat a run
    out: Path,
    ready: Ready,
    plan: Sweep,
    loaded: Loaded,
    outcome: Outcome,
    found: Sequence[Finding],
    *,
    at: str,
    seconds: float,
) -> None:
    """Write `run.json`: everything but secrets and answers."""
    errors: dict[str, int] = {}
    for record in outcome.records:
        errors[record.arm] = errors.get(record.arm, 0) + (record.error is not None)
    kept = {
        "format": "lethe-leakage-run",
        "version": VERSION,
        "program": _version(),
        "started": at,
        "seconds": round(seconds, 3),
        "requests": outcome.requests,
        "draws": len(outcome.records),
        "draws_kept": outcome.kept,
        "errors": errors,
        "probes": len(plan.probes),
        "probes_sha256": probes.digest(plan.probes),
        "left_out": dict(loaded.left_out),
        "attacks": {name: attack.family for name, attack in plan.attacks.items()},
        "draws_each": plan.draws,
        "seed": plan.seed,
        "sampling": dict(plan.sampling),
        "helper": plan.helper.name if plan.helper else None,
        "judge": plan.judge.name if plan.judge else None,
        "encoder": None if plan.encoder is None else Encoder(plan.encoder).called,
        "measures": [each.as_json() for each in found],
        "arms": [_arm(ready, config, arm, outcome) for config, arm in _pairs(ready.config, plan)],
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    (out / "run.json").write_text(text + "\n", encoding="utf-8")


def _pairs(config: Config, plan: Sweep) -> list[tuple[configuration.ArmConfig, Arm]]:
    return list(zip(config.arms, plan.arms, strict=True))


def _arm(
    ready: Ready, config: configuration.ArmConfig, arm: Arm, outcome: Outcome
) -> dict[str, Any]:
    lineage = ready.path(config.lineage) if config.lineage else None
    return {
        "name": arm.name,
        "base_url": config.url,
        "model": arm.model,
        "role": arm.role,
        "headers": sorted(arm.headers),
        "fingerprint": outcome.fingerprints[arm.name],
        "allows": sorted(outcome.allows[arm.name]),
        "may_allow": sorted(outcome.unknown[arm.name]),
        "cost": dict(config.cost),
        "encoder": config.encoder,
        "lineage": json.loads(lineage.read_text("utf-8")) if lineage else None,
    }


def _version() -> str | None:
    try:
        return version("lethe-proxy")
    except PackageNotFoundError:
        return None


def _measures(plan: Sweep, outcome: Outcome) -> tuple[Finding, ...]:
    arms = [arm.name for arm in plan.arms]
    retrained = next((arm.name for arm in plan.arms if arm.role == "retrained"), None)
    return summary.measure(outcome.records, arms=arms, retrained=retrained)


def _shown(outcome: Outcome, file: Path | None, found: Sequence[Finding], *, seconds: float) -> int:
    rows = matrix.rows(outcome.records)
    console = Console()
    for split in dict.fromkeys(row.split for row in rows):
        if (table := matrix.table(rows, split=split)) is not None:
            console.print(table)
    if found:
        console.print(sheets.drawn(measures.sheet(found), title="beside leaks and blocks"))
    errors = sum(record.error is not None for record in outcome.records)
    console.print(
        f"{len(outcome.records)} draws, {outcome.requests} requests now, {outcome.kept} draws from "
        f"before, {errors} errors, {seconds:.0f} s"
    )
    if file is not None:
        text = json.dumps([row.as_json() for row in rows], indent=2)
        file.write_text(text + "\n", encoding="utf-8")
    arms = dict.fromkeys(record.arm for record in outcome.records)
    told = {record.arm for record in outcome.records if record.error is None and not record.lacks}
    silent = [arm for arm in arms if arm not in told]
    if silent:
        print(f"lethe leakage run: every draw of {', '.join(silent)} failed", file=sys.stderr)
    return 1 if silent else 0
