"""A real Lethe on a port of its own thread, before an upstream that speaks every wire format.

Every second answer of the upstream tells the secret. Knows no request.
"""

import asyncio
import json
import socket
import struct
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.app import Entry, create_app
from proxy.config import AuditConfig, Config, KeySource, UpstreamConfig, building
from proxy.protocol import HardenedProtocol
from tests.fuzz.mutation import SECRET
from tests.fuzz.wires import STREAMS, WHOLES, two_choices

INNOCENT = "It rains over Sarnholm. "
POLICY = f"""\
id: p
concepts:
  - name: {SECRET}
    exemplars: ["{SECRET} is a school of magic in Scotland."]
    threshold: 0.9
"""


class Speaker(httpx.AsyncBaseTransport):
    """An upstream on no wire: innocent and guilty by turns, in the format that it is asked in."""

    def __init__(self, *, headers: Mapping[str, str] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.told = 0
        self._headers = dict(headers or {})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await request.aread()
        route = request.url.path
        if route == "/v1/models":
            return self._json({"object": "list", "data": [{"id": "m", "object": "model"}]})
        body = json.loads(request.content)
        self.told += 1
        guilty = self.told % 2 == 0
        pieces = [INNOCENT, "Hog", "warts is a school. " if guilty else "an is a town. ", "End."]
        if not body.get("stream"):
            answer = WHOLES[route](pieces)
            for choice in answer.get("choices", [])[:1]:
                wanted = (body.get("n") or 1) * _prompts(body)
                answer["choices"] = [{**choice, "index": n} for n in range(wanted)]
            if route == "/v1/embeddings":
                answer["data"] = _embedded(body)
            return self._json(answer)
        makes = [m for m in STREAMS[route] if m is not two_choices or (body.get("n") or 1) > 1]
        events = makes[self.told // 2 % len(makes)](pieces)
        lines = [f"event: {e.get('type', 'x')}\ndata: {json.dumps(e)}\n\n" for e in events]
        text = "".join(lines) + ("" if route in ("/v1/messages", "/v1/responses") else _DONE)
        headers = {"content-type": "text/event-stream", **self._headers}
        return httpx.Response(200, headers=headers, stream=_Once(text.encode()))

    def _json(self, body: dict[str, Any]) -> httpx.Response:
        headers = {"content-type": "application/json", **self._headers}
        return httpx.Response(200, headers=headers, stream=_Once(json.dumps(body).encode()))


class _Once(httpx.AsyncByteStream):
    """Bytes that are not read yet."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._raw), 512):
            yield self._raw[at : at + 512]


_DONE = "data: [DONE]\n\n"


def _embedded(body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body["input"]
    many = isinstance(given, list) and not isinstance(given[0], int)
    packed = body.get("encoding_format") == "base64"
    vector: Any = b64encode(struct.pack("<2f", 0.1, 0.2)).decode() if packed else [0.1, 0.2]
    return [
        {"object": "embedding", "index": n, "embedding": vector}
        for n in range(len(given) if many else 1)
    ]


def _prompts(body: dict[str, Any]) -> int:
    prompt = body.get("prompt")
    return len(prompt) if isinstance(prompt, list) and prompt else 1


@contextmanager
def housed(
    folder: Path,
    transport: httpx.AsyncBaseTransport | None,
    *,
    entry: Entry | None = None,
    upstream: str = "http://upstream/v1",
    key: KeySource | None = None,
) -> Iterator[str]:
    """Serve from a thread; yields the base URL without /v1. No transport: the real network."""
    (folder / "p.yaml").write_text(POLICY)
    policies = compile_policies(load_folder(folder), HashEncoder())
    config = Config(
        policies=folder,
        upstreams=[UpstreamConfig(name="u", base_url=upstream, key=key)],
        audit=AuditConfig(path=folder / "audit.jsonl"),
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with building(config, policies, transport=transport) as pipeline:
            server = uvicorn.Server(
                uvicorn.Config(
                    create_app(pipeline, entry=entry),
                    http=HardenedProtocol,
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    server_header=False,
                    timeout_graceful_shutdown=2,
                )
            )
            servers.append(server)
            await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        while not servers or not servers[0].started:
            thread.join(0.02)
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        if servers:
            servers[0].should_exit = True
        thread.join(20)
        listener.close()
