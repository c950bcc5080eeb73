"""`lethe leakage import`: from another program's log to a run of records. Knows no format."""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

from leakage import origin, records
from leakage.logs import entry, garak, lm_eval, open_unlearning
from leakage.logs.entry import Log
from leakage.logs.rows import LogError
from leakage.plain import plain, told
from leakage.probes import Split


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe leakage import`."""
    parser.add_argument("format", choices=list(_READ), help="whose log it is")
    parser.add_argument(
        "files",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="of one evaluation of one model: samples_*.jsonl and results_*.json, *.report.jsonl, "
        "or *_EVAL.json and *_SUMMARY.json",
    )
    parser.add_argument(
        "--out", metavar="RUN", type=Path, required=True, help="a new directory for the records"
    )
    parser.add_argument(
        "--arm", metavar="NAME", help="what the records call the model (default: as the log does)"
    )
    parser.add_argument(
        "--split",
        metavar="TASK=SPLIT",
        action="append",
        default=[],
        help="of lm-eval: whether a task's answers must not come out (forget) or must (neighbour, "
        "retain, world); known of wmdp and mmlu",
    )
    parser.add_argument(
        "--concept",
        metavar="FIELD",
        help="of lm-eval: the field of a document that names what it is about (default: a task is "
        "one concept)",
    )
    parser.add_argument(
        "--keep-answers",
        action="store_true",
        help="write the answers themselves into the records; they hold what must not come out",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write records and what is known of them. Returns 2 for what must be mended."""
    out: Path = arguments.out
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise LogError(f"{out}: is there already; name a new directory")
        log = _READ[arguments.format](arguments)
        made = entry.records(
            log, arm=arguments.arm or log.model, keep_answers=arguments.keep_answers
        )
        out.mkdir(parents=True, exist_ok=True)
        records.write(out / "records.jsonl", made)
        about = _about(arguments, log, arm=made[0].arm, draws=len(made))
        text = json.dumps(about, indent=2, ensure_ascii=False)
        (out / "run.json").write_text(text + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"lethe leakage import: {told(error)}", file=sys.stderr)
        return 2
    unsaid = sum(not record.spoken for record in made)
    numbers = f", {unsaid} of them numbers alone" if unsaid else ""
    print(f"{out}: {len(made)} records of {plain(made[0].arm)}{numbers}")
    return 0


def _about(arguments: argparse.Namespace, log: Log, *, arm: str, draws: int) -> dict[str, object]:
    return {
        "format": origin.FORMAT,
        "version": origin.VERSION,
        "source": log.source,
        "model": log.model,
        "arm": arm,
        "imported": datetime.now(UTC).isoformat(timespec="seconds"),
        "draws": draws,
        "files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in arguments.files
        },
        "whole": dict(log.whole),
    }


def _splits(given: list[str]) -> Mapping[str, Split]:
    found: dict[str, Split] = {}
    for text in given:
        task, _, split = text.rpartition("=")
        if not task or split not in get_args(Split):
            raise LogError(f"--split reads TASK=SPLIT, SPLIT one of {', '.join(get_args(Split))}")
        found[task] = cast("Split", split)
    return found


def _lm_eval(arguments: argparse.Namespace) -> Log:
    splits = _splits(arguments.split)
    return lm_eval.read(arguments.files, split_of=splits.get, concept=arguments.concept)


def _garak(arguments: argparse.Namespace) -> Log:
    return garak.read(arguments.files)


def _open_unlearning(arguments: argparse.Namespace) -> Log:
    return open_unlearning.read(arguments.files)


_READ: Mapping[str, Callable[[argparse.Namespace], Log]] = {
    "lm-eval": _lm_eval,
    "garak": _garak,
    "open-unlearning": _open_unlearning,
}
