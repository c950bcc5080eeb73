"""Puts every probe to every arm over HTTP and writes down what came back. Knows no statistics.

Arms take turns, so that whatever changes on the way (load, weather) changes for all of them.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

from leakage.arms import Arm
from leakage.attacks.turns import Scene
from leakage.calls import Limits, client_of, with_model
from leakage.draws import Asked, Manner, Task, draw
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
        clients = [await stack.enter_async_context(client_of(arm)) for arm in arms]
        asked = [
            Asked(await with_model(arm, client), client)
            for arm, client in zip(arms, clients, strict=True)
        ]
        manner = Manner(
            run=uuid.uuid4().hex[:12],
            limits=plan.limits,
            sampling=plan.parameters,
            keep_answers=plan.keep_answers,
        )
        jobs = enumerate(_jobs(asked, probes, plan))

        async def work() -> None:
            for number, (task, arm) in jobs:
                record = await draw(task, arm, manner)
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


def _jobs(
    arms: Sequence[Asked], probes: Sequence[Probe], plan: Plan
) -> Iterator[tuple[Task, Asked]]:
    """All draws. Another arm comes first each time: the first may find a cache cold."""
    for number in range(plan.draws):
        for at, probe in enumerate(probes):
            streamed = plan.stream == "always" or (
                plan.stream == "alternate" and (at + number) % 2 == 1
            )
            scene = Scene(seed=f"{probe.id}/{number}")
            task = Task(probe, None, scene, draw=number, streamed=streamed)
            first = at % len(arms) if arms else 0
            for arm in (*arms[first:], *arms[:first]):
                yield task, arm
