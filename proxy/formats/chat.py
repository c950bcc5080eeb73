"""OpenAI chat completions: a body into an exchange, released pieces back into a body.

Knows no policy and no HTTP. Field names and shapes: https://platform.openai.com/docs/api-reference/chat
and, for what self-hosted servers add, the vLLM and DeepSeek documentation of the same endpoint.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from proxy.exchange import (
    Body,
    Channel,
    Delta,
    Finished,
    FormatError,
    Path,
    Piece,
    Placement,
    Request,
    Said,
    SideChannel,
)

route = "/v1/chat/completions"

ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
REASONS = {"stop", "length", "tool_calls", "function_call", "content_filter"}
REASONING_FIELDS = ("reasoning_content", "reasoning")
MOST_CHOICES = 128
# Identifiers are the upstream's to choose: what is shaped like one may pass, prose may not.
IDENTIFIER = re.compile(r"[A-Za-z0-9_.:/@+-]{1,128}")
# The word that names a shape ("text", "function", "object") is no text; anything longer is.
SHAPE = re.compile(r"[a-z_]{1,24}")
MEDIA = {"image_url", "input_audio", "file"}
PART_CHANNELS = {
    "text": None,
    "refusal": None,
    "image_url": "images",
    "input_audio": "audio",
    "file": "files",
}
ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def read(body: Body) -> Request:
    """Find every text of a request and where it stands.

    Raises FormatError for a body the endpoint does not define, naming the field.
    """
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise FormatError("model: must be a non-empty string", param="model")
    if not isinstance(messages, list) or not messages:
        raise FormatError("messages: must be a non-empty array", param="messages")
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")
    stream, choices = body.get("stream"), body.get("n")
    if stream not in (None, True, False):
        raise FormatError("stream: must be true or false", param="stream")
    if choices is not None and (type(choices) is not int or not 1 <= choices <= MOST_CHOICES):
        raise FormatError(f"n: must be an integer from 1 to {MOST_CHOICES}", param="n")
    said = tuple(_texts(body))
    return Request(
        body=body,
        model=model,
        stream=bool(stream),
        choices=choices or 1,
        said=said,
        question=_question(messages),
        side_channels=tuple(_side_channels(body, messages)),
        json_promised=_json_promised(body.get("response_format")),
    )


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return a body with an instruction added: a message of its own, or behind the system text.

    Many chat templates take a system message in first place only, so `system` joins one that
    stands there. The body given stays as it is.
    """
    messages = list(body["messages"])
    first = messages[0]
    if placement == "before-last-user":
        users = [at for at, message in enumerate(messages) if message["role"] == "user"]
        messages.insert(
            users[-1] if users else len(messages), {"role": "system", "content": instruction}
        )
    elif first["role"] == placement and isinstance(first.get("content"), str):
        messages[0] = {**first, "content": f"{first['content']}\n\n{instruction}"}
    else:
        messages.insert(0, {"role": placement, "content": instruction})
    return {**body, "messages": messages}


def error(message: str, *, status: int, param: str | None = None, code: str | None = None) -> Body:
    """An error object as the OpenAI API shapes it."""
    other = "api_error" if status >= 500 else "invalid_request_error"
    kind = ERROR_TYPES.get(status, other)
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def answer(request: Request) -> "ChatAnswer":
    """Begin an answer to a request."""
    return ChatAnswer(request)


class ChatAnswer:
    """One upstream answer, taken apart and put together again from what was released."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._choices = request.choices
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
        """The usage chunk, where the upstream sent one."""
        return [] if self._usage is None else [self._chunk_of([], usage=self._usage)]

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
            "usage": self._usage or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        }

    def _read_head(self, body: Body) -> None:
        for key in ("id", "system_fingerprint", "service_tier"):
            if isinstance(body.get(key), str) and IDENTIFIER.fullmatch(body[key]):
                self._head[key] = body[key]
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
        tool = self._tools.setdefault(
            (choice, index), {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
        )
        if isinstance(call.get("id"), str) and IDENTIFIER.fullmatch(call["id"]):
            tool["id"] = call["id"]
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
            head = tool if channel.part == "name" else {}
            return {
                "tool_calls": [{"index": channel.index, **head, tool["type"]: {channel.part: text}}]
            }
        if channel.kind == "function":
            return {"function_call": {channel.part: text}}
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
        if IDENTIFIER.fullmatch(key) and type(value) in (int, float):
            kept[key] = value
        elif IDENTIFIER.fullmatch(key) and isinstance(value, dict):
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


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise FormatError(f"{where}: must be an object", param=where)
    if message.get("role") not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise FormatError(f"{where}.role: must be one of {known}", param=f"{where}.role")
    content = message.get("content")
    if isinstance(content, list):
        for number, part in enumerate(content):
            at = f"{where}.content[{number}]"
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                raise FormatError(f"{at}: must be an object with a type", param=at)
    elif content is not None and not isinstance(content, str):
        at = f"{where}.content"
        raise FormatError(f"{at}: must be a string, an array of parts or null", param=at)


def _question(messages: list[Body]) -> str:
    """What the last user turn says: an answer may only mean something next to it."""
    users = [message for message in messages if message["role"] == "user"]
    content = users[-1].get("content") if users else None
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""


def _json_promised(response_format: object) -> bool:
    return isinstance(response_format, dict) and response_format.get("type") in {
        "json_object",
        "json_schema",
    }


def _texts(body: Body) -> Iterator[Said]:
    """Every string of the body, and every key below the top that a model may get to read."""
    for number, message in enumerate(body["messages"]):
        yield from _strings(message, ("messages", number), role=message["role"], keys=False)
    for key, value in body.items():
        if key not in {"messages", "model"}:
            yield from _strings(value, (key,), role="field", keys=True)


def _strings(node: object, path: Path, *, role: str, keys: bool) -> Iterator[Said]:
    if isinstance(node, str):
        # Inline media is closed or allowed by name; there is no text in it to screen.
        if node and not (node.startswith("data:") and MEDIA.intersection(path[-2:-1])):
            yield Said(path, role, node)
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _strings(item, (*path, number), role=role, keys=keys)
    elif isinstance(node, dict):
        if keys and node:
            yield Said(path, "keys", " ".join(node).replace("_", " "))
        for key, value in node.items():
            if not (key in {"role", "type"} and isinstance(value, str) and SHAPE.fullmatch(value)):
                yield from _strings(value, (*path, key), role=role, keys=keys)


def _side_channels(body: Body, messages: list[Body]) -> Iterator[SideChannel]:
    """What asks for text that no screen sees, or lets the client put words into the model."""
    for field, name in SIDE_CHANNELS.items():
        if body.get(field) not in (None, False, 0, {}, [], ""):
            yield SideChannel(name, field)
    for field in body:
        if field.startswith("guided_") and body[field] is not None:
            yield SideChannel("guided", field)
    if body.get("add_generation_prompt") is False:
        yield SideChannel("prefill", "add_generation_prompt")
    if "audio" in (body.get("modalities") or ()):
        yield SideChannel("audio", "modalities")
    last = len(messages) - 1
    if messages[last]["role"] == "assistant":
        yield SideChannel("prefill", f"messages[{last}]")
    for number, message in enumerate(messages):
        if message.get("audio"):
            yield SideChannel("audio", f"messages[{number}].audio")
        yield from _part_channels(message, f"messages[{number}].content")


def _part_channels(message: Body, where: str) -> Iterator[SideChannel]:
    content = message.get("content")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        name = PART_CHANNELS.get(part["type"], "files")
        if name is not None:
            yield SideChannel(name, f"{where}[{number}]")


SIDE_CHANNELS = {
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "prompt_logprobs": "logprobs",
    "echo": "echo",
    "continue_final_message": "prefill",
    "logit_bias": "logit_bias",
    "chat_template": "chat_template",
    "chat_template_kwargs": "chat_template",
    "documents": "chat_template",
    "grammar": "guided",
    "structured_outputs": "guided",
    "allowed_token_ids": "guided",
    "logits_processors": "guided",
    "audio": "audio",
    "prompt_embeds": "files",
    "store": "stored",
    "stop": "stop",
}
