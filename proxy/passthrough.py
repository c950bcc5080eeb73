"""Paths that an operator opens by name: passed on as they are, and on record as unscreened.

Knows no wire format and screens nothing. What is not opened stays closed; a path whose answers are
screened can never be opened, however it is written.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import httpx

from proxy.audit import Audit, AuditError
from proxy.trace import Caller, Trace
from proxy.upstream import Upstream, UpstreamError, compressed, failed, waits

log = logging.getLogger("lethe")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What may be opened: named segments below /v1, and at the end perhaps everything below them.
OPENABLE = r"^/v1(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+(?:/\*)?$"

_SEGMENT = re.compile(r"(?!\.+$)[A-Za-z0-9._~:-]{1,256}")
_QUERY = re.compile(rb"[A-Za-z0-9._~=&%+,:\[\]-]{0,2048}")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?[a-z]+=[A-Za-z0-9._=-]+)*")
_FORWARDED = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class Opening:
    """One path that is open: exactly, or (`/v1/files/*`) with everything below it."""

    path: str
    methods: frozenset[str]

    def __post_init__(self) -> None:
        """Raise ValueError for what could not be meant."""
        if not re.fullmatch(OPENABLE, self.path):
            raise ValueError("passthrough: name a path below /v1, as /v1/files or /v1/files/*")
        if not self.methods or not self.methods.issubset(METHODS):
            raise ValueError(f"passthrough: methods are {', '.join(METHODS)}")

    def covers(self, path: str) -> bool:
        """Whether a path is this one, or lies below it where that is open."""
        above = self.path.removesuffix("*")
        return path == self.path if above == self.path else path.startswith(above)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to be passed on: what of it may go upstream."""

    method: str
    path: str
    query: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Relayed:
    """An upstream's answer, whole, with the only headers that leave."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


class Passthrough:
    """The open paths of a deployment, all to one upstream.

    `closed` are the paths that are answered otherwise. Raises ValueError where one is opened.
    """

    def __init__(
        self,
        openings: Sequence[Opening],
        *,
        upstream: Upstream,
        audit: Audit,
        closed: Iterable[str],
    ) -> None:
        self._openings = tuple(openings)
        self._upstream = upstream
        self._audit = audit
        # A server behind us may not care about case.
        self._closed = frozenset(path.lower() for path in closed)
        if taken := [o.path for o in openings if o.path.lower() in self._closed]:
            raise ValueError(f"passthrough: {taken[0]} is served here and cannot be passed on")

    def methods(self, path: str) -> frozenset[str]:
        """The methods that are open for a decoded path; none where it is closed."""
        segments = path.split("/")[1:]
        if path.lower() in self._closed or not all(map(_SEGMENT.fullmatch, segments)):
            return frozenset()
        return frozenset().union(*(o.methods for o in self._openings if o.covers(path)))

    async def relay(self, asked: Asked, *, request_id: str, tenant: str) -> Relayed:
        """Pass a request on and its answer back, with an audit record before the answer leaves.

        Raises UpstreamError, also for a request that no opening covers.
        """
        opening = self._opening(asked)
        trace = Trace(Caller(request_id, tenant, opening.path))
        trace.asks(self._upstream, elsewhere=False)
        trace.default = "passthrough"
        try:
            relayed = await self._answered(asked)
            trace.outcome = "unscreened"
        except UpstreamError as error:
            trace.outcome, trace.error = "upstream failed", str(error)
            raise
        except asyncio.CancelledError:
            trace.outcome = "client left"
            raise
        finally:
            self._write(trace)
        return relayed

    def _opening(self, asked: Asked) -> Opening:
        if asked.method in self.methods(asked.path):
            for opening in self._openings:
                if asked.method in opening.methods and opening.covers(asked.path):
                    return opening
        raise UpstreamError("there is nothing at this path", status=404)

    def _write(self, trace: Trace) -> None:
        try:
            self._audit.append(trace.record())
        except AuditError as error:
            log.critical("request=%s left no audit record: %s", trace.caller.request_id, error)
            raise UpstreamError("the answer could not be completed", status=500) from None
        trace.log()

    async def _answered(self, asked: Asked) -> Relayed:
        limits = self._upstream.limits
        if not _QUERY.fullmatch(asked.query):
            raise UpstreamError("the query holds what is not passed on", status=400)
        url = self._upstream.base_url + asked.path.removeprefix("/v1")
        try:
            async with (
                asyncio.timeout(limits.answer_s),
                self._upstream.client.stream(
                    asked.method,
                    f"{url}?{asked.query.decode()}" if asked.query else url,
                    content=asked.body or None,
                    headers=self._headers(asked),
                    timeout=httpx.Timeout(limits.idle_s, connect=limits.connect_s),
                    follow_redirects=False,
                ) as response,
            ):
                _check(response)
                body = await _whole(response, most=limits.answer_bytes)
        except (TimeoutError, httpx.HTTPError, aiohttp.ClientError) as error:
            raise failed(error) from None
        kind = response.headers.get("content-type", "")
        kind = kind if _TYPE.fullmatch(kind) else "application/octet-stream"
        headers = (("content-type", kind), ("x-content-type-options", "nosniff"))
        return Relayed(response.status_code, headers, body)

    def _headers(self, asked: Asked) -> dict[str, str]:
        headers = {"accept-encoding": "identity", **self._upstream.signed()}
        for name in ("content-type", "accept"):
            value = asked.headers.get(name, "")
            if _FORWARDED.fullmatch(value):
                headers[name] = value
        return headers


def _check(response: httpx.Response) -> None:
    """Raise UpstreamError for anything but a plain success: the kind, never the words."""
    status = response.status_code
    if status in (401, 403):
        raise UpstreamError("the upstream did not accept this proxy's key", status=502)
    if status == 429:
        busy = "the upstream is busy; try again later"
        raise UpstreamError(busy, status=429, retry_after=waits(response))
    if 400 <= status < 500:
        raise UpstreamError(f"the upstream did not accept the request ({status})", status=status)
    if not 200 <= status < 300:
        raise UpstreamError(f"the upstream failed ({status})", status=502)
    if compressed(response.headers):
        raise UpstreamError("the upstream's answer is compressed unasked", status=502)


async def _whole(response: httpx.Response, *, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most:
            raise UpstreamError("the upstream's answer is too large", status=502)
        parts.append(part)
    return b"".join(parts)
