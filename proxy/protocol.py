"""HTTP/1.1 as the front door takes it: uvicorn's httptools protocol, with deadlines and bounds.

Knows no route and no body's content. What could be framed in two ways is refused before it is a
request, and no answer of ours quotes what came.
"""

import asyncio
import fcntl
import re
import socket
import sys
import termios
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
ONCE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization")

# A name, an IPv4 address or an IPv6 address in brackets, with a port or without (RFC 9110, 7.2).
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
# A path below the root, a query behind it: no authority, no fragment, no bytes beyond ASCII.
_TARGET = re.compile(rb"/[!\"$-;=@-Z\[-~]*(?:\?[!\"$-~]*)?")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one client may take up. Seconds, bytes and counts.

    head_s        for a request's head, from the connection or from the head's first byte
    write_s       that a client may leave what was sent to it unread
    drain_s       for the rest of a body that nobody waits for any more
    head_bytes    size of a head
    headers       how many of them
    pipelined     requests that may wait behind the one being answered
    connections   of all clients together
    """

    head_s: float = 10.0
    write_s: float = 60.0
    drain_s: float = 10.0
    head_bytes: int = 65_536
    headers: int = 100
    pipelined: int = 8
    connections: int = 4096


class _Unacceptable(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that is refused before it is one: its status and why, in words of ours."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class HardenedProtocol(HttpToolsProtocol):
    """One connection. Give `protocol(bounds)` to uvicorn as `http`."""

    bounds = Bounds()

    # Of the request that is being read; between two requests, a head is waited for.
    _in_body = False
    _begun = False  # the head's first byte is here
    _fed = 0  # bytes that the parser got since it was last in a body
    _head = 0  # bytes of the head that the parser has told of
    _body_left = 0  # of a request that asked for an upgrade: httptools leaves its body to us

    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _unread = 0
    _over = False
    _refusal = _Unacceptable(400, "this is no valid request")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Count it in, and give it the time for a head."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self.bounds.connections:
            self._refusal = _Unacceptable(503, "there are too many connections; try again later")
            self.send_400_response("")
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the clocks."""
        self._over = True
        super().connection_lost(exc)
        self._clear()
        self._unwatch()
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Read on. uvicorn drops what stands behind a head that asks for an upgrade; here it stays.

        An upgrade is never made, and a server may ignore that it was asked for (RFC 9110, 7.8).
        """
        self._unset_keepalive_if_required()
        if not self._in_body and self._deadline is None:
            self._wait_for_head()
        while data and not self._over:
            if self._body_left:
                part, data = data[: self._body_left], data[self._body_left :]
                self._body_left -= len(part)
                self.on_body(part)
                if not self._body_left:
                    self.on_message_complete()
                continue
            # Of one header without an end, httptools tells nothing while it grows.
            part, data = data[: self.bounds.head_bytes], data[self.bounds.head_bytes :]
            data = self._parsed(part) + data

    def _parsed(self, data: bytes) -> bytes:
        """Feed the parser; return what it left behind a head that asks for an upgrade."""
        self._fed += len(data)
        rest = b""
        try:
            self.parser.feed_data(data)
            if not self._in_body and self._fed > self.bounds.head_bytes:
                self._refuse(431, "the head of the request is too large")
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
        except (_Unacceptable, httptools.HttpParserError):
            self.send_400_response("")
        return rest

    def on_message_begin(self) -> None:
        """Begin to count a head."""
        super().on_message_begin()
        self._begun, self._head = True, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one behind a body (RFC 9110, 6.5.1) is none of the request's."""
        if self._in_body:
            return
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)
        if len(self.headers) > self.bounds.headers:
            self._refuse(431, "the request has too many headers")

    def on_headers_complete(self) -> None:
        """Hold the head against the rules, then begin the request."""
        self._check_line()
        self._check_headers()
        if len(self.pipeline) >= self.bounds.pipelined:
            self._refuse(400, "too many requests wait on this connection")
        self._in_body, self._begun, self._fed = True, False, 0
        self._clear()
        if self.parser.should_upgrade():
            self._body_left = int(dict(self.headers).get(b"content-length", b"0"))
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is here; what follows is another request."""
        if self._body_left:
            return
        super().on_message_complete()
        self._in_body, self._fed = False, 0
        if self.cycle.response_complete:
            # A body that was only drained: now the connection is idle.
            self._clear()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Where the answer came before the whole body, wait for the rest of it, but not for ever.

        Closing at once would reset the connection, and with it the answer.
        """
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()
        elif self._in_body and self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self._after(self.bounds.drain_s, self._abort)
        elif self._begun:
            # A request behind this one has begun; its clock has not been running.
            self._unset_keepalive_if_required()
            self._wait_for_head()

    def timeout_keep_alive_handler(self) -> None:
        """Nobody has asked anything for long."""
        self._hang_up()

    def pause_writing(self) -> None:
        """The client does not read: whoever speaks to it waits, but not for ever."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._unwatch()
        if self.transport.is_closing():
            self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Refuse in plain words; where another answer is under way, only hang up."""
        if self._over:
            return
        self._over = True
        self._clear()
        if not self._answering():
            why = str(self._refusal).encode()
            status = HTTPStatus(self._refusal.status)
            retry = b"retry-after: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else b""
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\n%s"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s"
                % (status, status.phrase.encode(), retry, len(why), why)
            )
        self._hang_up()

    def _should_upgrade(self) -> bool:
        return False

    def _check_line(self) -> None:
        version, method = self.parser.get_http_version(), self.parser.get_method()
        if version not in ("1.0", "1.1"):
            self._refuse(505, "HTTP/1.1 is spoken here")
        if method not in METHODS:
            self._refuse(501, "there is no such method here")
        if not _TARGET.fullmatch(self.url):
            self._refuse(400, "the target of a request is a path of this server")

    def _check_headers(self) -> None:
        counted = Counter(name for name, _ in self.headers)
        if any(counted[name] > 1 for name in ONCE):
            self._refuse(400, "a header that may stand once stands there twice")
        old, given = self.parser.get_http_version() == "1.0", dict(self.headers)
        if b"host" not in given:
            if not old:
                self._refuse(400, "a request names its host")
        elif not _HOST.fullmatch(given[b"host"].strip()):
            self._refuse(400, "the host is no name and no address")
        encoding = given.get(b"transfer-encoding")
        if encoding is not None:
            if old or encoding.strip().lower() != b"chunked":
                self._refuse(400, "a body is sent with its length, or in chunks")
            if b"content-length" in given:
                self._refuse(400, "a body is sent with its length, or in chunks, not both")
            if self.parser.should_upgrade():
                self._refuse(400, "a request for an upgrade is sent with its length")

    def _refuse(self, status: int, why: str) -> None:
        self._refusal = _Unacceptable(status, why)
        raise self._refusal

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self.bounds.head_bytes:
            self._refuse(431, "the head of the request is too large")

    def _answering(self) -> bool:
        """Whether something written now would land in, or pass for, another answer."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        return not self._in_body or bool(self.pipeline) or cycle.response_started

    def _wait_for_head(self) -> None:
        self._after(self.bounds.head_s, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self._answering():
            return  # the clock starts again once that answer has ended
        if self._fed or self._begun:
            self._refusal = _Unacceptable(408, "the request did not arrive in time")
            self.send_400_response("")
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        self.transport.close()
        self._watch()

    def _watch(self) -> None:
        """What was written must be taken: bit by bit is enough, nothing at all is not."""
        if self._stalled is None:
            self._unread = self._outstanding()
            self._stalled = self.loop.call_later(self.bounds.write_s, self._look)

    def _look(self) -> None:
        self._stalled = None
        if self._outstanding() < self._unread:
            self._watch()
        else:
            self._abort()

    def _outstanding(self) -> int:
        """Bytes that the client has not taken: here, and in the system's buffer, which is large."""
        size = self.transport.get_write_buffer_size()
        sock = self.transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):
            count = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
            return size + int.from_bytes(count, sys.byteorder)
        return size

    def _unwatch(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _abort(self) -> None:
        self.transport.abort()

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        self._clear()
        self._deadline = self.loop.call_later(seconds, then)

    def _clear(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def protocol(bounds: Bounds) -> type[HardenedProtocol]:
    """A protocol class with bounds of its own, for `uvicorn.Config(http=…)`."""
    return type("BoundProtocol", (HardenedProtocol,), {"bounds": bounds})
