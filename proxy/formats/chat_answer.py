"""One chat completion taken apart into pieces, and put together again from what was released.

Knows no policy, no HTTP and no request but the few facts of it that shape an answer. Shapes: the
pages named in `proxy.formats.chat`.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from proxy.exchange import (
    Body,
    Channel,
    Delta,
    Finished,
    Piece,
    Refused,
    Request,
    choice_of,
)
from proxy.formats.chat_heard import CALLS, INPUTS, Heard

NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@dataclass(slots=True)
class _Told:
    """What of one choice has been released: the texts of its fields, whole calls, citations."""

    texts: dict[Channel, str] = field(default_factory=dict)
    calls: dict[Channel, str] = field(default_factory=dict)
    citations: list[Body] = field(default_factory=list)

    def said(self, kind: str) -> str:
        """The text of a kind of channel."""
        return "".join(text for channel, text in self.texts.items() if channel.kind == kind)


@dataclass(frozen=True, slots=True)
class _Part:
    """One step of a choice: fields to add to its message, or how it ends."""

    choice: int
    delta: Body
    reason: str | None = None
    logprobs: Body | None = None


class ChatAnswer:
    """One upstream answer, taken apart and put together again from what was released."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._json_promised = request.json_promised
        self._usage_wanted = request.usage_wanted
        self._heard = Heard(request)
        self._head: Body = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time())}
        self._told: dict[int, _Told] = {}  # in the stream
        self._refused = False

    def feed(self, event: Body) -> list[Piece]:
        """Take one chunk apart. Raises FormatError on a shape that is not a chunk's."""
        return self._heard.chunk(event)

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        return self._heard.whole(response)

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as chunks."""
        chunks = []
        for piece in pieces:
            index = choice_of(piece)
            if index not in self._told:
                self._told[index] = _Told()
                begun = _Part(index, {"role": "assistant", "content": ""})
                chunks.append(self._chunk_of([_choice_chunk(begun)]))
            parts = self._written(piece, self._told[index])
            chunks += [self._chunk_of([_choice_chunk(part)]) for part in parts]
        return chunks

    def end(self) -> list[Body]:
        """The usage chunk, where the client asked for one: SDKs index the choices of any other."""
        return [self._chunk_of([], usage=self._counted())] if self._usage_wanted else []

    def broken(self, error: Body) -> Body:
        """An error as an event: the same object."""
        return error

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces as one chat completion: what the chunks of a stream would add up to."""
        self._refused = False
        told: dict[int, _Told] = {}
        choices: dict[int, Body] = {}
        for piece in pieces:
            index = choice_of(piece)
            choice = choices.setdefault(index, _blank(index))
            for part in self._written(piece, told.setdefault(index, _Told())):
                _add(choice["message"], part.delta)
                if part.reason:
                    choice["finish_reason"], choice["logprobs"] = part.reason, part.logprobs
        for choice in choices.values():
            if not choice["message"].keys() & {"tool_calls", "function_call"}:
                choice["message"]["content"] = choice["message"]["content"] or ""
        return {
            **self._headed("chat.completion"),
            "choices": [choices[n] for n in sorted(choices) if choices[n]["finish_reason"]],
            "usage": self._counted(),
        }

    def _counted(self) -> Body:
        return NO_USAGE if self._refused else {**NO_USAGE, **self._heard.usage}

    def _headed(self, kind: str) -> Body:
        tier = {"service_tier": self._heard.tier} if self._heard.tier and not self._refused else {}
        return {**self._head, "object": kind, "model": self._model, **tier}

    def _written(self, piece: Piece, told: _Told) -> Iterator[_Part]:
        if isinstance(piece, Refused):
            self._refused = True
            yield from self._refusal(piece, told)
        elif isinstance(piece, Finished):
            yield from self._ending(piece, told)
        elif isinstance(piece, Delta):
            channel, text = piece.channel, piece.text
            if channel.kind in CALLS:
                told.calls[channel] = told.calls.get(channel, "") + text
            elif channel.kind == "annotation":
                told.citations.append(json.loads(text))
            else:
                told.texts[channel] = told.texts.get(channel, "") + text
                yield _Part(channel.choice, {self._heard.field(channel): text})

    def _ending(self, piece: Finished, told: _Told) -> Iterator[_Part]:
        """What waited for the end: citations and calls, then the reason.

        Where anything was cut out, places in the text and counts of tokens mean nothing, or too
        much: they are left out.
        """
        choice, logprobs = piece.choice, None
        if self._heard.received(choice) == told.texts:
            if told.citations:
                yield _Part(choice, {"annotations": told.citations})
            logprobs = self._heard.logprobs(choice)
        indices = sorted({channel.index for channel in told.calls if channel.kind == "tool"})
        for position, index in enumerate(indices):
            tool = self._heard.tools[choice, index]
            parts = ("name", INPUTS[tool["type"]])
            name, given = (told.calls.get(Channel(choice, "tool", index, p), "") for p in parts)
            # The name introduces the call, as the API streams it; clients add what it is given.
            head = {"index": position, **tool, tool["type"]: {"name": name, parts[1]: ""}}
            yield _Part(choice, {"tool_calls": [head]})
            if given:
                more = {"index": position, tool["type"]: {parts[1]: given}}
                yield _Part(choice, {"tool_calls": [more]})
        if any(channel.kind == "function" for channel in told.calls):
            names = ("name", "arguments")
            called = {p: told.calls.get(Channel(choice, "function", 0, p), "") for p in names}
            yield _Part(choice, {"function_call": called})
        yield _Part(choice, {}, piece.reason, logprobs)

    def _refusal(self, piece: Refused, told: _Told) -> Iterator[_Part]:
        if self._json_promised:
            # Both for the SDK, which parses no content beside a refusal, and for json.loads.
            if not told.said("content").strip():
                words = json.dumps({"refusal": piece.words}, ensure_ascii=False)
                yield _Part(piece.choice, {"content": words})
            yield _Part(piece.choice, {"refusal": behind(told.said("refusal"), piece.words)})
            yield _Part(piece.choice, {}, "stop")
        else:
            yield _Part(piece.choice, {"content": behind(told.said("content"), piece.words)})
            yield _Part(piece.choice, {}, "content_filter")

    def _chunk_of(self, choices: list[Body], *, usage: Body | None = None) -> Body:
        chunk = {**self._headed("chat.completion.chunk"), "choices": choices}
        return chunk if usage is None else {**chunk, "usage": usage}


def behind(text: str, words: str) -> str:
    """Words to stand behind a text: with a space where it ends in a letter or a stop."""
    return f" {words}" if text[-1:].strip() else words


def _choice_chunk(part: _Part) -> Body:
    return {
        "index": part.choice,
        "delta": part.delta,
        "logprobs": part.logprobs,
        "finish_reason": part.reason,
    }


def _blank(index: int) -> Body:
    message = {"role": "assistant", "content": None, "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": None}


def _add(message: Body, delta: Body) -> None:
    """Add a chunk's fields to a message, as a client that reads the stream does."""
    for key, value in delta.items():
        if key != "tool_calls":
            message[key] = message[key] + value if message.get(key) else value
            continue
        for call in value:
            fields = {name: part for name, part in call.items() if name != "index"}
            if "id" in call:
                message.setdefault("tool_calls", []).append(fields)
            else:
                for kind, given in fields.items():
                    message["tool_calls"][-1][kind] |= given
