"""One request to an arm over HTTP, with bounded retries, and what came back. Knows no probe."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from leakage.arms import Arm, ArmError
from leakage.chat import DONE, Events, Reply, ReplyError, is_filtered, parse
from leakage.journal import CURRENT, Kept, digest

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

_LINGER_S = 1.0  # that an arm may take to end a stream after its last event
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often an arm is asked.

    timeout_s      for one whole answer; an answer that takes longer is an error
    retries        requests after the first, where an arm failed before it said a word
    backoff_s      before the first retry, doubled for each; a Retry-After up to a minute wins
    answer_bytes   larger answers are errors
    """

    timeout_s: float = 60.0
    retries: int = 2
    backoff_s: float = 0.5
    answer_bytes: int = 8_388_608

    def __post_init__(self) -> None:
        for name in ("timeout_s", "answer_bytes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be greater than zero")
        if self.retries < 0:
            raise ValueError("retries: must not be negative")


@dataclass(slots=True)
class Attempt:
    """One request and as much of its answer as came, whatever ended it.

    number   requests sent for it, this one included
    """

    reply: Reply = field(default_factory=Reply)
    status: int | None = None
    error: str | None = None
    transient: bool = False
    retry_after_s: float | None = None
    latency_s: float = 0.0
    first_token_s: float | None = None
    number: int = 1


def client_of(arm: Arm) -> httpx.AsyncClient:
    """A client that signs in as the arm wants. Raises ArmError."""
    return httpx.AsyncClient(
        headers=arm.sign_in(os.environ),
        # Each answer has one limit as a whole; a limit between two bytes would not stop a drip.
        timeout=None,  # noqa: S113
        # A proxy of the environment is never on the way to this machine itself.
        trust_env=urlsplit(arm.base_url).hostname not in _LOOPBACK,
    )


async def with_model(arm: Arm, client: httpx.AsyncClient) -> Arm:
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


async def call(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], *, limits: Limits
) -> Attempt:
    """Send a body and read the answer, whole or as a stream; again where nothing was said.

    What a draw was answered before its run was killed is not asked again (`journal.CURRENT`).
    """
    kept = CURRENT.get()
    if kept is None:
        return await _tried(client, url, body, limits=limits)
    asked = digest(url, body)
    if known := kept.answer(asked):
        return _again(known)
    attempt = await _tried(client, url, body, limits=limits)
    answered = attempt.error is None or attempt.error == f"HTTP {attempt.status}"
    if attempt.status is not None and answered and not attempt.transient:
        took = (attempt.number, attempt.latency_s, attempt.first_token_s)
        kept.keep(Kept(asked, attempt.status, attempt.error, *took, attempt.reply.taken))
    return attempt


def _again(known: Kept) -> Attempt:
    attempt = Attempt(
        status=known.status,
        error=known.error,
        latency_s=known.latency_s,
        first_token_s=known.first_token_s,
        number=known.requests,
    )
    for each in known.taken:
        attempt.reply.take(each)
    return attempt


async def _tried(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], *, limits: Limits
) -> Attempt:
    attempt = await _once(client, url, body, limits=limits)
    for number in range(1, limits.retries + 1):
        if not attempt.transient:
            break
        pause = limits.backoff_s * 2 ** (number - 1)
        await asyncio.sleep(pause if attempt.retry_after_s is None else attempt.retry_after_s)
        attempt = await _once(client, url, body, limits=limits)
        attempt.number = number + 1
    return attempt


async def _once(
    client: httpx.AsyncClient, url: str, body: Mapping[str, Any], *, limits: Limits
) -> Attempt:
    attempt = Attempt()
    started = time.perf_counter()
    try:
        async with (
            asyncio.timeout(limits.timeout_s),
            client.stream("POST", url, json=body) as response,
        ):
            attempt.status = response.status_code
            if response.status_code != 200:
                await _read_error(response, attempt, limits=limits)
            elif body.get("stream"):
                await _read_stream(response, attempt, limits=limits, started=started)
            else:
                attempt.reply.take(await _read(response, limits=limits))
    except TimeoutError:
        attempt.error = f"no whole answer within {limits.timeout_s:g} s"
    except httpx.HTTPError as error:
        attempt.error = f"the connection failed ({type(error).__name__})"
        # What was said was said: another try must not overwrite it.
        attempt.transient = not attempt.reply.spoke
    except ReplyError as error:
        attempt.error = str(error)
    if not attempt.latency_s:
        attempt.latency_s = time.perf_counter() - started
    return attempt


async def _read(response: httpx.Response, *, limits: Limits) -> bytes:
    async with aclosing(_chunks(response, limits=limits)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def _chunks(response: httpx.Response, *, limits: Limits) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > limits.answer_bytes:
            raise ReplyError(f"an answer of more than {limits.answer_bytes} bytes")
        yield chunk


async def _read_stream(
    response: httpx.Response, attempt: Attempt, *, limits: Limits, started: float
) -> None:
    """Raises ReplyError, with all that came before it in the attempt's reply."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        attempt.reply.take(await _read(response, limits=limits))
        raise ReplyError("no stream, though one was asked for")
    events = Events()
    async with aclosing(_chunks(response, limits=limits)) as chunks:
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


async def _read_error(response: httpx.Response, attempt: Attempt, *, limits: Limits) -> None:
    raw = await _read(response, limits=limits)
    try:
        filtered = is_filtered(parse(raw))
    except ReplyError:
        filtered = False
    if filtered:
        attempt.reply.take(raw)
        return
    attempt.error = f"HTTP {response.status_code}"
    attempt.transient = response.status_code in TRANSIENT
    seconds = response.headers.get("retry-after", "")
    if seconds.isdecimal():
        attempt.retry_after_s = min(float(seconds), 60.0)
