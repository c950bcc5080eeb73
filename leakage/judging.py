"""A judge tried on answers of which it is known whether they tell: one record a case.

Knows no shard and no statistics.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from leakage.calls import Attempt
from leakage.draws import Manner, untold
from leakage.judge import Judge, case, ruled
from leakage.probes import Probe
from leakage.records import JUDGING, Record


async def draw(  # noqa: PLR0913, PLR0917 (one case, and all that it needs)
    probe: Probe, others: Sequence[Probe], number: int, judge: Judge, manner: Manner, shard: str
) -> Record:
    """A record of kind `judging`: `judged` is what the judge said, `answered` what is true."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    given = case(probe, others, number)
    ruling = await ruled(probe, given[0], judge, manner.limits) if given else None
    attempt = ruling.attempt if ruling else Attempt(number=0)
    made = untold(probe, judge, manner, kind=JUDGING, at=at, shard=shard, last=attempt)
    return replace(
        made,
        draw=number,
        answered=given[1] if given else None,
        judged=ruling.tells if ruling else None,
        judge=judge.arm.name,
    )
