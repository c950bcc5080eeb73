"""OpenAI embeddings: texts in, numbers out. The answer has no words that a refusal could stand in.

Knows no policy and no HTTP. Shapes: https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from proxy.exchange import (
    Body,
    Finished,
    FormatError,
    Piece,
    Placement,
    Refused,
    Request,
    Said,
    SideChannel,
)
from proxy.fields import check_names
from proxy.formats import chat
from proxy.formats.completions import prompts
from proxy.formats.reading import bounded, count, counts, named, objects, openai_error, switch

route = "/v1/embeddings"
typed = False
last: frozenset[str] = frozenset()
defaults: Mapping[str, Any] = {}
error = openai_error

ENCODINGS = (None, "float", "base64")
MOST_INPUTS = 2048
MOST_DIMENSIONS = 65_536
LARGEST = 1e6  # of a component; letters read as numbers are soon larger
COUNTS = frozenset({"prompt_tokens", "total_tokens"})


def read(body: Body) -> Request:
    """Find every text of a request and where it stands.

    Raises FormatError for a body the endpoint does not define, naming the field.
    """
    check_names(body, chat.NAMES)
    model, given = named(body, "model"), prompts(body, "input")
    if len(given) > MOST_INPUTS:
        raise FormatError(f"input: holds more than {MOST_INPUTS} texts", param="input")
    if body.get("encoding_format") not in ENCODINGS:
        raise FormatError("encoding_format: must be float or base64", param="encoding_format")
    if switch(body, "stream"):
        raise FormatError("stream: embeddings are not streamed", param="stream")
    count(body, "dimensions", most=MOST_DIMENSIONS)
    around = list(chat.fields_around(body))
    if any(isinstance(one, list) for one in given):
        around.append(SideChannel("tokens", "input"))
    return Request(
        body=body,
        model=model,
        stream=False,
        choices=1,
        said=bounded(_texts(body)),
        question=next((text for text in reversed(given) if isinstance(text, str)), ""),
        side_channels=tuple(around),
        speaks=False,
    )


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return the body as it is: numbers follow no instruction."""
    del instruction, placement
    return body


def answer(request: Request) -> "Embeddings":
    """Begin an answer to a request."""
    return Embeddings(request)


class Embeddings:
    """Vectors, as numbers or in base64, and counts of tokens; nothing else."""

    def __init__(self, request: Request) -> None:
        self._model = request.model
        self._expected = len(prompts(request.body, "input"))
        self._data: list[Body] = []
        self._usage: Body = {"prompt_tokens": 0, "total_tokens": 0}

    def feed(self, event: Body) -> list[Piece]:
        """Raise FormatError: embeddings are not streamed."""
        del event
        raise FormatError("embeddings are not streamed")

    def whole(self, response: Body) -> list[Piece]:
        """Keep the vectors. Raises FormatError where they are not as many, or no numbers."""
        self._data = [self._embedding(item, n) for n, item in enumerate(objects(response, "data"))]
        if sorted(item["index"] for item in self._data) != list(range(self._expected)):
            raise FormatError("data: must hold one embedding for each input")
        if isinstance(response.get("usage"), dict):
            self._usage |= counts(response["usage"], COUNTS)
        return [Finished(0, "stop")]

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """No events."""
        del pieces
        return []

    def end(self) -> list[Body]:
        """No events."""
        return []

    def response(self, pieces: Sequence[Piece]) -> Body:
        """The vectors; none where they were refused."""
        refused = any(isinstance(piece, Refused) for piece in pieces)
        return {
            "object": "list",
            "data": [] if refused else self._data,
            "model": self._model,
            "usage": dict.fromkeys(COUNTS, 0) if refused else self._usage,
        }

    def broken(self, error: Body) -> Body:
        """An error as it is."""
        return error

    def _embedding(self, item: Body, position: int) -> Body:
        index, given = item.get("index", position), item.get("embedding")
        if type(index) is not int:
            raise FormatError("data: an index that is no index")
        vector = _coded(given) if isinstance(given, str) else _listed(given)
        return {"object": "embedding", "index": index, "embedding": vector}


def _listed(given: object) -> list[float]:
    if not isinstance(given, list) or not all(type(one) in (int, float) for one in given):
        raise FormatError("embedding: must be an array of numbers or base64")
    try:
        _check(np.array(given, dtype=np.float64))
    except OverflowError:
        raise FormatError("embedding: holds a number that is no component") from None
    return given


def _coded(given: str) -> str:
    """Base64 of 32-bit floats, written again: bits that belong to no float are lost."""
    try:
        raw = base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error):
        raise FormatError("embedding: is no base64") from None
    if len(raw) % 4:
        raise FormatError("embedding: is no base64 of 32-bit floats")
    _check(np.frombuffer(raw, dtype="<f4"))
    return base64.b64encode(raw).decode()


def _check(vector: np.ndarray[Any, Any]) -> None:
    if not 0 < vector.size <= MOST_DIMENSIONS:
        raise FormatError("embedding: has a size that no embedding has")
    # Written so that what is no number fails, too.
    if not bool(np.all(np.abs(vector) <= LARGEST)):
        raise FormatError("embedding: holds a number that is no component")


def _texts(body: Body) -> Iterator[Said]:
    """Every string of the body; several inputs are no turns of one conversation."""
    for key, value in body.items():
        if key not in {"model", "encoding_format"}:
            role = "user" if key == "input" and isinstance(value, str) else "field"
            yield from chat.WORDS.texts(value, (key,), role=role)
