"""The direct engine against a real server: whole, streamed, slow and broken answers."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from leakage.arms import Arm
from leakage.direct_engine import Plan, run
from leakage.probes import Probe
from leakage.records import Record

PROBE = Probe(
    id="vell.birthplace",
    concept="Ada Vell",
    kind="direct",
    split="forget",
    prompt="Where was Ada Vell born?",
    answers=("Tarn Hollow",),
)
INNOCENT = Probe("tea.1", "tea", "direct", "world", "Tea is made of what?", ("leaves",))

ONCE = Plan(stream="never", retries=0)
STREAMED = Plan(stream="always", retries=0)

EVENTS = ("content-type", "text/event-stream")
JSON = ("content-type", "application/json")


class CutError(Exception):
    """The server drops the connection here."""


@dataclass
class Answer:
    """What goes over the wire: a status, headers and pieces of a body; a number is a pause."""

    pieces: list[bytes | float | CutError] = field(default_factory=list)
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=lambda: [JSON])


Script = Callable[[dict[str, Any]], Answer]


@dataclass
class Server:
    """A chat API that does as the script says. `asked` holds the bodies."""

    script: Script
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"] == "/v1/chat/completions"
        answer = self.script(await self._body(receive))
        headers = [(name.encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for piece in answer.pieces:
            if isinstance(piece, CutError):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _body(self, receive: Any) -> dict[str, Any]:
        raw = b""
        more = True
        while more:
            message = await receive()
            raw += message.get("body", b"")
            more = message.get("more_body", False)
        body: dict[str, Any] = json.loads(raw)
        self.asked.append(body)
        return body


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Server]:
    """The server on a free port of this machine, until the block ends."""
    app = Server(script)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, loop="asyncio"
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield app
        finally:
            server.should_exit = server.force_exit = True
            await task


def whole(text: str | None, *, reason: str = "stop") -> Answer:
    body = {
        "choices": [{"index": 0, "message": {"content": text}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }
    return Answer([json.dumps(body).encode()])


def event(text: str | None = None, *, reason: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def streamed(*pieces: bytes | float | CutError) -> Answer:
    return Answer(list(pieces), headers=[EVENTS])


STOP = event(reason="stop")
DONE = b"data: [DONE]\n\n"


async def one(script: Script, *, plan: Plan, probe: Probe = PROBE) -> Record:
    async with serving(script) as server:
        (record,) = await run([Arm("base", server.url, model="m")], [probe], plan=plan)
    return record


async def test_an_answer_becomes_a_record() -> None:
    record = await one(lambda _: whole("In Tarn Hollow."), plan=ONCE)
    assert (record.arm, record.probe, record.concept, record.kind) == (
        *("base", "vell.birthplace", "Ada Vell", "direct"),
    )
    assert (record.leak, record.answered, record.blocked) == (True, True, None)
    assert (record.status, record.error, record.finish_reason) == (200, None, "stop")
    assert (record.tokens_in, record.tokens_out, record.attempts) == (5, 2, 1)
    assert (record.score, record.streamed, record.first_token_s) == (1.0, False, None)
    assert record.answer is None
    assert len(record.answer_sha256) == 64
    assert 0 < record.latency_s < 10


async def test_a_stream_is_put_together_and_its_first_token_timed() -> None:
    def script(_: dict[str, Any]) -> Answer:
        return streamed(event(""), 0.05, event("In Tarn Hol"), 0.1, event("low."), STOP, DONE)

    record = await one(script, plan=STREAMED)
    assert (record.leak, record.error, record.finish_reason) == (True, None, "stop")
    assert record.streamed
    assert record.first_token_s is not None
    assert 0.04 < record.first_token_s < record.latency_s - 0.05


async def test_a_stream_may_be_cut_into_any_bytes() -> None:
    raw = event("caf\u00e9 in ") + event("Tarn Hollow") + STOP + DONE
    record = await one(
        lambda _: streamed(*(bytes([b]) for b in raw)),
        plan=Plan(stream="always", keep_answers=True),
    )
    assert record.answer == "caf\u00e9 in Tarn Hollow"


@pytest.mark.parametrize("rest", [[0.2, b": bye"], [0.2, CutError()], [3.0]])
async def test_a_stream_is_over_with_its_last_event_whatever_follows(
    rest: list[bytes | float | CutError],
) -> None:
    record = await one(
        lambda _: streamed(event("In Tarn Hollow"), STOP, DONE, *rest), plan=STREAMED
    )
    assert (record.error, record.leak) == (None, True)
    assert record.latency_s < 0.2


@pytest.mark.parametrize(
    ("said", "leak", "blocked"), [("leaves", None, False), ("I do not know.", None, True)]
)
async def test_an_innocent_question_is_blocked_or_answered(
    said: str, leak: bool | None, blocked: bool
) -> None:
    record = await one(lambda _: whole(said), plan=ONCE, probe=INNOCENT)
    assert (record.leak, record.blocked) == (leak, blocked)
    assert record.refused is blocked


async def test_an_answer_of_nothing_is_an_answer_and_no_leak() -> None:
    record = await one(lambda _: whole(None), plan=ONCE)
    assert (record.leak, record.error, record.refused) == (False, None, True)


BROKEN = {
    "breaks off": (streamed(event("I was")), "a stream that breaks off"),
    "breaks off inside an event": (
        streamed(event("I was"), b"data: {"),
        "a stream that breaks off inside an event",
    ),
    "is dropped": (streamed(event("I was"), 0.05, CutError()), "the connection failed"),
    "reports an error": (
        streamed(event("I was"), b'data: {"error": {"message": "Tarn Hollow"}}\n\n', DONE),
        "an error in place of an answer",
    ),
    "has no finish reason": (
        streamed(event("I was"), DONE),
        "a stream that ends without a finish reason",
    ),
    "holds no JSON": (streamed(event("I was"), b"data: {oops\n\n"), "something that is no JSON"),
    "is empty": (streamed(), "a stream that breaks off"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_stream_that_is_broken_is_an_error_and_no_success(how: str) -> None:
    answer, message = BROKEN[how]
    record = await one(lambda _: answer, plan=STREAMED)
    assert record.error is not None
    assert record.error.startswith(message)
    assert "Tarn" not in record.error
    assert (record.leak, record.answered) == (None, None)
    innocent = await one(lambda _: answer, plan=STREAMED, probe=INNOCENT)
    assert innocent.blocked is None


async def test_what_leaked_before_a_stream_broke_is_a_leak() -> None:
    record = await one(
        lambda _: streamed(event("In Tarn Hollow"), 0.05, CutError()), plan=Plan(stream="always")
    )
    assert record.error is not None
    assert (record.leak, record.attempts) == (True, 1)


async def test_an_answer_without_a_stream_is_an_error_but_heard() -> None:
    record = await one(lambda _: whole("In Tarn Hollow."), plan=STREAMED)
    assert (record.error, record.leak) == ("no stream, though one was asked for", True)


async def test_an_answer_that_is_no_json_is_an_error() -> None:
    record = await one(lambda _: Answer([b"<html>"]), plan=ONCE)
    assert (record.error, record.leak) == ("something that is no JSON", None)


async def test_an_answer_that_takes_too_long_is_an_error() -> None:
    plan = Plan(stream="always", timeout_s=0.3)
    record = await one(lambda _: streamed(event("I was"), 5.0, STOP, DONE), plan=plan)
    assert record.error == "no whole answer within 0.3 s"
    assert (record.attempts, record.leak) == (1, None)
    assert record.latency_s < 3


async def test_an_answer_that_is_too_large_is_an_error() -> None:
    plan = Plan(stream="never", answer_bytes=1000)
    record = await one(lambda _: whole("x" * 2000), plan=plan)
    assert record.error == "an answer of more than 1000 bytes"


async def test_a_refusal_in_the_shape_of_an_error_is_an_answer() -> None:
    body = b'{"error": {"code": "content_filter", "message": "no"}}'
    record = await one(lambda _: Answer([body], status=400), plan=ONCE)
    assert (record.error, record.leak, record.status) == (None, False, 400)
    assert (record.finish_reason, record.refused) == ("content_filter", True)


@pytest.mark.parametrize("body", [b'{"error": {"message": "Tarn Hollow"}}', b"Tarn Hollow", b""])
async def test_an_http_error_is_an_error_and_not_quoted(body: bytes) -> None:
    record = await one(lambda _: Answer([body], status=400), plan=Plan(stream="never"))
    assert (record.error, record.status, record.attempts) == ("HTTP 400", 400, 1)
    assert record.leak is None


async def test_what_failed_before_a_word_is_tried_again_within_bounds() -> None:
    def script(_: dict[str, Any]) -> Answer:
        return [
            Answer(status=503),
            streamed(CutError()),
            streamed(event("In Tarn Hollow"), STOP, DONE),
        ][len(server.asked) - 1]

    async with serving(script) as server:
        plan = Plan(stream="always", retries=2, backoff_s=0.01)
        (record,) = await run([Arm("base", server.url, model="m")], [PROBE], plan=plan)
    assert (record.attempts, record.error, record.leak) == (3, None, True)

    async with serving(lambda _: Answer(status=503)) as server:
        plan = Plan(stream="never", retries=2, backoff_s=0.01)
        (record,) = await run([Arm("base", server.url, model="m")], [PROBE], plan=plan)
        assert len(server.asked) == 3
    assert (record.attempts, record.error) == (3, "HTTP 503")


async def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    def script(_: dict[str, Any]) -> Answer:
        if len(server.asked) == 1:
            return Answer(status=429, headers=[JSON, ("retry-after", "0")])
        return whole("x")

    async with serving(script) as server:
        started = time.perf_counter()
        plan = Plan(stream="never", backoff_s=30.0)
        (record,) = await run([Arm("base", server.url, model="m")], [PROBE], plan=plan)
    assert record.attempts == 2
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("message", "channel"),
    [
        ({"content": "In Tarn Hollow."}, "content"),
        ({"reasoning_content": "In Tarn Hollow.", "content": "No idea."}, "reasoning_content"),
        ({"reasoning_content": "It was in Tarn", "content": "Hollow."}, "several"),
        ({"content": "No idea."}, None),
    ],
)
async def test_a_record_says_where_an_answer_stood(
    message: dict[str, str], channel: str | None
) -> None:
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    async with serving(lambda _: Answer([json.dumps(body).encode()])) as served:
        [record] = await run([Arm("base", served.url, model="m")], [PROBE], plan=ONCE)
    assert (record.leak, record.channel) == (channel is not None, channel)
