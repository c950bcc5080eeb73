"""Requests and answers of every wire format, to begin a mutation from. Knows no screen.

An answer is made of a few pieces of text, so that what they say can be put into any channel.
"""

from collections.abc import Callable, Sequence
from typing import Any

Body = dict[str, Any]
Pieces = Sequence[str]

TOOL = {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object"}}
CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
TURN = {"role": "user", "content": "Who paints?"}


def _chat(**delta: Any) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}


def _chat_end(reason: str = "stop", index: int = 0) -> Body:
    return {"id": "c", "choices": [{"index": index, "delta": {}, "finish_reason": reason}]}


def _chat_call(n: int, **said: str) -> Body:
    return _chat(tool_calls=[{"index": n, "id": f"i{n}", "type": "function", "function": said}])


def _chat_said(field: str) -> Callable[[Pieces], list[Body]]:
    return lambda pieces: [*(_chat(**{field: p}) for p in pieces), _chat_end()]


def two_choices(pieces: Pieces) -> list[Body]:
    events = [_chat(content=p) for p in pieces]
    for number, event in enumerate(events):
        event["choices"][0]["index"] = number % 2
    return [*events, _chat_end(), _chat_end(index=1)]


def _block(block: Body, deltas: list[Body], index: int = 0) -> list[Body]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _message(*blocks: list[Body], reason: str = "end_turn") -> list[Body]:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 1, "output_tokens": 1}
    ending = {"stop_reason": reason, "stop_sequence": None}
    return [
        {"type": "message_start", "message": {**head, "stop_reason": None, "usage": usage}},
        *(event for block in blocks for event in block),
        {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def _texts(pieces: Pieces) -> list[Body]:
    return [{"type": "text_delta", "text": p} for p in pieces]


def _messages_two(pieces: Pieces) -> list[Body]:
    thought = [{"type": "thinking_delta", "thinking": p} for p in pieces]
    return _message(
        _block({"type": "thinking", "thinking": "", "signature": ""}, thought),
        _block({"type": "text", "text": ""}, _texts(pieces), 1),
        _block({"type": "text", "text": ""}, _texts(pieces), 2),
    )


def _messages_call(pieces: Pieces) -> list[Body]:
    use = {"type": "tool_use", "id": "t", "name": "look_up", "input": {}}
    parts = ['{"q": "', *pieces, '"}']
    deltas = [{"type": "input_json_delta", "partial_json": p} for p in parts]
    return _message(_block(use, deltas), reason="tool_use")


def _numbered(events: list[Body]) -> list[Body]:
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def _response(item: Body, inner: list[Body]) -> list[Body]:
    whole = {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": []}
    return _numbered(
        [
            {"type": "response.created", "response": {**whole, "status": "in_progress"}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            *inner,
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {
                "type": "response.completed",
                "response": {**whole, "status": "completed", "output": [item]},
            },
        ]
    )


def _response_text(pieces: Pieces) -> list[Body]:
    where = {"item_id": "i", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "".join(pieces), "annotations": []}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed"}
    inner = [
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": p} for p in pieces),
        {"type": "response.output_text.done", **where, "text": part["text"]},
        {"type": "response.content_part.done", **where, "part": part},
    ]
    return _response({**item, "content": [part]}, inner)


def _response_call(pieces: Pieces) -> list[Body]:
    where = {"item_id": "i", "output_index": 0}
    said = '{"q": "' + "".join(pieces) + '"}'
    item = {"id": "i", "type": "function_call", "call_id": "c", "name": "look_up"}
    kind = "response.function_call_arguments"
    inner = [{"type": f"{kind}.delta", **where, "delta": p} for p in ('{"q": "', *pieces, '"}')]
    done = {"type": f"{kind}.done", **where, "arguments": said}
    return _response({**item, "arguments": said, "status": "completed"}, [*inner, done])


def _response_thought(pieces: Pieces) -> list[Body]:
    where = {"item_id": "i", "output_index": 0, "summary_index": 0}
    part = {"type": "summary_text", "text": "".join(pieces)}
    kind = "response.reasoning_summary_text"
    inner = [{"type": f"{kind}.delta", **where, "delta": p} for p in pieces]
    done = {"type": f"{kind}.done", **where, "text": part["text"]}
    return _response({"id": "i", "type": "reasoning", "summary": [part]}, [*inner, done])


def _completed(pieces: Pieces) -> list[Body]:
    head = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    said = [{"index": 0, "text": p, "logprobs": None, "finish_reason": None} for p in pieces]
    end = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
    return [{**head, "choices": [choice]} for choice in [*said, end]]


REQUESTS: dict[str, list[Body]] = {
    "/v1/chat/completions": [
        {"model": "m", "messages": [TURN], "stream": True},
        {
            "model": "m",
            "n": 2,
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c", "content": "nothing"},
                TURN,
            ],
            "tools": [{"type": "function", "function": TOOL}],
            "response_format": {"type": "json_object"},
        },
    ],
    "/v1/completions": [
        {"model": "m", "prompt": "Who", "stream": True},
        {"model": "m", "prompt": ["Who", "paints?"], "n": 2, "suffix": ".", "stop": ["x"]},
    ],
    "/v1/responses": [
        {"model": "m", "input": "Who paints?", "stream": True},
        {
            "model": "m",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Who?"}]},
                {"type": "function_call_output", "call_id": "c", "output": "nothing"},
            ],
            "tools": [{"type": "function", **TOOL}],
            "stream": True,
        },
    ],
    "/v1/messages": [
        {"model": "m", "max_tokens": 9, "messages": [TURN], "stream": True},
        {
            "model": "m",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                TURN,
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "look_up", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "none"}],
                },
            ],
            "tools": [{"name": "look_up", "input_schema": {"type": "object"}}],
            "stream": True,
        },
    ],
    "/v1/messages/count_tokens": [{"model": "m", "messages": [TURN], "system": "Be brief."}],
    "/v1/embeddings": [{"model": "m", "input": "Who"}, {"model": "m", "input": ["Who", "paints"]}],
}

STREAMS: dict[str, list[Callable[[Pieces], list[Body]]]] = {
    "/v1/chat/completions": [
        _chat_said("content"),
        _chat_said("reasoning_content"),
        _chat_said("refusal"),
        two_choices,
        lambda p: [_chat_call(0, name="look_up"), *(_chat_call(0, arguments=x) for x in p)],
        lambda p: [_chat_call(n, name="f", arguments=x) for n, x in enumerate(p)],
        lambda p: [_chat(function_call={"name": "f", "arguments": x}) for x in p],
    ],
    "/v1/completions": [_completed],
    "/v1/responses": [_response_text, _response_call, _response_thought],
    "/v1/messages": [
        lambda p: _message(_block({"type": "text", "text": ""}, _texts(p))),
        _messages_two,
        _messages_call,
    ],
}


def _whole_chat(pieces: Pieces) -> Body:
    message = {"role": "assistant", "content": "".join(pieces), "reasoning_content": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}


def _whole_messages(pieces: Pieces) -> Body:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
    usage = {"input_tokens": 1, "output_tokens": 1}
    content = [{"type": "text", "text": p} for p in pieces]
    return {**head, "content": content, "stop_reason": "end_turn", "usage": usage}


def _whole_embeddings(pieces: Pieces) -> Body:
    data = [
        {"object": "embedding", "index": n, "embedding": [0.1, float(len(p))]}
        for n, p in enumerate(pieces)
    ]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1}}


WHOLES: dict[str, Callable[[Pieces], Body]] = {
    "/v1/chat/completions": _whole_chat,
    "/v1/completions": lambda p: {
        "id": "c",
        "choices": [{"index": 0, "text": "".join(p), "finish_reason": "stop"}],
    },
    "/v1/responses": lambda p: _response_text(p)[-1]["response"],
    "/v1/messages": _whole_messages,
    "/v1/messages/count_tokens": lambda p: {"input_tokens": len(p)},
    "/v1/embeddings": _whole_embeddings,
}
