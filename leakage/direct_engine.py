"""Puts every probe to every arm over HTTP and writes down what came back. Knows no statistics.

Arms take turns, so that whatever changes on the way (load, weather) changes for all of them.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import httpx

from leakage import scores
from leakage.arms import Arm
from leakage.calls import Attempt, Limits, call, client_of, with_model
from leakage.probes import Probe
from leakage.records import Record

Stream = Literal["alternate", "always", "never"]
Progress = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is done; the same for every arm.

    draws          times that each probe is put to each arm
    stream         `alternate` asks for a stream in every other draw
    concurrency    requests in flight, over all arms
    timeout_s      for one whole answer; an answer that takes longer is an error
    retries        requests after the first, where an arm failed before it said a word
    backoff_s      before the first retry, doubled for each; a Retry-After up to a minute wins
    answer_bytes   larger answers are errors
    parameters     further fields of the request, such as temperature and max_tokens
    keep_answers   whether records hold the answers' text
    """

    draws: int = 1
    stream: Stream = "alternate"
    concurrency: int = 4
    timeout_s: float = 60.0
    retries: int = 2
    backoff_s: float = 0.5
    answer_bytes: int = 8_388_608
    parameters: Mapping[str, Any] = field(default_factory=dict)
    keep_answers: bool = False

    def __post_init__(self) -> None:
        for name in ("draws", "concurrency"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be greater than zero")
        _ = self.limits

    @property
    def limits(self) -> Limits:
        """What holds for each request. Raises ValueError."""
        return Limits(self.timeout_s, self.retries, self.backoff_s, self.answer_bytes)


@dataclass(frozen=True, slots=True)
class _Job:
    """One draw to be made."""

    arm: Arm
    probe: Probe
    draw: int
    streamed: bool


def total(arms: Sequence[Arm], probes: Sequence[Probe], *, plan: Plan | None = None) -> int:
    """How many draws a run makes."""
    return len(arms) * len(probes) * (plan or Plan()).draws


async def run(
    arms: Sequence[Arm],
    probes: Sequence[Probe],
    *,
    plan: Plan | None = None,
    progress: Progress | None = None,
) -> list[Record]:
    """Make every draw and return the records, in an order that does not depend on the answers.

    `progress` is given each record as soon as it is there. A draw that fails becomes a record with
    an error. Raises ArmError where an arm cannot be asked at all, ValueError for arms of one name.
    """
    if len({arm.name for arm in arms}) < len(arms):
        raise ValueError("two arms share a name; records could not be told apart")
    plan = plan or Plan()
    records: dict[int, Record] = {}
    async with AsyncExitStack() as stack:
        clients = {arm.name: await stack.enter_async_context(client_of(arm)) for arm in arms}
        asked = [await with_model(arm, clients[arm.name]) for arm in arms]
        name = uuid.uuid4().hex[:12]
        jobs = enumerate(_jobs(asked, probes, plan))

        async def work() -> None:
            for number, job in jobs:
                record = await _draw(job, client=clients[job.arm.name], plan=plan, run=name)
                records[number] = record
                if progress:
                    progress(record)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(plan.concurrency):
                    workers.create_task(work())
        except ExceptionGroup as group:
            # Only `progress` raises, a full disk for instance; its caller knows that by its name.
            raise group.exceptions[0] from None
    return [records[number] for number in sorted(records)]


def _jobs(arms: Sequence[Arm], probes: Sequence[Probe], plan: Plan) -> Iterator[_Job]:
    """All draws. Another arm comes first each time: the first may find a cache cold."""
    for draw in range(plan.draws):
        for at, probe in enumerate(probes):
            streamed = plan.stream == "always" or (
                plan.stream == "alternate" and (at + draw) % 2 == 1
            )
            first = at % len(arms) if arms else 0
            for arm in (*arms[first:], *arms[:first]):
                yield _Job(arm=arm, probe=probe, draw=draw, streamed=streamed)


async def _draw(job: _Job, *, client: httpx.AsyncClient, plan: Plan, run: str) -> Record:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    body = {
        **plan.parameters,
        "model": job.arm.model,
        "messages": job.probe.turns,
        "stream": job.streamed,
    }
    url = f"{job.arm.base_url}/chat/completions"
    attempt = await call(client, url, body, limits=plan.limits)
    return _record(job, attempt, plan=plan, run=run, at=at)


def _record(job: _Job, attempt: Attempt, *, plan: Plan, run: str, at: str) -> Record:
    probe, reply = job.probe, attempt.reply
    answered = scores.leaks(reply.text, probe.answers)
    # A draw that failed proves what it said and nothing of what it did not come to say.
    settled = answered or attempt.error is None
    return Record(
        run=run,
        at=at,
        scorer=scores.SCORER,
        arm=job.arm.name,
        probe=probe.id,
        concept=probe.concept,
        split=probe.split,
        kind=probe.kind,
        draw=job.draw,
        streamed=job.streamed,
        answered=answered if settled else None,
        leak=answered if settled and not probe.innocent else None,
        blocked=not answered if settled and probe.innocent else None,
        refused=scores.refused(reply.text, reply.finish_reason),
        score=scores.rouge_l_recall(reply.text, probe.answers),
        finish_reason=reply.finish_reason,
        status=attempt.status,
        error=attempt.error,
        attempts=attempt.number,
        latency_s=attempt.latency_s,
        first_token_s=attempt.first_token_s,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        answer_sha256=hashlib.sha256(reply.text.encode(errors="replace")).hexdigest(),
        answer=reply.text if plan.keep_answers else None,
    )
