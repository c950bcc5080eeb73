"""One chat completion taken apart into pieces, and put together again from what was released.

Knows no policy, no HTTP and no request but the few facts of it that shape an answer. Shapes: the
pages named in `proxy.formats.chat`.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from proxy.exchange import Body, Channel, Delta, Finished, FormatError, Piece, Request

REASONS = {"stop", "length", "tool_calls", "function_call", "content_filter"}
REASONING_FIELDS = ("reasoning_content", "reasoning")
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
TIERS = {"auto", "default", "flex", "priority", "scale", "standard"}
COUNTS = frozenset(
    """
    prompt_tokens completion_tokens total_tokens cached_tokens audio_tokens reasoning_tokens
    accepted_prediction_tokens rejected_prediction_tokens text_tokens image_tokens
    prompt_tokens_details completion_tokens_details cache_creation_tokens cache_write_tokens
    prompt_cache_hit_tokens prompt_cache_miss_tokens
    """.split()  # noqa: SIM905 - reads better
)


class ChatAnswer:
    """One upstream answer, taken apart and put together again from what was released."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._choices = request.choices
        self._usage_wanted = request.usage_wanted
        self._logprobs_allowed = any(c.name == "logprobs" for c in request.side_channels)
        self._head: Body = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time())}
        self._usage: Body | None = None
        self._reasoning_field = REASONING_FIELDS[0]
        self._tools: dict[tuple[int, int], Body] = {}
        self._logprobs: dict[int, Any] = {}
        self._begun: set[int] = set()

    def feed(self, event: Body) -> list[Piece]:
        """Take one chunk apart. Raises FormatError on a shape that is not a chunk's."""
        self._read_head(event)
        return [piece for choice in _objects(event, "choices") for piece in self._chunk(choice)]

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        self._read_head(response)
        pieces: list[Piece] = []
        for choice in _objects(response, "choices"):
            index = self._index(choice)
            pieces += self._spoken(index, _object(choice, "message"))
            self._keep_logprobs(index, choice)
            pieces.append(Finished(index, _reason(choice.get("finish_reason") or "stop")))
        if not pieces:
            raise FormatError("choices: the answer has none")
        return pieces

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as chunks."""
        return [chunk for piece in pieces for chunk in self._written(piece)]

    def end(self) -> list[Body]:
        """The usage chunk, where the client asked for one: SDKs index the choices of any other."""
        return [self._chunk_of([], usage=self._usage or NO_USAGE)] if self._usage_wanted else []

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces as one chat completion."""
        texts: dict[Channel, str] = {}
        reasons: dict[int, str] = {}
        for piece in pieces:
            if isinstance(piece, Finished):
                reasons[piece.choice] = piece.reason
            else:
                texts[piece.channel] = texts.get(piece.channel, "") + piece.text
        return {
            **self._head,
            "object": "chat.completion",
            "model": self._model,
            "choices": [
                {
                    "index": index,
                    "message": self._message(index, texts),
                    "logprobs": self._logprobs.get(index),
                    "finish_reason": reasons[index],
                }
                for index in sorted(reasons)
            ],
            "usage": self._usage or NO_USAGE,
        }

    def _read_head(self, body: Body) -> None:
        if isinstance(body.get("service_tier"), str) and body["service_tier"] in TIERS:
            self._head["service_tier"] = body["service_tier"]
        if type(body.get("created")) is int:
            self._head["created"] = body["created"]
        if isinstance(body.get("usage"), dict):
            self._usage = _numbers(body["usage"])

    def _index(self, choice: Body) -> int:
        index = choice.get("index", 0)
        if type(index) is not int or not 0 <= index < self._choices:
            raise FormatError("choices: an index that was not asked for")
        return index

    def _chunk(self, choice: Body) -> Iterator[Piece]:
        index = self._index(choice)
        yield from self._spoken(index, _object(choice, "delta"))
        self._keep_logprobs(index, choice)
        if choice.get("finish_reason") is not None:
            yield Finished(index, _reason(choice["finish_reason"]))

    def _spoken(self, choice: int, message: Body) -> Iterator[Piece]:
        """Every text of a message or a delta, through the channel it came."""
        for key in REASONING_FIELDS:
            if message.get(key):
                self._reasoning_field = key
                yield Delta(Channel(choice, "reasoning"), _text(message[key], key))
        if message.get("content"):
            yield Delta(Channel(choice), _text(message["content"], "content"))
        if message.get("refusal"):
            yield Delta(Channel(choice, "refusal"), _text(message["refusal"], "refusal"))
        for position, call in enumerate(_objects(message, "tool_calls")):
            yield from self._called(choice, call, position)
        if message.get("function_call"):
            function = _object(message, "function_call")
            for part in ("name", "arguments"):
                if function.get(part):
                    text = _text(function[part], part)
                    yield Delta(Channel(choice, "function", 0, part), text)

    def _called(self, choice: int, call: Body, position: int) -> Iterator[Piece]:
        index = call.get("index", position)
        if type(index) is not int or not 0 <= index < 1024:
            raise FormatError("tool_calls: an index that is no index")
        # Identifiers are ours: some models make up their own, out of words.
        tool = self._tools.setdefault(
            (choice, index), {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
        )
        kind = "custom" if call.get("type") == "custom" or "custom" in call else "function"
        if kind == "custom":
            tool["type"] = kind
        said = _object(call, kind)
        for part in ("name", "input" if kind == "custom" else "arguments"):
            if said.get(part):
                text = _text(said[part], part)
                yield Delta(Channel(choice, "tool", index, part), text)

    def _keep_logprobs(self, index: int, choice: Body) -> None:
        # The policy allowed them by name: they pass beside the screens, as the audit says.
        if self._logprobs_allowed and choice.get("logprobs"):
            self._logprobs[index] = choice["logprobs"]

    def _written(self, piece: Piece) -> Iterator[Body]:
        if piece_choice(piece) not in self._begun:
            self._begun.add(piece_choice(piece))
            yield self._chunk_of(
                [_choice_chunk(piece_choice(piece), {"role": "assistant", "content": ""})]
            )
        if isinstance(piece, Finished):
            yield self._chunk_of([_choice_chunk(piece.choice, {}, reason=piece.reason)])
        else:
            chunk = _choice_chunk(piece.channel.choice, self._delta(piece))
            logprobs = self._logprobs.pop(piece.channel.choice, None)
            yield self._chunk_of([{**chunk, "logprobs": logprobs}])

    def _delta(self, piece: Delta) -> Body:
        channel, text = piece.channel, piece.text
        if channel.kind == "tool":
            tool = self._tools[channel.choice, channel.index]
            # The name comes first and introduces the call, as the API streams it.
            # Clients add arguments to what the first chunk holds: it must hold some.
            custom = tool["type"] == "custom"
            head = tool if channel.part == "name" else {}
            blank = {"input" if custom else "arguments": ""} if head else {}
            said = {**blank, channel.part: text}
            return {"tool_calls": [{"index": channel.index, **head, tool["type"]: said}]}
        if channel.kind == "function":
            blank = {"arguments": ""} if channel.part == "name" else {}
            return {"function_call": {**blank, channel.part: text}}
        return {self._field(channel): text}

    def _field(self, channel: Channel) -> str:
        return self._reasoning_field if channel.kind == "reasoning" else channel.kind

    def _message(self, choice: int, texts: dict[Channel, str]) -> Body:
        message: Body = {"role": "assistant", "content": None, "refusal": None}
        calls: dict[int, Body] = {}
        for channel, text in texts.items():
            if channel.choice != choice:
                continue
            if channel.kind == "tool":
                tool = self._tools[choice, channel.index]
                blank = {"name": "", "input" if tool["type"] == "custom" else "arguments": ""}
                call = calls.setdefault(channel.index, {**tool, tool["type"]: blank})
                call[tool["type"]][channel.part] = text
            elif channel.kind == "function":
                message.setdefault("function_call", {"name": "", "arguments": ""})
                message["function_call"][channel.part] = text
            else:
                message[self._field(channel)] = text
        if calls:
            message["tool_calls"] = [calls[index] for index in sorted(calls)]
        elif message["content"] is None and "function_call" not in message:
            message["content"] = ""
        return message

    def _chunk_of(self, choices: list[Body], *, usage: Body | None = None) -> Body:
        chunk = {
            **self._head,
            "object": "chat.completion.chunk",
            "model": self._model,
            "choices": choices,
        }
        return chunk if usage is None else {**chunk, "usage": usage}


def piece_choice(piece: Piece) -> int:
    """The choice that a piece belongs to."""
    return piece.choice if isinstance(piece, Finished) else piece.channel.choice


def _choice_chunk(index: int, delta: Body, *, reason: str | None = None) -> Body:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _reason(reason: object) -> str:
    return reason if isinstance(reason, str) and reason in REASONS else "stop"


def _numbers(usage: Body) -> Body:
    """The counts of a usage object, and nothing that could be prose."""
    kept: Body = {}
    for key, value in usage.items():
        if key in COUNTS and type(value) in (int, float):
            kept[key] = value
        elif key in COUNTS and isinstance(value, dict):
            kept[key] = _numbers(value)
    return kept


def _object(body: Body, key: str) -> Body:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise FormatError(f"{key}: must be an object")
    return value


def _objects(body: Body, key: str) -> list[Body]:
    value = body.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise FormatError(f"{key}: must be an array of objects")
    return value


def _text(value: object, key: str) -> str:
    """A field's text. Some servers send an array of text parts where a string is usual."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part.get("text"), key) for part in value if isinstance(part, dict))
    if isinstance(value, dict):  # arguments that were not serialised
        return json.dumps(value, ensure_ascii=False)
    raise FormatError(f"{key}: must be a string")
