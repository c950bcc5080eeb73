"""Servers on free ports of this machine, for tests: any application, and the proxy."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.app import Entry, create_app
from proxy.config import AuditConfig, Config, UpstreamConfig, building


@asynccontextmanager
async def listening(app: Any, **options: Any) -> AsyncIterator[str]:
    """The application's base URL, until the block ends; `options` are uvicorn's."""
    given: dict[str, Any] = {"http": "httptools", "lifespan": "off", "log_config": None}
    given |= {"timeout_graceful_shutdown": 5}
    # Only where the protocol is named does asyncio turn off the delay of small writes.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, **(given | options)))
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            while not server.started:
                if running.done():
                    raise RuntimeError("the server did not start")
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def proxy_before(
    transport: httpx.AsyncBaseTransport | None,
    folder: Path,
    *,
    policy: str,
    base_url: str = "http://upstream/v1",
    entry: Entry | None = None,
) -> AsyncIterator[str]:
    """The proxy's base URL, without /v1; one policy, and `audit.jsonl` in the folder.

    No transport: the upstream is on the real network.
    """
    (folder / "p.yaml").write_text(policy)
    policies = compile_policies(load_folder(folder), HashEncoder())
    config = Config(
        policies=folder,
        upstreams=[UpstreamConfig(name="u", base_url=base_url)],
        audit=AuditConfig(path=folder / "audit.jsonl"),
    )
    async with (
        building(config, policies, transport=transport) as pipeline,
        listening(create_app(pipeline, entry=entry)) as url,
    ):
        yield url
