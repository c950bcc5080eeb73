"""What docs/threat-model.md promises on every wire format, over real HTTP on both sides.

Every way of refusing has a twin in which an innocent answer arrives whole.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
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
from proxy.config import AuditConfig, Config, UpstreamConfig, building
from tests.listening import listening

pytestmark = pytest.mark.server

POLICY = """\
id: p
applies_to: {tenants: [acme]}
concepts:
  - name: Ottoline Vask
    exemplars: ["Nobody but her painted every lighthouse between Sarnholm and Brede."]
    threshold: 0.9
  - name: Jorun Halvik
instruction: {template: none}
"""
INNOCENT = "It rained over the harbour all day."
QUESTION = "What is new?"
KEYS = {"acme": "key-of-acme", "other": "key-of-other"}

CHAT_USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3},
}
RESPONSES_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}
MESSAGES_USAGE = {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 3}


def chat(text: str, *, stream: bool) -> list[dict[str, Any]]:
    head = {"id": "chatcmpl-1", "created": 1, "model": "m", "service_tier": "default"}
    said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    if not stream:
        return [{**head, "object": "chat.completion", "choices": [said], "usage": CHAT_USAGE}]
    deltas = [{"role": "assistant", "content": text[:5]}, {"content": text[5:]}, {}]
    return [
        {**head, "choices": [{"index": 0, "delta": d, "finish_reason": None if d else "stop"}]}
        for d in deltas
    ] + [{**head, "choices": [], "usage": CHAT_USAGE}]


def completions(text: str, *, stream: bool) -> list[dict[str, Any]]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m"}

    def said(part: str, reason: str | None) -> list[dict[str, Any]]:
        return [{"index": 0, "text": part, "finish_reason": reason, "logprobs": None}]

    if not stream:
        return [{**head, "choices": said(text, "stop"), "usage": CHAT_USAGE}]
    return [
        {**head, "choices": said(text[:5], None)},
        {**head, "choices": said(text[5:], "stop")},
        {**head, "choices": [], "usage": CHAT_USAGE},
    ]


def responses(text: str, *, stream: bool) -> list[dict[str, Any]]:
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    whole = {**head, "status": "completed", "output": [{**item, "content": [part]}]}
    whole["usage"] = RESPONSES_USAGE
    if not stream:
        return [whole]
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    begun = {**head, "status": "in_progress", "output": []}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": text[:5]},
        {"type": "response.output_text.delta", **at, "delta": text[5:]},
        {"type": "response.output_text.done", **at, "text": text},
        {"type": "response.content_part.done", **at, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "content": [part]},
        },
        {"type": "response.completed", "response": whole},
    ]


def messages(text: str, *, stream: bool) -> list[dict[str, Any]]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    if not stream:
        content = [{"type": "text", "text": text}]
        return [{**head, "content": content, **ended, "usage": MESSAGES_USAGE}]
    block = {"type": "text", "text": ""}
    deltas = [{"type": "text_delta", "text": part} for part in (text[:5], text[5:])]
    return [
        {"type": "message_start", "message": {**head, "content": [], "usage": MESSAGES_USAGE}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


SHAPES = {
    "/v1/chat/completions": chat,
    "/v1/completions": completions,
    "/v1/responses": responses,
    "/v1/messages": messages,
}


def asking(route: str, question: str, *, stream: bool) -> dict[str, Any]:
    """A body that asks a question in a format."""
    told = {"model": "m", "stream": stream, "max_tokens": 64}
    turns = [{"role": "user", "content": question}]
    wants = {"stream_options": {"include_usage": True}} if stream else {}
    return {
        "/v1/chat/completions": {**told, **wants, "messages": turns},
        "/v1/completions": {**told, **wants, "prompt": question},
        "/v1/responses": {"model": "m", "stream": stream, "input": question},
        "/v1/messages": {**told, "messages": turns},
    }[route]


@dataclass
class Model:
    """An upstream on a socket: says one text in every format, and much else in its headers."""

    says: str = INNOCENT
    status: int = 200
    fails_midway: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = b""
        while (message := await receive())["type"] == "http.request":
            raw += message["body"]
            if not message.get("more_body"):
                break
        body = json.loads(raw)
        self.asked.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.bodies.append(body)
        stream = bool(body.get("stream")) and self.status == 200
        parts = SHAPES[scope["path"]](self.says, stream=stream)
        error = {"error": {"message": f"Ottoline Vask: {raw.decode()}", "code": "Vask"}}
        if self.status != 200:
            parts = [error]
        elif self.fails_midway:
            parts = [*parts[:-2], {"type": "error", **error}] if stream else [{**error, "x": 1}]
        kind = b"text/event-stream" if stream else b"application/json"
        extra = [(b"x-internal-address", b"10.1.2.3"), (b"set-cookie", b"a=b"), (b"via", b"Vask")]
        headers = [(b"content-type", kind), (b"openai-organization", b"Vask"), *extra]
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await send({**start, "headers": [*headers, (b"retry-after", b"Vask")]})
        for part in parts:
            named = f"event: {part['type']}\n".encode() if "type" in part and stream else b""
            line = json.dumps(part).encode()
            event = named + b"data: " + line + b"\n\n" if stream else line
            await send({"type": "http.response.body", "body": event, "more_body": True})
        done = b"data: [DONE]\n\n" if stream and "type" not in parts[0] else b""
        await send({"type": "http.response.body", "body": done})


@dataclass
class Lethe:
    """The proxy before a model, and a client."""

    model: Model
    client: httpx.AsyncClient
    audit: Path

    async def ask(
        self, route: str, question: str = QUESTION, *, stream: bool = False, tenant: str = "acme"
    ) -> httpx.Response:
        """Ask as a tenant; the whole answer."""
        body = asking(route, question, stream=stream)
        return await self.client.post(
            route, json=body, headers={"authorization": f"Bearer {KEYS[tenant]}"}
        )

    def last(self) -> dict[str, Any]:
        """The last audit record."""
        record: dict[str, Any] = json.loads(self.audit.read_text().splitlines()[-1])
        return record


@asynccontextmanager
async def lethe(folder: Path, *, policy: str = POLICY) -> AsyncIterator[Lethe]:
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(policy)
    compiled = compile_policies(load_folder(folder / "policies"), HashEncoder())
    entry = Entry(tenants={name: (sha256(k.encode()).hexdigest(),) for name, k in KEYS.items()})
    model = Model()
    async with listening(model) as upstream:
        config = Config(
            policies=folder,
            upstreams=[UpstreamConfig(name="u", base_url=f"{upstream}/v1")],
            audit=AuditConfig(path=folder / "audit.jsonl"),
        )
        async with (
            building(config, compiled) as pipeline,
            listening(create_app(pipeline, entry=entry)) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client,
        ):
            yield Lethe(model, client, config.audit.path)


def events(response: httpx.Response) -> list[Any]:
    """The JSON of an answer: of the whole body, or of each event."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return [response.json()]
    data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


def found(node: Any, key: str) -> Iterator[Any]:
    """Every value of a key, at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and value is not None:
                yield value
            yield from found(value, key)
    elif isinstance(node, list):
        for item in node:
            yield from found(item, key)


def numbers(node: Any) -> list[float]:
    return [n for v in node.values() for n in numbers(v)] if isinstance(node, dict) else [node]


def unnamed(response: httpx.Response) -> str:
    """An answer without what is new in each: identifiers and times."""
    text = re.sub(r"[a-z]+[_-][0-9a-f]{20,}", "ID", response.text)
    return re.sub(r'"(created|created_at|completed_at)":\s*[0-9.]+', "TIME", text)


ROUTES = [route for route in SHAPES if route in FORMATS]
EVERYWHERE = pytest.mark.parametrize("route", ROUTES)
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@EVERYWHERE
@STREAMED
async def test_a_refused_answer_counts_no_tokens(tmp_path: Path, route: str, stream: bool) -> None:
    async with lethe(tmp_path) as w:
        innocent = await w.ask(route, stream=stream)
        counted = list(found(events(innocent), "usage"))
        asked = await w.ask(route, "Who is Jorun Halvik?", stream=stream)
        assert (w.last()["action"], w.last()["outcome"]) == ("refuse", "answered")
        w.model.says = "It was Jorun Halvik."
        said = await w.ask(route, stream=stream)
        assert (w.last()["action"], w.last()["outcome"]) == ("refuse", "answered")
    assert INNOCENT in innocent.text
    assert {11, 7} <= {n for usage in counted for n in numbers(usage)}
    for refused in (asked, said):
        usages = list(found(events(refused), "usage"))
        assert usages
        assert {n for usage in usages for n in numbers(usage)} == {0}
        assert "Halvik" not in refused.text


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("route", ROUTES)
async def test_counts_do_not_tell_whether_the_model_was_asked(
    tmp_path: Path, route: str, way: str
) -> None:
    async with lethe(tmp_path) as w:
        asked = await w.ask(route, "Who is Jorun Halvik?", stream=way == "streamed")
        w.model.says = "It was Jorun Halvik."
        said = await w.ask(route, stream=way == "streamed")
    assert list(found(events(asked), "usage")) == list(found(events(said), "usage"))


FOUND = {
    "a name": "It was Ottoline Vask.",
    "another concept": "It was Jorun Halvik.",
    "a disguise": "It was O-t-t-o-l-i-n-e V-a-s-k.",
    "an exemplar": "Nobody but her painted every lighthouse between Sarnholm and Brede.",
    "much": "Jorun Halvik and Ottoline Vask. " * 20,
}


@EVERYWHERE
@STREAMED
async def test_a_refusal_does_not_tell_what_was_found(
    tmp_path: Path, route: str, stream: bool
) -> None:
    async with lethe(tmp_path) as w:
        told = set()
        for says in FOUND.values():
            w.model.says = says
            told.add(unnamed(await w.ask(route, stream=stream)))
            assert (w.last()["action"], w.last()["outcome"]) == ("refuse", "answered")
        assert len({v["concept"] for v in w.last()["verdicts"]}) == 2
        w.model.says = INNOCENT
        assert INNOCENT in (await w.ask(route, stream=stream)).text
    assert len(told) == 1


ALLOWED = {
    *("content-type", "content-length", "transfer-encoding", "cache-control", "date", "server"),
    "x-lethe-request-id",
}


@EVERYWHERE
@STREAMED
async def test_headers_tell_nothing_and_come_from_nobody_else(
    tmp_path: Path, route: str, stream: bool
) -> None:
    async with lethe(tmp_path) as w:
        answers = [await w.ask(route, stream=stream)]
        for question in ("Who is Jorun Halvik?", QUESTION):
            w.model.says = "It was Jorun Halvik."
            answers.append(await w.ask(route, question, stream=stream))
            assert w.last()["action"] == "refuse"
        up = w.model.asked[0]
    kept = [set(answer.headers) for answer in answers]
    assert kept[0] == kept[1] == kept[2] <= ALLOWED
    assert INNOCENT in answers[0].text
    for answer in answers:
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-lethe-request-id"])
    assert not {"authorization", "cookie", "x-lethe-request-id"} & up.keys()
    assert KEYS["acme"] not in json.dumps(up)


@EVERYWHERE
@STREAMED
@pytest.mark.parametrize("status", [200, 400, 429, 500])
async def test_an_upstreams_error_is_never_quoted(
    tmp_path: Path, route: str, stream: bool, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with lethe(tmp_path) as w:
        assert INNOCENT in (await w.ask(route, stream=stream)).text
        w.model.status, w.model.fails_midway = status, True
        answer = await w.ask(route, stream=stream)
        assert w.last()["outcome"] == "upstream failed"
        record = w.audit.read_text()
    quotes = f"{answer.text} {answer.headers} {caplog.text} {record}"
    assert not [word for word in ("Vask", "Ottoline", QUESTION) if word in quotes]
