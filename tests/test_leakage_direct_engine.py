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

from leakage.arms import Arm, ArmError
from leakage.direct_engine import Plan, run, total
from leakage.probes import Message, Probe
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
    """A chat API that does as the script says. `asked` holds the bodies, `signed` the keys."""

    script: Script
    models: Any = field(default_factory=lambda: {"data": [{"id": "tiny"}]})
    asked: list[dict[str, Any]] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)
    clients: set[tuple[str, int]] = field(default_factory=set)
    busy: int = 0
    busiest: int = 0
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        self.clients.add(tuple(scope["client"]))
        try:
            await self._answer(scope, receive, send)
        finally:
            self.busy -= 1

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/v1/models":
            answer = Answer([json.dumps(self.models).encode()])
        else:
            assert scope["path"] == "/v1/chat/completions"
            answer = self.script(await self._body(scope, receive))
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

    async def _body(self, scope: Any, receive: Any) -> dict[str, Any]:
        raw = b""
        more = True
        while more:
            message = await receive()
            raw += message.get("body", b"")
            more = message.get("more_body", False)
        body: dict[str, Any] = json.loads(raw)
        self.asked.append(body)
        self.signed.append(dict(scope["headers"]).get(b"authorization", b"").decode())
        return body


@asynccontextmanager
async def serving(script: Script, **fields: Any) -> AsyncIterator[Server]:
    """The server on a free port of this machine, until the block ends."""
    app = Server(script, **fields)
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
        (record,) = await run([Arm("base", server.url)], [probe], plan=plan)
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


async def test_connections_serve_more_than_one_draw() -> None:
    probes = [Probe(str(n), "c", "direct", "world", "Why?", ("x",)) for n in range(6)]
    async with serving(lambda _: streamed(event("x"), STOP, DONE)) as server:
        plan = Plan(stream="always", concurrency=1)
        await run([Arm("a", server.url)], probes, plan=plan)
    assert len(server.clients) == 1


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
        (record,) = await run([Arm("base", server.url)], [PROBE], plan=plan)
    assert (record.attempts, record.error, record.leak) == (3, None, True)

    async with serving(lambda _: Answer(status=503)) as server:
        plan = Plan(stream="never", retries=2, backoff_s=0.01)
        (record,) = await run([Arm("base", server.url)], [PROBE], plan=plan)
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
        (record,) = await run([Arm("base", server.url)], [PROBE], plan=plan)
    assert record.attempts == 2
    assert time.perf_counter() - started < 10


async def test_every_arm_is_asked_the_same() -> None:
    def script(_: dict[str, Any]) -> Answer:
        return whole("x")

    probe = Probe("1", "c", "direct", "world", "Why?", ("x",), messages=(Message("user", "Hi"),))
    plan = Plan(stream="never", draws=2, parameters={"temperature": 0, "model": "mine"})
    async with serving(script) as first, serving(script) as second:
        arms = [Arm("a", first.url), Arm("b", second.url, model="large")]
        records = await run(arms, [probe, INNOCENT], plan=plan)
    assert first.asked[0] == {
        "model": "tiny",
        "temperature": 0,
        "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Why?"}],
        "stream": False,
    }
    assert second.asked[0]["model"] == "large"
    bodies = [
        sorted(json.dumps({**body, "model": ""}) for body in server.asked)
        for server in (first, second)
    ]
    assert bodies[0] == bodies[1]
    assert len(records) == total(arms, [probe, INNOCENT], plan=plan) == 8
    assert len({record.run for record in records}) == 1


async def test_arms_take_turns_and_every_other_draw_is_streamed() -> None:
    def script(body: dict[str, Any]) -> Answer:
        return streamed(event("x"), STOP, DONE) if body["stream"] else whole("x")

    probes = [Probe(str(n), "c", "direct", "world", "Why?", ("x",)) for n in range(3)]
    async with serving(script) as server:
        arms = [Arm("a", server.url, "m"), Arm("b", server.url, "m")]
        records = await run(arms, probes, plan=Plan(draws=2, concurrency=1))
    assert [record.arm for record in records[:6]] == ["a", "b", "b", "a", "a", "b"]
    seen = {(r.arm, r.probe, r.draw): r.streamed for r in records}
    assert [seen["a", str(n), 0] for n in range(3)] == [False, True, False]
    assert [seen["a", str(n), 1] for n in range(3)] == [True, False, True]
    assert all(seen["a", p, d] == seen["b", p, d] for _, p, d in seen)
    assert all(record.error is None for record in records)


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    probes = [Probe(str(n), "c", "direct", "world", "Why?", ("x",)) for n in range(12)]
    body = whole("x").pieces
    async with serving(lambda _: Answer([0.02, *body])) as server:
        seen: list[Record] = []
        arms = [Arm("a", server.url, "m")]
        plan = Plan(concurrency=3, stream="never")
        records = await run(arms, probes, plan=plan, progress=seen.append)
        assert server.busiest == 3
    assert [record.probe for record in records] == [probe.id for probe in probes]
    assert len(seen) == 12


async def test_a_caller_that_fails_stops_the_run_with_its_own_error() -> None:
    def full(_: Record) -> None:
        raise OSError(28, "No space left on device")

    async with serving(lambda _: whole("x")) as server:
        with pytest.raises(OSError, match="No space left"):
            await run([Arm("a", server.url)], [PROBE] * 20, plan=ONCE, progress=full)


async def test_a_key_is_sent_and_never_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ARM_KEY", "sk-secret")
    async with serving(lambda _: whole("x")) as server:
        arm = Arm("a", server.url, key_env="TEST_ARM_KEY")
        records = await run([arm], [PROBE], plan=ONCE)
    assert server.signed == ["Bearer sk-secret"]
    assert "sk-secret" not in repr((records, arm))


async def test_an_arm_that_cannot_be_asked_stops_the_run_before_it_begins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ArmError, match=r"arm 'gone': .*/v1 does not answer \(ConnectError\)"):
        await run([Arm("gone", f"http://127.0.0.1:{port}/v1")], [PROBE])


@pytest.mark.parametrize("models", [{"data": []}, {"data": 3}, {}, [], {"data": ["x"]}])
async def test_an_arm_that_lists_no_model_needs_one_named(models: object) -> None:
    async with serving(lambda _: whole("x"), models=models) as server:
        with pytest.raises(ArmError, match=r"lists no model \(HTTP 200\); name a model"):
            await run([Arm("a", server.url)], [PROBE])


async def test_an_arm_that_is_not_there_is_an_error_of_every_draw() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    arm = Arm("gone", f"http://127.0.0.1:{port}/v1", model="m")
    (record,) = await run([arm], [PROBE], plan=Plan(retries=1, backoff_s=0.01))
    assert (record.error, record.status) == ("the connection failed (ConnectError)", None)
    assert (record.attempts, record.leak) == (2, None)


async def test_arms_of_one_name_are_refused() -> None:
    arm = Arm("a", "http://127.0.0.1:9/v1", "m")
    with pytest.raises(ValueError, match="share a name"):
        await run([arm, arm], [PROBE])


async def test_without_arms_or_probes_there_is_nothing_to_do() -> None:
    assert await run([], [PROBE]) == []
    assert total([], [PROBE]) == 0


@pytest.mark.parametrize(
    "fields",
    [{"draws": 0}, {"concurrency": 0}, {"timeout_s": -1.0}, {"answer_bytes": 0}, {"retries": -1}],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Plan(**fields)
