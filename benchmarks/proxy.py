"""What the proxy costs: latency and throughput as ratios to the upstream alone, in one run.

Three base URLs are asked the same: an instant upstream, Lethe before it with its policy off, and
Lethe with the policy enforcing. Every text is new, so that no cache helps. Knows nothing inside
Lethe.

    python benchmarks/proxy.py [--requests N] [--json FILE]
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import uvicorn
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from starlette.types import Receive, Scope, Send

CHUNKS = 60
POLICY = """\
id: benchmark
mode: {mode}
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm.", "Ottoline Vask paints lighthouses."]
    neighbours: ["Piet Marr was born in Sarnholm.", "Ivo Lend paints ships."]
"""
WORDS = (
    "the ferry left late and nobody at the market had seen such rain since early autumn".split()  # noqa: SIM905 - reads better
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One base URL under one load. Seconds; requests a second."""

    arm: str
    load: str
    n: int
    p50: float
    p99: float
    rate: float


async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
    """An upstream that answers at once: CHUNKS pieces, or all of them as one text."""
    if scope["type"] != "http":
        return
    raw = b""
    while True:
        message = await receive()
        raw += message.get("body", b"")
        if not message.get("more_body"):
            break
    asked = json.loads(raw or b"{}")
    seed = sum(raw)
    pieces = [f"{WORDS[(seed + n) % 15]}{'. ' if n % 15 == 14 else ' '}" for n in range(CHUNKS)]
    streamed = asked.get("stream")
    kind = b"text/event-stream" if streamed else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if streamed:
        for n, piece in enumerate(pieces):
            reason = "stop" if n == CHUNKS - 1 else None
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": reason}
            event = {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}
            body = b"data: " + json.dumps(event).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        return
    said = {"role": "assistant", "content": "".join(pieces)}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}).encode()
    await send({"type": "http.response.body", "body": body})


async def ask(session: aiohttp.ClientSession, url: str, number: int, *, stream: bool) -> float:
    """Send one request and read its answer to the end. Seconds."""
    said = " ".join(WORDS[(number * 7 + n * (1 + number % 5)) % 15] for n in range(12))
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": f"{said} {number}?"}],
        "stream": stream,
    }
    began = time.perf_counter()
    async with session.post(f"{url}/chat/completions", json=body) as response:
        raw = await response.read()
    if response.status != 200 or (stream and b"[DONE]" not in raw):
        raise RuntimeError(f"{url} answered {response.status}")
    return time.perf_counter() - began


async def load(  # noqa: PLR0913 - one load, spelled out
    arm: str, url: str, *, name: str, n: int, width: int, stream: bool
) -> Measured:
    """Ask `n` times, `width` at once."""
    numbers: Iterator[int] = iter(range(n))
    spent: list[float] = []

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            spent.append(  # noqa: PERF401 - shared by the workers
                await ask(session, url, number + hash(arm + name) % 9973, stream=stream)
            )

    async with aiohttp.ClientSession() as session:
        for number in range(3):
            await ask(session, url, -number, stream=stream)
        began = time.perf_counter()
        await asyncio.gather(*(worker(session) for _ in range(width)))
        whole = time.perf_counter() - began
    cuts = statistics.quantiles(spent, n=100, method="inclusive")
    return Measured(arm, name, n, cuts[49], cuts[98], n / whole)


@contextmanager
def process(log: Path, *arguments: str) -> Iterator[None]:
    """A child that is stopped at the end; where the block fails, what the child said is shown."""
    with log.open("wb") as said:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            [sys.executable, *arguments], stderr=said, stdout=said
        )
    try:
        yield
    except BaseException:
        print(log.read_text(), file=sys.stderr)
        raise
    finally:
        child.terminate()
        child.wait(timeout=30)


async def until_up(url: str) -> None:
    """Wait until a server answers anything."""
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            try:
                async with session.get(url):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)
    raise RuntimeError(f"{url} did not come up")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def measure(requests: int) -> list[Measured]:
    """Start everything, measure each load on each arm in turn, interleaved."""
    ports = [free_port() for _ in range(3)]
    urls = dict(
        zip(("upstream", "off", "on"), (f"http://127.0.0.1:{p}/v1" for p in ports), strict=True)
    )
    loads = [
        ("JSON, one at a time", {"width": 1, "stream": False}),
        ("JSON, eight at once", {"width": 8, "stream": False}),
        ("streams, one at a time", {"width": 1, "stream": True}),
        ("streams, eight at once", {"width": 8, "stream": True}),
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(process(folder / "upstream.log", __file__, "--upstream", str(ports[0])))
        for mode, port in (("off", ports[1]), ("enforce", ports[2])):
            policies = folder / mode
            policies.mkdir()
            (policies / "policy.yaml").write_text(POLICY.format(mode=mode))
            stack.enter_context(
                process(
                    folder / f"{mode}.log",
                    "-m", "lethe", "serve", "--upstream", urls["upstream"], "--port", str(port),
                    "--policies", str(policies), "--audit", str(policies / "audit.jsonl"),
                )
            )  # fmt: skip
        for port in ports:
            await until_up(f"http://127.0.0.1:{port}/healthz")
        measured = []
        with Progress(transient=True) as progress:
            task = progress.add_task("asking", total=len(loads) * len(urls))
            for name, how in loads:
                for arm, url in urls.items():
                    measured.append(await load(arm, url, name=name, n=requests, **how))  # type: ignore[arg-type]
                    progress.advance(task)
    return measured


def show(measured: list[Measured]) -> None:
    """A table of ratios to the upstream alone."""
    base = {m.load: m for m in measured if m.arm == "upstream"}
    table = Table(title="Lethe before an instant upstream, as ratios to the upstream alone")
    for column in ("load", "arm", "n", "p50", "p99", "requests/s", "added p50, ms"):
        table.add_column(column, justify="left" if column in ("load", "arm") else "right")
    arms = {"off": "policy off", "on": "policy enforcing"}
    for m in measured:
        if m.arm in arms:
            alone = base[m.load]
            table.add_row(
                m.load, arms[m.arm], str(m.n), f"x{m.p50 / alone.p50:.1f}",
                f"x{m.p99 / alone.p99:.1f}", f"x{m.rate / alone.rate:.3f}",
                f"{(m.p50 - alone.p50) * 1000:.1f}",
            )  # fmt: skip
    Console().print(table)


def main() -> int:
    """Run the benchmark, or (as its own child) the upstream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=200, help="of each load on each arm")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every figure as JSON")
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.upstream:
        uvicorn.run(
            upstream, host="127.0.0.1", port=arguments.upstream, log_level="error", http="httptools"
        )
        return 0
    measured = asyncio.run(measure(arguments.requests))
    show(measured)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(m) for m in measured], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
