"""Runs of the matrix side by side, as Markdown.

Knows rows of figures, and nothing of how they came about.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.leak_cells.run import FINE, Row

BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"
WIRES = ("chat", "completions", "responses", "messages", "embeddings", "models")


@dataclass(frozen=True, slots=True)
class Run:
    """All cells of one gateway, measured on one day."""

    name: str
    date: str
    configured: str
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, body: dict[str, Any]) -> "Run":
        """From what `json` wrote. Raises TypeError where a row has other fields."""
        rows = tuple(Row(**row) for row in body["rows"])
        return cls(body["name"], body["date"], body["configured"], rows)

    def json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "date": self.date,
            "configured": self.configured,
            "rows": [row.json() for row in self.rows],
        }

    def of(self, wanted: Callable[[Row], bool]) -> "Run":
        """The rows that are wanted."""
        return Run(self.name, self.date, self.configured, tuple(filter(wanted, self.rows)))

    @property
    def served(self) -> tuple[Row, ...]:
        """The rows of what the gateway serves."""
        return tuple(row for row in self.rows if row.served)

    def count(self, wanted: Callable[[Row], bool]) -> str:
        """How many served rows are wanted."""
        return f"{sum(map(wanted, self.served))} of {len(self.served)}"

    @property
    def leaks(self) -> str:
        """Cells that leak, and the characters that did."""
        if not self.served:
            return "not served" if self.rows else "-"
        cells = sum(row.leaked > 0 for row in self.served)
        return f"{cells} of {len(self.served)} ({sum(row.leaked for row in self.served)})"

    @property
    def twins(self) -> str:
        """Innocent twins that arrived or are closed with a reason."""
        if not self.served:
            return ""
        return self.count(lambda row: row.innocent in FINE)


def page(runs: Sequence[Run]) -> str:
    """Totals, tables by wire format and by group, and every cell folded away."""
    names = [run.name for run in runs]
    cells = max(len(run.rows) for run in runs)
    lines = [f"{cells} cells; measured {', '.join(sorted({run.date for run in runs}))}.", ""]
    lines += _table(["", *names], _totals(runs))
    lines += ["", "By wire format and mode: cells that leak of those served (characters).", ""]
    lines += _table(["", *names], _by_wire(runs))
    lines += [
        "",
        "By group: cells that leak (characters) · twins intact or closed with a reason.",
        "",
    ]
    groups = list(dict.fromkeys(row.group for run in runs for row in run.rows))
    lines += _table(["", *names], [_group(runs, group) for group in groups])
    lines += ["", "### Every cell", "", LEGEND, ""]
    for group in groups:
        lines += ["<details>", f"<summary>{group}</summary>", ""]
        lines += _table(["wire format", "channel", *names], _cells(runs, group))
        lines += ["", "</details>", ""]
    return "\n".join(lines).rstrip() + "\n"


LEGEND = """\
`whole` and `stream` are the two modes; the number is characters leaked; then what became of the
innocent twin where it is not intact, and `broken` where the answer with the forbidden name could
not be read to its end."""


def written(document: str, runs: Sequence[Run]) -> str:
    """A document with the tables in their place. Raises ValueError where the marks are missing."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{head}{BEGIN}\n{page(runs)}{END}{tail}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]


def _totals(runs: Sequence[Run]) -> list[list[str]]:
    def row(title: str, said: Callable[[Run], str]) -> list[str]:
        return [title, *map(said, runs)]

    def counted(title: str, wanted: Callable[[Row], bool]) -> list[str]:
        return row(title, lambda run: run.count(wanted))

    return [
        row("configured", lambda run: run.configured),
        row("cells not served", lambda run: str(len(run.rows) - len(run.served))),
        counted("cells that leak", lambda row: row.leaked > 0),
        row(
            "cells that leak, disguises apart",
            lambda run: run.of(lambda row: row.group != "disguises").count(lambda r: r.leaked > 0),
        ),
        row(
            "characters leaked",
            lambda run: (
                f"{sum(row.leaked for row in run.served)} of {sum(row.of for row in run.served)}"
            ),
        ),
        counted("innocent twin intact", lambda row: row.innocent == "intact"),
        counted("closed or dropped, with a reason", lambda r: r.innocent in ("closed", "dropped")),
        counted("innocent twin changed or missing", lambda r: r.innocent in ("changed", "missing")),
        counted("answer broken off or no JSON", lambda row: not row.sound),
        counted("nothing leaks and all is well", lambda row: row.good),
    ]


def _by_wire(runs: Sequence[Run]) -> Iterable[list[str]]:
    for wire in WIRES:
        for streamed in (False, True):
            picked = [
                run.of(lambda r, w=wire, s=streamed: (r.wire, r.streamed) == (w, s))  # type: ignore[misc]
                for run in runs
            ]
            if any(run.rows for run in picked):
                mode = "streamed" if streamed else "whole"
                yield [f"{wire}, {mode}", *(run.leaks for run in picked)]


def _group(runs: Sequence[Run], group: str) -> list[str]:
    picked = [run.of(lambda row: row.group == group) for run in runs]
    return [group, *(" · ".join(filter(None, (run.leaks, run.twins))) for run in picked)]


def _cells(runs: Sequence[Run], group: str) -> Iterable[list[str]]:
    """A row for each channel in each disguise and chunking, its modes side by side."""
    told: dict[tuple[str, ...], list[dict[bool, str]]] = {}
    for number, run in enumerate(runs):
        for row in run.rows:
            if row.group == group:
                how = [row.disguise] if row.disguise != "plain" else []
                how += [row.chunking] if row.chunking != "whole" else []
                key = (row.wire, row.channel.removeprefix("in: "), ", ".join(how))
                told.setdefault(key, [{} for _ in runs])[number][row.streamed] = _said(row)
    for (wire, channel, hidden), columns in told.items():
        name = f"{channel}: {hidden}" if hidden else channel
        yield [wire, name, *(_modes(column) for column in columns)]


def _modes(column: dict[bool, str]) -> str:
    names = {False: "whole", True: "stream"}
    return " · ".join(f"{names[streamed]} {said}" for streamed, said in sorted(column.items()))


def _said(row: Row) -> str:
    if not row.served:
        return "not served"
    notes = [] if row.innocent == "intact" else [row.innocent]
    notes += [] if row.sound else ["broken"]
    return " ".join([str(row.leaked), *notes])
