"""Anthropic messages through the whole pipeline, whatever the upstream sends and however cut."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import anthropic.types
import anthropic.types.beta
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.exchange import Body
from proxy.formats import messages
from proxy.formats.messages_blocks import folded
from proxy.framing import Head
from proxy.rehearsal import Rehearsal, rehearsing
from proxy.sse import Decoder
from proxy.trace import Caller

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
screens: {output: {action: %s}}
"""
SECRET = "Ottoline Vask"
ALONE = re.compile(rf"(?<!\w){SECRET}(?!\w)")  # within a longer word it is no name
CITED: Body = {
    "type": "char_location",
    "cited_text": "a line",
    "document_index": 0,
    "document_title": "Paper",
    "start_char_index": 0,
    "end_char_index": 6,
    "file_id": None,
}


class Wire(httpx.AsyncBaseTransport):
    """An upstream that sends what stands in `raw`, in pieces of the sizes given, over and over."""

    def __init__(self, raw: bytes = b"", cuts: Sequence[int] = (4096,)) -> None:
        self.raw, self.cuts = raw, cuts

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        streamed = json.loads(await request.aread()).get("stream")
        kind = "text/event-stream" if streamed else "application/json"
        return httpx.Response(200, headers={"content-type": kind}, content=self._pieces())

    async def _pieces(self) -> AsyncIterator[bytes]:
        at, turn = 0, 0
        while at < len(self.raw):
            yield self.raw[at : at + self.cuts[turn % len(self.cuts)]]
            at, turn = at + self.cuts[turn % len(self.cuts)], turn + 1


def framed(events: Sequence[Body], end: str = "\n") -> bytes:
    """Events as bytes, with the characters themselves and not their escapes."""
    frames = (
        f"event: {e['type']}{end}data: {json.dumps(e, ensure_ascii=False)}{end}{end}"
        for e in events
    )
    return "".join(frames).encode()


def message(content: Sequence[Body], reason: str = "end_turn") -> Body:
    usage = {"input_tokens": 3, "output_tokens": 4}
    head = {"id": "msg_x", "type": "message", "role": "assistant", "model": "theirs"}
    ending = {"stop_reason": reason, "stop_sequence": None}
    return {**head, "content": list(content), **ending, "usage": usage}


def stream(content: Sequence[Body]) -> list[Body]:
    whole = message(content)
    events: list[Body] = [{"type": "message_start", "message": {**whole, "content": []}}]
    for index, block in enumerate(content):
        key = {"text": "text", "thinking": "thinking"}.get(block["type"], "input")
        begun = {**block, key: {} if key == "input" else "", "citations": None}
        told = block[key] if key != "input" else json.dumps(block[key], ensure_ascii=False)
        kind = "input_json_delta" if key == "input" else f"{key}_delta"
        said = {"type": kind, "partial_json" if key == "input" else key: told}
        cited = [{"type": "citations_delta", "citation": c} for c in block.get("citations") or ()]
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        deltas = (said, *cited)
        events += ({"type": "content_block_delta", "index": index, "delta": d} for d in deltas)
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": whole["usage"]})
    return [*events, {"type": "message_stop"}]


@asynccontextmanager
async def world(folder: Path, wire: Wire, action: str = "refuse") -> AsyncIterator[Rehearsal]:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "p.yaml").write_text(POLICY % action)
    policies = compile_policies(load_folder(folder / "policies"), HashEncoder())
    async with rehearsing(folder, policies, wire) as made:
        yield made


async def ask(w: Rehearsal, **fields: Any) -> tuple[int, list[Body], Body]:
    """The status, the blocks as the client reads them, and the end or the error."""
    turn = {"role": "user", "content": "Who paints?"}
    body = {"model": "m", "max_tokens": 9, "messages": [turn], **fields}
    caller = Caller("r1", "default", messages.route)
    head, *rest = [out async for out in w.pipeline.answer(messages, body, caller)]
    assert isinstance(head, Head)
    if head.body is not None:
        return head.status, head.body.get("content", []), head.body
    events = []
    for sent in Decoder().feed(b"".join(out for out in rest if isinstance(out, bytes))):
        events.append(json.loads(sent.data))
        assert sent.event == events[-1]["type"]
    end = {"type": "error"}
    if events[-1]["type"] == "message_stop":
        end = {**events[-2]["delta"], "usage": events[-2]["usage"]}
    return head.status, folded(events), {**end, "everything": events}


def plain(blocks: Sequence[Body]) -> list[Body]:
    """Blocks without what is the proxy's own."""
    return [{k: v for k, v in block.items() if k not in ("id", "signature")} for block in blocks]


names = ["Otto", "line ", "Vask", ". ", "It rains in the 村. ", "é", "Über alles ", "and so on. "]
said = st.lists(st.sampled_from(names), max_size=8).map("".join)
some_blocks = st.one_of(
    said.map(lambda s: {"type": "text", "text": s}),
    said.map(lambda s: {"type": "text", "text": s, "citations": [{**CITED, "cited_text": s}]}),
    said.map(lambda s: {"type": "thinking", "thinking": s, "signature": s}),
    said.map(lambda s: {"type": "tool_use", "id": s or "t", "name": "f", "input": {"a": s}}),
)


@pytest.mark.parametrize("action", ["refuse", "redact"])
@given(
    content=st.lists(some_blocks, min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_cut_of_any_blocks_releases_the_same_and_no_secret(
    tmp_path_factory: pytest.TempPathFactory,
    action: str,
    content: list[Body],
    cuts: list[int],
    end: str,
) -> None:
    async def run() -> None:
        wire = Wire()
        async with world(tmp_path_factory.mktemp("world"), wire, action) as w:
            wire.raw = json.dumps(message(content)).encode()
            status, whole, ending = await ask(w)
            wire.raw = framed(stream(content))
            _, once, _ = await ask(w, stream=True)
            wire.raw, wire.cuts = framed(stream(content), end), cuts
            _, pieced, streamed_ending = await ask(w, stream=True)
            records = w.records()
        assert status == 200
        assert plain(once) == plain(pieced)
        assert [r["outcome"] for r in records] == ["answered"] * 3
        assert len({r["action"] for r in records}) == 1
        assert ending["stop_reason"] == streamed_ending["stop_reason"]
        assert plain(whole) == plain(pieced)
        for blocks in (whole, pieced):
            texts = "".join(b.get("text", "") + b.get("thinking", "") for b in blocks)
            assert not ALONE.search(texts)
            assert not ALONE.search(json.dumps(blocks, ensure_ascii=False))
        if not any("Vask" in json.dumps(block) for block in content):
            assert records[0]["action"] == "pass"
            assert plain(whole) == plain([b for b in content if b.get(b["type"], True)])

    asyncio.run(run())


# Every string that the SDK's types know, one after the other.


def least(of: Any) -> Any:  # noqa: PLR0911 - one line a kind of type
    """The least value of a type."""
    origin, args = get_origin(of), get_args(of)
    if origin is Annotated:
        return least(args[0])
    if origin in (Union, UnionType):
        return None if type(None) in args else least(args[0])
    if origin is Literal:
        return args[0]
    if origin is list:
        return []
    if origin is dict:
        return {}
    if isinstance(of, type) and issubclass(of, BaseModel):
        return {name: least(field.annotation) for name, field in of.model_fields.items()}
    return {int: 0, float: 0.0, bool: False, datetime: "2026-01-01T00:00:00Z"}.get(of, "x")


def planted(of: Any) -> Iterator[Any]:
    """Every value of a type in which one string, a word of the format's included, is the secret."""
    origin, args = get_origin(of), get_args(of)
    if origin is Annotated:
        yield from planted(args[0])
    elif origin in (Union, UnionType):
        for one in args:
            yield from planted(one)
    elif origin is list:
        yield from ([value] for value in planted(args[0]))
    elif origin is dict:
        yield from ({"k": SECRET}, {SECRET: "v"})
    elif isinstance(of, type) and issubclass(of, BaseModel):
        base = least(of)
        for name, field in of.model_fields.items():
            yield from ({**base, name: value} for value in planted(field.annotation))
        yield {**base, "unheard_of": SECRET}
        yield {**base, SECRET: "v"}
    elif origin is Literal or of in (str, object, datetime):
        yield SECRET


def streams(of: Any) -> Iterator[list[Body]]:
    """Streams in which one event of a type holds the secret somewhere."""
    text = [{"type": "text", "text": "It rains."}]
    opened: dict[str, Body] = {
        "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
        "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
        "input_json_delta": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    }
    start, *middle, end, stop = stream(text)
    for member in get_args(get_args(of)[0]):
        for event in planted(member):
            kind = least(member)["type"]
            if kind == "message_start":
                yield [event, *middle, end, stop]
            elif kind == "content_block_start":
                yield [start, event, {"type": "content_block_stop", "index": 0}, end, stop]
            elif kind == "content_block_delta":
                begun = opened.get(event["delta"]["type"], {"type": "text", "text": ""})
                opening = {"type": "content_block_start", "index": 0, "content_block": begun}
                yield [start, opening, event, {"type": "content_block_stop", "index": 0}, end, stop]
            elif kind == "message_delta":
                yield [start, *middle, event, stop]
            else:
                yield [start, *middle, event, end, stop]


@pytest.mark.parametrize("types", [anthropic.types, anthropic.types.beta], ids=["api", "beta"])
async def test_no_string_that_the_types_of_the_sdk_know_carries_a_secret(
    tmp_path: Path, types: Any
) -> None:
    prefix = "" if types is anthropic.types else "Beta"
    whole = [
        value
        for value in planted(getattr(types, f"{prefix}Message"))
        if isinstance(value["content"], list)
    ]
    events = list(streams(getattr(types, f"{prefix}RawMessageStreamEvent")))
    wire, statuses = Wire(), []
    async with world(tmp_path, wire) as w:
        for value in whole:
            wire.raw = json.dumps(value).encode()
            status, _, told = await ask(w)
            statuses.append(status)
            assert SECRET not in json.dumps(told), value
        for told_events in events:
            wire.raw = framed(told_events)
            status, _, told = await ask(w, stream=True)
            statuses.append(status)
            assert SECRET not in json.dumps(told), told_events
        records = w.records()
    assert len(whole) > 100
    assert len(events) > 100
    # Nearly all of it is answered: nothing was kept from leaking by being broken.
    assert statuses.count(200) > 0.9 * len(statuses)
    assert {record["outcome"] for record in records} <= {"answered", "upstream failed"}


async def test_the_innocent_twin_of_each_type_arrives(tmp_path: Path) -> None:
    wire = Wire()
    content: list[Body] = [
        {"type": "text", "text": "It rains. ", "citations": [CITED]},
        {"type": "text", "text": "It goes on. "},
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"deep": [{"a": "b"}]}},
        {"type": "text", "text": "The end."},
    ]
    async with world(tmp_path, wire) as w:
        wire.raw = json.dumps(message(content)).encode()
        _, whole, ending = await ask(w)
        wire.raw, wire.cuts = framed(stream(content)), (1,)
        _, streamed, end = await ask(w, stream=True)
        actions = [record["action"] for record in w.records()]
    assert plain(whole) == plain(streamed) == plain(content)
    assert ending["usage"] == end["usage"] == {"input_tokens": 3, "output_tokens": 4}
    assert actions == ["pass", "pass"]
