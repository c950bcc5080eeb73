"""A summary as a table for the terminal, as Markdown and as JSON. Knows no record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from leakage import contrasts, measures
from leakage.plain import paragraph, plain
from leakage.sheets import Sheet, drawn, interval, markdown, share
from leakage.statistics import Middle, Rate
from leakage.summary import Cell, Example, Summary, Timing

VERSION = 1

_LONGEST_ANSWER = 400  # characters of an example shown

_INTERVALS = (
    "Intervals: 95 %, Clopper-Pearson; by concept: Gaffke's, as answers about one concept are "
    "related. A rate of 0 is never known to be 0."
)


def render(summary: Summary, *, console: Console, details: bool = False) -> None:
    """Print one table, a column an arm, and what must be known to read it.

    With `details`, also the intervals by concept, every attack on its own, and all latencies.
    """
    console.print(drawn(overview(summary)))
    if summary.measures:
        console.print(drawn(measures.sheet(summary.measures), title="beside leaks and blocks"))
    if details:
        console.print(drawn(_rates(summary.cells), title="by concept"))
        if summary.attacks:
            console.print(drawn(_rates(summary.attacks), title="one attack at a time"))
        if summary.comparisons:
            compared = contrasts.comparisons(summary.comparisons, reference=summary.reference)
            console.print(drawn(compared, title="paired comparisons"))
        console.print(drawn(_times(summary)))
    for note in notes(summary):
        console.print(Text(plain(note)))


def render_examples(shown: Iterable[Example], *, console: Console) -> None:
    """Print answers next to each other. They hold what must not come out."""
    for example in shown:
        table = Table(width=console.width)
        for arm in example.answers:
            table.add_column(Text(plain(arm)), ratio=1, overflow="fold")
        table.add_row(*(Text(_cut(answer)) for answer in example.answers.values()))
        console.print(Text(f"{plain(example.family)}: {_cut(example.prompt)}"))
        console.print(table)


def to_markdown(summary: Summary) -> str:
    """The same tables and notes, for a file or a pull request."""
    sheets = [
        overview(summary),
        measures.sheet(summary.measures),
        _rates(summary.cells),
        _rates(summary.attacks),
        contrasts.comparisons(summary.comparisons, reference=summary.reference),
        _times(summary),
    ]
    tables = [markdown(sheet) for sheet in sheets if sheet.rows]
    return "\n\n".join([*tables, *map(paragraph, notes(summary))]) + "\n"


def to_json(summary: Summary, *, provenance: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The summary with shares next to counts, ready for `json.dumps`; see docs/leakage.md."""
    return {
        "format": "lethe-leakage-report",
        "version": VERSION,
        "provenance": dict(provenance or {}),
        "reference": summary.reference,
        "arms": list(summary.arms),
        "runs": list(summary.runs),
        "scorers": list(summary.scorers),
        "draws": summary.draws,
        "errors": dict(summary.errors),
        "cells": [_cell(cell) for cell in summary.cells],
        "attacks": [_cell(cell) for cell in summary.attacks],
        "comparisons": [
            {**asdict(comparison), "pairs": {**asdict(comparison.pairs), "n": comparison.pairs.n}}
            for comparison in summary.comparisons
        ],
        "timings": [asdict(timing) for timing in summary.timings],
        "measures": [measure.as_json() for measure in summary.measures],
        "not_measurable": [
            {"arm": arm, "kind": kind, "lacks": lack}
            for (arm, kind), lack in summary.lacking.items()
        ],
    }


def notes(summary: Summary) -> list[str]:
    """What must be known to read the tables: definitions, and everything that was lost."""
    said = [_INTERVALS]
    if any(cell.measure == "blocked" for cell in summary.cells):
        said.append(
            f"blocked: innocent questions without their answer; of those that {summary.reference} "
            f"answers, and for {summary.reference} itself of all."
        )
    lost = {arm: count for arm, count in summary.errors.items() if count}
    if lost:
        counts = ", ".join(f"{arm} {count}" for arm, count in lost.items())
        said.append(
            f"{sum(lost.values())} of {summary.draws} draws failed ({counts}). They count only for "
            "what they leaked before that."
        )
    said += [
        f"{cell.measure}: {cell.family}, {cell.arm}: {cell.worst} if every lost probe had been."
        for cell in summary.cells
        if cell.worst.n > cell.rate.n
    ]
    said += [
        f"not measurable: {kind}, {arm}: the arm does not allow {lack}."
        for (arm, kind), lack in summary.lacking.items()
    ]
    said += _encoders(summary)
    if len(summary.scorers) > 1:
        versions = ", ".join(map(str, summary.scorers))
        said.append(f"Scored by different versions of the matching ({versions}): not comparable.")
    return said


def _encoders(summary: Summary) -> list[str]:
    """By what similarity was measured, and by what the screens look for it."""
    prefix = "similarity ("
    named = dict.fromkeys(m.name for m in summary.measures if m.name.startswith(prefix))
    if not named:
        return []
    own = ", ".join(name.removeprefix(prefix).removesuffix(")") for name in named)
    stated = ", ".join(f"{arm}: {encoder}" for arm, encoder in summary.screens.items())
    said = f"Similarity is by the encoder {own}. Encoders of the screens: {stated or 'not stated'}."
    if any(encoder in own for encoder in summary.screens.values()):
        said += " A screen with the same encoder errs where this measure errs."
    return [said]


def overview(summary: Summary) -> Sheet:
    """A row a family, a column an arm: k of n, share, interval; and what an arm adds in time.

    Where there are more arms than rows, an arm is a row.
    """
    cells = {(cell.measure, cell.family, cell.arm): cell.rate for cell in summary.cells}
    families = list(dict.fromkeys((cell.measure, cell.family) for cell in summary.cells))
    rows = []
    for measure, family in families:
        found = [cells.get((measure, family, arm)) for arm in summary.arms]
        rows.append([f"{measure}: {family}", *(_told(rate) for rate in found)])
    times = {timing.arm: timing for timing in summary.timings}
    rows.append(["added latency", *(added(times[arm]) for arm in summary.arms)])
    starts = frozenset(
        at for at in range(1, len(families)) if families[at][0] != families[at - 1][0]
    )
    if len(summary.arms) > len(rows):
        turned = [list(row) for row in zip(*rows, strict=True)]
        lines = [[arm, *row] for arm, row in zip(summary.arms, turned[1:], strict=True)]
        return Sheet(("", *turned[0]), lines)
    return Sheet(("", *summary.arms), rows, starts | {len(families)})


def _told(rate: Rate | None) -> str:
    if rate is None or rate.share is None:
        return "-"
    return f"{rate.k} of {rate.n} = {share(rate)} % [{interval(rate)}]"


def _rates(cells: Sequence[Cell]) -> Sheet:
    rows: list[list[str]] = []
    starts = set()
    last = ""
    for cell in cells:
        name = f"{cell.measure}: {cell.family}"
        if name != last:
            starts.add(len(rows))
        rows.append(
            [
                name if name != last else "",
                cell.arm,
                f"{cell.rate.k} of {cell.rate.n}",
                share(cell.rate),
                interval(cell.rate),
                interval(cell.by_concept) if cell.concepts.n > 1 else "-",
                f"{cell.concepts.k} of {cell.concepts.n}",
                str(cell.errors),
            ]
        )
        last = name
    titles = ("probes", "arm", "k of n", "%", "95 %", "95 % by concept", "concepts", "errors")
    return Sheet(titles, rows, frozenset(starts))


def _times(summary: Summary) -> Sheet:
    titles = ("latency", "n", "median", "p95", "first token", "added (median, 95 %)")
    rows = [
        [
            timing.arm,
            str(timing.n),
            seconds(timing.median_s),
            seconds(timing.p95_s),
            seconds(timing.first_token_s),
            added(timing),
        ]
        for timing in summary.timings
    ]
    return Sheet(titles, rows)


def _cell(cell: Cell) -> dict[str, Any]:
    rates = ("rate", "by_concept", "concepts", "worst")
    return {**asdict(cell), **{name: _rate(getattr(cell, name)) for name in rates}}


def _rate(rate: Rate) -> dict[str, Any]:
    return {**asdict(rate), "share": rate.share}


def seconds(value: float | None) -> str:
    """In seconds or, below one, in thousandths; a dash for None."""
    if value is None:
        return "-"
    return f"{1000 * value:.1f} ms" if abs(value) < 1 else f"{value:.2f} s"


def added(timing: Timing) -> str:
    """The median of what an arm adds, with its interval."""
    found: Middle | None = timing.added
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{seconds(found.median)}, {found.n} pairs are too few for an interval"
    return f"{seconds(found.median)} [{seconds(found.low)}, {seconds(found.high)}]"


def _cut(answer: str) -> str:
    return plain(answer, lines=True, most=_LONGEST_ANSWER)
