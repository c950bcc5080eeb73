"""Where a name can go in: the places of a request, for each wire format.

Knows no gateway. A way that a gateway may close says why; all others must let an innocent name in.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.leak_cells.channels import STREAMED, Body, Voice, Way
from benchmarks.leak_cells.chat import SCHEMA

Ask = Callable[[Voice], Body]
QUESTION = "Where does the ferry go?"
USER = {"role": "user", "content": QUESTION}
MEDIA = "what a picture or a file holds cannot be screened as text"
STOP = "a stop sequence tells what an answer contained"
TEMPLATE = "a client that renders the conversation decides what a screen does not see"
GUIDED = "a grammar or a choice puts words into the model's mouth"
STORED = "what is stored elsewhere cannot be screened here"
SERVER = "what a provider's own tool brings in cannot be screened here"
OPAQUE = "what is encrypted or signed cannot be screened"


def _ways(wire: str, table: dict[str, Ask | tuple[Ask, str]]) -> list[Way]:
    ways = []
    for name, row in table.items():
        ask, why = row if isinstance(row, tuple) else (row, "")
        ways.append(Way(name=f"in: {name}", wire=wire, ask=ask, may_close=why))
    return ways


def _turns(*before: Callable[[Voice], Body]) -> Ask:
    """A conversation that ends in an ordinary question."""
    return lambda v: {"messages": [*(make(v) for make in before), USER]}


def _last(make: Callable[[Voice], Any]) -> Ask:
    return lambda v: {"messages": [{"role": "user", "content": make(v)}]}


def _turn(role: str) -> Callable[[Voice], Body]:
    return lambda v: {"role": role, "content": v.text}


def _seen(_: Voice) -> Body:
    return {"role": "assistant", "content": "I see."}


def _parts(*make: Callable[[Voice], Body]) -> Ask:
    return _last(lambda v: [*(one(v) for one in make), {"type": "text", "text": QUESTION}])


def _function(**fields: Callable[[Voice], Any]) -> Callable[[Voice], Body]:
    base = {"name": "look_up", "description": "Looks something up.", "parameters": SCHEMA}
    return lambda v: {**base, **{key: make(v) for key, make in fields.items()}}


def _properties(v: Voice) -> Body:
    return {"type": "object", "properties": {v.slug: {"type": "string"}}}


def _choices(v: Voice) -> Body:
    return {"type": "object", "properties": {"to": {"type": "string", "enum": [v.said, "pier"]}}}


def _described(v: Voice) -> Body:
    return {"type": "object", "properties": {"to": {"type": "string", "description": v.text}}}


def _tool(make: Callable[[Voice], Body]) -> Ask:
    return lambda v: {"tools": [{"type": "function", "function": make(v)}]}


def _called(
    said: Callable[[Voice], str], result: Callable[[Voice], str], name: str = "look_up"
) -> Ask:
    def ask(v: Voice) -> Body:
        function = {"name": name, "arguments": said(v)}
        call = {"id": "call_1", "type": "function", "function": function}
        return {
            "messages": [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": result(v)},
                {"role": "user", "content": "And then?"},
            ]
        }

    return ask


def _formatted(name: Callable[[Voice], str], schema: Callable[[Voice], Body]) -> Ask:
    return lambda v: {
        "response_format": {
            "type": "json_schema", "json_schema": {"name": name(v), "schema": schema(v)}
        }
    }  # fmt: skip


def _slug(v: Voice) -> str:
    return v.slug


def _plain(text: str) -> Callable[[Voice], str]:
    return lambda _: text


def _schema(_: Voice) -> Body:
    return SCHEMA


CHAT_WAYS = _ways("chat", {
    "user turn": _last(lambda v: v.text),
    "system": _turns(_turn("system")),
    "developer": _turns(_turn("developer")),
    "earlier user turn": _turns(_turn("user"), _seen),
    "assistant turn": _turns(lambda _: USER, _turn("assistant")),
    "reasoning of an assistant turn": _turns(
        lambda _: USER,
        lambda v: {"role": "assistant", "content": "I see.", "reasoning_content": v.text}),
    "tool result": _called(_plain("{}"), lambda v: v.text),
    "tool arguments of an earlier turn": _called(
        lambda v: f'{{"to": "{v.said}"}}', _plain("Nothing.")),
    "text part": _parts(lambda v: {"type": "text", "text": v.text}),
    "split over two parts": _parts(
        lambda v: {"type": "text", "text": f"It was {v.words[0]} "},
        lambda v: {"type": "text", "text": f"{v.words[1]}."}),
    "name of a speaker": _turns(lambda v: {**USER, "name": v.slug}),
    "tool name": _tool(_function(name=_slug)),
    "tool description": _tool(_function(description=lambda v: v.text)),
    "tool parameter name": _tool(_function(parameters=_properties)),
    "tool parameter enum": _tool(_function(parameters=_choices)),
    "tool parameter description": _tool(_function(parameters=_described)),
    "legacy function description": lambda v: {
        "functions": [_function(description=lambda v: v.text)(v)]},
    "tool_choice": lambda v: {
        "tools": [{"type": "function", "function": _function(name=_slug)(v)}],
        "tool_choice": {"type": "function", "function": {"name": v.slug}}},
    "JSON schema name": _formatted(_slug, _schema),
    "JSON schema property": _formatted(_plain("letter"), _properties),
    "JSON schema description": _formatted(_plain("letter"), _described),
    "user": lambda v: {"user": v.said},
    "metadata": (lambda v: {"metadata": {"note": v.said}}, STORED),
    "safety_identifier": lambda v: {"safety_identifier": v.slug},
    "unknown field of a message": _turns(lambda v: {**USER, "note": v.text}),
    "unknown field of the request": lambda v: {"note": v.text},
    "image URL": (_parts(lambda v: {
        "type": "image_url", "image_url": {"url": f"https://a.example/{v.slug}.png"}}), MEDIA),
    "image alt text": (_parts(lambda v: {
        "type": "image_url",
        "image_url": {"url": "https://a.example/a.png", "alt_text": v.said}}), MEDIA),
    "file name": (_parts(lambda v: {
        "type": "file", "file": {"filename": f"{v.slug}.pdf", "file_data": "data:,a"}}), MEDIA),
    "stop": (lambda v: {"stop": [v.said]}, STOP),
    "prediction": (lambda v: {"prediction": {"type": "content", "content": v.text}}, GUIDED),
    "prefill": (lambda v: {"messages": [USER, {"role": "assistant", "content": v.text}]}, GUIDED),
    "documents": (lambda v: {"documents": [{"title": v.said, "text": v.text}]}, TEMPLATE),
    "chat_template_kwargs": (lambda v: {"chat_template_kwargs": {"note": v.text}}, TEMPLATE),
    "guided_choice": (lambda v: {"guided_choice": [v.said, "pier"]}, GUIDED),
    "web search location": (lambda v: {"web_search_options": {
        "user_location": {"type": "approximate", "approximate": {"city": v.said}}}}, SERVER),
})  # fmt: skip
CHAT_WAYS.append(
    Way(name="in: user turn, streamed", wire="chat", ask=_last(lambda v: v.text), modes=(STREAMED,))
)
COMPLETION_WAYS = _ways("completions", {
    "prompt": lambda v: {"prompt": v.text},
    "second prompt": lambda v: {"prompt": [QUESTION, v.text]},
    "suffix": lambda v: {"suffix": v.text},
    "user": lambda v: {"user": v.said},
    "unknown field of the request": lambda v: {"note": v.text},
    "stop": (lambda v: {"stop": [v.said]}, STOP),
    "guided_choice": (lambda v: {"guided_choice": [v.said, "pier"]}, GUIDED),
})  # fmt: skip


def _items(*make: Callable[[Voice], Body]) -> Ask:
    return lambda v: {"input": [*(one(v) for one in make), {"role": "user", "content": QUESTION}]}


def _tools(make: Callable[[Voice], Body]) -> Ask:
    return lambda v: {"tools": [{"type": "function", "strict": False, **make(v)}]}


def _result(said: Callable[[Voice], str], output: Callable[[Voice], str]) -> Ask:
    return _items(
        lambda v: {
            "type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": said(v)
        },
        lambda v: {"type": "function_call_output", "call_id": "call_1", "output": output(v)},
    )  # fmt: skip


def _format(name: Callable[[Voice], str], schema: Callable[[Voice], Body]) -> Ask:
    return lambda v: {
        "text": {"format": {"type": "json_schema", "name": name(v), "schema": schema(v)}}
    }


def _input(kind: str, **fields: Callable[[Voice], str]) -> Ask:
    return lambda v: {
        "input": [{
            "role": "user",
            "content": [
                {"type": kind, **{key: make(v) for key, make in fields.items()}},
                {"type": "input_text", "text": QUESTION},
            ],
        }]
    }  # fmt: skip


RESPONSE_WAYS = _ways("responses", {
    "input string": lambda v: {"input": v.text},
    "instructions": lambda v: {"instructions": v.text},
    "developer item": _items(_turn("developer")),
    "system item": _items(_turn("system")),
    "earlier user item": _items(_turn("user"), _seen),
    "assistant item": _items(lambda v: {
        "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": v.text, "annotations": []}]}),
    "input_text part": _input("input_text", text=lambda v: v.text),
    "function result": _result(_plain("{}"), lambda v: v.text),
    "function arguments of an earlier turn": _result(
        lambda v: f'{{"to": "{v.said}"}}', _plain("Nothing.")),
    "reasoning summary of an earlier turn": _items(lambda v: {
        "type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": v.text}]}),
    "tool name": _tools(_function(name=_slug)),
    "tool description": _tools(_function(description=lambda v: v.text)),
    "tool parameter name": _tools(_function(parameters=_properties)),
    "tool parameter enum": _tools(_function(parameters=_choices)),
    "custom tool description": lambda v: {
        "tools": [{"type": "custom", "name": "write", "description": v.text}]},
    "custom tool grammar": (lambda v: {"tools": [{"type": "custom", "name": "write", "format": {
        "type": "grammar", "syntax": "regex", "definition": v.slug}}]}, GUIDED),
    "JSON schema name": _format(_slug, _schema),
    "JSON schema property": _format(_plain("letter"), _properties),
    "user": lambda v: {"user": v.said},
    "metadata": lambda v: {"metadata": {"note": v.said}},
    "image URL": (_input("input_image", image_url=lambda v: f"https://a.example/{v.slug}.png",
                         detail=_plain("auto")), MEDIA),
    "file name": (_input("input_file", filename=lambda v: f"{v.slug}.pdf",
                         file_data=_plain("data:,a")), MEDIA),
    "stored prompt": (lambda v: {"prompt": {"id": "pmpt_1", "variables": {"to": v.said}}}, STORED),
    "encrypted reasoning": (_items(lambda v: {
        "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": v.said}), OPAQUE),
    "web search location": (lambda v: {"tools": [{"type": "web_search", "user_location": {
        "type": "approximate", "city": v.said}}]}, SERVER),
})  # fmt: skip


def _named(make: Callable[[Voice], Body]) -> Ask:
    def ask(v: Voice) -> Body:
        function = make(v)
        function["input_schema"] = function.pop("parameters")
        return {"tools": [function]}

    return ask


def _used(said: Callable[[Voice], Body], content: Callable[[Voice], Any]) -> Ask:
    def ask(v: Voice) -> Body:
        call = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": said(v)}
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content(v)}
        turn = [result, {"type": "text", "text": QUESTION}]
        return {
            "messages": [
                USER,
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": turn},
            ],
            "tools": [{"name": "look_up", "input_schema": SCHEMA}],
        }

    return ask


def _empty(_: Voice) -> Body:
    return {"to": "pier"}


def _document(**fields: Callable[[Voice], Any]) -> Ask:
    base: Body = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "The pier is long."},
    }
    return _parts(lambda v: {**base, **{key: make(v) for key, make in fields.items()}})


def _source(v: Voice) -> Body:
    return {"type": "text", "media_type": "text/plain", "data": v.text}


def _found(**fields: Callable[[Voice], Any]) -> Ask:
    base: Body = {
        "type": "search_result", "source": "https://a.example/", "title": "A",
        "content": [{"type": "text", "text": "The pier is long."}],
    }  # fmt: skip
    return _parts(lambda v: {**base, **{key: make(v) for key, make in fields.items()}})


MESSAGE_WAYS = _ways("messages", {
    "user turn": _last(lambda v: v.text),
    "system string": lambda v: {"system": v.text},
    "system blocks": lambda v: {"system": [{"type": "text", "text": v.text}]},
    "text block": _parts(lambda v: {"type": "text", "text": v.text}),
    "earlier user turn": _turns(_turn("user"), _seen),
    "assistant turn": _turns(lambda _: USER, _turn("assistant")),
    "tool result": _used(_empty, lambda v: v.text),
    "tool result blocks": _used(_empty, lambda v: [{"type": "text", "text": v.text}]),
    "tool input of an earlier turn": _used(lambda v: {"to": v.said}, _plain("Nothing.")),
    "tool name": _named(_function(name=_slug)),
    "tool description": _named(_function(description=lambda v: v.text)),
    "tool parameter name": _named(_function(parameters=_properties)),
    "tool parameter enum": _named(_function(parameters=_choices)),
    "document text": (_document(source=_source), MEDIA),
    "document title": (_document(title=lambda v: v.said), MEDIA),
    "document context": (_document(context=lambda v: v.text), MEDIA),
    "search result title": (_found(title=lambda v: v.said), MEDIA),
    "search result text": (_found(content=lambda v: [{"type": "text", "text": v.text}]), MEDIA),
    "search result source": (_found(source=lambda v: f"https://a.example/{v.slug}"), MEDIA),
    "metadata.user_id": lambda v: {"metadata": {"user_id": v.slug}},
    "image URL": (_parts(lambda v: {"type": "image", "source": {
        "type": "url", "url": f"https://a.example/{v.slug}.png"}}), MEDIA),
    "stop_sequences": (lambda v: {"stop_sequences": [v.said]}, STOP),
    "prefill": (lambda v: {"messages": [USER, {"role": "assistant", "content": v.text}]}, GUIDED),
    "thinking of an earlier turn": (_turns(lambda _: USER, lambda v: {
        "role": "assistant", "content": [
            {"type": "thinking", "thinking": v.text, "signature": "c2ln"},
            {"type": "text", "text": "I see."}]}), OPAQUE),
    "MCP server": (lambda v: {"mcp_servers": [
        {"type": "url", "url": "https://a.example/", "name": v.slug}]}, SERVER),
    "web search location": (lambda v: {"tools": [
        {"type": "web_search_20250305", "name": "web_search",
         "user_location": {"type": "approximate", "city": v.said}}]}, SERVER),
})  # fmt: skip
EMBEDDING_WAYS = _ways("embeddings", {
    "input string": lambda v: {"input": v.text},
    "input list": lambda v: {"input": [v.text]},
    "user": lambda v: {"user": v.said},
    "unknown field of the request": lambda v: {"note": v.text},
})  # fmt: skip
WAYS = [*CHAT_WAYS, *COMPLETION_WAYS, *RESPONSE_WAYS, *MESSAGE_WAYS, *EMBEDDING_WAYS]
