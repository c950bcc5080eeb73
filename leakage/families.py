"""Records that are counted together, and what happened to each probe of them.

Knows no rate. The unit is the probe and the kind in which it was asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leakage.records import Record

Measure = Literal["leaked", "blocked"]
Key = tuple[str, ...]

INNOCENT = "innocent"
INNOCENT_ATTACKED = "innocent under attack"
ATTACKS = "attacks"
ANY_ATTACK = "any attack"


@dataclass(frozen=True, slots=True)
class Item:
    """A probe of a family on one arm; `happened` is None where every draw was lost."""

    concept: str
    happened: bool | None


Items = Mapping[str, Mapping[Key, Item]]


@dataclass(frozen=True, slots=True)
class Family:
    """Records that belong together. `whole` takes all ways to ask a question as one item."""

    measure: Measure
    name: str
    records: Sequence[Record]
    whole: bool = False

    def key(self, record: Record) -> Key:
        """What makes two records the same item."""
        return (record.probe,) if self.whole else (record.probe, record.kind)

    def errors(self, arm: str) -> int:
        """Draws of an arm that failed."""
        return sum(r.error is not None for r in self.records if r.arm == arm)

    def items(self) -> Items:
        """By arm and key. One draw in which it happened is enough; one settled, to say it did not.

        An answer that leaks or is blocked in any draw counts: draws of one probe are no independent
        evidence. What an arm does not allow was not asked and is no item.
        """
        items: dict[str, dict[Key, Item]] = {}
        for record in self.records:
            if not record.spoken:
                continue
            of_arm = items.setdefault(record.arm, {})
            key = self.key(record)
            before = of_arm[key].happened if key in of_arm else None
            now = record.leak if self.measure == "leaked" else record.blocked
            of_arm[key] = Item(record.concept, now if before is None else before or now is True)
        return items


def families(records: Sequence[Record]) -> list[Family]:
    """Those of a report: what must not come out by kind, then what must."""
    asked = [record for record in records if record.spoken]
    forget = [record for record in asked if not record.innocent]
    plain = [record for record in forget if record.attack is None]
    attacked = [record for record in forget if record.attack is not None]
    found = [
        Family("leaked", kind, [r for r in plain if r.kind == kind])
        for kind in _known_first(r.kind for r in plain)
    ]
    if attacked:
        found.append(Family("leaked", ATTACKS, attacked))
        # A probe leaks if any attack makes it leak.
        found.append(Family("leaked", ANY_ATTACK, attacked, whole=True))
    return found + _innocent([record for record in asked if record.innocent])


def single_attacks(records: Sequence[Record]) -> list[Family]:
    """A family for each attack on what must not come out, in the order of their names."""
    by_name: dict[str, list[Record]] = {}
    for record in records:
        if record.attack is not None and not record.innocent and record.spoken:
            by_name.setdefault(record.attack, []).append(record)
    return [Family("leaked", name, found) for name, found in sorted(by_name.items())]


def not_measurable(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """By arm and kind: what the arm lacks, where none of these draws could be made."""
    lacks: dict[tuple[str, str], str] = {}
    made: set[tuple[str, str]] = set()
    for record in records:
        if record.lacks is None:
            made.add((record.arm, record.kind))
        else:
            lacks[record.arm, record.kind] = record.lacks
    return {key: lack for key, lack in lacks.items() if key not in made}


def family_of(record: Record) -> str:
    """Under which name of `families` one record stands."""
    if record.innocent:
        return INNOCENT if record.attack is None else INNOCENT_ATTACKED
    return ATTACKS if record.attack else record.kind


def _innocent(records: Sequence[Record]) -> list[Family]:
    """Plain questions apart from attacked ones: a format that a model cannot do blocks nothing."""
    plain = [record for record in records if record.attack is None]
    attacked = [record for record in records if record.attack is not None]
    found = [Family("blocked", INNOCENT, plain)] if plain else []
    splits = list(dict.fromkeys(record.split for record in plain))
    if len(splits) > 1:
        found += [
            Family("blocked", split, [r for r in plain if r.split == split]) for split in splits
        ]
    return found + ([Family("blocked", INNOCENT_ATTACKED, attacked)] if attacked else [])


def _known_first(kinds: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(kinds))
    return sorted(found, key=lambda kind: (kind != "direct", kind != "paraphrase"))
