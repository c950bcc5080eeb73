"""A judge tried on answers of which it is known whether they tell: one record a case.

Knows no shard and no statistics.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from leakage.calls import Attempt
from leakage.draws import Manner
from leakage.judge import Judge, case, ruled
from leakage.probes import Probe
from leakage.records import JUDGING, Record
from leakage.scores import SCORER


async def draw(  # noqa: PLR0913, PLR0917 (one case, and all that it needs)
    probe: Probe, others: Sequence[Probe], number: int, judge: Judge, manner: Manner, shard: str
) -> Record:
    """A record of kind `judging`: `judged` is what the judge said, `answered` what is true."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    given = case(probe, others, number)
    ruling = await ruled(probe, given[0], judge, manner.limits) if given else None
    attempt = ruling.attempt if ruling else Attempt(number=0)
    return Record(
        run=manner.run,
        at=at,
        scorer=SCORER,
        arm=judge.arm.name,
        probe=probe.id,
        concept=probe.concept,
        split=probe.split,
        kind=JUDGING,
        draw=number,
        streamed=False,
        answered=given[1] if given else None,
        leak=None,
        blocked=None,
        refused=False,
        score=0.0,
        finish_reason=attempt.reply.finish_reason,
        status=attempt.status,
        error=attempt.error,
        attempts=attempt.number,
        latency_s=attempt.latency_s,
        first_token_s=None,
        tokens_in=attempt.reply.tokens_in,
        tokens_out=attempt.reply.tokens_out,
        answer_sha256=hashlib.sha256(b"").hexdigest(),
        fingerprint=judge.fingerprint,
        shard=shard,
        requests=attempt.number,
        judged=ruling.tells if ruling else None,
        judge=judge.arm.name,
    )
