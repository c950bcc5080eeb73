"""Two runs against each other, arm by arm, on the same questions. Knows no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from leakage.families import families
from leakage.paired import holm
from leakage.records import Record, scorers
from leakage.summary import Cell, Comparison, summarise

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Moved:
    """A question that came out otherwise: on which arm, of which family, and how now."""

    arm: str
    family: str
    probe: str
    kind: str
    worse: bool


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm, before and after, on one family of questions that both runs asked."""

    arm: str
    before: Cell
    after: Cell
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that a diff says. `only_*` are arms that the other run lacks."""

    contrasts: tuple[Contrast, ...]
    moved: tuple[Moved, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    unpaired: Mapping[str, int]
    scorers: tuple[int, ...]

    @property
    def worse(self) -> tuple[Contrast, ...]:
        """Where the second run leaks or blocks more, at 5 % after Holm, concepts swapped."""
        return tuple(
            contrast
            for contrast in self.contrasts
            if contrast.comparison.p_adjusted is not None
            and contrast.comparison.p_adjusted < 0.05
            and (contrast.comparison.pairs.difference or 0) > 0
        )


def compare(before: Sequence[Record], after: Sequence[Record]) -> Difference:
    """Pair the runs by arm and question; two runs of one arm each are paired whatever its name.

    Raises ValueError where nothing is shared.
    """
    one, other = (list(dict.fromkeys(r.arm for r in records)) for records in (before, after))
    if len(one) == len(other) == 1:
        after = [replace(record, arm=one[0]) for record in after]
        other = one
    shared = [arm for arm in one if arm in other]
    if not shared:
        raise ValueError(
            f"no arm is in both runs: {', '.join(one) or 'none'} and {', '.join(other) or 'none'}"
        )
    contrasts: list[Contrast] = []
    moved: list[Moved] = []
    unpaired: dict[str, int] = {}
    for arm in shared:
        records = _both(before, after, arm)
        found = _contrasts(arm, records)
        contrasts += found
        moved += _moved(arm, records)
        asked = [{(r.probe, r.kind) for r in records if r.arm == side} for side in (BEFORE, AFTER)]
        unpaired[arm] = len(asked[0] ^ asked[1])
    adjusted = holm([contrast.comparison.p_concepts for contrast in contrasts])
    return Difference(
        contrasts=tuple(
            replace(contrast, comparison=replace(contrast.comparison, p_adjusted=p))
            for contrast, p in zip(contrasts, adjusted, strict=True)
        ),
        moved=tuple(moved),
        only_before=tuple(arm for arm in one if arm not in shared),
        only_after=tuple(arm for arm in other if arm not in shared),
        unpaired=unpaired,
        scorers=scorers([*before, *after]),
    )


def _both(before: Sequence[Record], after: Sequence[Record], arm: str) -> list[Record]:
    return [
        replace(record, arm=side)
        for side, records in ((BEFORE, before), (AFTER, after))
        for record in records
        if record.arm == arm
    ]


def _contrasts(arm: str, records: Sequence[Record]) -> list[Contrast]:
    summary = summarise(records, reference=BEFORE, every=True)
    cells = {(cell.measure, cell.family, cell.arm): cell for cell in summary.cells}
    return [
        Contrast(
            arm=arm,
            before=cells[found.measure, found.family, BEFORE],
            after=cells[found.measure, found.family, AFTER],
            comparison=found,
        )
        for found in summary.comparisons
    ]


def _moved(arm: str, records: Sequence[Record]) -> list[Moved]:
    found: dict[tuple[str, ...], Moved] = {}
    for family in families(records):
        if family.whole:
            continue
        items = family.items()
        for key, item in items.get(BEFORE, {}).items():
            now = items.get(AFTER, {}).get(key)
            if now is None or None in (item.happened, now.happened):
                continue
            if item.happened != now.happened:
                # A split's family holds what the innocent one holds too: each question once.
                moved = Moved(arm, family.name, key[0], key[1], worse=now.happened is True)
                found.setdefault(key, moved)
    return list(found.values())
