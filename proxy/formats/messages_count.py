"""Anthropic token counting: the body of a message, a number for an answer.

Knows no policy and no HTTP. Shapes: https://docs.anthropic.com/en/api/messages-count-tokens
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from proxy.exchange import Body, Finished, FormatError, Piece, Placement, Refused, Request
from proxy.formats import messages

route = "/v1/messages/count_tokens"
typed = True
last = messages.last
defaults: Mapping[str, Any] = {}
error = messages.error


def read(body: Body) -> Request:
    """Find every text of a request, as for a message. Raises FormatError likewise."""
    return replace(messages.read(body), stream=False, speaks=False)


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return the body as it is: the count is of what the client sends and of nothing else."""
    del instruction, placement
    return body


def answer(request: Request) -> "Count":
    """Begin an answer to a request."""
    del request
    return Count()


class Count:
    """One number. It has no words: what cannot be answered is an error."""

    def __init__(self) -> None:
        self._tokens = 0

    def feed(self, event: Body) -> list[Piece]:
        """Raise FormatError: a count is not streamed."""
        del event
        raise FormatError("a count is not streamed")

    def whole(self, response: Body) -> list[Piece]:
        """Keep the number. Raises FormatError where there is none."""
        tokens = response.get("input_tokens")
        if type(tokens) is not int or tokens < 0:
            raise FormatError("input_tokens: must be a count")
        self._tokens = tokens
        return [Finished(0, "stop")]

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """No events."""
        del pieces
        return []

    def end(self) -> list[Body]:
        """No events."""
        return []

    def response(self, pieces: Sequence[Piece]) -> Body:
        """The number; zero where it was refused."""
        refused = any(isinstance(piece, Refused) for piece in pieces)
        return {"input_tokens": 0 if refused else self._tokens}

    def broken(self, error: Body) -> Body:
        """An error as it is."""
        return error
