"""Numbers that others published on the same benchmarks, with their sources. Knows no summary.

They are shown apart and never counted with ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, model_validator

from leakage.records import Record
from leakage.sheets import Sheet

CAPTION = "Published elsewhere, not measured here"
FILE = Path(__file__).with_name("published.yaml")
# How ids of a benchmark's probes begin, of ours and of those read from others' logs.
_BENCHMARKS = {"rwku": "RWKU", "tofu": "TOFU", "wmdp": "WMDP", "muse": "MUSE"}

_Source = Annotated[str, StringConstraints(pattern=r"arXiv \d{4}\.\d{4,5}$")]


@dataclass(frozen=True, slots=True)
class Number:
    """One published number. `setting` says on what, `model` is empty where our notes lack it."""

    benchmark: str
    setting: str
    method: str
    model: str
    metric: str
    value: float
    source: str


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    benchmark: str
    setting: str
    model: str = ""
    source: _Source
    metrics: list[str]
    rows: dict[str, list[float]]

    @model_validator(mode="after")
    def _complete(self) -> "_Group":
        if any(len(values) != len(self.metrics) for values in self.rows.values()):
            raise ValueError("a row has not as many values as there are metrics")
        return self


def numbers(path: Path = FILE) -> list[Number]:
    """All of them, in the order of the file. Raises ValueError, OSError."""
    groups = TypeAdapter(list[_Group]).validate_python(yaml.safe_load(path.read_text("utf-8")))
    return [
        Number(group.benchmark, group.setting, method, group.model, metric, value, group.source)
        for group in groups
        for method, values in group.rows.items()
        for metric, value in zip(group.metrics, values, strict=True)
    ]


def benchmarks(records: Iterable[Record]) -> list[str]:
    """Those that the records' probes are of, in the order of their first probe."""
    starts = dict.fromkeys(record.probe[:4].casefold() for record in records)
    return [_BENCHMARKS[start] for start in starts if start in _BENCHMARKS]


def beside(records: Iterable[Record]) -> Sheet | None:
    """A table of what was published on the benchmarks of these records; None for nothing."""
    wanted = benchmarks(records)
    found = [number for name in wanted for number in numbers() if number.benchmark == name]
    rows: list[list[str]] = []
    starts = set()
    last = None
    for each in found:
        where = (each.benchmark, each.setting, each.source)
        if where != last:
            starts.add(len(rows))
        last = where
        name = f"{each.benchmark}: {each.setting}"
        model = each.model or "not noted"
        rows.append([name, each.method, model, each.metric, f"{each.value:g}", each.source])
    titles = ("benchmark", "method", "model", "metric", "value", "source")
    return Sheet(titles, rows, frozenset(starts)) if rows else None
