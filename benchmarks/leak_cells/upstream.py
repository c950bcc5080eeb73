"""An upstream that gives the answer it was handed, on a real socket, in writes of any size.

Speaks whatever path it is told to; knows no channel and no gateway.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

Body = dict[str, Any]
MODELS = ("matrix-chat", "matrix-completions", "matrix-responses", "matrix-messages")


@dataclass(frozen=True, slots=True)
class Script:
    """An answer in both modes: one JSON body (or bytes), and the frames of a stream.

    A status other than 200 answers with the body in both modes.
    """

    body: Body | bytes
    frames: tuple[bytes, ...] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def raw(self) -> bytes:
        """The body as it stands on the wire; letters beyond ASCII are not escaped."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, ensure_ascii=False).encode()


@dataclass(slots=True)
class Upstream:
    """Answers every request at `path` with `script` and keeps the bodies that came."""

    script: Script = field(default_factory=lambda: Script({}))
    path: str = "/chat/completions"
    bytewise: bool = False
    received: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        asked = b""
        more = True
        while more:
            message = await receive()
            asked += message.get("body", b"")
            more = message.get("more_body", False)
        if not scope["path"].endswith(self.path):
            other = Script({"error": {"message": "no script for this path"}}, status=404)
            if scope["path"].endswith("/models"):
                data = [{"id": model, "object": "model"} for model in MODELS]
                other = Script({"object": "list", "data": data})
            await self._answer(other, send, streamed=False)
            return
        self.received.append(asked)
        wanted = json.loads(asked).get("stream") is True if asked else False
        await self._answer(self.script, send, streamed=wanted and self.script.status == 200)

    async def _answer(self, script: Script, send: Send, *, streamed: bool) -> None:
        kind = "text/event-stream" if streamed else "application/json"
        headers = [("content-type", kind), *script.headers]
        writes = script.frames if streamed else (script.raw,)
        if self.bytewise:
            writes = tuple(bytes([one]) for one in b"".join(writes))
        head = [(name.encode(), value.encode()) for name, value in headers]
        start = {"type": "http.response.start", "status": script.status, "headers": head}
        await send(start)
        for write in writes:
            await send({"type": "http.response.body", "body": write, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(upstream: Upstream, port: int = 0) -> AsyncIterator[int]:
    """The upstream on a port of this machine, a free one where 0 is asked for; yields the port."""
    # Only where the protocol is named does asyncio turn off the delay of small writes.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            upstream, http="httptools", lifespan="off", log_config=None,
            timeout_graceful_shutdown=2, server_header=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running
