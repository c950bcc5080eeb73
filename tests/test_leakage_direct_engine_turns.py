"""The direct engine over several arms and draws: who is asked what, when, and how many at once."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from leakage.arms import Arm, ArmError
from leakage.direct_engine import Plan, run, total
from leakage.probes import Message, Probe
from leakage.records import Record

WHOLE = Plan(stream="never", retries=0)


class Chat(ThreadingHTTPServer):
    """A chat API that says "x", streamed or not, and remembers who asked for what."""

    def __init__(self, *, models: object, pause_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.models = models
        self.pause_s = pause_s
        self.asked: list[dict[str, Any]] = []
        self.signed: list[str | None] = []
        self.clients: set[Any] = set()
        self.busy = self.busiest = 0
        self.counting = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def count(self, change: int) -> None:
        with self.counting:
            self.busy += change
            self.busiest = max(self.busy, self.busiest)


class Talk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Chat

    def do_GET(self) -> None:
        assert self.path == "/v1/models"
        self._write(json.dumps(self.server.models), kind="application/json")

    def do_POST(self) -> None:
        self.server.count(+1)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self.server.signed.append(self.headers["authorization"])
        self.server.clients.add(self.client_address)
        time.sleep(self.server.pause_s)
        self.server.count(-1)
        said = {"content": "x"}
        choice = {"index": 0, "message": said, "delta": said, "finish_reason": "stop"}
        answer = json.dumps({"choices": [choice]})
        if body["stream"]:
            self._write(f"data: {answer}\n\ndata: [DONE]\n\n", kind="text/event-stream")
        else:
            self._write(answer, kind="application/json")

    def _write(self, body: str, *, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        del format, args


@contextmanager
def chatting(*, models: object = None, pause_s: float = 0.0) -> Iterator[Chat]:
    """The server on a free port of this machine, until the block ends."""
    listed = {"data": [{"id": "tiny"}]} if models is None else models
    with Chat(models=listed, pause_s=pause_s) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(*names: str) -> list[Probe]:
    return [Probe(name, "c", "direct", "world", "Why?", ("x",)) for name in names]


async def test_connections_serve_more_than_one_draw() -> None:
    with chatting() as server:
        plan = Plan(stream="always", concurrency=1)
        await run([Arm("a", server.url)], ask(*"123456"), plan=plan)
        assert len(server.clients) == 1


async def test_every_arm_is_asked_the_same() -> None:
    probe = Probe("1", "c", "direct", "world", "Why?", ("x",), messages=(Message("user", "Hi"),))
    plan = Plan(stream="never", draws=2, parameters={"temperature": 0, "model": "mine"})
    with chatting() as first, chatting() as second:
        arms = [Arm("a", first.url), Arm("b", second.url, model="large")]
        records = await run(arms, [probe, *ask("2")], plan=plan)
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
    assert len(records) == total(arms, [probe, *ask("2")], plan=plan) == 8
    assert len({record.run for record in records}) == 1


async def test_arms_take_turns_and_every_other_draw_is_streamed() -> None:
    with chatting() as server:
        arms = [Arm("a", server.url, "m"), Arm("b", server.url, "m")]
        records = await run(arms, ask(*"012"), plan=Plan(draws=2, concurrency=1))
    assert [record.arm for record in records[:6]] == ["a", "b", "b", "a", "a", "b"]
    seen = {(r.arm, r.probe, r.draw): r.streamed for r in records}
    assert [seen["a", str(n), 0] for n in range(3)] == [False, True, False]
    assert [seen["a", str(n), 1] for n in range(3)] == [True, False, True]
    assert all(seen["a", p, d] == seen["b", p, d] for _, p, d in seen)
    assert [record.error for record in records if record.error] == []


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    probes = ask(*"abcdefghijkl")
    seen: list[Record] = []
    with chatting(pause_s=0.05) as server:
        plan = Plan(concurrency=3, stream="never")
        arms = [Arm("a", server.url, "m")]
        records = await run(arms, probes, plan=plan, progress=seen.append)
        assert server.busiest == 3
    assert [record.probe for record in records] == [probe.id for probe in probes]
    assert len(seen) == 12


async def test_a_caller_that_fails_stops_the_run_with_its_own_error() -> None:
    def full(_: Record) -> None:
        raise OSError(28, "No space left on device")

    with chatting() as server, pytest.raises(OSError, match="No space left"):
        await run([Arm("a", server.url)], ask(*"123456"), plan=WHOLE, progress=full)


async def test_a_key_is_sent_and_never_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ARM_KEY", "sk-secret")
    with chatting() as server:
        arm = Arm("a", server.url, key_env="TEST_ARM_KEY")
        records = await run([arm], ask("1"), plan=WHOLE)
    assert server.signed == ["Bearer sk-secret"]
    assert "sk-secret" not in repr((records, arm))


def nobody() -> str:
    """The URL of a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


async def test_an_arm_that_cannot_be_asked_stops_the_run_before_it_begins() -> None:
    with pytest.raises(ArmError, match=r"arm 'gone': .*/v1 does not answer \(ConnectError\)"):
        await run([Arm("gone", nobody())], ask("1"))


@pytest.mark.parametrize("models", [{"data": []}, {"data": 3}, {}, [], {"data": ["x"]}])
async def test_an_arm_that_lists_no_model_needs_one_named(models: object) -> None:
    message = r"lists no model \(HTTP 200\); name a model"
    with chatting(models=models) as server, pytest.raises(ArmError, match=message):
        await run([Arm("a", server.url)], ask("1"))


async def test_an_arm_that_is_not_there_is_an_error_of_every_draw() -> None:
    arm = Arm("gone", nobody(), model="m")
    (record,) = await run([arm], ask("1"), plan=Plan(retries=1, backoff_s=0.01))
    assert (record.error, record.status) == ("the connection failed (ConnectError)", None)
    assert (record.attempts, record.blocked) == (2, None)


async def test_arms_of_one_name_are_refused() -> None:
    arm = Arm("a", "http://127.0.0.1:9/v1", "m")
    with pytest.raises(ValueError, match="share a name"):
        await run([arm, arm], ask("1"))


async def test_without_arms_or_probes_there_is_nothing_to_do() -> None:
    assert await run([], ask("1")) == []
    assert total([], ask("1")) == 0


@pytest.mark.parametrize(
    "fields",
    [{"draws": 0}, {"concurrency": 0}, {"timeout_s": -1.0}, {"answer_bytes": 0}, {"retries": -1}],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Plan(**fields)
