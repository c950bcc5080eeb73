"""Records in, rates and comparisons out. Knows neither how they came nor how they are shown.

The unit is the probe and the kind in which it was asked. With several draws it counts as leaked, or
as blocked, where any of them was: draws of one probe are no independent evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from leakage import (
    measures_choices,
    measures_judge,
    measures_logprobs,
    measures_logs,
    measures_outcomes,
    measures_text,
)
from leakage.families import (
    ATTACKS,
    INNOCENT,
    Family,
    Item,
    Items,
    Key,
    Measure,
    families,
    family_of,
    not_measurable,
    single_attacks,
)
from leakage.measures import Finding
from leakage.paired import (
    Change,
    Paired,
    Range,
    difference_range,
    holm,
    mcnemar,
    sign_flip,
)
from leakage.probes import Probe
from leakage.records import Record, scorers
from leakage.statistics import (
    Count,
    Middle,
    Rate,
    clopper_pearson,
    clustered,
    median_interval,
    quantile,
)

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

    difference   between which the arm's share lies above the reference's, concepts swapped
    concepts     compared; below six no test of concepts tells anything, and p is None
    p_concepts   of `sign_flip`, for related probes of one concept
    p_adjusted   `p_concepts` after Holm, over all comparisons of the summary
    """

    measure: Measure
    family: str
    arm: str
    pairs: Paired
    difference: Range
    concepts: int
    p_concepts: float | None
    p_adjusted: float | None


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
    `lacking` says by arm and kind what an arm does not allow, where nothing could be measured.
    `measures` are those of `measure`; `screens` the encoder of an arm's screen, where it is stated.
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
    lacking: Mapping[tuple[str, str], str] = field(default_factory=dict)
    measures: tuple[Finding, ...] = ()
    screens: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """One probe and what each arm said to it. Holds what must not come out."""

    family: str
    prompt: str = field(repr=False)
    answers: Mapping[str, str] = field(repr=False)


def summarise(
    records: Sequence[Record], *, reference: str | None = None, every: bool = False
) -> Summary:
    """Count everything. The reference is the arm without a screen; None takes the first.

    `every` counts innocent probes that the reference does not answer, too. Raises ValueError where
    there is no record, or none of the reference.
    """
    arms = tuple(dict.fromkeys(record.arm for record in records))
    if not arms:
        raise ValueError("no records, nothing to report; run the probes first")
    reference = arms[0] if reference is None else reference
    if reference not in arms:
        raise ValueError(f"no record of the arm {reference!r}; there are {', '.join(arms)}")
    arms = (reference, *(arm for arm in arms if arm != reference))
    grouped = [(family, family.items()) for family in families(records)]
    attacks = [(family, family.items()) for family in single_attacks(records)]
    return Summary(
        reference=reference,
        arms=arms,
        runs=tuple(dict.fromkeys(record.run for record in records)),
        scorers=scorers(records),
        draws=len(records),
        errors={arm: sum(r.error is not None for r in records if r.arm == arm) for arm in arms},
        cells=_cells(grouped, arms=arms, every=every),
        attacks=_cells(attacks, arms=arms, every=every),
        comparisons=_comparisons(grouped, arms=arms),
        timings=tuple(_timing(records, arm, reference=reference) for arm in arms),
        lacking=not_measurable(records),
    )


def measure(
    records: Sequence[Record],
    *,
    arms: Sequence[str],
    retrained: str | None = None,
    alike: float | None = None,
    ratios: measures_logs.Ratios | None = None,
) -> tuple[Finding, ...]:
    """What answers and log-probabilities say of each arm, beside leaks and blocks.

    `retrained` is the arm that never knew, by default the one of that name; `alike`: from which
    cosine on two answers say the same, by default what was measured for the encoder; `ratios`: a
    retrained model's truth ratios, which those of open-unlearning's logs are held against. Raises
    ValueError where there is no arm of that name, and where ratios are of another forget set.
    """
    if retrained is None and "retrained" in arms:
        retrained = "retrained"
    if retrained is not None and retrained not in arms:
        raise ValueError(f"no record of the arm {retrained!r}; there are {', '.join(arms)}")
    if alike is not None and not -1 <= alike <= 1:
        raise ValueError("a cosine from which two answers say the same lies between -1 and 1")
    return (
        *measures_outcomes.measured(records, arms=arms),
        *measures_text.measured(records, arms=arms, retrained=retrained, alike=alike),
        *measures_judge.measured(records, arms=arms),
        *measures_choices.measured(records, arms=arms),
        *measures_logprobs.measured(records, arms=arms, retrained=retrained),
        *measures_logs.measured(records, arms=arms, retrained=retrained, reference=ratios),
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
        family = family_of(next(iter(answers.values())))
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


def _cells(
    grouped: Sequence[tuple[Family, Items]], *, arms: Sequence[str], every: bool
) -> tuple[Cell, ...]:
    return tuple(
        _cell(
            family,
            arm,
            list(items[arm].values())
            if every
            else _comparable(items, family, arm=arm, reference=arms[0]),
        )
        for family, items in grouped
        for arm in arms
        if arm in items
    )


def _comparable(items: Items, family: Family, *, arm: str, reference: str) -> list[Item]:
    """Of innocent probes, those which the reference answers: others cannot be over-blocked."""
    own = items[arm]
    if family.measure == "leaked" or arm == reference:
        return list(own.values())
    answered = {key for key, item in items.get(reference, {}).items() if item.happened is False}
    return [item for key, item in own.items() if key in answered]


def _cell(family: Family, arm: str, items: Sequence[Item]) -> Cell:
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
    grouped: Sequence[tuple[Family, Items]], *, arms: Sequence[str]
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
    family: Family, first: Mapping[Key, Item], second: Mapping[Key, Item], *, arm: str
) -> Comparison:
    pairs: list[tuple[bool, bool]] = []
    changes: dict[str, Change] = {}
    for key, item in first.items():
        other = second.get(key)
        if other is None or item.happened is None or other.happened is None:
            continue
        pairs.append((item.happened, other.happened))
        more = int(other.happened) - int(item.happened)
        before = changes.get(item.concept, Change(0, 0))
        changes[item.concept] = Change(before.more + more, before.n + 1)
    p = sign_flip(change.more for change in changes.values())
    return Comparison(
        measure=family.measure,
        family=family.name,
        arm=arm,
        pairs=mcnemar(pairs),
        difference=difference_range(list(changes.values())),
        concepts=len(changes),
        p_concepts=p,
        p_adjusted=p,
    )


def _timing(records: Sequence[Record], arm: str, *, reference: str) -> Timing:
    whole = [r for r in records if r.arm == arm and r.error is None and r.spoken]
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
