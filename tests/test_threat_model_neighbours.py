"""What docs/threat-model.md promises to those who share a proxy: tenants, and who looks on.

Real servers and real clients; knows nothing but what they send each other.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.app import FORMATS, Entry, create_app
from proxy.chain import verify
from proxy.config import AuditConfig, Config, UpstreamConfig, building
from proxy.screening import Screening
from tests.listening import listening

pytestmark = pytest.mark.server

POLICY = """\
id: p
applies_to: {tenants: [acme]}
concepts:
  - name: Ottoline Vask
instruction: {template: none}
"""
KEYS = {"acme": "key-of-acme", "other": "key-of-other"}
SECRET = "Ottoline Vask"
CANARY = re.compile(r"canary[0-9]{4}")
CHAT = "/v1/chat/completions"


@dataclass
class Model:
    """An upstream on a socket: streams `events`, or echoes the question in many pieces."""

    events: list[dict[str, Any]] | None = None
    pause_s: float = 0.0
    bodies: list[bytes] = field(default_factory=list)
    open: int = 0
    left: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        raw = message["body"]
        while message.get("more_body"):
            message = await receive()
            raw += message["body"]
        self.bodies.append(raw)
        body = json.loads(raw or b"{}")
        watching = asyncio.ensure_future(receive())
        speaking = asyncio.ensure_future(self._speak(body, send))
        self.open += 1
        await asyncio.wait({watching, speaking}, return_when=asyncio.FIRST_COMPLETED)
        self.open -= 1
        self.left += not speaking.done()
        for task in (watching, speaking):
            task.cancel()
        await asyncio.gather(watching, speaking, return_exceptions=True)

    async def _speak(self, body: dict[str, Any], send: Send) -> None:
        stream = bool(body.get("stream"))
        kind = b"text/event-stream" if stream else b"application/json"
        start = {"type": "http.response.start", "status": 200}
        if stream:
            await send({**start, "headers": [(b"content-type", kind)]})
        for event in self.events or list(echoed(body)):
            await asyncio.sleep(self.pause_s)
            if stream:
                line = b"data: " + json.dumps(event).encode() + b"\n\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
        if stream:
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
            return
        whole = (self.events or [completion("".join(pieces_of(body)))])[-1]
        await send({**start, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": json.dumps(whole).encode()})


def pieces_of(body: dict[str, Any]) -> list[str]:
    """An answer that repeats its question, at its beginning, in its midst and at its end."""
    asked = body["messages"][-1]["content"]
    common = "The ferry goes on and on, and nobody at the pier minds it. "
    end = [f"It was {SECRET}. "] if "tell" in asked else []
    return [f"{asked[:7]}", f"{asked[7:]}. ", *[common] * 4, f"{asked}. ", common, *end, asked]


def echoed(body: dict[str, Any]) -> list[dict[str, Any]]:
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in pieces_of(body)
    ]
    return [*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


@dataclass
class Lethe:
    """A proxy before a model, and a client of it."""

    client: httpx.AsyncClient
    audit: Path

    def records(self) -> list[dict[str, Any]]:
        """The audit's records, which must be whole."""
        assert verify(self.audit).first_broken is None
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@asynccontextmanager
async def lethe(
    folder: Path, model: Model, *, policy: str = POLICY, screening: bool = True
) -> AsyncIterator[Lethe]:
    """A proxy with a policy; without `screening`, its screen has stopped."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "p.yaml").write_text(policy)
    compiled = compile_policies(load_folder(folder / "policies"), HashEncoder())
    entry = Entry(tenants={name: (sha256(k.encode()).hexdigest(),) for name, k in KEYS.items()})
    async with listening(model) as upstream:
        config = Config(
            policies=folder,
            upstreams=[UpstreamConfig(name="u", base_url=f"{upstream}/v1")],
            audit=AuditConfig(path=folder / "audit.jsonl"),
        )
        async with building(config, compiled) as pipeline:
            if not screening:
                await pipeline.screening.close()
            async with (
                listening(create_app(pipeline, entry=entry)) as url,
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
            ):
                client.headers["authorization"] = f"Bearer {KEYS['acme']}"
                yield Lethe(client, config.audit.path)


def asking(content: str, *, stream: bool = True, **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": content}]
    return {"model": "m", "stream": stream, "messages": turns, **fields}


def said(answer: httpx.Response) -> str:
    """The content of a streamed answer."""
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for line in data for choice in json.loads(line)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.slow
async def test_tenants_at_once_hear_their_own_answers_only(tmp_path: Path) -> None:
    model = Model(pause_s=0.003)
    numbers = range(120)

    async def client(lethe: Lethe, number: int) -> tuple[str, httpx.Response]:
        tenant = "acme" if number % 2 else "other"
        wish = "Pray tell" if number % 3 == 0 else "Say"
        answer = await lethe.client.post(
            CHAT,
            json=asking(f"{wish} canary{number:04d}"),
            headers={"authorization": f"Bearer {KEYS[tenant]}"},
        )
        return tenant, answer

    async with lethe(tmp_path, model) as w:
        answers = await asyncio.gather(*(client(w, number) for number in numbers))
        records = {record["request_id"]: record for record in w.records()}
    assert len(records) == len(numbers)
    for number, (tenant, answer) in zip(numbers, answers, strict=True):
        assert set(CANARY.findall(answer.text + said(answer))) == {f"canary{number:04d}"}
        record = records[answer.headers["x-lethe-request-id"]]
        assert record["tenant"] == tenant
        refused = tenant == "acme" and number % 3 == 0
        assert record["action"] == ("refuse" if refused else "pass")
        assert (SECRET in said(answer)) == (tenant == "other" and number % 3 == 0)
        assert said(answer).endswith(f"canary{number:04d}") != refused


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_who_leaves_ends_the_call_of_the_model(tmp_path: Path, stream: bool) -> None:
    model = Model(pause_s=0.25)
    async with lethe(tmp_path, model) as w:
        staying = asyncio.ensure_future(w.client.post(CHAT, json=asking("Say a", stream=stream)))
        leaving = asyncio.ensure_future(w.client.post(CHAT, json=asking("Say b", stream=stream)))
        async with asyncio.timeout(10):
            while model.open < 2:  # noqa: ASYNC110 - counted by another task
                await asyncio.sleep(0.01)
        leaving.cancel()
        async with asyncio.timeout(10):
            while not model.left:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        assert model.open == 1
        answer = await staying
        assert model.left == 1
        outcomes = [record["outcome"] for record in w.records()]
    assert "The ferry goes on" in answer.text
    assert outcomes == ["client left", "answered"]


ENDS: dict[str, list[dict[str, Any]]] = {
    "/v1/responses": [{"type": "response.completed", "response": {"x": SECRET}}],
    "/v1/messages": [{"type": "message_stop", "x": SECRET}],
}
HELLO = [{"role": "user", "content": f"Who is {SECRET}?"}]
CHAT_EVENTS = [
    {"choices": [{"index": 0, "delta": {"content": f"It was {SECRET}.", "novelty": [1.50, None]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"odd": "ü"}},
]


@pytest.mark.parametrize("screening", [True, False], ids=["screening", "screen stopped"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("route", sorted({CHAT, *ENDS} & FORMATS.keys()))
async def test_a_shadow_policy_changes_no_byte(
    tmp_path: Path, route: str, stream: bool, screening: bool
) -> None:
    events = CHAT_EVENTS if route == CHAT else [{"type": "news", "a": SECRET}, *ENDS[route]]
    body = {"model": "m", "stream": stream, "max_tokens": 9, "logprobs": True, "odd": [1.0, "ü"]}
    body |= {"input": HELLO} if route == "/v1/responses" else {"messages": HELLO}
    heard: dict[str, tuple[Any, ...]] = {}
    for mode in ("off", "shadow"):
        whole: dict[str, Any] = {**completion(SECRET), "novelty": "ü"}
        model = Model([*events] if stream else [whole])
        async with lethe(
            tmp_path / mode, model, policy=f"{POLICY}mode: {mode}\n", screening=screening
        ) as w:
            answer = await w.client.post(route, json=body)
            record = w.records()[0]
        kept = {k: v for k, v in answer.headers.items() if k not in ("date", "x-lethe-request-id")}
        heard[mode] = (answer.status_code, answer.content, kept, model.bodies)
        assert record["would"] == ("refuse" if mode == "shadow" and screening else None)
    assert heard["shadow"] == heard["off"]
    assert SECRET.encode() in heard["shadow"][1]
    assert json.loads(heard["shadow"][3][0]) == body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_no_word_of_a_conversation_is_in_the_log_or_the_audit(
    tmp_path: Path, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    output = "screens: {output: {action: %s}}\n"
    for name, policy in {
        "refuse": POLICY,
        "redact": POLICY + output % "redact",
        "flag": POLICY + output % "flag",
        "shadow": POLICY + "mode: shadow\n",
    }.items():
        async with lethe(tmp_path / name, Model(), policy=policy) as w:
            for wish in ("Say canary0001", "Pray tell canary0002", f"Say {SECRET} canary0003"):
                answer = await w.client.post(CHAT, json=asking(wish, stream=stream))
                assert answer.status_code == 200
            bad = asking("canary0004", logprobs=True, metadata={"canary0005": "canary0006"})
            await w.client.post(CHAT, json=bad)
            await w.client.post(CHAT, content=b'{"canary0007": "canary0008", nonsense')
            await w.client.get("/canary0009")
            written = json.dumps([{**r, "verdicts": None} for r in w.records()])
            assert len(w.records()) == 4
        assert {"refuse", "redact", "flag", "pass"} & {r["action"] for r in json.loads(written)}
        # This client is one of httpx, too, and notes the paths that it asks for.
        logged = "\n".join(r.getMessage() for r in caplog.records if r.name != "httpx")
        assert "rejected=404" in logged
        for place in (written, logged):
            assert not CANARY.findall(place)
            assert "Vask" not in place
            assert "ferry" not in place


@pytest.mark.parametrize("route", sorted(FORMATS))
async def test_no_field_of_a_client_writes_into_the_log(
    tmp_path: Path, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lethe")
    body = {"guided_\ncanary0001": 1, "model": "m", "max_tokens": 9, "messages": HELLO}
    async with lethe(tmp_path, Model()) as w:
        answer = await w.client.post(route, json={**body, "input": "Hi.", "prompt": "Hi."})
        assert answer.status_code == 400
    assert not CANARY.findall(caplog.text + w.audit.read_text())


async def test_a_list_of_models_names_nothing_forbidden(tmp_path: Path) -> None:
    listed = [{"id": "plain-7b"}, {"id": "ottoline-vask-7b"}]
    async with lethe(tmp_path, Model(events=[{"data": listed}])) as w:
        shown = (await w.client.get("/v1/models")).json()["data"]
        found = [(await w.client.get(f"/v1/models/{m['id']}")).status_code for m in listed]
    assert [model["id"] for model in shown] == ["plain-7b"]
    assert found == [200, 404]


async def test_a_list_of_models_that_cannot_be_screened_is_an_error_without_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def late(*_: object) -> None:
        raise TimeoutError("ottoline-vask-7b")

    monkeypatch.setattr(Screening, "judge", late)
    async with lethe(tmp_path, Model(events=[{"data": [{"id": "ottoline-vask-7b"}]}])) as w:
        answer = await w.client.get("/v1/models")
    assert (answer.status_code, "could not be listed" in answer.text) == (500, True)
    assert "vask" not in (answer.text + caplog.text).lower()
    assert "Traceback" not in caplog.text


async def test_without_a_key_nobody_is_asked(tmp_path: Path) -> None:
    model = Model()
    async with lethe(tmp_path, model) as w:
        refused = []
        for key in ("", "Bearer", "Bearer key-of-nobody", f"Basic {KEYS['acme']}"):
            for route in FORMATS:
                answer = await w.client.post(route, json={}, headers={"authorization": key})
                refused.append(answer.status_code)
            answer = await w.client.get("/v1/models", headers={"authorization": key})
            refused.append(answer.status_code)
        assert model.bodies == []
        assert "ferry" in (await w.client.post(CHAT, json=asking("Say a"))).text
    assert set(refused) == {401}


async def test_two_keys_in_one_header_are_none(tmp_path: Path) -> None:
    async with lethe(tmp_path, Model()) as w:
        both = [("authorization", f"Bearer {KEYS[name]}") for name in ("acme", "other")]
        answer = await w.client.post(CHAT, json=asking("Say a"), headers=both)
        alone = await w.client.post(CHAT, json=asking("Say a"), headers=both[1:])
    assert (answer.status_code, alone.status_code) == (401, 200)
