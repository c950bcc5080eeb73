"""A model behind a base URL: JSON out, JSON or events in, within bounds of size and time.

Knows no policy and no wire format. Destinations come from configuration alone.
"""

import asyncio
import errno
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

import aiohttp
import httpx

from proxy.body import BodyError, dumps, parse
from proxy.exchange import Body
from proxy.lineage import Lineage, Role
from proxy.sse import Decoder, StreamError

ANTHROPIC_VERSION = "2023-06-01"  # of the wire format that proxy.formats.messages speaks


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on an upstream's answer. Seconds and bytes."""

    connect_s: float = 10.0
    idle_s: float = 60.0  # between two pieces of an answer
    answer_s: float = 600.0  # for the whole answer: an idle limit does not stop a drip
    event_bytes: int = 1_048_576
    answer_bytes: int = 33_554_432


class UpstreamError(RuntimeError):
    """An upstream that failed: what the client may know of it.

    The upstream's own words stay here: an error message may quote the prompt.
    """

    def __init__(self, message: str, *, status: int, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class _Sent:
    """An answer that has begun, and the time on the loop's clock when it must have ended."""

    response: httpx.Response
    deadline: float


@dataclass(frozen=True, slots=True)
class Upstream:
    """A named upstream. `models` maps public names to the upstream's; empty serves any name.

    `api` says how it is signed in to; every upstream is sent the format that the client speaks.
    `model` answers what is sent here for another reason than its name; `tenants` are globs of who
    may ask by name; `instruct` is false for a model that needs no instruction to forget.
    """

    name: str
    base_url: str
    client: httpx.AsyncClient = field(repr=False)
    key: str | None = field(default=None, repr=False)
    api: Literal["openai", "anthropic"] = "openai"
    models: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    model: str | None = None
    tenants: tuple[str, ...] = ("*",)
    role: Role = "original"
    lineage: Lineage | None = None
    instruct: bool = True

    async def complete(self, path: str, body: Body) -> Body:
        """Send a request and return its JSON answer. Raises UpstreamError."""
        async with self._sent("POST", path, body) as sent:
            return self._parsed(await self._all(sent))

    async def stream(
        self, path: str, body: Body, *, last: frozenset[str] = frozenset()
    ) -> AsyncGenerator[Body, None]:
        """Send a request and yield the JSON of each event until `[DONE]`.

        Where `last` names types of events, one of these ends the stream instead. Raises
        UpstreamError, also where the answer ends otherwise.
        """
        async with self._sent("POST", path, body) as sent:
            kind = sent.response.headers.get("content-type", "").lower()
            if not kind.startswith("text/event-stream"):
                raise UpstreamError("the upstream did not answer with a stream", status=502)
            async with aclosing(self._data(sent)) as events:
                async for said in events:
                    data = said.strip()
                    if not data:
                        continue  # what some servers send to keep a connection
                    if data == "[DONE]":
                        if last:
                            break
                        return
                    event = self._event(data)
                    yield event
                    # What has arrived at once is no reason to let everybody else wait.
                    await asyncio.sleep(0)
                    ends = event.get("type")
                    if isinstance(ends, str) and ends in last:
                        return
        raise UpstreamError("the upstream's stream broke off", status=502)

    def signed(self) -> dict[str, str]:
        """The headers that the API wants of everybody, with the key if there is one."""
        if self.api == "anthropic":
            key = {"x-api-key": self.key} if self.key else {}
            return {"anthropic-version": ANTHROPIC_VERSION, **key}
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    async def listed(self) -> list[Body]:
        """The models that the upstream itself lists. Raises UpstreamError."""
        async with self._sent("GET", "/models", None) as sent:
            data = self._parsed(await self._all(sent)).get("data")
        return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []

    @asynccontextmanager
    async def _sent(self, method: str, path: str, body: Body | None) -> AsyncIterator[_Sent]:
        headers = {"accept-encoding": "identity", **self.signed()}
        if body is not None:
            headers["content-type"] = "application/json"
        deadline = asyncio.get_running_loop().time() + self.limits.answer_s
        try:
            async with AsyncExitStack() as stack:
                opening = self.client.stream(
                    method,
                    self.base_url + path,
                    content=None if body is None else dumps(body),
                    headers=headers,
                    timeout=httpx.Timeout(self.limits.idle_s, connect=self.limits.connect_s),
                )
                async with asyncio.timeout_at(deadline):
                    response = await stack.enter_async_context(opening)
                if response.status_code != 200:
                    raise _refused(response)
                yield _Sent(response, deadline)
        except (TimeoutError, httpx.HTTPError, aiohttp.ClientError) as error:  # not all are mapped
            raise failed(error) from None

    async def _data(self, sent: _Sent) -> AsyncGenerator[str, None]:
        """What each event says. Some servers leave out the empty line behind a last `[DONE]`."""
        decoder = Decoder(self.limits.event_bytes)
        try:
            async with aclosing(self._bytes(sent)) as chunks:
                async for chunk in chunks:
                    for event in decoder.feed(chunk):
                        yield event.data
            for event in decoder.finish():
                yield event.data
        except StreamError as error:
            raise UpstreamError(f"the upstream's stream is broken: {error}", status=502) from None

    async def _all(self, sent: _Sent) -> bytes:
        async with aclosing(self._bytes(sent)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _bytes(self, sent: _Sent) -> AsyncGenerator[bytes, None]:
        if compressed(sent.response.headers):
            raise UpstreamError("the upstream's answer is compressed unasked", status=502)
        received = 0
        # httpx's own annotation hides that this is a generator, which must be closed in order.
        raw = cast("AsyncGenerator[bytes, None]", sent.response.aiter_raw())
        async with aclosing(raw) as chunks:
            while True:
                # A deadline that falls while others work on a piece ends the next wait, not theirs.
                async with asyncio.timeout_at(sent.deadline):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                received += len(chunk)
                if received > self.limits.answer_bytes:
                    raise UpstreamError("the upstream's answer is too large", status=502)
                yield chunk

    def _event(self, data: str) -> Body:
        event = self._parsed(data.encode())
        if event.get("error") or event.get("object") == "error":
            raise UpstreamError("the upstream reported an error in its stream", status=502)
        return event

    def _parsed(self, raw: bytes) -> Body:
        try:
            return parse(raw, max_bytes=self.limits.answer_bytes)
        except BodyError as error:
            raise UpstreamError(f"the upstream's answer is no JSON: {error}", status=502) from None


def failed(error: BaseException) -> UpstreamError:
    """A call that broke, named for what happened; none of the words of the error are passed on.

    The transport has one name for every lost connection, so what it was raised from counts.
    """
    cause = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return UpstreamError("the upstream could not be reached in time", status=504)
    if isinstance(cause, (TimeoutError, httpx.TimeoutException)):
        return UpstreamError("the upstream took too long", status=504)
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        what = "could not be reached (no such host)"
    elif isinstance(cause, aiohttp.ClientSSLError):
        what = "could not be reached (TLS failed)"
    elif isinstance(cause, aiohttp.ClientConnectorError):
        refused = isinstance(cause.os_error, ConnectionRefusedError)
        what = f"could not be reached ({'connection refused' if refused else 'no connection'})"
    elif isinstance(cause, OSError) and cause.errno in (errno.ECONNRESET, errno.EPIPE):
        what = "broke off (connection reset)"
    elif isinstance(cause, (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)):
        what = "broke off (connection closed)"
    elif isinstance(cause, aiohttp.ClientResponseError):
        what = "did not answer in HTTP"
    else:
        what = f"could not be reached ({type(cause).__name__})"
    return UpstreamError(f"the upstream {what}", status=502)


def _refused(response: httpx.Response) -> UpstreamError:
    """What a client is told of an upstream's refusal: the kind, never the upstream's words."""
    status = response.status_code
    if status in (401, 403):
        return UpstreamError("the upstream did not accept this proxy's key", status=502)
    if status in (429, 503, 529):
        return UpstreamError(
            "the upstream is busy; try again later", status=status, retry_after=waits(response)
        )
    if 400 <= status < 500:
        return UpstreamError(f"the upstream did not accept the request ({status})", status=status)
    return UpstreamError(f"the upstream failed ({status})", status=502)


def waits(response: httpx.Response) -> str | None:
    """The seconds after which to come back, up to a day: more digits could tell something."""
    said = response.headers.get("retry-after", "")
    return said if re.fullmatch("[0-9]{1,5}", said) else None


def compressed(headers: Mapping[str, str]) -> bool:
    """Whether a body is not what it says, byte for byte. Names of headers are in small letters."""
    return headers.get("content-encoding", "").lower() not in ("", "identity")
