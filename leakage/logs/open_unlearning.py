"""open-unlearning's logs: `TOFU_EVAL.json`, `MUSE_EVAL.json`, and their `*_SUMMARY.json`.

Knows no record. Source: `src/evals/base.py` and `src/evals/metrics` of locuslab/open-unlearning
(Dorna et al. 2025, arXiv 2506.12618).
"""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from leakage.logs.entry import Entry, Log
from leakage.logs.rows import LogError, Row, whole
from leakage.probes import Split

_FILE = re.compile(r"(TOFU|MUSE)_(EVAL|SUMMARY)\.json")
_SPLITS: dict[str, Split] = {
    "forget": "forget", "retain": "retain", "ra": "neighbour", "wf": "world", "holdout": "retain",
}  # fmt: skip
# Metrics of rows: whose rows, which of them, and what was measured.
_OF_ROWS = re.compile(
    r"(?P<group>(?P<set>forget|retain|ra|wf)_(?:Q_A(?:_PARA|_PERT)?|knowmem|verbmem))"
    r"_(?:Prob|Prob_normalised|ROUGE|gibberish)"
    r"|(?P<ratio>(?P<of>forget|retain|ra|wf)_[Tt]ruth_[Rr]atio)"
    r"|(?P<extraction>(?:(?P<whose>retain)_)?(?:extraction_strength|exact_memorization))"
)
_ATTACKS = re.compile(r"mia_\w+")
_OF_ALL = re.compile(r"forget_quality|model_utility|privleak|\w+_privleak|mia_\w+")
_TOLD = ("input", "ground_truth", "generation")
_STATISTICS = ("prob", "avg_loss", "score", "rouge1_recall", "rougeL_f1", "rougeL_recall")
_WRONG = "_PERT"  # rows of false answers: what is said there tells nothing
_AUTHORS, _QUESTIONS = 200, 20  # of TOFU, and questions about each of them
_SLACK = 1e-6


@dataclass(slots=True)
class _Told:
    """What all metrics of a group say of one row."""

    where: str
    measured: dict[str, float | None]
    text: str | None = None
    answer: str | None = None


def read(paths: Sequence[Path]) -> Log:
    """The rows of one evaluation; a summary beside it must say the same. Raises LogError, OSError.

    The logs name no model: it is called after the folder, or the one above `evals`.
    """
    names = {path: _FILE.fullmatch(path.name) for path in paths}
    for path, name in names.items():
        if name is None:
            raise LogError(
                f"{path}: is named neither TOFU_EVAL.json nor MUSE_EVAL.json, nor …SUMMARY"
            )
    rows = [path for path, name in names.items() if name is not None and name[2] == "EVAL"]
    if len(rows) != 1:
        raise LogError(f"{paths[0]}: give one *_EVAL.json; a summary holds no draws")
    (path,) = rows
    benchmark = path.name.partition("_")[0]
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    entries: list[Entry] = []
    numbers: dict[str, float | None] = {}
    groups: dict[str, dict[str, _Told]] = {}
    for metric, row in whole(path).rows():
        numbers[metric] = row.number("agg_value")
        for group, found in _groups(metric, row):
            _gather(groups.setdefault(group, {}), metric, found)
        _check(metric, row)
    for group, told in groups.items():
        entries += _entries(group, told, benchmark=benchmark, at=at)
    if not entries:
        raise LogError(f"{path}: holds no rows, only numbers of the whole")
    for other, name in names.items():
        if name is not None and name[2] == "SUMMARY":
            _same(whole(other), numbers)
    run = f"open-unlearning {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return Log("open-unlearning", _model(path), run, entries, numbers)


def _model(path: Path) -> str:
    """What the folder of a run is called: it keeps its logs in `evals`, or `evals_forget10`."""
    folder = path.resolve().parent
    return folder.parent.name if folder.name.startswith("evals") else folder.name


def _groups(metric: str, row: Row) -> Iterator[tuple[str, Row]]:
    """The groups of rows that a metric has, each with its rows. Raises LogError."""
    found = _OF_ROWS.fullmatch(metric)
    if found is not None:
        row.only(["agg_value", "value_by_index"])
        yield found["group"] or metric, row.row("value_by_index")
    elif _ATTACKS.fullmatch(metric) and "forget" in row.values:
        row.only(["agg_value", "forget", "holdout"], ["auc", "acc"])
        for name in ("forget", "holdout"):
            part = row.row(name)
            part.only(["agg_value", "value_by_index"])
            yield f"{name} of {metric}", part.row("value_by_index")
    elif _OF_ALL.fullmatch(metric):
        row.only(["agg_value"])
    else:
        raise LogError(f"{row.where}: is no metric that is understood here")


def _gather(told: dict[str, _Told], metric: str, rows: Row) -> None:
    for index, row in rows.rows():
        if not index.isdecimal():
            raise row.fault(index, "is no number of a row")
        row.only([], [*_TOLD, *_STATISTICS])
        at = told.setdefault(index, _Told(row.where, {}))
        for name in _STATISTICS:
            if name in row.values:
                many = row.numbers(name)
                for number, value in enumerate(many):
                    place = f"[{number}]" if isinstance(row.values[name], list) else ""
                    at.measured[f"{metric} {name}{place}"] = value
        if "ground_truth" in row.values and _WRONG not in metric:
            if at.text is not None:
                raise LogError(f"{row.where}: two metrics of one group bring two answers")
            at.text, at.answer = row.text("generation"), row.text("ground_truth")


def _check(metric: str, row: Row) -> None:
    """The whole is the mean of its rows, where that is how it is defined. Raises LogError."""
    total = row.number("agg_value")
    if not metric.endswith("_Prob") or total is None:
        return
    means = []
    for _, each in row.row("value_by_index").rows():
        known = [value for value in each.numbers("prob") if value is not None]
        means += [sum(known) / len(known)] if known else []
    if not means or not math.isclose(sum(means) / len(means), total, abs_tol=_SLACK):
        raise row.fault("agg_value", "is not the mean of its rows; the file was changed")


def _entries(group: str, told: dict[str, _Told], *, benchmark: str, at: str) -> Iterator[Entry]:
    set_ = re.match("forget|retain|ra|wf|holdout", group)
    name = set_[0] if set_ else "forget"
    for index, row in told.items():
        probe = f"{benchmark.casefold()}.open-unlearning.{name}.{index}"
        author = _author(int(index), len(told), name) if benchmark == "TOFU" else None
        yield Entry(
            probe=probe,
            concept=author or probe,
            split=_SPLITS[name],
            kind=f"open-unlearning {group}",
            text=row.text,
            answers=() if row.answer is None else (row.answer,),
            judged=None,
            measured=row.measured,
            at=at,
        )


def _author(index: int, rows: int, name: str) -> str | None:
    """TOFU asks twenty questions in a row about each author, the last of 200 to be forgotten."""
    if name not in {"forget", "retain"} or rows % _QUESTIONS:
        return None
    first = _AUTHORS - rows // _QUESTIONS if name == "forget" else 0
    return f"tofu author {first + index // _QUESTIONS}"


def _same(summary: Row, numbers: dict[str, float | None]) -> None:
    for metric in summary.values:
        here, there = summary.number(metric), numbers.get(metric)
        if here != there and not (
            here is not None and there is not None and math.isclose(here, there, abs_tol=_SLACK)
        ):
            raise summary.fault(metric, "is another number than the evaluation's; not of one run")
