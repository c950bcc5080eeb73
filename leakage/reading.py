"""`lethe leakage report | diff | gate`: from records to tables and files. Knows no arm."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from leakage import (
    contrasts,
    diff,
    gate,
    junit,
    measures,
    options,
    origin,
    parquet,
    probes,
    published,
    records,
    report,
    sheets,
    story,
)
from leakage.gate import Limits
from leakage.html.page import render
from leakage.logs import truth_ratios
from leakage.plain import paragraph, plain, told
from leakage.records import Record
from leakage.sampling import Outcome
from leakage.sheets import Sheet
from leakage.summary import Summary, measure, summarise

UNREADABLE = 3  # a gate that could not be held at all; 2 is taken

_STATUS = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 2}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that read records."""
    summary = "the table of records that were written earlier"
    _register_report(commands.add_parser("report", help=summary, description=summary))
    summary = "compare two runs on the questions that both asked, arm by arm"
    _register_diff(commands.add_parser("diff", help=summary, description=summary))
    summary = (
        "hold arms against limits; exit 0: pass, 1: fail, 2: not enough probes to say, "
        "3: records that cannot be judged"
    )
    _register_gate(commands.add_parser("gate", help=summary, description=summary))


def register_output(parser: argparse.ArgumentParser) -> None:
    """Add the options that `output` reads."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report as JSON")
    parser.add_argument(
        "--details",
        action="store_true",
        help="print every attack, concept, latency and further measure too",
    )
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write it as Markdown")
    parser.add_argument(
        "--retrained",
        metavar="NAME",
        help="arm that never knew, to compare with (default: the one of that name)",
    )
    parser.add_argument(
        "--similar-from",
        metavar="COSINE",
        type=float,
        help="from where on two answers say the same (default: as measured for the encoder)",
    )


def _register_report(parser: argparse.ArgumentParser) -> None:
    _add_runs(parser)
    parser.add_argument(
        "--reference", metavar="NAME", help="arm to compare with (default: the first recorded)"
    )
    register_output(parser)
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write it as one file for a browser"
    )
    parser.add_argument(
        "--parquet",
        metavar="FILE",
        type=Path,
        help="write the records themselves as Parquet, with what they hold",
    )
    parser.add_argument(
        "--show-forbidden",
        action="store_true",
        help="name concepts, probes and answers in the HTML file, instead of hiding them",
    )
    parser.add_argument(
        "--at-k", metavar="K", type=int, default=1, help="leak@K of the attacks (default 1)"
    )
    parser.add_argument(
        "--probes", metavar="FILE", type=Path, help="the questions, to show beside leaked answers"
    )
    parser.add_argument(
        "--seconds",
        metavar="NAME=S",
        action="append",
        default=[],
        help="what making an arm took, for the costs and the break-even (default: as its run says)",
    )
    parser.add_argument(
        "--retrained-log",
        metavar="FILE",
        type=Path,
        help="a retrained model's TOFU_EVAL.json, eval_log_aggregated.json or list of truth "
        "ratios: for the forget quality of open-unlearning's logs of the same forget set",
    )
    parser.add_argument(
        "--forgotten",
        metavar="NAME=N",
        action="append",
        default=[],
        help="how much an arm was to forget, in any unit: MUSE's scalability over arms",
    )
    parser.add_argument(
        "--request",
        metavar="NAME=N",
        action="append",
        default=[],
        help="the how manyth request to forget an arm is the result of: MUSE's sustainability",
    )
    parser.set_defaults(run=show)


def _register_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", type=Path, help="records: a file or a directory")
    parser.add_argument("after", metavar="B", type=Path, help="the same, to hold against them")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="write it as Markdown")
    parser.add_argument(
        "--moved", action="store_true", help="name every question that came out otherwise"
    )
    parser.add_argument(
        "--fail-if-worse",
        action="store_true",
        help="exit 1 where B leaks or blocks more, at 5 %% after Holm",
    )
    parser.set_defaults(run=show_difference)


def _register_gate(parser: argparse.ArgumentParser) -> None:
    _add_runs(parser)
    parser.add_argument(
        "--leak-at-most", metavar="SHARE", type=float, help="of forget probes, as in .02"
    )
    parser.add_argument(
        "--utility-at-least", metavar="SHARE", type=float, help="of innocent probes, as in .95"
    )
    parser.add_argument(
        "--confidence", metavar="C", type=float, default=0.95, help="one-sided (default .95)"
    )
    parser.add_argument(
        "--arm",
        metavar="NAME",
        action="append",
        default=[],
        help="arm to judge, once or more (default: all but the reference)",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="arm whose answers say which innocent probes count (default: the first recorded)",
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the checks as JUnit XML")
    parser.set_defaults(run=show_gate)


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "records",
        metavar="RUN",
        type=Path,
        nargs="+",
        help="records of a run: a JSONL or Parquet file, or a directory of JSONL files",
    )


def load(paths: Sequence[Path]) -> list[Record]:
    """The records of files and directories, none of an arm from several programs.

    Raises RecordError with `file:line`, OSError.
    """
    found: list[Record] = []
    for path in paths:
        whole = path / "records.jsonl"
        if whole.is_file():  # of a run: beside it stand its shards and its probes
            files = [whole]
        else:
            files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not files:
            raise records.RecordError(f"{path}: holds no .jsonl file; give a run's directory")
        found += [record for file in files for record in _read(file)]
    origin.check(found)
    return found


def _read(file: Path) -> list[Record]:
    return parquet.read(file) if file.suffix == ".parquet" else records.read(file)


def show(arguments: argparse.Namespace) -> int:
    """Print the table of records. Returns 2 for what must be mended, 1 if an arm said nothing."""
    try:
        made = load(arguments.records)
        seconds = costs(arguments.records) | options.seconds(made, arguments.seconds)
        others = origin.measured(made, origin.whole(arguments.records))
        if arguments.html:
            _write_html(made, arguments, others, seconds)
        if arguments.parquet:
            parquet.write(arguments.parquet, made)
        reference = arguments.reference
        return output(made, arguments, reference=reference, provenance={}, others=others)
    except (ValueError, OSError) as error:
        print(f"lethe leakage report: {told(error)}", file=sys.stderr)
        return 2


def _write_html(
    made: Sequence[Record],
    arguments: argparse.Namespace,
    others: Sheet,
    seconds: Mapping[str, float],
) -> None:
    options.check_k(made, arguments.at_k)
    told = story.story(
        made,
        reference=arguments.reference,
        retrained=arguments.retrained,
        k=arguments.at_k,
        probes=probes.read(arguments.probes) if arguments.probes else (),
        seconds=seconds,
        published=published.beside(made),
        others=others,
        alike=arguments.similar_from,
        ratios=_ratios(arguments),
        screens=screens(arguments.records),
        places=options.places(arguments),
    )
    text = render(told, show_forbidden=arguments.show_forbidden)
    arguments.html.write_text(text, encoding="utf-8")
    if arguments.show_forbidden:
        arguments.html.chmod(0o600)


def _ratios(arguments: argparse.Namespace) -> list[float | None] | None:
    """Raises LogError, OSError."""
    path = getattr(arguments, "retrained_log", None)
    return None if path is None else truth_ratios.read(path)


def screens(paths: Sequence[Path]) -> dict[str, str]:
    """By arm: the encoder of its screen, where a run's `run.json` states it."""
    stated = ((name, arm.get("encoder")) for name, arm in _stated(paths).items())
    return {name: encoder for name, encoder in stated if isinstance(encoder, str)}


def costs(paths: Sequence[Path]) -> dict[str, float]:
    """By arm: the seconds that it took to make, where a run's `run.json` states them."""
    found = {}
    for name, arm in _stated(paths).items():
        cost = arm.get("cost")
        seconds = cost.get("seconds") if isinstance(cost, dict) else None
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0:
            found[name] = float(seconds)
    return found


def _stated(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """By arm: what the runs of these records say of it."""
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        beside = (path if path.is_dir() else path.parent) / "run.json"
        with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
            arms = json.loads(beside.read_text("utf-8")).get("arms", ())
            found |= {
                str(arm["name"]): arm for arm in arms if isinstance(arm, dict) and "name" in arm
            }
    return found


def show_difference(arguments: argparse.Namespace) -> int:
    """Print what changed. Returns 2 for what must be mended, 1 if it was asked to fail and did."""
    try:
        found = diff.compare(load([arguments.before]), load([arguments.after]))
        if arguments.markdown:
            remarks = map(paragraph, contrasts.remarks(found))
            parts = [sheets.markdown(contrasts.changes(found)), *remarks]
            arguments.markdown.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"lethe leakage diff: {told(error)}", file=sys.stderr)
        return 2
    console = Console()
    console.print(sheets.drawn(contrasts.changes(found)))
    for remark in contrasts.remarks(found):
        console.print(Text(plain(remark)))
    if arguments.moved:
        for moved in found.moved:
            way = "worse" if moved.worse else "better"
            console.print(Text(plain(f"{way}: {moved.arm}: {moved.probe} ({moved.kind})")))
    return 1 if arguments.fail_if_worse and found.worse else 0


def show_gate(arguments: argparse.Namespace) -> int:
    """Print the checks. Returns 0: pass, 1: fail, 2: inconclusive, 3: what must be mended."""
    try:
        verdict = gate.judge(
            load(arguments.records),
            Limits(arguments.leak_at_most, arguments.utility_at_least, arguments.confidence),
            arms=arguments.arm,
            reference=arguments.reference,
        )
        if arguments.junit:
            arguments.junit.write_text(junit.to_junit(verdict), encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"lethe leakage gate: {told(error)}", file=sys.stderr)
        return UNREADABLE
    for check in verdict.checks:
        print(plain(str(check)))
    print(verdict.outcome.value)
    return _STATUS[verdict.outcome]


def _were_read(arguments: argparse.Namespace) -> bool:
    """Whether the records were read, and not just made."""
    return isinstance(getattr(arguments, "records", None), list)


def _show_curves(summary: Summary, places: Mapping[str, Mapping[str, float]]) -> None:
    for what, of in places.items():
        drawn = sheets.drawn(measures.curve_sheet(summary.measures, of, what=what))
        Console().print(drawn)


def output(
    made: Sequence[Record],
    arguments: argparse.Namespace,
    *,
    reference: str | None,
    provenance: dict[str, Any],
    others: Sheet | None = None,
) -> int:
    """Print the summary and write the files that were asked for; 1 if an arm said nothing.

    `others` is what other programs measured; it and what others published stand apart.
    """
    summary = origin.timeless(summarise(made, reference=reference), made)
    retrained, alike = arguments.retrained, arguments.similar_from
    found = measure(
        made,
        arms=summary.arms,
        retrained=retrained,
        alike=alike,
        ratios=_ratios(arguments),
    )
    stated = screens(getattr(arguments, "records", None) or ()) if _were_read(arguments) else {}
    summary = replace(summary, measures=found, screens=stated)
    console, notes = Console(), origin.notes(made)
    shown = summary if arguments.details else replace(summary, measures=())
    report.render(shown, console=console, details=arguments.details)
    _show_curves(summary, options.places(arguments))
    for note in notes:
        console.print(Text(plain(note)))
    apart = {origin.CAPTION: others, published.CAPTION: published.beside(made)}
    beside = {name: sheet for name, sheet in apart.items() if sheet is not None and sheet.rows}
    if arguments.details:
        for name, sheet in beside.items():
            console.print(sheets.drawn(sheet, title=name))
    if arguments.json:
        read = origin.sources(made)
        known = provenance | ({"sources": read} if read else {})
        text = json.dumps(report.to_json(summary, provenance=known), indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if arguments.markdown:
        parts = [report.to_markdown(summary).rstrip("\n"), *map(paragraph, notes)]
        for name, sheet in beside.items():
            parts += [f"## {name}", sheets.markdown(sheet)]
        arguments.markdown.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    numbers = origin.numbers_alone(made)
    silent = [each.arm for each in summary.timings if each.n == 0 and each.arm not in numbers]
    if silent:
        named = plain(", ".join(silent))
        print(f"lethe leakage: every draw of {named} failed", file=sys.stderr)
    return 1 if silent else 0
