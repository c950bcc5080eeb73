"""One chat completion taken apart into pieces, and put together again from what was released.

Knows no policy, no HTTP and no request but the few facts of it that shape an answer. Shapes: the
pages named in `proxy.formats.chat`.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from proxy.exchange import (
    Body,
    Channel,
    Closed,
    Delta,
    Finished,
    FormatError,
    Piece,
    Refused,
    Request,
    choice_of,
)
from proxy.formats.reading import a_text, an_object, counts, objects

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
        self._json_promised = request.json_promised
        self._choices = request.choices
        self._usage_wanted = request.usage_wanted
        self._logprobs_allowed = any(c.name == "logprobs" for c in request.side_channels)
        self._head: Body = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time())}
        self._usage: Body | None = None
        self._reasoning_field = REASONING_FIELDS[0]
        self._tools: dict[tuple[int, int], Body] = {}
        self._logprobs: dict[int, Any] = {}
        self._begun: set[int] = set()
        self._last: dict[int, str] = {}  # how each choice's content ends so far
        self._refused = False

    def feed(self, event: Body) -> list[Piece]:
        """Take one chunk apart. Raises FormatError on a shape that is not a chunk's."""
        self._read_head(event)
        return [piece for choice in objects(event, "choices") for piece in self._chunk(choice)]

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        self._read_head(response)
        pieces: list[Piece] = []
        for choice in objects(response, "choices"):
            index = self._index(choice)
            pieces += self._spoken(index, an_object(choice, "message"))
            self._keep_logprobs(index, choice)
            pieces.append(Finished(index, _reason(choice.get("finish_reason") or "stop")))
        if not pieces:
            raise FormatError("choices: the answer has none")
        return pieces

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as chunks."""
        return [chunk for piece in self._plain(pieces) for chunk in self._written(piece)]

    def end(self) -> list[Body]:
        """The usage chunk, where the client asked for one: SDKs index the choices of any other."""
        return [self._chunk_of([], usage=self._counted())] if self._usage_wanted else []

    def broken(self, error: Body) -> Body:
        """An error as an event: the same object."""
        return error

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces as one chat completion."""
        texts: dict[Channel, str] = {}
        reasons: dict[int, str] = {}
        self._last, self._refused = {}, False
        for piece in self._plain(pieces):
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
            "usage": self._counted(),
        }

    def _counted(self) -> Body:
        return NO_USAGE if self._refused or not self._usage else self._usage

    def _plain(self, pieces: Sequence[Piece]) -> Iterator[Delta | Finished]:
        """Pieces as text and endings alone: a refusal in the words and the shape of this API."""
        for piece in pieces:
            if isinstance(piece, Refused):
                self._refused = True
                yield from self._refusal(piece)
            elif not isinstance(piece, Closed):
                if isinstance(piece, Delta) and piece.channel.kind == "content":
                    self._last[piece.channel.choice] = piece.text[-1:]
                yield piece

    def _refusal(self, piece: Refused) -> Iterator[Delta | Finished]:
        content = Channel(piece.choice)
        if self._json_promised:
            # Both for the SDK, which parses no content beside a refusal, and for json.loads.
            yield Delta(content, json.dumps({"refusal": piece.words}, ensure_ascii=False))
            yield Delta(Channel(piece.choice, "refusal"), piece.words)
            yield Finished(piece.choice, "stop")
            return
        behind = self._last.get(piece.choice, "")
        yield Delta(content, f" {piece.words}" if behind.strip() else piece.words)
        yield Finished(piece.choice, "content_filter")

    def _read_head(self, body: Body) -> None:
        if isinstance(body.get("service_tier"), str) and body["service_tier"] in TIERS:
            self._head["service_tier"] = body["service_tier"]
        if type(body.get("created")) is int:
            self._head["created"] = body["created"]
        if isinstance(body.get("usage"), dict):
            self._usage = counts(body["usage"], COUNTS)

    def _index(self, choice: Body) -> int:
        index = choice.get("index", 0)
        if type(index) is not int or not 0 <= index < self._choices:
            raise FormatError("choices: an index that was not asked for")
        return index

    def _chunk(self, choice: Body) -> Iterator[Piece]:
        index = self._index(choice)
        yield from self._spoken(index, an_object(choice, "delta"))
        self._keep_logprobs(index, choice)
        if choice.get("finish_reason") is not None:
            yield Finished(index, _reason(choice["finish_reason"]))

    def _spoken(self, choice: int, message: Body) -> Iterator[Piece]:
        """Every text of a message or a delta, through the channel it came."""
        for key in REASONING_FIELDS:
            if message.get(key):
                self._reasoning_field = key
                yield Delta(Channel(choice, "reasoning"), a_text(message[key], key))
        if message.get("content"):
            yield Delta(Channel(choice), a_text(message["content"], "content"))
        if message.get("refusal"):
            yield Delta(Channel(choice, "refusal"), a_text(message["refusal"], "refusal"))
        for position, call in enumerate(objects(message, "tool_calls")):
            yield from self._called(choice, call, position)
        if message.get("function_call"):
            function = an_object(message, "function_call")
            for part in ("name", "arguments"):
                if function.get(part):
                    text = a_text(function[part], part)
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
        said = an_object(call, kind)
        for part in ("name", "input" if kind == "custom" else "arguments"):
            if said.get(part):
                text = a_text(said[part], part)
                yield Delta(Channel(choice, "tool", index, part), text)

    def _keep_logprobs(self, index: int, choice: Body) -> None:
        # The policy allowed them by name: they pass beside the screens, as the audit says.
        if self._logprobs_allowed and choice.get("logprobs"):
            self._logprobs[index] = choice["logprobs"]

    def _written(self, piece: Delta | Finished) -> Iterator[Body]:
        if choice_of(piece) not in self._begun:
            self._begun.add(choice_of(piece))
            yield self._chunk_of(
                [_choice_chunk(choice_of(piece), {"role": "assistant", "content": ""})]
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


def _choice_chunk(index: int, delta: Body, *, reason: str | None = None) -> Body:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _reason(reason: object) -> str:
    return reason if isinstance(reason, str) and reason in REASONS else "stop"
