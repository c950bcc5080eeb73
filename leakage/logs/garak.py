"""garak's `*.report.jsonl`: attempts with their outputs and what detectors made of them.

Knows no record. Source: `attempt.py`, `command.py` and `evaluators/base.py` of garak 0.17.1. An
output that never came is kept as a draw that failed: garak leaves it out of its shares.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leakage.logs.entry import Entry, Log
from leakage.logs.rows import LogError, Row, lines

_ATTEMPT = (
    *("entry_type", "uuid", "seq", "status", "probe_classname", "probe_params", "targets"),
    *("prompt", "outputs", "detector_results", "notes", "goal", "conversations"),
)
_MAYBE = ("reverse_translation_outputs", "intent")
_EVAL = ("entry_type", "probe", "detector", "passed", "fails", "nones", "total_evaluated")
_EVAL_MAYBE = (
    *("total_processed", "intents", "hit_at_k", "confidence_method", "confidence"),
    *("confidence_upper", "confidence_lower"),
)
# What tells of no attempt and of no count.
_SKIPPED = frozenset({"plugin_cache", "probe_summary", "payload_init", "tree_data", "digest"})
_EVALUATED = 2  # a status; every attempt is written once before that, too
# garak writes no number with a point into its setup. With another threshold its counts would differ
# from ours, and they are compared.
_THRESHOLD = 0.5
_TRIGGERED = "leakreplay."  # probes whose triggers are the words that must not come out


@dataclass(frozen=True, slots=True)
class _Run:
    """What stands at the head of a report."""

    version: str
    id: str
    at: str
    model: str
    threshold: float


@dataclass(slots=True)
class _Count:
    """Of one probe and detector."""

    hits: int = 0
    others: int = 0


def read(paths: Sequence[Path]) -> Log:
    """The attempts of one report. Raises LogError, OSError."""
    if len(paths) != 1:
        raise LogError("garak: give one *.report.jsonl")
    rows = lines(paths[0])
    run = _run(paths[0], rows)
    entries: list[Entry] = []
    counts: dict[tuple[str, str], _Count] = {}
    seen: set[str] = set()
    for row in rows:
        kind = row.text("entry_type")
        if kind == "attempt":
            found = list(_attempt(row, run, counts))
            if found and found[0].probe in seen:
                raise LogError(f"{row.where}: the same attempt stands on an earlier line")
            seen |= {each.probe for each in found}
            entries += found
        elif kind == "eval":
            _check(row, counts)
        elif kind not in _SKIPPED | {"start_run setup", "init", "completion"}:
            raise row.fault("entry_type", "is not understood; is this the log of another version?")
    if not entries:
        raise LogError(f"{paths[0]}: holds no attempt that was evaluated")
    shares = {
        f"{probe} {detector}": each.hits / (each.hits + each.others)
        for (probe, detector), each in counts.items()
        if each.hits + each.others
    }
    return Log(f"garak {run.version}", run.model, run.id, entries, shares)


def _run(path: Path, rows: Sequence[Row]) -> _Run:
    heads: dict[str, Row] = {}
    for row in rows:
        heads.setdefault(row.text("entry_type"), row)
    for name in ("start_run setup", "init", "completion"):
        if name not in heads:
            raise LogError(f"{path}: has no entry {name!r}; a run that was cut off, or no report")
    setup, init = heads["start_run setup"], heads["init"]
    threshold = setup.number("run.eval_threshold")
    return _Run(
        version=init.text("garak_version"),
        id=init.text("run"),
        at=init.text("start_time"),
        model=setup.text("plugins.target_name"),
        threshold=_THRESHOLD if threshold is None else threshold,
    )


def _attempt(row: Row, run: _Run, counts: dict[tuple[str, str], _Count]) -> Iterator[Entry]:
    row.only(_ATTEMPT, _MAYBE)
    if row.whole("status") != _EVALUATED:
        return
    name = row.text("probe_classname")
    texts = [_text(row, each) for each in row.items("outputs")]
    found = row.row("detector_results")
    results = {detector: found.numbers(detector) for detector in found.values}
    for detector, values in results.items():
        if len(values) != len(texts):
            raise found.fault(detector, "has not a result for each output")
        count = counts.setdefault((name, detector), _Count())
        told = [value for value in values if value is not None]
        count.hits += sum(value >= run.threshold for value in told)
        count.others += sum(value < run.threshold for value in told)
    asked = hashlib.sha256(json.dumps(row.values["prompt"]).encode()).hexdigest()[:8]
    triggers = row.row("notes").texts("triggers") if name.startswith(_TRIGGERED) else []
    for at, text in enumerate(texts):
        here = {detector: values[at] for detector, values in results.items()}
        told = [value for value in here.values() if value is not None]
        yield Entry(
            probe=f"{name}.{row.whole('seq')}.{asked}",
            concept=name,
            split="forget",
            kind=f"garak {name}",
            text=text,
            answers=tuple(triggers),
            judged=any(value >= run.threshold for value in told) if told else None,
            measured=here,
            at=run.at,
            draw=at,
            error="no answer" if text is None else None,
        )


def _text(row: Row, output: object) -> str | None:
    if output is None:
        return None
    if not isinstance(output, Mapping) or not isinstance(output.get("text"), str | None):
        raise row.fault("outputs", "is no list of messages")
    text: str | None = output.get("text")
    return text


def _check(row: Row, counts: Mapping[tuple[str, str], _Count]) -> None:
    """What was read must be what garak counted. Raises LogError."""
    row.only(_EVAL, _EVAL_MAYBE)
    found = counts.get((row.text("probe"), row.text("detector")), _Count())
    if (found.hits, found.others) != (row.whole("fails"), row.whole("passed")):
        raise LogError(f"{row.where}: counts other results than stand above it")
