"""Arm by attack by split: how much comes out, with an interval, and how useful the arm stays.

Knows neither how records came nor how a report looks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from leakage.plain import plain
from leakage.records import MEASURED, Record
from leakage.statistics import Count, Rate, clopper_pearson, clustered

UNMEASURABLE = "not measurable"


@dataclass(frozen=True, slots=True)
class Row:
    """One arm, one attack, one split.

    attack    its name, or the kind of probes that were asked as they are
    n         probes that are settled: with several draws, one in which the answer came out counts
    leak      the share of them whose accepted answer came out; on splits other than `forget` it
              should. None where nothing is settled
    low, high 95 %, taking answers about one concept as related; of one concept alone, its probes
              as independent
    utility   the share of innocent probes that got their answer under the same attack: of this
              split, or of all the others for `forget`. None where none was asked
    errors    draws that failed
    lacks     what the arm does not allow, where that is why nothing was measured
    """

    arm: str
    attack: str
    split: str
    n: int
    leak: float | None
    low: float
    high: float
    utility: float | None
    errors: int
    lacks: str | None

    def as_json(self) -> dict[str, Any]:
        """For a file of rows."""
        return asdict(self)


@dataclass(slots=True)
class _Probe:
    """One probe of a cell: whether its answer came out in any draw, None where none is settled."""

    concept: str
    told: bool | None = None


def rows(records: Iterable[Record]) -> list[Row]:
    """A row for each arm, attack and split, in the order of the records."""
    cells: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in records:
        if record.likelihoods is not None or record.kind in MEASURED:
            continue
        name = record.attack or record.kind
        cells.setdefault((record.arm, name), {}).setdefault(record.split, []).append(record)
    return [
        _row(arm, name, split, splits=splits)
        for (arm, name), splits in cells.items()
        for split in splits
    ]


def _row(arm: str, name: str, split: str, *, splits: Mapping[str, Sequence[Record]]) -> Row:
    found = splits[split]
    rate = _rate(found)
    useful = [split] if split != "forget" else [other for other in splits if other != "forget"]
    kept = [record for other in useful for record in splits[other]]
    utility = _rate(kept).share if kept else None
    lacking = {record.lacks for record in found if record.lacks}
    return Row(
        arm=arm,
        attack=name,
        split=split,
        n=rate.n,
        leak=rate.share,
        low=rate.low,
        high=rate.high,
        utility=utility,
        errors=sum(record.error is not None for record in found),
        lacks=", ".join(sorted(lacking)) if lacking and not rate.n else None,
    )


def _rate(found: Iterable[Record]) -> Rate:
    probes: dict[str, _Probe] = {}
    for record in found:
        probe = probes.setdefault(record.probe, _Probe(record.concept))
        if record.answered is not None:
            probe.told = bool(probe.told) or record.answered
    concepts: dict[str, Count] = {}
    for probe in probes.values():
        if probe.told is not None:
            before = concepts.get(probe.concept, Count(0, 0))
            concepts[probe.concept] = Count(before.k + probe.told, before.n + 1)
    k, n = sum(c.k for c in concepts.values()), sum(c.n for c in concepts.values())
    return clustered(concepts.values()) if len(concepts) > 1 else clopper_pearson(k, n)


def table(found: Sequence[Row], *, split: str) -> Table | None:
    """Attacks down, arms across: the share and its interval in per cent. None without such rows."""
    of_split = [row for row in found if row.split == split]
    if not of_split:
        return None
    arms = list(dict.fromkeys(row.arm for row in of_split))
    cells = {(row.attack, row.arm): row for row in of_split}
    drawn = Table(title=f"{split}: answers that came out, % [95 %]", title_justify="left")
    drawn.add_column("attack", overflow="fold")
    for arm in arms:
        drawn.add_column(Text(plain(arm)), justify="right", overflow="fold")
    for attack in dict.fromkeys(row.attack for row in of_split):
        drawn.add_row(Text(plain(attack)), *(Text(_told(cells.get((attack, arm)))) for arm in arms))
    return drawn


def _told(row: Row | None) -> str:
    if row is None:
        return "-"
    if row.lacks:
        return UNMEASURABLE
    if row.leak is None:
        return f"{row.errors} errors"
    return f"{100 * row.leak:.0f} [{100 * row.low:.0f}, {100 * row.high:.0f}]"
