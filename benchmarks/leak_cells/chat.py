"""OpenAI chat completions: every channel of an answer, as chunks that both modes share.

Knows no gateway. Shapes: the OpenAI API reference; for what others add, the documentation of vLLM,
DeepSeek, OpenRouter, LiteLLM and Perplexity.
"""

import json
from typing import Any

from benchmarks.leak_cells.channels import STREAMED, Body, Channel, Voice, merged
from benchmarks.leak_cells.phrases import FORBIDDEN, ORDINARY
from benchmarks.leak_cells.upstream import Script

USAGE = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
LOOK_UP = {
    "name": "look_up",
    "description": "Looks something up.",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
}
TOOLS = {"tools": [{"type": "function", "function": LOOK_UP}]}
SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
LOGPROBS = "what a model considered and did not say cannot be screened as speech"
AUDIO = "spoken words cannot be screened as text"


def delta(index: int = 0, **fields: Any) -> Body:  # noqa: ANN401 - any JSON value
    return {"choices": [{"index": index, "delta": fields}]}


def call(index: int = 0, kind: str = "function", *, begin: bool = True, **said: str) -> Body:
    head = {"id": f"call_{index}abc", "type": kind} if begin else {}
    return delta(tool_calls=[{"index": index, **head, kind: said}])


def called(parts: list[str], index: int = 0, name: str = "look_up") -> list[Body]:
    first = call(index, name=name, arguments="")
    return [first, *(call(index, begin=False, arguments=part) for part in parts)]


def chat(*chunks: Body, reason: str = "stop", usage: Body | None = None) -> Script:
    """Chunks as a stream, and as the completion that an SDK makes of them."""
    head = {"id": "chatcmpl-1", "created": 1, "model": "matrix-chat"}
    joined: Body = {}
    frames = []
    for number, chunk in enumerate(chunks):
        joined = merged(joined, chunk)
        rows = [{"finish_reason": None, "delta": {}, **row} for row in chunk.get("choices", [])]
        if number == 0 and rows:
            rows[0] = {**rows[0], "delta": {"role": "assistant", **rows[0]["delta"]}}
        shown = {**head, "object": "chat.completion.chunk", **chunk, "choices": rows}
        frames.append(frame(shown))
    rows = joined.get("choices", [])
    for row in rows:  # a chunk for each choice, as the API sends them
        end = {"index": row["index"], "delta": {}, "finish_reason": reason}
        frames.append(frame({**head, "object": "chat.completion.chunk", "choices": [end]}))
    last = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage or USAGE}
    frames += [frame(last), b"data: [DONE]\n\n"]
    whole = []
    for row in rows:
        message = {"role": "assistant", "content": None, **row["delta"]}
        if "tool_calls" in message:
            message["tool_calls"] = [
                {key: value for key, value in one.items() if key != "index"}
                for one in message["tool_calls"]
            ]
        others = {key: value for key, value in row.items() if key != "delta"}
        whole.append({"finish_reason": reason, **others, "message": message})
    top = {**head, "object": "chat.completion", **joined, "choices": whole}
    return Script({**top, "usage": usage or USAGE}, tuple(frames))


def frame(event: Body) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def spoken(index: int = 0, **fields: Any) -> Body:  # noqa: ANN401 - any JSON value
    return {"choices": [{"index": index, **fields}]}


def ordinary() -> Body:
    return delta(content=ORDINARY)


def arguments(voice: Voice, said: str = "") -> str:
    return json.dumps({"to": said or voice.said}, ensure_ascii=False)


def tokens(words: list[str]) -> Body:
    rows: list[Body] = [
        {"token": word, "logprob": -0.5, "bytes": None, "top_logprobs": []} for word in words
    ]
    return {"content": rows, "refusal": None}


def considered(words: list[str]) -> Body:
    rows = [{"token": word, "logprob": -9.5, "bytes": None} for word in words]
    return {"content": [{**tokens(["The"])["content"][0], "top_logprobs": rows}], "refusal": None}


def _said(field: str) -> Any:  # noqa: ANN401 - a reply
    return lambda v: chat(*(delta(0, **{field: part}) for part in v.parts(v.text)))


def _beside(**fields: Any) -> Any:  # noqa: ANN401 - makes a reply: fields of the message
    """An ordinary content and, in the message, what `fields` make of the voice."""
    return lambda v: chat(ordinary(), delta(0, **{key: make(v) for key, make in fields.items()}))


def _on_choice(**fields: Any) -> Any:  # noqa: ANN401
    return lambda v: chat(ordinary(), spoken(**{key: make(v) for key, make in fields.items()}))


def _on_top(**fields: Any) -> Any:  # noqa: ANN401
    return lambda v: chat({**ordinary(), **{key: make(v) for key, make in fields.items()}})


def _channel(name: str, group: str, reply: Any, **rest: Any) -> Channel:  # noqa: ANN401
    if isinstance(rest.get("ask"), dict):
        asked = rest["ask"]
        rest["ask"] = lambda _: asked
    return Channel(name=name, wire="chat", group=group, reply=reply, **rest)


def _cited(**fields: str) -> list[Body]:
    cited = {"start_index": 0, "end_index": 4, "url": "https://a.example/", "title": "A", **fields}
    return [{"type": "url_citation", "url_citation": cited}]


def _tiny(v: Voice) -> Script:
    return chat(*called(list(arguments(v))), reason="tool_calls")


def _parallel(v: Voice) -> Script:
    one, two, three = (arguments(v, said) for said in ("harbour", v.said, "pier"))
    rows = [*called([one]), *called(v.parts(two), 1), *called([three], 2)]
    return chat(*rows, reason="tool_calls")


def _tool_name(v: Voice) -> Script:
    named = [call(name=v.slug, arguments="")]
    if v.chunking != "whole":
        cuts = list(v.slug) if v.chunking == "characters" else [v.slug[:5], v.slug[5:]]
        named = [call(name=cuts[0], arguments=""), *(call(begin=False, name=c) for c in cuts[1:])]
    return chat(*named, call(begin=False, arguments="{}"), reason="tool_calls")


def _custom(v: Voice) -> Script:
    first = call(0, "custom", name="write", input="")
    rest = [call(0, "custom", begin=False, input=part) for part in v.parts(v.text)]
    return chat(first, *rest, reason="tool_calls")


def _legacy(v: Voice) -> Script:
    first = delta(function_call={"name": "look_up", "arguments": ""})
    rest = [delta(function_call={"arguments": part}) for part in v.parts(arguments(v))]
    return chat(first, *rest, reason="function_call")


def _many(count: int) -> Any:  # noqa: ANN401
    return lambda v: chat(*(delta(n, content=v.text) for n in range(count)))


CUSTOM = {"tools": [{"type": "custom", "custom": {"name": "write", "description": "Writes."}}]}
JSON_OBJECT = {"response_format": {"type": "json_object"}}
JSON_SCHEMA = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "letter", "strict": True, "schema": SCHEMA},
    }
}
SPOKEN_TEXT = [
    _channel("content", "text", _said("content")),
    _channel(
        "second choice", "text", lambda v: chat(ordinary(), delta(1, content=v.text)), ask={"n": 2}
    ),
    _channel("all choices", "text", _many(3), ask={"n": 3}),
    _channel("refusal", "text", _said("refusal")),
    _channel(
        "content parts", "text", anywhere=True,
        reply=lambda v: chat(delta(content=[{"type": "text", "text": v.text}])),
    ),
    _channel("reasoning_content", "reasoning", _said("reasoning_content")),
    _channel("reasoning", "reasoning", _said("reasoning")),
    _channel(
        "reasoning and reasoning_content", "reasoning", anywhere=True,
        reply=lambda v: chat(delta(reasoning=ORDINARY), delta(reasoning_content=v.text)),
    ),
    _channel(
        "reasoning_details", "reasoning", kind="aside",
        reply=_beside(reasoning_details=lambda v: [{"type": "reasoning.text", "text": v.text}]),
    ),
    _channel(
        "thinking_blocks", "reasoning", kind="aside",
        reply=_beside(thinking_blocks=lambda v: [{"type": "thinking", "thinking": v.text}]),
    ),
]  # fmt: skip
CALLS = [
    _channel("tool name", "tools", _tool_name, ask=TOOLS),
    _channel(
        "tool arguments", "tools", ask=TOOLS,
        reply=lambda v: chat(*called(v.parts(arguments(v))), reason="tool_calls"),
    ),
    _channel("tool arguments, parallel calls", "tools", _parallel, ask=TOOLS),
    _channel("tool arguments, letter by letter", "tools", _tiny, ask=TOOLS, modes=(STREAMED,)),
    _channel("legacy function arguments", "tools", _legacy, ask={"functions": [LOOK_UP]}),
    _channel(
        "legacy function name", "tools", ask={"functions": [LOOK_UP]},
        reply=lambda v: chat(
            delta(function_call={"name": v.slug, "arguments": "{}"}), reason="function_call"
        ),
    ),
    _channel("custom tool input", "tools", _custom, ask=CUSTOM),
    _channel(
        "tool call id", "identifiers", kind="aside", ask=TOOLS,
        reply=lambda v: chat(
            ordinary(),
            delta(tool_calls=[{"index": 0, "id": f"call_{v.slug}", "type": "function",
                               "function": {"name": "look_up", "arguments": "{}"}}]),
            reason="tool_calls",
        ),
    ),
]  # fmt: skip
BESIDE = [
    _channel(
        "annotation title", "citations",
        _beside(annotations=lambda v: _cited(title=v.said)),
    ),
    _channel(
        "annotation url", "citations",
        _beside(annotations=lambda v: _cited(url=f"https://a.example/{v.slug}")),
    ),
    _channel("citations", "citations", _on_top(citations=lambda v: [v.text]), kind="aside"),
    _channel(
        "search_results", "citations", kind="aside",
        reply=_on_top(search_results=lambda v: [{"title": v.said, "url": "https://a.example/"}]),
    ),
    _channel(
        "logprobs, asked for", "log probabilities", may_close=LOGPROBS,
        ask={"logprobs": True, "top_logprobs": 2},
        reply=_on_choice(logprobs=lambda v: tokens(v.said.split())),
    ),
    _channel(
        "top_logprobs, asked for", "log probabilities", may_close=LOGPROBS,
        ask={"logprobs": True, "top_logprobs": 2},
        reply=_on_choice(logprobs=lambda v: considered(v.said.split())),
    ),
    _channel(
        "logprobs, unasked", "log probabilities", kind="aside",
        reply=_on_choice(logprobs=lambda v: tokens(v.said.split())),
    ),
    _channel(
        "top_logprobs, unasked", "log probabilities", kind="aside",
        reply=_on_choice(logprobs=lambda v: considered(v.said.split())),
    ),
    _channel(
        "audio transcript, asked for", "audio", may_close=AUDIO,
        ask={"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        reply=_beside(audio=lambda v: {"id": "a", "data": "", "transcript": v.text}),
    ),
    _channel(
        "audio transcript, unasked", "audio", kind="aside",
        reply=_beside(audio=lambda v: {"id": "a", "data": "", "transcript": v.text}),
    ),
]  # fmt: skip
UNKNOWN = [
    _channel("of the message", "unknown fields", _beside(note=lambda v: v.text), kind="aside"),
    _channel("of the choice", "unknown fields", _on_choice(note=lambda v: v.text), kind="aside"),
    _channel("at the top", "unknown fields", _on_top(note=lambda v: v.text), kind="aside"),
    _channel(
        "key of the message", "unknown fields", kind="aside",
        reply=lambda v: chat(ordinary(), delta(0, **{v.slug: "x"})),
    ),
    _channel(
        "provider_specific_fields", "unknown fields", kind="aside",
        reply=_beside(provider_specific_fields=lambda v: {"note": v.text}),
    ),
    _channel(
        "completion id", "identifiers", _on_top(id=lambda v: f"chatcmpl-{v.slug}"), kind="aside"
    ),
    _channel("model", "identifiers", _on_top(model=lambda v: v.slug), kind="aside"),
    _channel("service_tier", "identifiers", _on_top(service_tier=lambda v: v.said), kind="aside"),
    _channel(
        "system_fingerprint", "identifiers", kind="aside",
        reply=_on_top(system_fingerprint=lambda v: f"fp_{v.slug}"),
    ),
    _channel("role", "identifiers", kind="aside",
             reply=lambda v: chat(delta(role=v.said, content=ORDINARY))),
    _channel(
        "usage key", "usage", kind="aside",
        reply=lambda v: chat(ordinary(), usage={**USAGE, v.slug: 1, "note": v.said}),
    ),
    _channel(
        "usage detail", "usage", kind="aside",
        reply=lambda v: chat(
            ordinary(), usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 0, v.slug: 1}}
        ),
    ),
    _channel(
        "finish_reason", "endings", lambda v: chat(ordinary(), reason=v.said), kind="aside"
    ),
]  # fmt: skip


def _across(one: str, other: str) -> Any:  # noqa: ANN401
    """The first word through one field, the second through the next."""
    return lambda v: chat(
        delta(0, **{one: f"It was {v.words[0]}"}), delta(0, **{other: f"{v.words[1]}, they say."})
    )


SPLIT = "names split in two"
SPLITS = [
    _channel(
        "over two chunks", SPLIT, modes=(STREAMED,),
        reply=lambda v: chat(
            delta(content=f"It was {v.words[0][:4]}"),
            delta(content=f"{v.words[0][4:]} {v.words[1]}, they say."),
        ),
    ),
    _channel("over reasoning and content", SPLIT, _across("reasoning_content", "content")),
    _channel("over content and reasoning", SPLIT, _across("content", "reasoning_content")),
    _channel("over content and refusal", SPLIT, _across("content", "refusal")),
    _channel(
        "over two content parts", SPLIT, anywhere=True,
        reply=lambda v: chat(delta(content=[{"type": "text", "text": v.words[0] + " "},
                                            {"type": "text", "text": v.words[1]}])),
    ),
    _channel(
        "over two tool calls", SPLIT, ask=TOOLS,
        reply=lambda v: chat(
            *called([arguments(v, v.words[0])]), *called([arguments(v, v.words[1])], 1),
            reason="tool_calls",
        ),
    ),
    _channel(
        "over tool name and arguments", SPLIT, ask=TOOLS,
        reply=lambda v: chat(
            *called([arguments(v, v.words[1])], name=v.words[0].lower()), reason="tool_calls"
        ),
    ),
    _channel(
        "over content and tool arguments", SPLIT, ask=TOOLS,
        reply=lambda v: chat(
            delta(content=f"It was {v.words[0]}"), *called([arguments(v, v.words[1])]),
            reason="tool_calls",
        ),
    ),
    _channel(
        "begun in the question", SPLIT, tells=(FORBIDDEN.split()[1],),
        ask=lambda v: {"messages": [{"role": "user", "content": f"Complete: {v.words[0]}"}]},
        reply=lambda v: chat(delta(content=f"{v.words[1]}.")),
    ),
]  # fmt: skip
PROMISED = [
    _channel(name, "promised JSON", ask=ask, json=True,
             reply=lambda v: chat(*(delta(content=p) for p in v.parts(arguments(v)))))
    for name, ask in (("json_object", JSON_OBJECT), ("json_schema", JSON_SCHEMA))
]  # fmt: skip
CHAT = [*SPOKEN_TEXT, *CALLS, *BESIDE, *UNKNOWN, *SPLITS, *PROMISED]
