"""TOFU's measures by the truth ratios in open-unlearning's logs. Knows no file and no page.

The ratios are the log's own; the test is ours. Ratios of different forget sets are never compared.
"""

from collections.abc import Iterator, Mapping, Sequence

from leakage import tofu
from leakage.distributions import kolmogorov
from leakage.measures import Finding, Value, mean
from leakage.measures_logprobs import equivalence
from leakage.records import Record

NEEDS = "a log of open-unlearning with forget_truth_ratio"

# Two spellings: its logs of published models have the first.
_SCORES = {
    f"open-unlearning {name}": f"{name} score"
    for name in ("forget_truth_ratio", "forget_Truth_Ratio")
}

Ratios = Sequence[float | None]
_Rows = Mapping[int, Record]


def measured(
    records: Sequence[Record],
    *,
    arms: Sequence[str],
    retrained: str | None,
    reference: Ratios | None = None,
) -> Iterator[Finding]:
    """Truth ratio and forget quality of arms whose log has them; none where no log was read.

    `reference`: a retrained model's truth ratios, a row each, None where it has none; by default
    those of the retrained arm, where its log was read too. Raises ValueError where an arm's log has
    another number of rows than `reference`.
    """
    rows = {arm: _rows(records, arm) for arm in arms}
    if not any(rows.values()):
        if reference is not None:
            raise ValueError(f"a log to compare with was given, and no arm has {NEEDS}")
        return
    for arm in arms:
        yield _nearness(arm, rows[arm])
    for arm in arms:
        if reference is not None and rows[arm] and len(rows[arm]) != len(reference):
            raise ValueError(
                f"{arm}: its log has {len(rows[arm])} truth ratios and the one to compare with "
                f"{len(reference)}: they are of different forget sets; give the log of the same"
            )
        yield _quality(arm, rows, retrained, reference)


def _rows(records: Sequence[Record], arm: str) -> _Rows:
    """By the number of the row in the forget set."""
    own = [r for r in records if r.arm == arm and r.kind in _SCORES and r.measured is not None]
    numbered = [(record.probe.rpartition(".")[2], record) for record in own]
    return {int(at): record for at, record in numbered if at.isdecimal()}


def _ratio(record: Record) -> float | None:
    return (record.measured or {}).get(_SCORES[record.kind])


def _nearness(arm: str, rows: _Rows) -> Finding:
    values = [
        Value(record.concept, tofu.nearness(ratio))
        for record in rows.values()
        if (ratio := _ratio(record)) is not None
    ]
    return mean("truth ratio, from a log", arm, values, lacks=NEEDS)


def _quality(
    arm: str, rows: Mapping[str, _Rows], retrained: str | None, reference: Ratios | None
) -> Finding:
    name, mine = "forget quality, from a log", rows[arm]
    if not mine:
        return Finding(name, arm, lacks=NEEDS)
    if reference is None:
        other = rows[retrained] if retrained is not None else {}
        if not other:
            return Finding(name, arm, lacks="the log of a retrained model")
        if set(other) != set(mine):
            return Finding(
                name,
                arm,
                lacks=f"rows of the same forget set ({len(mine)}, the retrained arm's "
                f"{len(other)})",
            )
        never = {at: _ratio(record) for at, record in other.items()}
    else:
        never = dict(enumerate(reference))
    shared = [
        (one, ratio, record.concept)
        for at, record in mine.items()
        if (one := _ratio(record)) is not None and (ratio := never.get(at)) is not None
    ]
    if not shared:
        return Finding(name, arm, lacks="rows in which both logs have a number")
    gap = kolmogorov(
        [one for one, _, _ in shared],
        [ratio for _, ratio, _ in shared],
        clusters=[concept for _, _, concept in shared],
    )
    left = len(mine) - len(shared)
    note = equivalence(gap) + (f"; {left} rows without a number in one of both" if left else "")
    return Finding(name, arm, gap.p, n=len(shared), note=note)
