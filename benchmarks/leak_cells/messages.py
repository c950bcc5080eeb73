"""Anthropic messages: every channel of an answer, as content blocks that both modes share.

Knows no gateway. Shapes: the Anthropic API reference of the messages endpoint and its events.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.leak_cells.channels import STREAMED, Body, Channel, Voice
from benchmarks.leak_cells.chat import SCHEMA, arguments
from benchmarks.leak_cells.phrases import FORBIDDEN, ORDINARY
from benchmarks.leak_cells.upstream import Script

USAGE = {"input_tokens": 9, "output_tokens": 9}
TOOLS = {
    "tools": [{"name": "look_up", "description": "Looks something up.", "input_schema": SCHEMA}]
}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
Split = Callable[[str], list[str]]


def block(text: str, **fields: Any) -> Body:  # noqa: ANN401
    return {"type": "text", "text": text, **fields}


def called(said: Body, number: int = 0, name: str = "look_up") -> Body:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": said}


def thinking(text: str, signature: str = "c2ln") -> Body:
    return {"type": "thinking", "thinking": text, "signature": signature}


def said(
    *blocks: Body, split: Split = lambda text: [text], reason: str = "", usage: Body | None = None,
    extra: tuple[Body, ...] = (), at_once: bool = False, **top: Any,  # noqa: ANN401
) -> Script:  # fmt: skip
    """Content blocks as a message, and as the events that build it.

    `at_once`: the beginning of each block holds all of it. `extra` are events within the first
    block; `top` are fields of the message.
    """
    ends = "tool_use" if any(one["type"] == "tool_use" for one in blocks) else "end_turn"
    counted = {**USAGE, **(usage or {})}
    whole = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "matrix-messages",
        "content": list(blocks), "stop_reason": reason or ends, "stop_sequence": None,
        "usage": counted, **top,
    }  # fmt: skip
    begun = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Body] = [{"type": "message_start", "message": begun}]
    for index, one in enumerate(blocks):
        start, *deltas = [one] if at_once else _deltas(one, split)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += ({"type": "content_block_delta", "index": index, "delta": d} for d in deltas)
        events += extra if index == 0 else ()
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    events.append({"type": "message_delta", "delta": end, "usage": counted})
    events.append({"type": "message_stop"})
    return Script(whole, tuple(map(_frame, events)))


def _frame(event: Body) -> bytes:
    data = json.dumps(event, ensure_ascii=False)
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


def _deltas(one: Body, split: Split) -> Iterator[Body]:
    """The beginning of a block, and the deltas that fill it."""
    if one["type"] == "text":
        yield {**one, "text": "", **({"citations": []} if "citations" in one else {})}
        for citation in one.get("citations", ()):
            yield {"type": "citations_delta", "citation": citation}
        for piece in split(one["text"]):
            yield {"type": "text_delta", "text": piece}
    elif one["type"] == "thinking":
        yield {**one, "thinking": "", "signature": ""}
        for piece in split(one["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": one["signature"]}
    elif one["type"] in ("tool_use", "server_tool_use"):
        yield {**one, "input": {}}
        for piece in split(json.dumps(one["input"], ensure_ascii=False)):
            yield {"type": "input_json_delta", "partial_json": piece}
    else:
        yield one


def _channel(name: str, group: str, reply: Any, **rest: Any) -> Channel:  # noqa: ANN401
    if isinstance(rest.get("ask"), dict):
        asked = rest["ask"]
        rest["ask"] = lambda _: asked
    return Channel(name=name, wire="messages", group=group, reply=reply, **rest)


def ordinary(**rest: Any) -> Script:  # noqa: ANN401
    return said(block(ORDINARY), **rest)


def _with(make: Callable[[Voice], Body]) -> Callable[[Voice], Script]:
    return lambda v: said(make(v), block(ORDINARY))


def _cited(kind: str, **fields: Callable[[Voice], str]) -> Callable[[Voice], Script]:
    bases: dict[str, Body] = {
        "char_location": {
            "cited_text": "a", "document_index": 0, "document_title": "A", "file_id": None,
            "start_char_index": 0, "end_char_index": 1,
        },
        "web_search_result_location": {
            "cited_text": "a", "url": "https://a.example/", "title": "A", "encrypted_index": "e",
        },
    }  # fmt: skip
    base = bases[kind]

    def reply(v: Voice) -> Script:
        cited = {"type": kind, **base, **{key: make(v) for key, make in fields.items()}}
        return said(block(ORDINARY, citations=[cited]))

    return reply


def _event(make: Callable[[Voice], Body]) -> Callable[[Voice], Script]:
    return lambda v: ordinary(extra=(make(v),))


def _to(text: str) -> Body:
    return {"to": text}


SPOKEN = [
    _channel("text", "text", lambda v: said(block(v.text), split=v.parts)),
    _channel("second text block", "text", lambda v: said(block(ORDINARY), block(v.text)),
             anywhere=True),
    _channel("text in content_block_start", "text", modes=(STREAMED,), anywhere=True,
             reply=lambda v: said(block(v.text), at_once=True)),
    _channel("thinking", "reasoning", ask=THINKING,
             reply=lambda v: said(thinking(v.text), block(ORDINARY), split=v.parts)),
    _channel("thinking, unasked", "reasoning", kind="aside",
             reply=_with(lambda v: thinking(v.text))),
    _channel("signature", "reasoning", kind="aside", ask=THINKING,
             reply=_with(lambda v: thinking("Hm.", signature=v.said))),
    _channel("redacted_thinking", "reasoning", kind="aside", ask=THINKING,
             reply=_with(lambda v: {"type": "redacted_thinking", "data": v.said})),
]  # fmt: skip
CALLS = [
    _channel("tool name", "tools", lambda v: said(called({}, name=v.slug)), ask=TOOLS),
    _channel("tool input", "tools", ask=TOOLS,
             reply=lambda v: said(called(_to(v.said)), split=v.parts)),
    _channel("tool input, parallel calls", "tools", ask=TOOLS, reply=lambda v: said(
        called(_to("harbour")), called(_to(v.said), 1), called(_to("pier"), 2))),
    _channel("tool input, letter by letter", "tools", ask=TOOLS, modes=(STREAMED,),
             reply=lambda v: said(called(_to(v.said)), split=list)),
    _channel("tool input in content_block_start", "tools", ask=TOOLS, modes=(STREAMED,),
             anywhere=True, reply=lambda v: said(called(_to(v.said)), at_once=True)),
    _channel("key of the tool input", "tools", ask=TOOLS, anywhere=True,
             reply=lambda v: said(called({v.said: "x"}))),
    _channel("tool use id", "identifiers", kind="aside", ask=TOOLS,
             reply=_with(lambda v: {**called({}), "id": f"toolu_{v.slug}"})),
    _channel("server tool input", "provider's tools", kind="aside", reply=_with(lambda v: {
        "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search",
        "input": {"query": v.text}})),
    _channel("web search result", "provider's tools", kind="aside", reply=_with(lambda v: {
        "type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [
            {"type": "web_search_result", "title": v.said, "url": f"https://a.example/{v.slug}",
             "encrypted_content": v.said, "page_age": v.said}]})),
    _channel("code execution result", "provider's tools", kind="aside", reply=_with(lambda v: {
        "type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {
            "type": "code_execution_result", "stdout": v.text, "stderr": "", "return_code": 0,
            "content": []}})),
]  # fmt: skip
BESIDE = [
    _channel("cited text", "citations", _cited("char_location", cited_text=lambda v: v.text)),
    _channel("document title", "citations",
             _cited("char_location", document_title=lambda v: v.said)),
    _channel("citation file id", "citations", kind="aside",
             reply=_cited("char_location", file_id=lambda v: v.slug)),
    _channel("citation url", "citations", _cited(
        "web_search_result_location", url=lambda v: f"https://a.example/{v.slug}")),
    _channel("citation title", "citations",
             _cited("web_search_result_location", title=lambda v: v.said)),
    _channel("citation encrypted_index", "citations", kind="aside",
             reply=_cited("web_search_result_location", encrypted_index=lambda v: v.said)),
]  # fmt: skip
UNKNOWN = [
    _channel("block of unknown type", "unknown fields", kind="aside",
             reply=_with(lambda v: {"type": "musing", "text": v.text})),
    _channel("of the block", "unknown fields", kind="aside",
             reply=lambda v: said(block(ORDINARY, note=v.text))),
    _channel("at the top", "unknown fields", lambda v: ordinary(note=v.text), kind="aside"),
    _channel("delta of unknown type", "unknown fields", kind="aside", modes=(STREAMED,),
             reply=_event(lambda v: {"type": "content_block_delta", "index": 0,
                                     "delta": {"type": "musing_delta", "musing": v.text}})),
    _channel("event of unknown type", "unknown fields", kind="aside", modes=(STREAMED,),
             reply=_event(lambda v: {"type": "musing", "text": v.text})),
    _channel("ping", "unknown fields", kind="aside", modes=(STREAMED,),
             reply=_event(lambda v: {"type": "ping", "note": v.text})),
    _channel("message id", "identifiers", lambda v: ordinary(id=f"msg_{v.slug}"), kind="aside"),
    _channel("model", "identifiers", lambda v: ordinary(model=v.slug), kind="aside"),
    _channel("container", "identifiers", kind="aside",
             reply=lambda v: ordinary(container={"id": v.slug, "expires_at": "2030-01-01"})),
    _channel("usage key", "usage", lambda v: ordinary(usage={v.slug: 1}), kind="aside"),
    _channel("service_tier", "usage", kind="aside",
             reply=lambda v: ordinary(usage={"service_tier": v.said})),
    _channel("stop_reason", "endings", lambda v: ordinary(reason=v.said), kind="aside"),
    _channel("stop_sequence", "endings", kind="aside",
             reply=lambda v: ordinary(reason="stop_sequence", stop_sequence=v.said)),
    _channel("stop_details", "endings", kind="aside",
             reply=lambda v: ordinary(stop_details={"type": "refusal", "explanation": v.text})),
]  # fmt: skip
SPLIT = "names split in two"


def _halves(make: Callable[[str, str], Script]) -> Callable[[Voice], Script]:
    return lambda v: make(*v.words)


SPLITS = [
    _channel("over two chunks", SPLIT, modes=(STREAMED,), reply=lambda v: said(
        block(f"It was {' '.join(v.words)}, they say."),
        split=lambda text: [text[:11], text[11:]])),
    _channel("over two text blocks", SPLIT, anywhere=True,
             reply=_halves(lambda a, b: said(block(f"It was {a} "), block(b)))),
    _channel("over thinking and text", SPLIT, ask=THINKING,
             reply=_halves(lambda a, b: said(thinking(f"It was {a}"), block(b)))),
    _channel("over two tool calls", SPLIT, ask=TOOLS,
             reply=_halves(lambda a, b: said(called(_to(a)), called(_to(b), 1)))),
    _channel("over tool name and input", SPLIT, ask=TOOLS,
             reply=_halves(lambda a, b: said(called(_to(b), name=a.lower())))),
    _channel("over text and tool input", SPLIT, ask=TOOLS,
             reply=_halves(lambda a, b: said(block(f"It was {a}"), called(_to(b))))),
    _channel("over key and value of the tool input", SPLIT, ask=TOOLS,
             reply=_halves(lambda a, b: said(called({a: b})))),
    _channel("begun in the question", SPLIT, tells=(FORBIDDEN.split()[1],),
             ask=lambda v: {"messages": [{"role": "user", "content": f"Complete: {v.words[0]}"}]},
             reply=_halves(lambda _, b: said(block(f"{b}.")))),
]  # fmt: skip
PROMISED = [
    _channel("json_schema", "promised JSON", json=True,
             ask={"output_config": {"format": {
                 "type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}}},
             reply=lambda v: said(block(arguments(v)), split=v.parts)),
]  # fmt: skip
MESSAGES = [*SPOKEN, *CALLS, *BESIDE, *UNKNOWN, *SPLITS, *PROMISED]
