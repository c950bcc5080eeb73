"""Puts every probe to every arm over HTTP and writes down what came back. Knows no statistics.

Arms take turns, so that whatever changes on the way (load, weather) changes for all of them.
"""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from leakage import scores
from leakage.arms import Arm, ArmError
from leakage.chat import DONE, Events, Reply, ReplyError, is_filtered, parse
from leakage.probes import Probe
from leakage.records import Record

Stream = Literal["alternate", "always", "never"]
Progress = Callable[[Record], None]

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LINGER_S = 1.0  # that an arm may take to end a stream after its last event
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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
        for name in ("draws", "concurrency", "timeout_s", "answer_bytes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be greater than zero")
        if self.retries < 0:
            raise ValueError("retries: must not be negative")


@dataclass(frozen=True, slots=True)
class _Job:
    """One draw to be made."""

    arm: Arm
    probe: Probe
    draw: int
    streamed: bool


@dataclass(slots=True)
class _Attempt:
    """One request and as much of its answer as came, whatever ended it."""

    reply: Reply = field(default_factory=Reply)
    status: int | None = None
    error: str | None = None
    transient: bool = False
    retry_after_s: float | None = None
    latency_s: float = 0.0
    first_token_s: float | None = None


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
        clients = {arm.name: await stack.enter_async_context(_client(arm)) for arm in arms}
        asked = [await _with_model(arm, clients[arm.name]) for arm in arms]
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


def _client(arm: Arm) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers=arm.sign_in(os.environ),
        # Each answer has one limit as a whole; a limit between two bytes would not stop a drip.
        timeout=None,  # noqa: S113
        # A proxy of the environment is never on the way to this machine itself.
        trust_env=urlsplit(arm.base_url).hostname not in _LOOPBACK,
    )


async def _with_model(arm: Arm, client: httpx.AsyncClient) -> Arm:
    """The arm with a model: the first that it lists, where none is named. Raises ArmError."""
    if arm.model is not None:
        return arm
    advice = "name a model, as in NAME=BASE_URL,MODEL"
    try:
        answer = await client.get(f"{arm.base_url}/models", timeout=10.0)
    except httpx.HTTPError as error:
        kind = type(error).__name__
        raise ArmError(f"arm {arm.name!r}: {arm.base_url} does not answer ({kind})") from None
    try:
        model = parse(answer.content)["data"][0]["id"]
    except (ReplyError, LookupError, TypeError):
        raise ArmError(
            f"arm {arm.name!r}: {arm.base_url}/models lists no model "
            f"(HTTP {answer.status_code}); {advice}"
        ) from None
    return replace(arm, model=str(model))


async def _draw(job: _Job, *, client: httpx.AsyncClient, plan: Plan, run: str) -> Record:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    attempts = 1
    attempt = await _ask(job, client=client, plan=plan)
    while attempt.transient and attempts <= plan.retries:
        pause = plan.backoff_s * 2 ** (attempts - 1)
        await asyncio.sleep(pause if attempt.retry_after_s is None else attempt.retry_after_s)
        attempt = await _ask(job, client=client, plan=plan)
        attempts += 1
    return _record(job, attempt, plan=plan, run=run, at=at, attempts=attempts)


async def _ask(job: _Job, *, client: httpx.AsyncClient, plan: Plan) -> _Attempt:
    attempt = _Attempt()
    body = {
        **plan.parameters,
        "model": job.arm.model,
        "messages": job.probe.turns,
        "stream": job.streamed,
    }
    started = time.perf_counter()
    try:
        async with (
            asyncio.timeout(plan.timeout_s),
            client.stream("POST", f"{job.arm.base_url}/chat/completions", json=body) as response,
        ):
            attempt.status = response.status_code
            if response.status_code != 200:
                await _read_error(response, attempt, plan=plan)
            elif job.streamed:
                await _read_stream(response, attempt, plan=plan, started=started)
            else:
                attempt.reply.take(await _read(response, plan=plan))
    except TimeoutError:
        attempt.error = f"no whole answer within {plan.timeout_s:g} s"
    except httpx.HTTPError as error:
        attempt.error = f"the connection failed ({type(error).__name__})"
        # What was said was said: another try must not overwrite it.
        attempt.transient = not attempt.reply.spoke
    except ReplyError as error:
        attempt.error = str(error)
    if not attempt.latency_s:
        attempt.latency_s = time.perf_counter() - started
    return attempt


async def _read(response: httpx.Response, *, plan: Plan) -> bytes:
    async with aclosing(_chunks(response, plan=plan)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def _chunks(response: httpx.Response, *, plan: Plan) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > plan.answer_bytes:
            raise ReplyError(f"an answer of more than {plan.answer_bytes} bytes")
        yield chunk


async def _read_stream(
    response: httpx.Response, attempt: _Attempt, *, plan: Plan, started: float
) -> None:
    """Raises ReplyError, with all that came before it in the attempt's reply."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        attempt.reply.take(await _read(response, plan=plan))
        raise ReplyError("no stream, though one was asked for")
    events = Events()
    async with aclosing(_chunks(response, plan=plan)) as chunks:
        async for chunk in chunks:
            for data in events.feed(chunk):
                if data == DONE:
                    attempt.latency_s = time.perf_counter() - started
                    await _drain(chunks)
                    return _check_finished(attempt.reply)
                attempt.reply.take(data)
                if attempt.first_token_s is None and attempt.reply.spoke:
                    attempt.first_token_s = time.perf_counter() - started
    raise ReplyError("a stream that breaks off" + (" inside an event" if events.open else ""))


async def _drain(chunks: AsyncGenerator[bytes, None]) -> None:
    """Read what is left, so that the connection serves the next draw: a new one would cost time."""
    with suppress(TimeoutError, httpx.HTTPError, ReplyError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in chunks:
                pass


def _check_finished(reply: Reply) -> None:
    if reply.finish_reason is None:
        raise ReplyError("a stream that ends without a finish reason")


async def _read_error(response: httpx.Response, attempt: _Attempt, *, plan: Plan) -> None:
    raw = await _read(response, plan=plan)
    try:
        filtered = is_filtered(parse(raw))
    except ReplyError:
        filtered = False
    if filtered:
        attempt.reply.take(raw)
        return
    attempt.error = f"HTTP {response.status_code}"
    attempt.transient = response.status_code in _TRANSIENT
    seconds = response.headers.get("retry-after", "")
    if seconds.isdecimal():
        attempt.retry_after_s = min(float(seconds), 60.0)


def _record(  # noqa: PLR0913 - where everything about a draw comes together
    job: _Job, attempt: _Attempt, *, plan: Plan, run: str, at: str, attempts: int
) -> Record:
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
        attempts=attempts,
        latency_s=attempt.latency_s,
        first_token_s=attempt.first_token_s,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        answer_sha256=hashlib.sha256(reply.text.encode(errors="replace")).hexdigest(),
        answer=reply.text if plan.keep_answers else None,
    )
