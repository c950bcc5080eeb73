"""What reaches the application of a raw socket's bytes: one request, read one way, or none."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from proxy.protocol import Bounds, HardenedProtocol, protocol
from tests.listening import listening

pytestmark = pytest.mark.server


class Told:
    """An application that notes what it is asked, and answers with how long the body was."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.cut_off = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", scope["path"] != "/unread"
        while more:
            message = await receive()
            if message["type"] != "http.request":
                self.cut_off += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.asked.append((scope["method"], scope["path"], body))
        if scope["path"] == "/slow":
            await asyncio.sleep(0.5)
        said = b"%s %d" % (scope["path"].encode(), len(body))
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


@asynccontextmanager
async def serving(
    app: Any, http: type[HardenedProtocol] = HardenedProtocol, **options: Any
) -> AsyncIterator[tuple[str, int]]:
    given = {"http": http, "ws": "none", "server_header": False, "timeout_graceful_shutdown": 1}
    async with listening(app, **(given | options)) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


async def sent(address: tuple[str, int], content: bytes, *, quiet_s: float = 0.3) -> bytes:
    """What comes back until the server hangs up (`<end>`) or says no more (`<open>`)."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(content)
    got = await heard(reader, quiet_s=quiet_s)
    writer.close()
    return got


async def heard(reader: asyncio.StreamReader, *, quiet_s: float = 0.3) -> bytes:
    got = b""
    try:
        while part := await asyncio.wait_for(reader.read(65_536), timeout=quiet_s):
            got += part
    except TimeoutError:
        return got + b"<open>"
    except ConnectionError:
        return got + b"<reset>"
    return got + b"<end>"


HOST = b"Host: a\r\n"


@pytest.mark.parametrize(
    "request_line_and_head",
    [
        pytest.param(b"GET /CANARY HTTP/1.1\r\nX: CANARY\r\n\r\n", id="no host"),
        pytest.param(b"GET /CANARY HTTP/1.1\r\nHost: a\r\nHost: CANARY\r\n\r\n", id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a, CANARY\r\n\r\n", id="hosts in a list"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: CANARY@b/c\r\n\r\n", id="a host with a user"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", id="an empty host"),
        pytest.param(b"GET http://CANARY/ HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute form"),
        pytest.param(b"CONNECT CANARY:1 HTTP/1.1\r\nHost: a\r\n\r\n", id="connect"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", id="asterisk"),
        pytest.param(b"GET /#CANARY HTTP/1.1\r\nHost: a\r\n\r\n", id="a fragment"),
        pytest.param(b"GET /CANARY\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", id="beyond ascii"),
        pytest.param(b"GET /CANARY\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"GET /CANARY HTTP/2.0\r\nHost: a\r\n\r\n", id="HTTP/2.0"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"DESCRIBE /CANARY RTSP/1.0\r\nHost: a\r\n\r\n", id="another protocol"),
        pytest.param(b"SOURCE /CANARY HTTP/1.1\r\nHost: a\r\n\r\n", id="another method"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n CANARY\r\n\r\n", id="folded"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rCANARY\r\n\r\n", id="a bare CR"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\nX: CANARY\n\n", id="bare LFs"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: \0CANARY\r\n\r\n", id="a NUL"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\nX: CANARY\r\n\r\n", id="space, colon"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03CANARY", id="TLS"),
    ],
)
async def test_a_head_that_could_be_read_two_ways_is_refused(request_line_and_head: bytes) -> None:
    app = Told()
    async with serving(app) as address:
        answer = await sent(address, request_line_and_head)
    assert answer.split(b" ")[1][:1] in (b"4", b"5")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"<end>")
    assert b"CANARY" not in answer
    assert app.asked == []


CHUNKED = b"1\r\nx\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("version", "headers", "body"),
    [
        (b"1.1", b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", CHUNKED),
        (b"1.1", b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x"),
        (b"1.1", b"Content-Length: 1\r\nContent-Length: 2\r\n", b"xx"),
        (b"1.1", b"Content-Length: 1, 1\r\n", b"x"),
        (b"1.1", b"Content-Length: +1\r\n", b"x"),
        (b"1.1", b"Content-Length: 0x1\r\n", b"x"),
        (b"1.1", b"Content-Length : 1\r\n", b"x"),
        (b"1.1", b"Content-Length: 99999999999999999999999\r\n", b"x"),
        (b"1.0", b"Transfer-Encoding: chunked\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: gzip\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: chunked, identity\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: xchunked\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
        (b"1.1", b"Transfer-Encoding: chunked\r\n", b"1\nx\n0\n\n"),
        (b"1.1", b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        (b"1.1", b"Transfer-Encoding: chunked\r\n", b"-1\r\nx\r\n0\r\n\r\n"),
        (b"1.1", b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
    ],
)
async def test_a_body_that_could_end_in_two_places_is_refused(
    version: bytes, headers: bytes, body: bytes
) -> None:
    app = Told()
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(app) as address:
        head = b"POST /a HTTP/%s\r\n%s%s\r\n" % (version, HOST, headers)
        answer = await sent(address, head + body + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"<end>")
    assert app.asked == []


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", ("GET", "/a", b"")),
        (b"GET /a?b=http://c/#d HTTP/1.1\r\nHost: a\r\n\r\n", None),
        (b"GET /a?b=http://c/ HTTP/1.1\r\nHost: a:80\r\n\r\n", ("GET", "/a", b"")),
        (b"GET /a%20b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ("GET", "/a b", b"")),
        (b"GET /a HTTP/1.0\r\n\r\n", ("GET", "/a", b"")),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1 \r\n\r\nx", ("POST", "/a", b"x")),
        (
            b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKED,
            ("POST", "/a", b"x"),
        ),
        (
            b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
            ("POST", "/a", b"x"),
        ),
    ],
)
async def test_an_ordinary_request_arrives(
    content: bytes, asked: tuple[str, str, bytes] | None
) -> None:
    app = Told()
    async with serving(app) as address:
        answer = await sent(address, content)
    assert app.asked == ([asked] if asked else [])
    assert (b"HTTP/1.1 200 OK" in answer) == bool(asked)


async def test_an_upgrade_is_ignored_and_the_body_kept_however_it_is_cut() -> None:
    # Some clients offer HTTP/2 with every request over plain TCP.
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    request = b"POST /a HTTP/1.1\r\n%s%sContent-Length: 4\r\n\r\nbody" % (HOST, offer)
    behind = b"GET /b HTTP/1.1\r\n%s%s\r\n" % (HOST, offer)
    for cut in (0, len(request) - 6, len(request) - 4, len(request) - 2, len(request)):
        app = Told()
        async with serving(app) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request[:cut])
            await asyncio.sleep(0.05)
            writer.write(request[cut:] + behind)
            answer = await heard(reader)
            writer.close()
        assert app.asked == [("POST", "/a", b"body"), ("GET", "/b", b"")]
        assert answer.count(b"200 OK") == 2


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"X: %s\r\n" % (b"x" * 70_000), id="one long header"),
        pytest.param(b"X: " + b"x" * 900_000, id="a header without an end"),
        pytest.param(b"x" * 900_000, id="a name without an end"),
        pytest.param(b"".join(b"X%d: x\r\n" % n for n in range(101)), id="many headers"),
        pytest.param(b"".join(b"X%d: %s\r\n" % (n, b"x" * 999) for n in range(80)), id="all"),
    ],
)
async def test_a_head_is_bounded(head: bytes) -> None:
    app = Told()
    async with serving(app) as address:
        answer = await sent(address, b"GET /a HTTP/1.1\r\nHost: a\r\n%s\r\n" % head)
        target = await sent(address, b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        fits = await sent(address, b"GET /a HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"x" * 60_000))
    # What is not read any more resets the connection; the answer may be lost with it.
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b"<reset>"))
    assert target.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ", b"<reset>"))
    assert fits.startswith(b"HTTP/1.1 200 ")
    assert app.asked == [("GET", "/a", b"")]


async def test_connections_are_bounded_and_places_become_free() -> None:
    request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(Told(), protocol(Bounds(connections=3))) as address:
        held = [await asyncio.open_connection(*address) for _ in range(3)]
        refused = await sent(address, request)
        held[0][1].close()
        await asyncio.sleep(0.1)
        served = await sent(address, request)
        for _, writer in held[1:]:
            writer.close()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in refused
    assert refused.endswith(b"<end>")
    assert served.startswith(b"HTTP/1.1 200 ")


async def test_small_pieces_are_not_held_back_for_larger_ones() -> None:
    seen: list[int] = []

    class Noting(HardenedProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            sock = transport.get_extra_info("socket")
            seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async with serving(Told(), Noting) as address:
        await sent(address, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert seen == [1]


async def test_what_stands_behind_a_body_is_no_header() -> None:
    told: list[list[bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        told.append([name for name, _ in scope["headers"]])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app) as address:
        head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\nContent-Type: a/b\r\n\r\n"
        assert b" 204 " in await sent(address, head + body)
    assert told == [[b"host", b"transfer-encoding"]]
