"""Clients that dawdle, leave halfway or do not read: none of them holds a connection for long."""

import asyncio
import socket
import time
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from proxy.protocol import Bounds, protocol
from tests.test_proxy_protocol import Told, heard, sent, serving

pytestmark = pytest.mark.server

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
HASTY = protocol(Bounds(head_s=0.3, write_s=0.4, drain_s=0.3))


async def dripped(
    address: tuple[str, int], drops: list[bytes], *, every_s: float
) -> tuple[bytes, float]:
    """What comes back while the drops are sent one by one, and after how many seconds it ended."""
    reader, writer = await asyncio.open_connection(*address)
    began = time.monotonic()

    async def drip() -> None:
        for drop in drops:
            writer.write(drop)
            await asyncio.sleep(every_s)

    dripping = asyncio.ensure_future(drip())
    answer = await heard(reader, quiet_s=5)
    dripping.cancel()
    writer.close()
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    "drops",
    [
        pytest.param([b"G", b"E", b"T", *[b" "] * 100], id="a request line"),
        pytest.param([REQUEST[:-2], *[b"X: y\r\n"] * 100], id="a header a time"),
        pytest.param([REQUEST[:-2] + b"X: ", *[b"y"] * 100], id="a letter a time"),
        pytest.param([b"\r\n"] * 100, id="empty lines"),
        pytest.param([REQUEST, b"", b"", *[b"\r\n"] * 100], id="empty lines behind a request"),
        pytest.param([REQUEST + REQUEST[:5], *[b"x"] * 100], id="a second request"),
    ],
)
async def test_a_head_that_drips_is_not_waited_for(drops: list[bytes]) -> None:
    async with serving(Told(), HASTY) as address:
        answer, seconds = await dripped(address, drops, every_s=0.05)
    *_, last = answer.split(b"HTTP/1.1 ")
    assert last.startswith(b"408 ")
    assert last.endswith(b"<end>")
    assert seconds < 2


async def test_who_says_nothing_is_hung_up_on_without_a_word() -> None:
    async with serving(Told(), HASTY) as address:
        answer, seconds = await dripped(address, [], every_s=1)
    assert answer == b"<end>"
    assert 0.2 < seconds < 2


async def test_an_idle_connection_lives_as_long_as_the_server_keeps_it() -> None:
    # Longer than the deadline of a head, which begins with its first byte.
    async with serving(Told(), HASTY, timeout_keep_alive=1) as address:
        answer, seconds = await dripped(address, [REQUEST, b"", REQUEST], every_s=0.35)
    assert answer.count(b"200 OK") == 2
    assert answer.endswith(b"<end>")
    assert 1.5 < seconds < 4


async def test_a_slow_answer_costs_no_connection_and_no_second_request() -> None:
    app = Told()
    slow = REQUEST.replace(b"/a", b"/slow")
    async with serving(app, HASTY) as address:
        answer = await sent(address, slow + REQUEST[:9], quiet_s=0.7)
        late = await sent(address, slow + REQUEST, quiet_s=0.7)
    assert [path for _, path, _ in app.asked] == ["/slow", "/slow", "/a"]
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1 408 ") == 1  # what was begun behind it never came
    assert late.count(b"200 OK") == 2


async def test_nothing_is_written_into_an_answer_under_way() -> None:
    app = Told()
    slow = REQUEST.replace(b"/a", b"/slow")
    async with serving(app, HASTY) as address:
        answer = await sent(address, slow + b"NONSENSE\r\n\r\n", quiet_s=0.8)
    assert answer == b"<end>"


async def test_few_requests_wait_behind_one() -> None:
    app = Told()
    slow = REQUEST.replace(b"/a", b"/slow")
    async with serving(app, protocol(Bounds(pipelined=4))) as address:
        kept = await sent(address, slow + REQUEST * 4, quiet_s=0.8)
        flooded = await sent(address, slow + REQUEST * 4000, quiet_s=0.8)
    assert kept.count(b"200 OK") == 5
    assert flooded in (b"<end>", b"<reset>")
    assert len(app.asked) <= 6


async def test_a_body_that_nobody_waits_for_is_drained_for_a_while_only() -> None:
    head = b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    async with serving(Told(), HASTY) as address:
        answer, seconds = await dripped(address, [head, *[b"x"] * 90], every_s=0.05)
        whole, _ = await dripped(address, [head, b"x" * 100, REQUEST], every_s=0.05)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert seconds < 2
    assert whole.count(b"200 OK") == 2


async def test_who_shuts_its_side_has_left() -> None:
    app = Told()
    async with serving(app) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        await asyncio.sleep(0.1)
        writer.write_eof()
        answer = await heard(reader, quiet_s=2)
        writer.close()
        await asyncio.sleep(0.1)
        assert (app.cut_off, app.asked) == (1, [])
    assert answer == b"<end>"


class Endless:
    """Streams for ever; counts what it got rid of."""

    def __init__(self, *, most: int = 1 << 40) -> None:
        self.sent = 0
        self.ended = asyncio.Event()
        self._most = most

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.ensure_future(self._left(receive))
        while self.sent < self._most and not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 4096, "more_body": True})
            self.sent += 4096
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
        leaving.cancel()
        self.ended.set()

    async def _left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


def deaf(address: tuple[str, int], content: bytes) -> socket.socket:
    """A client that asks and does not read what comes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(address)
    client.sendall(content)
    return client


async def test_a_stream_to_who_does_not_read_stops_growing_and_then_ends() -> None:
    app = Endless()
    async with serving(app, protocol(Bounds(write_s=1.0))) as address:
        with deaf(address, REQUEST):
            await asyncio.sleep(0.4)
            once = app.sent
            await asyncio.sleep(0.4)
            assert app.sent == once
            await asyncio.wait_for(app.ended.wait(), timeout=5)
    # What the system's socket buffers hold, and no more.
    assert once < 16 << 20


async def test_who_reads_slowly_gets_everything() -> None:
    app = Endless(most=6 << 20)
    got = 0
    async with serving(app, protocol(Bounds(write_s=0.4))) as address:
        with deaf(address, REQUEST) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            while part := await loop.sock_recv(client, 65_536):
                got += len(part)
                await asyncio.sleep(0.002)
                if part.endswith(b"\r\n0\r\n\r\n"):
                    break
    assert got > 6 << 20


async def test_an_answer_that_nobody_takes_is_thrown_away() -> None:
    gone: Any = asyncio.Event()

    class Noting(HASTY):  # type: ignore[valid-type,misc]  # a class made at run time
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            gone.set()

    async def large(_: Scope, __: Receive, send: Send) -> None:
        body = b"x" * (32 << 20)
        headers = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async with serving(large, Noting) as address:
        with deaf(address, REQUEST):
            await asyncio.wait_for(gone.wait(), timeout=5)
