"""Records in, rates and comparisons out. Knows neither how they came nor how they are shown.

The unit is the probe and the kind in which it was asked. With several draws it counts as leaked, or
as blocked, where any of them was: draws of one probe are no independent evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from leakage.probes import Probe
from leakage.records import Record
from leakage.statistics import (
    Count,
    Middle,
    Paired,
    Rate,
    clopper_pearson,
    clustered,
    holm,
    mcnemar,
    median_interval,
    quantile,
    sign_flip,
)

Measure = Literal["leaked", "blocked"]
Key = tuple[str, ...]

INNOCENT = "innocent"
ATTACKS = "attacks"
ANY_ATTACK = "any attack"

_SHOWN_FIRST = ("direct", ATTACKS, INNOCENT)


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm on one family of probes.

    rate        probes that leaked (or were blocked), Clopper-Pearson
    by_concept  the same share, with an interval that takes probes of one concept as related
    concepts    concepts of which anything leaked (or was blocked), Clopper-Pearson
    errors      draws that failed, whether or not they leaked before that
    worst       the rate if every probe that was lost to errors had leaked (or been blocked)
    """

    measure: Measure
    family: str
    arm: str
    rate: Rate
    by_concept: Rate
    concepts: Rate
    errors: int
    worst: Rate


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm against the reference on the same probes; `pairs.first_only` is the reference's.

    p_concepts   of `sign_flip`, for related probes of one concept
    p_adjusted   `p_concepts` after Holm, over all comparisons of the summary
    """

    measure: Measure
    family: str
    arm: str
    pairs: Paired
    p_concepts: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Timing:
    """How long an arm takes, seconds.

    `added` is the median of paired differences to the reference, over innocent draws that both
    answer: where an arm refuses it may well be faster, and that is no saving.
    """

    arm: str
    n: int
    median_s: float | None
    p95_s: float | None
    first_token_s: float | None
    added: Middle | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a report says. `attacks` holds a cell for each single attack and arm.

    `innocent` cells of arms other than the reference count only what the reference answers.
    """

    reference: str
    arms: tuple[str, ...]
    runs: tuple[str, ...]
    scorers: tuple[int, ...]
    draws: int
    errors: Mapping[str, int]
    cells: tuple[Cell, ...]
    attacks: tuple[Cell, ...]
    comparisons: tuple[Comparison, ...]
    timings: tuple[Timing, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One probe and what each arm said to it. Holds what must not come out."""

    family: str
    prompt: str = field(repr=False)
    answers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Item:
    """A probe of a family on one arm; `happened` is None where every draw was lost."""

    concept: str
    happened: bool | None


Items = Mapping[str, Mapping[Key, _Item]]


@dataclass(frozen=True, slots=True)
class _Family:
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


def summarise(records: Sequence[Record], *, reference: str | None = None) -> Summary:
    """Count everything. The reference is the arm without a screen; None takes the first.

    Raises ValueError where there is no record, or none of the reference.
    """
    arms = tuple(dict.fromkeys(record.arm for record in records))
    if not arms:
        raise ValueError("no records, nothing to report; run the probes first")
    reference = arms[0] if reference is None else reference
    if reference not in arms:
        raise ValueError(f"no record of the arm {reference!r}; there are {', '.join(arms)}")
    arms = (reference, *(arm for arm in arms if arm != reference))
    grouped = [(family, _items(family)) for family in _families(records)]
    attacks = [(family, _items(family)) for family in _single_attacks(records)]
    return Summary(
        reference=reference,
        arms=arms,
        runs=tuple(dict.fromkeys(record.run for record in records)),
        scorers=tuple(sorted({record.scorer for record in records})),
        draws=len(records),
        errors={arm: sum(r.error is not None for r in records if r.arm == arm) for arm in arms},
        cells=_cells(grouped, arms=arms),
        attacks=_cells(attacks, arms=arms),
        comparisons=_comparisons(grouped, arms=arms),
        timings=tuple(_timing(records, arm, reference=reference) for arm in arms),
    )


def examples(
    records: Iterable[Record], probes: Iterable[Probe], *, limit: int = 3
) -> list[Example]:
    """Answers of all arms next to each other: one a family, where the arms differ if they do.

    Only of records that hold their answers.
    """
    prompts = {(probe.id, probe.kind): probe.prompt for probe in probes}
    asked: dict[Key, dict[str, Record]] = {}
    for record in records:
        key = (record.probe, record.kind)
        if record.answer is not None and key in prompts:
            asked.setdefault(key, {}).setdefault(record.arm, record)
    best: dict[str, dict[str, Record]] = {}
    for answers in asked.values():
        family = _family_name(next(iter(answers.values())))
        if family not in best or _differ(answers) > _differ(best[family]):
            best[family] = answers
    order = [name for name in _SHOWN_FIRST if name in best]
    order += [name for name in best if name not in order]
    arms = dict.fromkeys(arm for answers in asked.values() for arm in answers)
    return [_example(name, best[name], prompts=prompts, arms=arms) for name in order[:limit]]


def _example(
    family: str,
    answers: Mapping[str, Record],
    *,
    prompts: Mapping[tuple[str, str], str],
    arms: Iterable[str],
) -> Example:
    first = next(iter(answers.values()))
    return Example(
        family=family,
        prompt=prompts[first.probe, first.kind],
        answers={arm: answers[arm].answer or "" for arm in arms if arm in answers},
    )


def _differ(answers: Mapping[str, Record]) -> bool:
    return len({record.answered for record in answers.values()}) > 1


def _family_name(record: Record) -> str:
    if record.innocent:
        return INNOCENT
    return ATTACKS if record.attack else record.kind


def _families(records: Sequence[Record]) -> list[_Family]:
    forget = [record for record in records if not record.innocent]
    plain = [record for record in forget if record.attack is None]
    attacked = [record for record in forget if record.attack is not None]
    families = [
        _Family("leaked", kind, [r for r in plain if r.kind == kind])
        for kind in _known_first(r.kind for r in plain)
    ]
    if attacked:
        families.append(_Family("leaked", ATTACKS, attacked))
        # A probe leaks if any attack makes it leak.
        families.append(_Family("leaked", ANY_ATTACK, attacked, whole=True))
    innocent = [record for record in records if record.innocent]
    splits = list(dict.fromkeys(record.split for record in innocent))
    if innocent:
        families.append(_Family("blocked", INNOCENT, innocent))
    if len(splits) > 1:
        families += [
            _Family("blocked", split, [r for r in innocent if r.split == split]) for split in splits
        ]
    return families


def _known_first(kinds: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(kinds))
    return sorted(found, key=lambda kind: (kind != "direct", kind != "paraphrase"))


def _single_attacks(records: Sequence[Record]) -> list[_Family]:
    by_name: dict[str, list[Record]] = {}
    for record in records:
        if record.attack is not None and not record.innocent:
            by_name.setdefault(record.attack, []).append(record)
    return [_Family("leaked", name, found) for name, found in sorted(by_name.items())]


def _items(family: _Family) -> Items:
    """By arm and key. One draw in which it happened is enough; one that is settled, to say no."""
    items: dict[str, dict[Key, _Item]] = {}
    for record in family.records:
        of_arm = items.setdefault(record.arm, {})
        key = family.key(record)
        before = of_arm[key].happened if key in of_arm else None
        now = record.leak if family.measure == "leaked" else record.blocked
        of_arm[key] = _Item(record.concept, now if before is None else before or now is True)
    return items


def _cells(grouped: Sequence[tuple[_Family, Items]], *, arms: Sequence[str]) -> tuple[Cell, ...]:
    return tuple(
        _cell(family, arm, _comparable(items, family, arm=arm, reference=arms[0]))
        for family, items in grouped
        for arm in arms
        if arm in items
    )


def _comparable(items: Items, family: _Family, *, arm: str, reference: str) -> list[_Item]:
    """Of innocent probes, those which the reference answers: others cannot be over-blocked."""
    own = items[arm]
    if family.measure == "leaked" or arm == reference:
        return list(own.values())
    answered = {key for key, item in items.get(reference, {}).items() if item.happened is False}
    return [item for key, item in own.items() if key in answered]


def _cell(family: _Family, arm: str, items: Sequence[_Item]) -> Cell:
    settled = [item for item in items if item.happened is not None]
    k, n = sum(item.happened is True for item in settled), len(settled)
    lost = len(items) - n
    by_concept: dict[str, Count] = {}
    for item in settled:
        before = by_concept.get(item.concept, Count(0, 0))
        by_concept[item.concept] = Count(before.k + (item.happened is True), before.n + 1)
    return Cell(
        measure=family.measure,
        family=family.name,
        arm=arm,
        rate=clopper_pearson(k, n),
        by_concept=clustered(by_concept.values()),
        concepts=clopper_pearson(sum(c.k > 0 for c in by_concept.values()), len(by_concept)),
        errors=family.errors(arm),
        worst=clopper_pearson(k + lost, n + lost),
    )


def _comparisons(
    grouped: Sequence[tuple[_Family, Items]], *, arms: Sequence[str]
) -> tuple[Comparison, ...]:
    found = [
        _comparison(family, items[arms[0]], items[arm], arm=arm)
        for family, items in grouped
        for arm in arms[1:]
        if arm in items and arms[0] in items
    ]
    adjusted = holm([comparison.p_concepts for comparison in found])
    return tuple(replace(c, p_adjusted=p) for c, p in zip(found, adjusted, strict=True))


def _comparison(
    family: _Family, first: Mapping[Key, _Item], second: Mapping[Key, _Item], *, arm: str
) -> Comparison:
    pairs: list[tuple[bool, bool]] = []
    differences: dict[str, int] = {}
    for key, item in first.items():
        other = second.get(key)
        if other is None or item.happened is None or other.happened is None:
            continue
        pairs.append((item.happened, other.happened))
        more = int(item.happened) - int(other.happened)
        differences[item.concept] = differences.get(item.concept, 0) + more
    p = sign_flip(differences.values())
    return Comparison(
        measure=family.measure,
        family=family.name,
        arm=arm,
        pairs=mcnemar(pairs),
        p_concepts=p,
        p_adjusted=p,
    )


def _timing(records: Sequence[Record], arm: str, *, reference: str) -> Timing:
    whole = [record for record in records if record.arm == arm and record.error is None]
    latencies = [record.latency_s for record in whole]
    firsts = [record.first_token_s for record in whole if record.first_token_s is not None]
    return Timing(
        arm=arm,
        n=len(whole),
        median_s=quantile(latencies, 0.5) if latencies else None,
        p95_s=quantile(latencies, 0.95) if latencies else None,
        first_token_s=quantile(firsts, 0.5) if firsts else None,
        added=None if arm == reference else _added(records, arm, reference=reference),
    )


def _added(records: Sequence[Record], arm: str, *, reference: str) -> Middle | None:
    served = {
        name: {
            (r.run, r.probe, r.kind, r.draw): r.latency_s
            for r in records
            if r.arm == name and r.blocked is False and r.error is None
        }
        for name in (arm, reference)
    }
    shared = [key for key in served[arm] if key in served[reference]]
    differences = [served[arm][key] - served[reference][key] for key in shared]
    return median_interval(differences) if differences else None
