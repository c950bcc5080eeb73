"""Responses through a pipeline: however an upstream tells them, the same is released."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import HashEncoder
from policies import PolicySet, compile_policies, load_folder
from proxy.exchange import Body
from proxy.formats import responses
from proxy.framing import Head
from proxy.inject import REFUSALS
from proxy.rehearsal import rehearsing
from proxy.trace import Caller

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""
SECRET = "Ottoline Vask"
FIELD = {"output_text": "text", "refusal": "refusal"}
EVENT = {
    "output_text": "response.output_text",
    "refusal": "response.refusal",
    "summary_text": "response.reasoning_summary_text",
    "reasoning_text": "response.reasoning_text",
}


class Wire(httpx.AsyncBaseTransport):
    """An upstream that sends the bytes it is given, in the pieces it is given."""

    def __init__(self, raw: bytes, cuts: Sequence[int], kind: str) -> None:
        edges = [0, *cuts, len(raw)]
        self._pieces = [raw[a:b] for a, b in pairwise(edges)]
        self._kind = kind

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        headers = {"content-type": self._kind}
        return httpx.Response(200, headers=headers, stream=_Bytes(self._pieces))


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@cache
def compiled() -> PolicySet:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "p.yaml").write_text(POLICY)
        return compile_policies(load_folder(Path(name)), HashEncoder())


async def _through(transport: Wire, body: Body) -> tuple[list[Body], Body, Body]:
    """The events, the whole response, the audit record."""
    with tempfile.TemporaryDirectory() as name:
        async with rehearsing(Path(name), compiled(), transport) as made:
            told = made.pipeline.answer(responses, body, Caller("r", "default", responses.route))
            outs = [out async for out in told]
            record = made.records()[0]
    head, *rest = outs
    assert isinstance(head, Head)
    if head.body is not None:
        return [], head.body, record
    raw = b"".join(out for out in rest if isinstance(out, bytes)).decode()
    frames = [frame.split("\n") for frame in raw.split("\n\n") if frame]
    events = [json.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [kind.removeprefix("event: ") for kind, _ in frames] == [e["type"] for e in events]
    return events, events[-1].get("response", {}), record


def ask(raw: bytes, cuts: Sequence[int] = (), **fields: Any) -> tuple[list[Body], Body, Body]:
    body = {"model": "m", "input": "Who paints?", **fields}
    kind = "text/event-stream" if fields.get("stream") else "application/json"
    return asyncio.run(_through(Wire(raw, cuts, kind), body))


def whole(items: Sequence[Body], status: str = "completed") -> Body:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    return {"id": "resp_1", "object": "response", "status": status, "output": items, "usage": usage}


def framed(events: Sequence[Body]) -> bytes:
    return b"".join(
        f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': n})}\n\n".encode()
        for n, e in enumerate(events)
    )


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def told(item: Body, at: int, size: int) -> Iterator[Body]:
    """The events that tell one item, in the order of the API."""
    here = {"output_index": at, "item_id": item["id"]}
    blank: Body = {key: [] for key in ("content", "summary") if key in item}
    blank |= {key: "" for key in ("arguments", "input") if key in item}
    yield {"type": "response.output_item.added", "output_index": at, "item": {**item, **blank}}
    for field in ("summary", "content"):
        number = "summary_index" if field == "summary" else "content_index"
        part_event = "reasoning_summary_part" if field == "summary" else "content_part"
        for n, part in enumerate(item.get(field, ())):
            key, event, where = FIELD.get(part["type"], "text"), EVENT[part["type"]], {number: n}
            yield {
                "type": f"response.{part_event}.added",
                **here,
                **where,
                "part": {**part, key: ""},
            }
            for delta in pieces(part[key], size):
                yield {"type": f"{event}.delta", **here, **where, "delta": delta}
            yield {"type": f"{event}.done", **here, **where, key: part[key]}
            yield {"type": f"response.{part_event}.done", **here, **where, "part": part}
    for key, event in (("arguments", "function_call"), ("input", "custom_tool_call")):
        if key in item:
            for delta in pieces(item[key], size):
                yield {"type": f"response.{event}_{key}.delta", **here, "delta": delta}
            yield {"type": f"response.{event}_{key}.done", **here, key: item[key]}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def message(*parts: Body, number: int = 0) -> Body:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": list(parts),
    }


def text(words: str, *annotations: Body) -> Body:
    return {"type": "output_text", "text": words, "annotations": list(annotations), "logprobs": []}


def streamed(items: Sequence[Body], *, size: int = 7) -> list[Body]:
    events = [event for n, item in enumerate(items) for event in told(item, n, size)]
    return opened(events, items)


def opened(events: Sequence[Body], items: Sequence[Body]) -> list[Body]:
    begun = {"type": "response.created", "response": whole([], "in_progress")}
    return [begun, *events, {"type": "response.completed", "response": whole(items)}]


SENTENCES = (
    "It is raining.",
    "Bread is baked early in the morning.",
    "The harbour freezes over in the winter months, as everybody who lives there knows.",
    "Yes!",
    "Boil the eggs for eight minutes, then cool them under running water and peel them.",
    "Über die Brücke → zum Markt 🐟.",
)
PROSE = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4).map(" ".join)


@st.composite
def outputs(draw: st.DrawFn) -> list[Body]:
    items: list[Body] = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call"]))
        if kind == "message":
            kinds = draw(st.lists(st.sampled_from(["output_text", "refusal"]), max_size=3))
            parts = [
                text(draw(PROSE)) if k == "output_text" else {"type": k, "refusal": draw(PROSE)}
                for k in kinds
            ]
            items.append(message(*parts, number=number))
        elif kind == "reasoning":
            item: Body = {"id": f"rs_{number}", "type": kind}
            item["summary"] = [
                {"type": "summary_text", "text": t} for t in draw(st.lists(PROSE, max_size=2))
            ]
            thoughts = draw(st.lists(PROSE, max_size=2))
            if thoughts:
                item["content"] = [{"type": "reasoning_text", "text": t} for t in thoughts]
            items.append(item)
        else:
            field = "arguments" if kind == "function_call" else "input"
            said = json.dumps({"city": draw(PROSE)}) if field == "arguments" else draw(PROSE)
            call = {"id": f"fc_{number}", "type": kind, "call_id": f"c{number}", "name": "look_up"}
            items.append({**call, "status": "completed", field: said})
    return items


@st.composite
def interleaved(draw: st.DrawFn, items: Sequence[Body]) -> list[Body]:
    """The events of all items: each item's own in order, items announced in order."""
    size = draw(st.integers(1, 40))
    left = [list(told(item, n, size)) for n, item in enumerate(items)]
    events: list[Body] = []
    begun = 0
    while any(left):
        ready = [n for n in range(min(begun + 1, len(left))) if left[n]]
        at = draw(st.sampled_from(ready))
        run = draw(st.integers(1, 5))
        events += left[at][:run]
        left[at] = left[at][run:]
        begun = max(begun, at + 1)
    return opened(events, items)


def bare(item: Body) -> Body:
    """An item without what is ours to make up."""
    return {key: value for key, value in item.items() if key not in ("id", "call_id")}


def kept(items: Sequence[Body]) -> list[Body]:
    """Reasoning that said nothing is no item."""
    return [bare(i) for i in items if i["type"] != "reasoning" or i["summary"] or "content" in i]


def checked(events: Sequence[Body]) -> None:
    """What every stream of this API keeps to, whatever was released."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    final = events[-1]["response"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert done == final["output"]
    assert [(i["id"], i["type"]) for i in added] == [(i["id"], i["type"]) for i in done]
    heard: dict[tuple[Any, ...], str] = {}
    for event in events:
        stem, _, verb = event["type"].rpartition(".")
        numbers = ("output_index", "item_id", "content_index", "summary_index")
        where = (stem, *(event.get(number) for number in numbers))
        if "item_id" in event:
            assert final["output"][event["output_index"]]["id"] == event["item_id"]
        if verb == "delta":
            heard[where] = heard.get(where, "") + event["delta"]
        elif verb == "done" and "item_id" in event and "part" not in event:
            said = {event[key] for key in ("text", "refusal", "arguments", "input") if key in event}
            assert said == {heard.pop(where, "")}
    assert not heard


@pytest.mark.slow
@given(data=st.data())
def test_any_telling_of_an_innocent_answer_arrives_as_it_was_said(data: st.DataObject) -> None:
    items = data.draw(outputs())
    raw = framed(data.draw(interleaved(items)))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(raw) - 1), max_size=30)))
    events, response, record = ask(raw, cuts, stream=True)
    checked(events)
    assert [bare(item) for item in response["output"]] == kept(items)
    assert (response["status"], record["action"], record["outcome"]) == (
        "completed",
        "pass",
        "answered",
    )
    _, at_once, _ = ask(json.dumps(whole(items)).encode())
    assert [bare(item) for item in at_once["output"]] == kept(items)


@settings(max_examples=10)
@given(items=outputs())
def test_bytes_that_come_one_by_one_change_nothing(items: list[Body]) -> None:
    raw = framed(streamed(items))
    events, response, _ = ask(raw, range(1, len(raw)), stream=True)
    checked(events)
    assert [bare(item) for item in response["output"]] == kept(items)


def spoilt(data: st.DataObject, items: list[Body]) -> list[Body]:
    """Items with a forbidden name in one of their texts, or split over two parts of one kind."""
    places = [
        (holder, key)
        for item in items
        for holder in (item, *item.get("content", ()), *item.get("summary", ()))
        for key in ("text", "refusal", "arguments", "input", "name")
        if key in holder
    ]
    if not places:
        return [*items, message(text("She is "), text("Ottoline V"), text("ask, they say."))]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = f'{{"x": "{SECRET}"}}' if key == "arguments" else f"{holder[key]} {SECRET} did."
    return items


@pytest.mark.slow
@given(data=st.data())
def test_no_telling_lets_a_forbidden_name_out(data: st.DataObject) -> None:
    items = spoilt(data, data.draw(outputs()))
    raw = framed(data.draw(interleaved(items)))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(raw) - 1), max_size=30)))
    json_only: Body = {"text": {"format": {"type": "json_object"}}}
    for promised in ({}, json_only):
        events, response, record = ask(raw, cuts, **{"stream": True, **promised})
        checked(events)
        assert record["outcome"] == "answered"
        assert record["action"] == "refuse"
        words = response["output"][-1]["content"][0]
        assert words.get("text", words.get("refusal")).strip() in REFUSALS
        assert (words["type"], response["status"]) == (
            ("refusal", "completed") if promised else ("output_text", "incomplete")
        )
        assert not any(count for count in response["usage"].values() if isinstance(count, int))
        assert "Vask" not in json.dumps(events)
        _, at_once, _ = ask(json.dumps(whole(items)).encode(), **promised)
        assert at_once["output"][-1]["content"][0]["type"] == words["type"]
        assert "Vask" not in json.dumps(at_once)
