"""The front door: routes, bodies within bounds, answers onto the wire. Decides nothing about texts.

Knows no concept. Trusts the path that the server parsed and its own limits, never a URL or a header
of the client's.
"""

import asyncio
import hmac
import logging
import re
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from hashlib import sha256

from fastapi import FastAPI
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from proxy.body import BodyError, dumps, parse
from proxy.comparison import ROUTE as COMPARE
from proxy.comparison import Comparing, Comparison
from proxy.exchange import Body, Format
from proxy.formats import chat, completions, embeddings, messages, messages_count, responses
from proxy.framing import Out
from proxy.openapi import description
from proxy.passthrough import Asked, Opening, Passthrough, Relayed
from proxy.pipeline import Pipeline
from proxy.trace import Caller, frames
from proxy.upstream import UpstreamError, compressed
from proxy.upstreams import open_to

log = logging.getLogger("lethe")

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")

WIRES: tuple[Format, ...] = (chat, completions, responses, embeddings, messages, messages_count)
FORMATS: Mapping[str, Format] = {wire.route: wire for wire in WIRES}
MODELS = "/v1/models"
EVENTS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-store"))
JSON = (("content-type", "application/json"),)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the front door lets in.

    body_bytes   size of a request body
    body_depth   nesting of its JSON
    receive_s    seconds in which a body must have arrived
    hosts        accepted Host headers, without port; empty accepts any
    openings     paths that are passed on unscreened
    comparing    what may be compared, and by whom; None is nobody
    tenants      name of a tenant → SHA-256 digests (hex) of its keys; empty asks for no key
    """

    body_bytes: int = 1_048_576
    body_depth: int = 64
    receive_s: float = 30.0
    hosts: frozenset[str] = frozenset()
    tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    openings: tuple[Opening, ...] = ()
    comparing: Comparing | None = None


class Rejected(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that does not get past the door: status, words and headers for the client."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, headers: Headers = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


class Door:
    """One ASGI application for every path that is no probe of health."""

    def __init__(self, pipeline: Pipeline, entry: Entry) -> None:
        self._pipeline = pipeline
        self._entry = entry
        self._passthrough = Passthrough(
            entry.openings,
            upstream=pipeline.upstreams.first,
            audit=pipeline.audit,
            closed={*FORMATS, MODELS},
        )
        self._comparison = self._comparing()
        self._description = description([*FORMATS, *([COMPARE] if entry.comparing else [])])

    def serve(self, pipeline: Pipeline) -> None:
        """Lead every request from the next one on through another pipeline."""
        self._pipeline = pipeline
        self._comparison = self._comparing()

    def _comparing(self) -> Comparison | None:
        comparing = self._entry.comparing
        return Comparison(self._pipeline, comparing, FORMATS) if comparing else None

    async def healthy(self, _: HttpRequest) -> JSONResponse:
        """The process runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: HttpRequest) -> JSONResponse:
        """The screen can answer and the audit can be written; with the policies' digest."""
        if not self._pipeline.screening.alive:
            return _not_ready("the screen has stopped")
        if self._pipeline.audit.failing:
            return _not_ready("the audit cannot be written")
        digest = self._pipeline.policies.digest
        return JSONResponse({"status": "ready", "policies": digest})

    async def described(self, _: HttpRequest) -> JSONResponse:
        """What is served, as OpenAPI."""
        return JSONResponse(self._description)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served here")
        request_id = uuid.uuid4().hex
        with suppress(asyncio.CancelledError):  # the server is stopping: the story has been told
            await self._serve(scope, receive, Speaking(send, request_id), request_id)

    async def _serve(
        self, scope: Scope, receive: Receive, speaking: "Speaking", request_id: str
    ) -> None:
        wire = FORMATS.get(scope["path"])
        try:
            tenant = self._admitted(scope)
            if wire is not None and scope["method"] == "POST":
                body = await self._body(scope, receive)
                caller = Caller(request_id, tenant, wire.route)
                story = self._pipeline.answer(wire, body, caller)
                await self._converse(story, receive, speaking)
            elif scope["path"] == COMPARE:
                await self._compare(scope, receive, speaking, Caller(request_id, tenant, COMPARE))
            elif methods := self._passthrough.methods(scope["path"]):
                relayed = await self._passed_on(scope, receive, request_id, tenant, methods)
                await speaking.whole(relayed.status, relayed.body, relayed.headers)
            else:
                await speaking.json(200, await self._other(scope, tenant))
        except Rejected as rejected:
            log.info(
                "request=%s method=%s rejected=%d %s",
                request_id, scope["method"], rejected.status, rejected,
            )  # fmt: skip
            shape = (wire or chat).error(str(rejected), status=rejected.status, code=rejected.code)
            await speaking.json(rejected.status, shape, rejected.headers)

    def _admitted(self, scope: Scope) -> str:
        """The tenant that asks. Raises Rejected."""
        headers = _headers(scope)
        host = _HOST.fullmatch(headers.get("host", ""))
        name = (host[1] or host[2] or "").lower() if host else ""
        if self._entry.hosts and name not in self._entry.hosts:
            raise Rejected(421, "this host is not served here")
        if not self._entry.tenants:
            return "default"
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        found = [
            tenant
            for tenant, digests in self._entry.tenants.items()
            for known in digests
            if hmac.compare_digest(digest, known)
        ]
        if not found:
            raise Rejected(
                401,
                "no valid API key was given",
                code="invalid_api_key",
                headers=(("www-authenticate", "Bearer"),),
            )
        return found[0]

    async def _body(self, scope: Scope, receive: Receive) -> Body:
        headers = _headers(scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            raise Rejected(400, "a request has a length or a transfer encoding, not both")
        if compressed(headers):
            raise Rejected(415, "send the body uncompressed")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Rejected(415, "send the body as application/json")
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._entry.body_bytes:
            raise Rejected(413, f"the body is larger than {self._entry.body_bytes} bytes")
        try:
            async with asyncio.timeout(self._entry.receive_s):
                raw = await self._received(receive)
        except TimeoutError:
            raise Rejected(408, "the body did not arrive in time") from None
        try:
            return parse(raw, max_bytes=self._entry.body_bytes, max_depth=self._entry.body_depth)
        except BodyError as error:
            raise Rejected(400, f"the body is not acceptable JSON: {error}") from None

    async def _passed_on(
        self,
        scope: Scope,
        receive: Receive,
        request_id: str,
        tenant: str,
        methods: frozenset[str],
    ) -> Relayed:
        """The answer to a request for a path that the operator opened. Raises Rejected."""
        headers = _headers(scope)
        if not open_to(tenant, self._pipeline.upstreams.first):
            raise _nothing()
        if scope["method"] not in methods:
            raise _not_allowed(methods)
        if compressed(headers):
            raise Rejected(415, "send the body uncompressed")
        try:
            async with asyncio.timeout(self._entry.receive_s):
                raw = await self._received(receive)
        except TimeoutError:
            raise Rejected(408, "the body did not arrive in time") from None
        asked = Asked(scope["method"], scope["path"], scope["query_string"], headers, raw)
        try:
            return await self._passthrough.relay(asked, request_id=request_id, tenant=tenant)
        except UpstreamError as error:
            retry = (("retry-after", error.retry_after),) if error.retry_after else ()
            raise Rejected(error.status, str(error), headers=retry) from None

    async def _received(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Rejected(400, "the request was not sent to its end")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._entry.body_bytes:
                raise Rejected(413, f"the body is larger than {self._entry.body_bytes} bytes")
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _compare(
        self, scope: Scope, receive: Receive, speaking: "Speaking", caller: Caller
    ) -> None:
        """Answer a comparison. For whoever may not, the path does not exist. Raises Rejected."""
        comparison = self._comparison
        if comparison is None or not comparison.open_to(caller.tenant):
            raise _nothing()
        if scope["method"] != "POST":
            raise _not_allowed({"POST"})
        body = await self._body(scope, receive)
        await self._converse(comparison.answer(body, caller), receive, speaking)

    async def _converse(
        self, story: AsyncGenerator[Out, None], receive: Receive, speaking: "Speaking"
    ) -> None:
        """Tell a story while watching whether the client is still there."""
        answering = asyncio.ensure_future(speaking.all(story))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering

    async def _other(self, scope: Scope, tenant: str) -> Body:
        """Everything that is no conversation. What is not named here does not exist."""
        path, method = scope["path"], scope["method"]
        if path in FORMATS:
            raise _not_allowed({"POST"})
        if path != MODELS and not path.startswith(f"{MODELS}/"):
            raise _nothing()
        if method not in ("GET", "HEAD"):
            raise _not_allowed({"GET", "HEAD"})
        try:
            models = await self._pipeline.models(tenant=tenant)
        except UpstreamError as error:
            raise Rejected(error.status, str(error)) from None
        except Exception as error:  # noqa: BLE001 - a list that cannot be screened is not shown
            log.error("models failed: %s", frames(error))  # noqa: TRY400 - a traceback could quote
            raise Rejected(500, "the models could not be listed") from None
        if path == MODELS:
            return {"object": "list", "data": models}
        for model in models:
            if model["id"] == path.removeprefix(f"{MODELS}/"):
                return model
        raise Rejected(404, "there is no model of that name", code="model_not_found")


class Speaking:
    """One HTTP response on its way to the client."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._headers: Headers = (("x-lethe-request-id", request_id),)

    async def json(self, status: int, body: Body, headers: Headers = ()) -> None:
        """Send a whole JSON answer."""
        await self.whole(status, dumps(body), (*JSON, *headers))

    async def whole(self, status: int, raw: bytes, headers: Headers) -> None:
        """Send a whole answer."""
        await self._start(status, (*headers, ("content-length", str(len(raw)))))
        await self._send({"type": "http.response.body", "body": raw})

    async def all(self, story: AsyncGenerator[Out, None]) -> None:
        """Send an answer as it is told."""
        streaming = False
        async with aclosing(story) as outs:
            async for out in outs:
                if isinstance(out, bytes):
                    await self._send({"type": "http.response.body", "body": out, "more_body": True})
                elif out.body is not None:
                    await self.json(out.status, out.body, out.headers)
                else:
                    streaming = True
                    await self._start(out.status, (*EVENTS, *out.headers))
        if streaming:
            await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Headers) -> None:
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (name.encode(), value.encode()) for name, value in (*headers, *self._headers)
                ],
            }
        )


def create_app(pipeline: Pipeline, *, entry: Entry | None = None) -> FastAPI:
    """An application over a pipeline that is built already and outlives it."""
    return through(Door(pipeline, entry or Entry()))


def through(door: Door) -> FastAPI:
    """An application whose every path leads through one door."""
    app = FastAPI(title="Lethe", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_route("/healthz", door.healthy, methods=["GET"])
    app.add_route("/readyz", door.ready, methods=["GET"])
    app.add_route("/openapi.json", door.described, methods=["GET"])
    # A mount takes no path with a line break in it, and FastAPI would answer that one itself.
    app.router.redirect_slashes, app.router.default = False, door
    return app


def _headers(scope: Scope) -> dict[str, str]:
    """Header names in lower case; of a name given twice, all values joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _not_ready(why: str) -> JSONResponse:
    return JSONResponse({"status": why}, status_code=503, headers={"retry-after": "1"})


def _nothing() -> Rejected:
    return Rejected(404, "there is nothing at this path", code="unknown_url")


def _not_allowed(methods: Iterable[str]) -> Rejected:
    allow = ", ".join(sorted(methods))
    return Rejected(405, f"this path takes {allow} only", headers=(("allow", allow),))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
