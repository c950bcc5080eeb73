"""What arms' answers and log-probabilities say beside leaks and blocks: a value an arm and measure.

Knows no page and no file. A measure stands here where anything was asked for it; where an arm does
not allow it, or what it needs is missing, it says so and has no value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from leakage.muse import Point, curve
from leakage.records import Record
from leakage.sheets import Sheet
from leakage.statistics import Total, averaged

UNMEASURABLE = "not measurable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure of one arm.

    value      None where nothing was measured
    low, high  95 %, by concept; None where there is no such interval
    n          values behind it
    lacks      what is missing where it is not measurable: a capability, an arm, probes
    note       what must be said beside the value
    """

    name: str
    arm: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    lacks: str | None = None
    note: str = ""

    def __str__(self) -> str:
        """As a cell of a table."""
        if self.value is None:
            return f"{UNMEASURABLE}: {self.lacks}" if self.lacks else UNMEASURABLE
        ends = "" if self.low is None or self.high is None else _ends(self.low, self.high)
        more = f"; {self.note}" if self.note else ""
        return f"{number(self.value)}{ends}, n {self.n}{more}"

    def as_json(self) -> dict[str, Any]:
        """For a file of them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Value:
    """One value in [0, 1], and what it is about: those of one concept are related."""

    concept: str
    value: float


def mean(
    name: str, arm: str, values: Iterable[Value], *, note: str = "", lacks: str = ""
) -> Finding:
    """Their mean, with the interval by concept; `lacks` is said where there are none."""
    totals: dict[str, Total] = {}
    for each in values:
        before = totals.get(each.concept, Total(0.0, 0))
        totals[each.concept] = Total(before.sum + min(1.0, max(0.0, each.value)), before.n + 1)
    found = averaged(totals.values())
    if found.mean is None:
        return Finding(name, arm, lacks=lacks or None)
    return Finding(name, arm, found.mean, found.low, found.high, found.n, note=note)


def lacking(records: Iterable[Record]) -> str:
    """What the arm did not allow, or that every draw failed; empty where neither."""
    given = list(records)
    lacks = sorted({record.lacks for record in given if record.lacks})
    if lacks:
        return ", ".join(lacks)
    return "every draw failed" if given and all(r.error is not None for r in given) else ""


def by_arm(records: Iterable[Record], arms: Sequence[str]) -> Mapping[str, list[Record]]:
    """The records of each arm, arms in their order."""
    found: dict[str, list[Record]] = {arm: [] for arm in arms}
    for record in records:
        if record.arm in found:
            found[record.arm].append(record)
    return found


def sheet(found: Sequence[Finding]) -> Sheet:
    """A row a measure, a column an arm."""
    arms = list(dict.fromkeys(each.arm for each in found))
    cells = {(each.name, each.arm): str(each) for each in found}
    rows = [
        [name, *(cells.get((name, arm), "-") for arm in arms)]
        for name in dict.fromkeys(each.name for each in found)
    ]
    return Sheet(("measure", *arms), rows)


def curve_sheet(found: Sequence[Finding], places: Mapping[str, float], *, what: str) -> Sheet:
    """MUSE's scalability or sustainability: KnowMem of each arm that has a place, in their order.

    Raises ValueError for a name that no arm has, and where two stand at one place.
    """
    arms = {each.arm for each in found}
    for name in places:
        if name not in arms:
            raise ValueError(
                f"{what}: no arm is named {name!r}; there are {', '.join(sorted(arms))}"
            )
    known = {(each.name, each.arm): each for each in found}
    kept = next((n for n, _ in known if n.startswith("KnowMem on") and "forget" not in n), "")
    made = curve(
        Point(
            arm,
            at,
            value(known.get(("KnowMem on forget", arm))),
            value(known.get((kept, arm))),
        )
        for arm, at in places.items()
    )
    rows = [[p.arm, f"{p.at:g}", _or_dash(p.forget), _or_dash(p.retain)] for p in made.points]
    if made.kept is not None:
        rows.append(["kept at the last, of the first", "", "", number(made.kept)])
    return Sheet(("arm", what, "KnowMem on forget", kept or "KnowMem on retain"), rows)


def value(found: Finding | None) -> float | None:
    """Of a measure that may not be there."""
    return None if found is None else found.value


def _or_dash(given: float | None) -> str:
    return "-" if given is None else number(given)


def number(value: float) -> str:
    """Three digits, and never nought for what is not."""
    if value != 0 and abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _ends(low: float, high: float) -> str:
    return f" [{number(low)}, {number(high)}]"
