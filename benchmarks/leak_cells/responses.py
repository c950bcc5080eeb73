"""OpenAI responses: every channel of an answer, as output items that both modes share.

Knows no gateway. Shapes: the OpenAI API reference of the responses endpoint and its events.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.leak_cells.channels import STREAMED, WHOLE, Body, Channel, Voice
from benchmarks.leak_cells.chat import AUDIO, LOGPROBS, SCHEMA, arguments
from benchmarks.leak_cells.phrases import FORBIDDEN, ORDINARY
from benchmarks.leak_cells.upstream import Script

USAGE = {
    "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18,
}  # fmt: skip
TOOL = {
    "type": "function", "name": "look_up", "description": "Looks something up.",
    "parameters": SCHEMA, "strict": True,
}  # fmt: skip
TOOLS = {"tools": [TOOL]}
OPAQUE = "what is encrypted cannot be screened"
Split = Callable[[str], list[str]]


def response(items: list[Body], *, status: str = "completed", **top: Any) -> Body:  # noqa: ANN401
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "tools": [],
        "model": "matrix-responses", "output": items, "parallel_tool_calls": True,
        "temperature": 1.0, "tool_choice": "auto", "top_p": 1.0, "usage": USAGE, **top,
    }  # fmt: skip


def message(*parts: Body, number: int = 0) -> Body:
    return {
        "id": f"msg_{number}", "type": "message", "status": "completed", "role": "assistant",
        "content": list(parts),
    }  # fmt: skip


def output_text(text: str, **fields: Any) -> Body:  # noqa: ANN401
    return {"type": "output_text", "text": text, "annotations": [], **fields}


def called(text: str, number: int = 0, name: str = "look_up") -> Body:
    return {
        "id": f"fc_{number}", "type": "function_call", "status": "completed", "name": name,
        "call_id": f"call_{number}", "arguments": text,
    }  # fmt: skip


def reasoning(*, summary: str = "", content: str = "", **fields: Any) -> Body:  # noqa: ANN401
    item: Body = {"id": "rs_1", "type": "reasoning", "summary": [], **fields}
    if summary:
        item["summary"] = [{"type": "summary_text", "text": summary}]
    if content:
        item["content"] = [{"type": "reasoning_text", "text": content}]
    return item


def said(
    *items: Body, split: Split = lambda text: [text], only: str = "", extra: Body | None = None,
    **top: Any,  # noqa: ANN401
) -> Script:  # fmt: skip
    """Output items as a response, and as the events that build it.

    `only` names the events through which the text of a stream comes: all others leave it out.
    `extra` is an event of its own in the midst; `top` are fields of the response.
    """
    whole = response(list(items), **top)
    empty = response([], **{"status": "in_progress", "usage": None, **top})
    events: list[Body] = [
        {"type": "response.created", "response": empty},
        {"type": "response.in_progress", "response": empty},
    ]
    for index, item in enumerate(items):
        events += ({"output_index": index, **event} for event in _item(item, split))
        events += [extra] if extra and index == 0 else []
    end = {"completed": "completed", "failed": "failed"}.get(whole["status"], "incomplete")
    events.append({"type": f"response.{end}", "response": whole})
    if only:
        events = [_muted(event, only) for event in events]
        events = [event for event in events if event.get("delta") != ""]
    frames = [_frame({**event, "sequence_number": n}) for n, event in enumerate(events)]
    return Script(whole, tuple(frames))


def _frame(event: Body) -> bytes:
    data = json.dumps(event, ensure_ascii=False)
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


def _muted(event: Body, only: str) -> Body:
    """An event without its text, unless it is the one that tells."""
    if event["type"] == only:
        return event
    raw: Body = {key: "" if key in ("text", "delta") else value for key, value in event.items()}
    if isinstance(raw.get("part"), dict):
        raw["part"] = {**raw["part"], "text": ""}
    if isinstance(raw.get("item"), dict) and event["type"] == "response.output_item.done":
        raw["item"] = {**raw["item"], "content": []}
    if isinstance(raw.get("response"), dict):
        raw["response"] = {**raw["response"], "output": []}
    return raw


def _item(item: Body, split: Split) -> Iterator[Body]:
    kind, at = item["type"], {"item_id": item["id"]}
    begun = {**item, "status": "in_progress"}
    for field in ("content", "summary"):
        if field in begun:
            begun[field] = []
    for field in ("arguments", "input"):
        if isinstance(begun.get(field), str):
            begun[field] = ""
    yield {"type": "response.output_item.added", "item": begun}
    for number, part in enumerate(item.get("summary", ())):
        where, name = {**at, "summary_index": number}, "response.reasoning_summary"
        yield {"type": f"{name}_part.added", **where, "part": {**part, "text": ""}}
        for piece in split(part["text"]):
            yield {"type": f"{name}_text.delta", **where, "delta": piece}
        yield {"type": f"{name}_text.done", **where, "text": part["text"]}
        yield {"type": f"{name}_part.done", **where, "part": part}
    for number, part in enumerate(item.get("content") or ()):
        yield from _part({**at, "content_index": number}, part, split)
    field, name = {
        "function_call": ("arguments", "function_call_arguments"),
        "custom_tool_call": ("input", "custom_tool_call_input"),
    }.get(kind, ("", ""))
    if field:
        for piece in split(item[field]):
            yield {"type": f"response.{name}.delta", **at, "delta": piece}
        yield {"type": f"response.{name}.done", **at, field: item[field]}
    yield {"type": "response.output_item.done", "item": item}


def _part(where: Body, part: Body, split: Split) -> Iterator[Body]:
    field = "refusal" if part["type"] == "refusal" else "text"
    name = {"output_text": "output_text", "refusal": "refusal"}.get(part["type"], "reasoning_text")
    logprobs = {"logprobs": part.get("logprobs", [])} if name == "output_text" else {}
    begun = {**part, field: ""}
    for key in ("annotations", "logprobs"):
        if key in begun:
            begun[key] = []
    yield {"type": "response.content_part.added", **where, "part": begun}
    for piece in split(part[field]):
        yield {"type": f"response.{name}.delta", **where, "delta": piece, **logprobs}
    for number, annotation in enumerate(part.get("annotations", ())):
        yield {
            "type": "response.output_text.annotation.added", **where,
            "annotation_index": number, "annotation": annotation,
        }  # fmt: skip
    yield {"type": f"response.{name}.done", **where, field: part[field], **logprobs}
    yield {"type": "response.content_part.done", **where, "part": part}


def _channel(name: str, group: str, reply: Any, **rest: Any) -> Channel:  # noqa: ANN401
    if isinstance(rest.get("ask"), dict):
        asked = rest["ask"]
        rest["ask"] = lambda _: asked
    return Channel(name=name, wire="responses", group=group, reply=reply, **rest)


def ordinary(**top: Any) -> Script:  # noqa: ANN401
    return said(message(output_text(ORDINARY)), **top)


def _text(v: Voice) -> Script:
    return said(message(output_text(v.text)), split=v.parts)


def _only(event: str) -> Channel:
    return _channel(
        f"text in {event.removeprefix('response.')} alone", "text", modes=(STREAMED,),
        anywhere=True, reply=lambda v: said(message(output_text(v.text)), only=event),
    )  # fmt: skip


def _cited(kind: str, **fields: Callable[[Voice], str]) -> Callable[[Voice], Script]:
    base = {
        "url_citation": {
            "start_index": 0,
            "end_index": 4,
            "url": "https://a.example/",
            "title": "A",
        },
        "file_citation": {"file_id": "file-1", "filename": "a.txt", "index": 4},
    }[kind]

    def reply(v: Voice) -> Script:
        annotation = {"type": kind, **base, **{key: make(v) for key, make in fields.items()}}
        return said(message(output_text(ORDINARY, annotations=[annotation])))

    return reply


def _with_item(make: Callable[[Voice], Body]) -> Callable[[Voice], Script]:
    return lambda v: said(make(v), message(output_text(ORDINARY)))


def _with_event(make: Callable[[Voice], Body]) -> Callable[[Voice], Script]:
    return lambda v: ordinary(extra={"output_index": 0, "item_id": "msg_0", **make(v)})


def _logprobs(v: Voice) -> Script:
    rows = [
        {"token": word, "logprob": -0.5, "bytes": [], "top_logprobs": []} for word in v.said.split()
    ]
    return said(message(output_text(ORDINARY, logprobs=rows)))


SPOKEN = [
    _channel("output text", "text", _text),
    _channel("second message", "text", lambda v: said(
        message(output_text(ORDINARY)), message(output_text(v.text), number=1), split=v.parts)),
    _channel("second part", "text", anywhere=True, reply=lambda v: said(
        message(output_text(ORDINARY), output_text(v.text)))),
    _channel("refusal", "text", lambda v: said(message({"type": "refusal", "refusal": v.text}))),
    *map(_only, (
        "response.output_text.done", "response.content_part.done", "response.output_item.done",
        "response.completed",
    )),
    _channel("reasoning summary", "reasoning", lambda v: said(
        reasoning(summary=v.text), message(output_text(ORDINARY)), split=v.parts)),
    _channel("reasoning text", "reasoning", lambda v: said(
        reasoning(content=v.text), message(output_text(ORDINARY)), split=v.parts)),
    _channel("encrypted reasoning", "reasoning", kind="aside",
             reply=_with_item(lambda v: reasoning(summary=ORDINARY, encrypted_content=v.said))),
    _channel("encrypted reasoning, asked for", "reasoning", may_close=OPAQUE, kind="aside",
             ask={"include": ["reasoning.encrypted_content"]},
             reply=_with_item(lambda v: reasoning(summary=ORDINARY, encrypted_content=v.said))),
]  # fmt: skip
CALLS = [
    _channel("function name", "tools", lambda v: said(called("{}", name=v.slug)), ask=TOOLS),
    _channel("function arguments", "tools", ask=TOOLS,
             reply=lambda v: said(called(arguments(v)), split=v.parts)),
    _channel("function arguments, parallel calls", "tools", ask=TOOLS, reply=lambda v: said(
        called(arguments(v, "harbour")), called(arguments(v), 1), called(arguments(v, "pier"), 2))),
    _channel("function arguments, letter by letter", "tools", ask=TOOLS, modes=(STREAMED,),
             reply=lambda v: said(called(arguments(v)), split=list)),
    _channel("custom tool input", "tools", ask={"tools": [{"type": "custom", "name": "write"}]},
             reply=lambda v: said({"id": "ctc_1", "type": "custom_tool_call", "name": "write",
                                   "call_id": "call_1", "input": v.text}, split=v.parts)),
    _channel("call id", "identifiers", kind="aside", ask=TOOLS,
             reply=_with_item(lambda v: {**called("{}"), "call_id": v.slug})),
    _channel("web search query", "provider's tools", kind="aside", reply=_with_item(lambda v: {
        "id": "ws_1", "type": "web_search_call", "status": "completed",
        "action": {"type": "search", "query": v.text}})),
    _channel("code interpreter", "provider's tools", kind="aside", reply=_with_item(lambda v: {
        "id": "ci_1", "type": "code_interpreter_call", "status": "completed", "code": v.text,
        "container_id": "c", "outputs": [{"type": "logs", "logs": v.text}]})),
    _channel("MCP call", "provider's tools", kind="aside", reply=_with_item(lambda v: {
        "id": "mcp_1", "type": "mcp_call", "name": "f", "server_label": "s",
        "arguments": v.text, "output": v.text})),
    _channel("file search result", "provider's tools", kind="aside", reply=_with_item(lambda v: {
        "id": "fs_1", "type": "file_search_call", "status": "completed", "queries": [v.said],
        "results": [{"file_id": "f", "filename": v.said, "text": v.text, "score": 0.5}]})),
]  # fmt: skip
BESIDE = [
    _channel("annotation title", "citations", _cited("url_citation", title=lambda v: v.said)),
    _channel("annotation url", "citations",
             _cited("url_citation", url=lambda v: f"https://a.example/{v.slug}")),
    _channel("annotation filename", "citations",
             _cited("file_citation", filename=lambda v: v.said)),
    _channel("annotation file id", "citations", kind="aside",
             reply=_cited("file_citation", file_id=lambda v: v.slug)),
    _channel("logprobs, asked for", "log probabilities", _logprobs, may_close=LOGPROBS,
             ask={"include": ["message.output_text.logprobs"], "top_logprobs": 2}),
    _channel("logprobs, unasked", "log probabilities", _logprobs, kind="aside"),
    _channel("audio transcript event", "audio", kind="aside", modes=(STREAMED,),
             reply=_with_event(lambda v: {"type": "response.audio.transcript.delta",
                                          "delta": v.text})),
    _channel("audio, asked for", "audio", may_close=AUDIO, kind="aside",
             ask={"modalities": ["text", "audio"]}, reply=_with_item(lambda v: {
                 "id": "a_1", "type": "output_audio", "data": "", "transcript": v.text})),
]  # fmt: skip
UNKNOWN = [
    _channel("item of unknown type", "unknown fields", kind="aside",
             reply=_with_item(lambda v: {"id": "x_1", "type": "musing", "text": v.text})),
    _channel("of the item", "unknown fields", kind="aside",
             reply=lambda v: said({**message(output_text(ORDINARY)), "note": v.text})),
    _channel("of the part", "unknown fields", kind="aside",
             reply=lambda v: said(message(output_text(ORDINARY, note=v.text)))),
    _channel("at the top", "unknown fields", lambda v: ordinary(note=v.text), kind="aside"),
    _channel("event of unknown type", "unknown fields", kind="aside", modes=(STREAMED,),
             reply=_with_event(lambda v: {"type": "response.musing.delta", "delta": v.text})),
    _channel("obfuscation of an event", "unknown fields", kind="aside", modes=(STREAMED,),
             reply=_with_event(lambda v: {"type": "response.output_text.delta", "content_index": 0,
                                          "delta": "", "logprobs": [], "obfuscation": v.said})),
    _channel("item id", "identifiers", kind="aside",
             reply=lambda v: said({**message(output_text(ORDINARY)), "id": f"msg_{v.slug}"})),
    _channel("response id", "identifiers", lambda v: ordinary(id=f"resp_{v.slug}"), kind="aside"),
    _channel("model", "identifiers", lambda v: ordinary(model=v.slug), kind="aside"),
    _channel("instructions", "echo", lambda v: ordinary(instructions=v.text), kind="aside"),
    _channel("metadata", "echo", lambda v: ordinary(metadata={"note": v.text}), kind="aside"),
    _channel("tools", "echo", kind="aside",
             reply=lambda v: ordinary(tools=[{**TOOL, "description": v.text}])),
    _channel("user", "echo", lambda v: ordinary(user=v.said), kind="aside"),
    _channel("usage key", "usage", lambda v: ordinary(usage={**USAGE, v.slug: 1}), kind="aside"),
    _channel("status", "endings", kind="aside", modes=(WHOLE,),
             reply=lambda v: ordinary(status=v.slug)),
    _channel("incomplete_details", "endings", kind="aside", reply=lambda v: ordinary(
        status="incomplete", incomplete_details={"reason": v.said})),
    _channel("response.failed", "errors", kind="error", modes=(STREAMED,),
             reply=lambda v: said(message(output_text(ORDINARY)), status="failed",
                                  error={"code": "server_error", "message": v.text})),
]  # fmt: skip
SPLIT = "names split in two"


def _halves(make: Callable[[str, str], Script]) -> Callable[[Voice], Script]:
    return lambda v: make(*v.words)


SPLITS = [
    _channel("over two chunks", SPLIT, modes=(STREAMED,), reply=lambda v: said(
        message(output_text(f"It was {' '.join(v.words)}, they say.")),
        split=lambda text: [text[:11], text[11:]])),
    _channel("over two parts", SPLIT, anywhere=True, reply=_halves(
        lambda a, b: said(message(output_text(f"It was {a} "), output_text(b))))),
    _channel("over two messages", SPLIT, reply=_halves(lambda a, b: said(
        message(output_text(f"It was {a}")), message(output_text(b), number=1)))),
    _channel("over reasoning and text", SPLIT, reply=_halves(
        lambda a, b: said(reasoning(summary=f"It was {a}"), message(output_text(b))))),
    _channel("over two calls", SPLIT, ask=TOOLS, reply=_halves(lambda a, b: said(
        called(json.dumps({"to": a})), called(json.dumps({"to": b}), 1)))),
    _channel("over function name and arguments", SPLIT, ask=TOOLS, reply=_halves(
        lambda a, b: said(called(json.dumps({"to": b}), name=a.lower())))),
    _channel("begun in the question", SPLIT, tells=(FORBIDDEN.split()[1],),
             ask=lambda v: {"input": f"Complete: {v.words[0]}"},
             reply=_halves(lambda _, b: said(message(output_text(f"{b}."))))),
]  # fmt: skip
PROMISED = [
    _channel("json_schema", "promised JSON", json=True,
             ask={"text": {"format": {"type": "json_schema", "name": "letter", "strict": True,
                                      "schema": {**SCHEMA, "additionalProperties": False}}}},
             reply=lambda v: said(message(output_text(arguments(v))), split=v.parts)),
]  # fmt: skip
RESPONSES = [*SPOKEN, *CALLS, *BESIDE, *UNKNOWN, *SPLITS, *PROMISED]
