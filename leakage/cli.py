"""`lethe leakage`: from arguments to a table. Knows neither how to measure nor how to count."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from leakage import direct_engine, import_cli, probes, reading, records, report, run_cli
from leakage.arms import Arm, ArmError
from leakage.arms import parse as parse_arm
from leakage.attacks import ATTACKS, expand, named
from leakage.direct_engine import Plan
from leakage.plain import told
from leakage.probes import Probe
from leakage.records import Record
from leakage.summary import examples


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands of `lethe leakage`."""
    commands = parser.add_subparsers(title="commands", dest="leakage_command", required=True)
    summary = "put probes to one or more chat APIs and count what comes out"
    _register_probe(commands.add_parser("probe", help=summary, description=summary))
    reading.register(commands)
    summary = "put every attack to every arm of a configuration, resuming where it was left"
    run_cli.register_run(commands.add_parser("run", help=summary, description=summary))
    summary = "list the attacks with their families and sources"
    run_cli.register_attacks(commands.add_parser("attacks", help=summary, description=summary))
    summary = "turn a log of inspect_ai's `lethe/…` tasks into records"
    run_cli.register_inspect(commands.add_parser("from-inspect", help=summary, description=summary))
    summary = "turn a log of lm-eval, garak or open-unlearning into records"
    import_cli.register(commands.add_parser("import", help=summary, description=summary))


def _register_probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--probes", metavar="FILE", type=Path, required=True, help="JSONL")
    parser.add_argument(
        "--arm",
        metavar="NAME=BASE_URL[,MODEL]",
        action="append",
        required=True,
        help="whom to ask, once or more; the first is the one to compare with",
    )
    parser.add_argument(
        "--key-env",
        metavar="NAME=VARIABLE",
        action="append",
        default=[],
        help="the environment variable that holds an arm's key",
    )
    parser.add_argument(
        "--attacks",
        metavar="LIST",
        default="all",
        help=f"all (default), none, or some of: {', '.join(ATTACKS)}",
    )
    parser.add_argument(
        "--attacks-per-probe",
        metavar="N",
        type=int,
        help="so many for each direct probe, in turn (default: every one)",
    )
    parser.add_argument(
        "--draws", metavar="N", type=int, default=1, help="of each probe (default 1)"
    )
    parser.add_argument(
        "--stream",
        choices=["alternate", "always", "never"],
        default="alternate",
        help="how to ask; `alternate` (default) asks for a stream every other time",
    )
    parser.add_argument(
        "--concurrency", metavar="N", type=int, default=4, help="requests in flight (default 4)"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=60.0, help="for one answer (default 60)"
    )
    parser.add_argument("--temperature", metavar="T", type=float, help="sent along if given")
    parser.add_argument("--max-tokens", metavar="N", type=int, help="sent along if given")
    parser.add_argument("--records", metavar="FILE", type=Path, help="append every draw, JSONL")
    parser.add_argument(
        "--keep-answers",
        action="store_true",
        help="write the answers themselves into the records; they hold what must not come out",
    )
    parser.add_argument(
        "--examples", metavar="N", type=int, default=0, help="answers side by side (default 0)"
    )
    reading.register_output(parser)
    parser.set_defaults(run=probe)


def probe(arguments: argparse.Namespace) -> int:
    """Ask, and print the table. Returns 2 for what must be mended, 1 if an arm said nothing."""
    started = datetime.now(UTC)
    try:
        arms = _arms(arguments.arm, arguments.key_env)
        asked = expand(
            probes.read(arguments.probes),
            list(named(arguments.attacks)),
            per_probe=arguments.attacks_per_probe,
        )
        plan = _plan(arguments)
        _check_output(arguments, arms)
        made = _measure(arms, asked, plan=plan, arguments=arguments)
        provenance = _provenance(arms, asked, plan=plan, started=started)
        status = reading.output(made, arguments, reference=arms[0].name, provenance=provenance)
    except (ValueError, OSError) as error:
        print(f"lethe leakage probe: {told(error)}", file=sys.stderr)
        return 2
    shown = examples(made, asked, limit=arguments.examples)
    report.render_examples(shown, console=Console())
    return status


def _check_output(arguments: argparse.Namespace, arms: Sequence[Arm]) -> None:
    """What could not be reported, before anything is asked. Raises ValueError."""
    for path in (arguments.json, arguments.markdown):
        if path is not None and not path.resolve().parent.is_dir():
            raise ValueError(f"{path}: there is no such folder; make it first")
    names, retrained = [arm.name for arm in arms], arguments.retrained
    if retrained is not None and retrained not in names:
        raise ValueError(f"--retrained {retrained!r}: is no arm; there are {', '.join(names)}")
    if arguments.similar_from is not None and not -1 <= arguments.similar_from <= 1:
        raise ValueError("--similar-from: a cosine lies between -1 and 1")


def _arms(texts: Sequence[str], key_envs: Sequence[str]) -> list[Arm]:
    keys: dict[str, str] = {}
    for text in key_envs:
        name, equals, variable = text.partition("=")
        if not (equals and variable):
            raise ArmError("--key-env reads NAME=VARIABLE, as in base=OPENAI_API_KEY")
        keys[name] = variable
    arms = [parse_arm(text, key_env=keys.pop(text.partition("=")[0], None)) for text in texts]
    if keys:
        raise ArmError(f"--key-env: no arm is named {', '.join(keys)}; give one with --arm")
    return arms


def _plan(arguments: argparse.Namespace) -> Plan:
    sampling = {"temperature": arguments.temperature, "max_tokens": arguments.max_tokens}
    return Plan(
        draws=arguments.draws,
        stream=arguments.stream,
        concurrency=arguments.concurrency,
        timeout_s=arguments.timeout,
        parameters={name: value for name, value in sampling.items() if value is not None},
        keep_answers=arguments.keep_answers or arguments.examples > 0,
    )


def _measure(
    arms: Sequence[Arm], asked: Sequence[Probe], *, plan: Plan, arguments: argparse.Namespace
) -> list[Record]:
    """Run under a progress bar; draws are in the file when they are made, not at the end."""
    with ExitStack() as stack:
        progress = stack.enter_context(bar())
        task = progress.add_task("probing", total=direct_engine.total(arms, asked, plan=plan))
        file = arguments.records
        writer = stack.enter_context(records.Writer(file)) if file else None

        def made(record: Record) -> None:
            progress.advance(task)
            if writer:
                kept = record if arguments.keep_answers else replace(record, answer=None)
                writer.write(kept)

        return asyncio.run(direct_engine.run(arms, asked, plan=plan, progress=made))


def bar() -> Progress:
    """A progress bar on standard error, so that standard output holds the report alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _provenance(
    arms: Sequence[Arm], asked: Sequence[Probe], *, plan: Plan, started: datetime
) -> dict[str, Any]:
    return {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
        "probes": len(asked),
        "probes_sha256": probes.digest(asked),
        "plan": asdict(plan),
        "arms": [{"name": a.name, "base_url": a.base_url, "model": a.model} for a in arms],
    }
