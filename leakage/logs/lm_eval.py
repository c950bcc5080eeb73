"""lm-eval's `--log_samples`: `samples_TASK_DATE.jsonl`, and `results_DATE.json` beside it.

Knows no record. Source: `result_schema.py` and `loggers/evaluation_tracker.py` of lm-eval 0.4.13.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from leakage.logs.entry import Entry, Log
from leakage.logs.rows import LogError, Row, lines, whole
from leakage.probes import Split

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
_RESULTS = re.compile(r"results_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.json")
_FIXED = (
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
    *("doc_hash", "prompt_hash", "target_hash"),
)
# Metrics of 0 or 1 that say whether the answer was right, the first that a task has.
_RIGHT = ("acc", "exact_match", "em", "contains", "contains_match")
_KNOWN: Mapping[str, Split] = {"wmdp": "forget", "mmlu": "world"}

SplitOf = Callable[[str], Split | None]


@dataclass(frozen=True, slots=True)
class _Run:
    """What a `results_*.json` says of all its samples."""

    at: str
    version: str
    model: str
    results: Row
    of_tasks: Mapping[str, str] = field(default_factory=dict)


def read(paths: Sequence[Path], *, split_of: SplitOf, concept: str | None = None) -> Log:
    """Samples of one evaluation. `split_of` says of a task whether its answers must not come out.

    `concept` names a field of the documents; without it a task is one concept. Raises LogError,
    OSError.
    """
    results = {found["date"]: path for path in paths if (found := _RESULTS.fullmatch(path.name))}
    samples = [(found, path) for path in paths if (found := _SAMPLES.fullmatch(path.name))]
    others = [p for p in paths if not (_RESULTS.fullmatch(p.name) or _SAMPLES.fullmatch(p.name))]
    if others:
        raise LogError(f"{others[0]}: is named neither samples_TASK_DATE.jsonl nor results_…")
    if not samples:
        raise LogError(f"{paths[0]}: holds no draws; give samples_*.jsonl, of --log_samples")
    runs: dict[Path, _Run] = {}
    entries: list[Entry] = []
    numbers: dict[str, float | None] = {}
    for name, path in samples:
        beside = results.get(name["date"], path.with_name(f"results_{name['date']}.json"))
        if not beside.is_file():
            raise LogError(f"{path}: no results_{name['date']}.json was given or stands beside it")
        run = runs.setdefault(beside, _results(beside))
        split = split_of(name["task"]) or _known(name["task"])
        if split is None:
            raise LogError(
                f"{path}: whether its answers must not come out is not known; "
                f"say --split {name['task']}=forget or =world"
            )
        entries += _task(path, name["task"], run, split=split, concept=concept)
        numbers |= _whole(run.results, name["task"])
    if len({(run.model, run.version) for run in runs.values()}) > 1:
        raise LogError(f"{paths[0]}: these are of several models or versions; import one at a time")
    first = next(iter(runs.values()))
    return Log(f"lm-eval {first.version}", first.model, f"lm-eval {first.at}", entries, numbers)


def _known(task: str) -> Split | None:
    return next((split for name, split in _KNOWN.items() if task.startswith(name)), None)


def _results(path: Path) -> _Run:
    row = whole(path)
    date = row.number("date")
    if date is None:
        raise row.fault("date", "is no number")
    at = datetime.fromtimestamp(date, UTC).isoformat(timespec="seconds")
    return _Run(at, row.text("lm_eval_version"), row.text("model_name"), row.row("results"))


def _whole(results: Row, task: str) -> dict[str, float | None]:
    """What was measured of a whole task: `acc,none` and the like, without their errors."""
    found = results.row(task)
    names = [name for name in found.values if "," in name and "_stderr," not in name]
    return {f"{task} {name}": found.number(name) for name in names}


def _task(path: Path, task: str, run: _Run, *, split: Split, concept: str | None) -> list[Entry]:
    """A document has a line for each filter; they tell of the same answers."""
    found: dict[tuple[str, int], Entry] = {}
    for row in lines(path):
        for entry in _sample(row, task, run, split=split, concept=concept):
            key = (entry.probe, entry.draw)
            before = found.setdefault(key, entry)
            if before is entry:
                continue
            if set(before.measured) & set(entry.measured):
                raise LogError(
                    f"{row.where}: the same document and filter stand on an earlier line"
                )
            judged = before.judged if before.judged is not None else entry.judged
            found[key] = replace(
                before, judged=judged, measured={**before.measured, **entry.measured}
            )
    return list(found.values())


def _sample(row: Row, task: str, run: _Run, *, split: Split, concept: str | None) -> list[Entry]:
    metrics = row.texts("metrics")
    row.only([*_FIXED, *metrics])
    measured = {f"{name},{row.text('filter')}": _metric(row, name) for name in metrics}
    right = next((_metric(row, name) for name in _RIGHT if name in metrics), None)
    judged = bool(right) if right in {0.0, 1.0} else None
    texts, doc = _texts(row), row.row("doc")
    common = Entry(
        probe=f"{task}.{row.whole('doc_id')}.{row.text('doc_hash')[:8]}",
        concept=task if concept is None else doc.text(concept),
        split=split,
        kind=f"lm-eval {task}",
        text=None,
        answers=(row.text("target"),),
        judged=judged,
        measured=measured,
        at=run.at,
    )
    if texts is None:
        return [common]
    if len(texts) > 1:  # the metrics are of all repetitions together
        common = replace(common, judged=None)
    return [
        replace(common, text=text, draw=at, measured=measured if at == 0 else {})
        for at, text in enumerate(texts)
    ]


def _metric(row: Row, name: str) -> float | None:
    value = row.values.get(name)
    return float(value) if isinstance(value, bool) else row.number(name)


def _texts(row: Row) -> list[str] | None:
    """What was said, by repetition; None where log-probabilities were asked for."""
    requests = row.items("resps")
    if not requests or not all(isinstance(each, list) and each for each in requests):
        raise row.fault("resps", "is no list of answers")
    if all(isinstance(said, str) for each in requests for said in each):
        if len(requests) > 1:
            raise row.fault("resps", "several requests a document, in words: not understood")
        return list(requests[0])
    if any(isinstance(said, str) for each in requests for said in each):
        raise row.fault("resps", "mixes words and numbers")
    return None
