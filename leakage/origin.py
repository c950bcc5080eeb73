"""Where records come from: measured here, or read from another program's log. Never mixed unsaid.

Knows no format of a log.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from leakage.records import Record, RecordError
from leakage.sheets import Sheet
from leakage.summary import Summary

FORMAT, VERSION = "lethe-leakage-import", 1
CAPTION = "Measured by other programs, in their own terms"

Numbers = Mapping[str, Mapping[str, float | None]]


def check(records: Iterable[Record]) -> None:
    """Raises RecordError where one arm's records come from several programs, or twice from logs."""
    sources: dict[str, set[str]] = {}
    logs: dict[tuple[str, str, str, int], str] = {}
    for record in records:
        draw = (record.arm, record.kind, record.probe, record.draw)
        if record.source is not None and logs.setdefault(draw, record.run) != record.run:
            raise RecordError(
                f"the arm {record.arm!r} has the same draws from several logs, which may be of "
                "several models; import again with --arm"
            )
        sources.setdefault(record.arm, set()).add(record.source or "lethe")
    for arm, found in sources.items():
        if len(found) > 1:
            raise RecordError(
                f"the arm {arm!r} has records of {' and '.join(sorted(found))}, which do not mix; "
                "import again with --arm"
            )


def sources(records: Iterable[Record]) -> dict[str, str]:
    """By arm: the program whose log it was read from. Arms measured here are not among them."""
    return {record.arm: record.source for record in records if record.source is not None}


def numbers_alone(records: Iterable[Record]) -> set[str]:
    """Arms whose logs hold what was measured, and no answer and no failed draw."""
    read: set[str] = set()
    told: set[str] = set()
    for record in records:
        (told if record.spoken or record.error is not None else read).add(record.arm)
        if record.source is None:
            told.add(record.arm)
    return read - told


def notes(records: Sequence[Record]) -> list[str]:
    """A sentence for each arm that was not measured here."""
    told = []
    for arm, source in sources(records).items():
        own = [r for r in records if r.arm == arm and r.spoken]
        theirs = sum(record.scorer == 0 for record in own)
        said = f"{arm}: read from a log of {source}, not asked by this program; no times are known."
        if theirs:
            others = "" if theirs == len(own) else ", the others by our matching"
            said += f" {theirs} of {len(own)} draws were judged by it{others}."
        told.append(said)
    return told


def timeless(summary: Summary, records: Iterable[Record]) -> Summary:
    """Without the times of arms that were read from logs: these tell none."""
    read = sources(records)
    timings = tuple(
        replace(each, median_s=None, p95_s=None, first_token_s=None, added=None)
        if each.arm in read
        else each
        for each in summary.timings
    )
    return replace(summary, timings=timings)


def measured(records: Iterable[Record], whole: Numbers) -> Sheet:
    """What other programs measured: means over draws with a number, and numbers of the whole."""
    found: dict[tuple[str, str, str], list[float | None]] = {}
    for record in records:
        for name, value in (record.measured or {}).items():
            found.setdefault((record.arm, record.kind, name), []).append(value)
    rows = []
    for (arm, kind, name), values in found.items():
        known = [value for value in values if value is not None]
        mean = f"{sum(known) / len(known):.4g}" if known else "-"
        rows.append([arm, kind, name, str(len(known)), str(len(values) - len(known)), mean])
    for arm, numbers in whole.items():
        for name, value in numbers.items():
            told = "-" if value is None else f"{value:.4g}"
            rows.append([arm, "of the whole, as written", name, "-", "-", told])
    return Sheet(("arm", "asked", "metric", "n", "no number", "mean"), rows)


def whole(paths: Iterable[Path]) -> Numbers:
    """By arm: numbers of no single draw, which imports in these folders kept.

    Raises RecordError.
    """
    found: dict[str, Mapping[str, float | None]] = {}
    for path in paths:
        about = path / "run.json"
        if not about.is_file():
            continue
        try:
            kept: Any = json.loads(about.read_bytes())
            if kept["format"] == FORMAT:
                found[kept["arm"]] = {
                    k: None if v is None else float(v) for k, v in kept["whole"].items()
                }
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            raise RecordError(f"{about}: is no description of a run") from None
    return found
