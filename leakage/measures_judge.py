"""What a judge model says of answers, corrected for how it did on known ones. Knows no page."""

from collections.abc import Iterator, Sequence

from leakage.judged import Judge, corrected
from leakage.measures import Finding, by_arm
from leakage.records import JUDGING, Record
from leakage.statistics import Count, clustered


def measured(records: Sequence[Record], *, arms: Sequence[str]) -> Iterator[Finding]:
    """The share of plain answers to forget questions that a judge says tell; none without a judge.

    The note has the judge's errors and the interval that is corrected for them.
    """
    plain = [r for r in records if r.spoken and r.judge is not None and not r.innocent]
    for judge in dict.fromkeys(r.judge for r in plain):
        tried = [r for r in records if r.kind == JUDGING and r.judge == judge]
        known = errors(tried)
        own = by_arm((r for r in plain if r.judge == judge and r.draw == 0), arms)
        for arm in arms:
            yield _share(f"judged to tell ({judge})", arm, own[arm], known)


def errors(tried: Sequence[Record]) -> Judge:
    """How a judge did: what it left open counts as wrong."""
    true = [r for r in tried if r.answered is True and r.error is None]
    false = [r for r in tried if r.answered is False and r.error is None]
    return Judge(
        found=Count(sum(r.judged is True for r in true), len(true)),
        cleared=Count(sum(r.judged is False for r in false), len(false)),
    )


def _share(name: str, arm: str, records: Sequence[Record], known: Judge) -> Finding:
    counts: dict[str, Count] = {}
    for record in records:
        if record.judged is not None:
            before = counts.get(record.concept, Count(0, 0))
            counts[record.concept] = Count(before.k + record.judged, before.n + 1)
    rate = clustered(counts.values())
    if rate.share is None:
        return Finding(name, arm, lacks="answers that the judge ruled on")
    found = corrected(Count(rate.k, rate.n), known)
    note = (
        f"of known answers it found {known.found.k} of {known.found.n} and cleared "
        f"{known.cleared.k} of {known.cleared.n}"
    )
    if found is None:
        note += ", no better than guessing"
    else:
        note += f"; corrected [{found.low:.3f}, {found.high:.3f}]"
    return Finding(name, arm, rate.share, rate.low, rate.high, rate.n, note=note)
