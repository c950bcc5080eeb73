"""One completion taken apart into pieces, and put together again from what was released.

Knows no policy, no HTTP and no request but the few facts of it that shape an answer. Shapes: the
pages named in `proxy.formats.completions`. A stream's events have the shape of a whole answer.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace

from proxy.exchange import (
    Body,
    Channel,
    Delta,
    Finished,
    FormatError,
    Piece,
    Refused,
    Request,
    choice_of,
)
from proxy.formats.chat_answer import NO_USAGE, behind
from proxy.formats.chat_heard import COUNTS, finished
from proxy.formats.reading import a_text, counts, objects

REASONS = {"stop", "length", "content_filter"}
MOST_BEHIND = 4000  # characters of a suffix that a name begun in the completion may end in


class CompletionAnswer:
    """One upstream answer, taken apart and put together again from what was released."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._json_promised = request.json_promised
        self._choices = request.choices
        self._suffix = str(request.body.get("suffix") or "")[:MOST_BEHIND]
        self._usage_wanted = request.usage_wanted
        self._logprobs_allowed = any(c.name == "logprobs" for c in request.side_channels)
        self._head: Body = {"id": f"cmpl-{uuid.uuid4().hex}", "created": int(time.time())}
        self._usage: Body = {}
        self._received: dict[int, list[str]] = {}
        self._logprobs: dict[int, Body] = {}
        self._told: dict[int, str] = {}  # of each choice, in the stream
        self._refused = False

    def feed(self, event: Body) -> list[Piece]:
        """Take one event apart. Raises FormatError on a shape that is not a completion's."""
        self._read_usage(event)
        return [piece for choice in objects(event, "choices") for piece in self._heard(choice)]

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        self._read_usage(response)
        pieces: list[Piece] = []
        for choice in objects(response, "choices"):
            reason = choice.get("finish_reason") or "stop"
            pieces += self._heard({**choice, "finish_reason": reason})
        if not pieces:
            raise FormatError("choices: the answer has none")
        return pieces

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as events."""
        choices = [choice for piece in pieces for choice in self._written(piece, self._told)]
        return [self._body([choice]) for choice in choices]

    def end(self) -> list[Body]:
        """The event with the usage, where the client asked for one."""
        return [{**self._body([]), "usage": self._counted()}] if self._usage_wanted else []

    def broken(self, error: Body) -> Body:
        """An error as an event: the same object."""
        return error

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces as one completion."""
        self._refused = False
        told: dict[int, str] = {}
        choices: dict[int, Body] = {}
        for piece in pieces:
            for choice in self._written(piece, told):
                if choice["finish_reason"]:
                    choices[choice["index"]] = {**choice, "text": told[choice["index"]]}
        body = self._body([choices[index] for index in sorted(choices)])
        return {**body, "usage": self._counted()}

    def _read_usage(self, body: Body) -> None:
        if isinstance(body.get("usage"), dict):
            self._usage = counts(body["usage"], COUNTS)

    def _counted(self) -> Body:
        return NO_USAGE if self._refused else {**NO_USAGE, **self._usage}

    def _heard(self, choice: Body) -> Iterator[Piece]:
        index = choice.get("index", 0)
        if type(index) is not int or not 0 <= index < self._choices:
            raise FormatError("choices: an index that was not asked for")
        if choice.get("text"):
            yield from self._said(index, a_text(choice["text"], "text"))
        if self._logprobs_allowed and isinstance(choice.get("logprobs"), dict):
            _keep(self._logprobs.setdefault(index, {}), choice["logprobs"])
        if choice.get("finish_reason"):  # some servers send an empty one until the end
            end = finished(index, choice["finish_reason"])
            yield end if end.reason in REASONS else replace(end, reason="stop")

    def _said(self, index: int, text: str) -> Iterator[Piece]:
        begins = index not in self._received
        self._received.setdefault(index, []).append(text)
        yield Delta(Channel(index), text)
        if begins and self._suffix:
            # Whoever reads the completion reads this behind it: both are judged side by side.
            yield Delta(Channel(index, "content", 1, "suffix"), self._suffix)

    def _written(self, piece: Piece, told: dict[int, str]) -> Iterator[Body]:
        """A piece as choices of events; `told` grows by their texts."""
        index = choice_of(piece)
        before = told.setdefault(index, "")
        text, reason, logprobs = "", None, None
        if isinstance(piece, Delta):
            text = "" if piece.channel.part else piece.text
        elif isinstance(piece, Finished):
            reason = piece.reason
            # Tokens of what was cut out would be left beside it.
            if before == "".join(self._received.get(index, ())):
                logprobs = self._logprobs.get(index)
        elif isinstance(piece, Refused):
            self._refused = True
            text, reason = self._refusal(piece, before)
        if text or reason:
            told[index] = before + text
            yield {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}

    def _refusal(self, piece: Refused, before: str) -> tuple[str, str]:
        if not self._json_promised:
            return behind(before, piece.words), "content_filter"
        said = json.dumps({"refusal": piece.words}, ensure_ascii=False)
        return "" if before.strip() else said, "stop"

    def _body(self, choices: list[Body]) -> Body:
        head = {**self._head, "object": "text_completion", "model": self._model}
        return {**head, "choices": choices}


def _keep(kept: Body, logprobs: Body) -> None:
    """Add the known lists of an event's log probabilities to those before it."""
    shapes = {"text_offset": (int,), "token_logprobs": (int, float), "tokens": (str,)}
    for key, shape in shapes.items():
        listed = logprobs.get(key)
        if isinstance(listed, list):
            # The first token of an echoed prompt has no probability.
            known = [item if type(item) in shape else None for item in listed]
            kept.setdefault(key, []).extend(known)
    ranked = logprobs.get("top_logprobs")
    if isinstance(ranked, list):
        kept.setdefault("top_logprobs", []).extend(map(_numbers, ranked))


def _numbers(alternatives: object) -> Body | None:
    if not isinstance(alternatives, dict):
        return None
    return {key: value for key, value in alternatives.items() if type(value) in (int, float)}
