"""What no screen saw does not pass: every field of the SDK's own types, and what servers add."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from proxy.exchange import Answer, Body, Delta, Finished, FormatError, Piece, Refused
from proxy.formats import chat, completions, embeddings

WORD = "unscreened"


def filled(kind: Any, variant: int) -> Any:
    """A value of a type with words wherever words fit; of unions, another member each variant."""
    origin, args = get_origin(kind), get_args(kind)
    members = [arg for arg in args if arg is not NoneType]
    if origin is list:
        return [filled(args[0], variant), filled(args[0], variant + 1)]
    if origin is dict:
        return {WORD: filled(args[1], variant)}
    if origin is Literal:
        return args[variant % len(args)]
    if origin is not None:
        several = origin in (Union, UnionType)
        return filled(members[variant % len(members) if several else 0], variant)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return {name: filled(field.annotation, variant) for name, field in fields}
    return {str: WORD, int: 0, float: 0.5, bool: True}.get(kind, WORD)


EXTRAS: dict[str, Any] = {
    "prompt_token_ids": [1],
    "token_ids": [1],
    "kv_transfer_params": {"text": WORD},
    "prompt_logprobs": [{"1": {"decoded_token": WORD}}],
    "stop_reason": WORD,
    "native_finish_reason": WORD,
    "provider": WORD,
    "citations": [WORD],
    "search_results": [{"title": WORD, "url": WORD}],
    "images": [{"image_url": {"url": WORD}}],
    "related_questions": [WORD],
    "reasoning_details": [{"type": "reasoning.text", "text": WORD}],
    "thinking_blocks": [{"type": "thinking", "thinking": WORD, "signature": WORD}],
    "provider_specific_fields": {"text": WORD},
    "context": {"citations": [{"content": WORD}]},
    "executed_tools": [{"output": WORD}],
    "prompt_filter_results": [{"text": WORD}],
    "timings": {WORD: 1},
    "__verbose": {"content": WORD},
    WORD: WORD,
}


def with_extras(node: Any) -> Any:
    """The same, every object on the way with whatever other servers add somewhere."""
    if isinstance(node, list):
        return [with_extras(item) for item in node]
    if isinstance(node, dict):
        return {**EXTRAS, **{key: with_extras(value) for key, value in node.items()}}
    return node


def shapes(kind: type[BaseModel]) -> Iterator[Body]:
    for variant in range(4):
        shape: Body = filled(kind, variant)
        yield with_extras(shape)
        yield shape


BODIES: dict[str, Body] = {
    "chat": {"messages": [{"role": "user", "content": "Hello"}], "n": 2},
    "completions": {"prompt": ["Hello"], "n": 2},
    "embeddings": {"input": "Hello"},
}
WIRES: dict[str, Any] = {"chat": chat, "completions": completions, "embeddings": embeddings}


def begun(name: str) -> Answer:
    wire = WIRES[name]
    answer: Answer = wire.answer(wire.read({"model": "m", **BODIES[name]}))
    return answer


def placed(shape: Body) -> Body:
    """Choices at the places that were asked for, ending as they may."""
    for index, choice in enumerate(shape["choices"]):
        choice["index"], choice["finish_reason"] = index, "stop"
    return shape


def taken(answer: Answer, shape: Body, *, stream: bool) -> list[Piece]:
    return answer.feed(shape) if stream else answer.whole(shape)


SPEAKING = pytest.mark.parametrize(
    ("name", "kind", "stream"),
    [
        ("chat", ChatCompletion, False),
        ("chat", ChatCompletionChunk, True),
        ("completions", Completion, False),
        ("completions", Completion, True),
    ],
)


@SPEAKING
def test_what_was_held_back_is_nowhere_in_an_answer(
    name: str, kind: type[BaseModel], stream: bool
) -> None:
    for shape in shapes(kind):
        answer = begun(name)
        pieces = taken(answer, placed(shape), stream=stream)
        assert any(isinstance(piece, Delta) for piece in pieces)
        endings: list[list[Piece]] = [
            [piece for piece in pieces if isinstance(piece, Finished)],
            [Refused(choice, "I do not know.") for choice in range(2)],
        ]
        for kept in endings:
            assert WORD not in str(answer.response(kept))
            assert WORD not in str([*answer.events(kept), *answer.end()])


@SPEAKING
def test_what_was_released_is_all_there(name: str, kind: type[BaseModel], stream: bool) -> None:
    for shape in shapes(kind):
        answer = begun(name)
        pieces = taken(answer, placed(shape), stream=stream)
        said = sum(piece.text.count(WORD) for piece in pieces if isinstance(piece, Delta))
        assert said > 0
        assert str(answer.response(pieces)["choices"]).count(WORD) == said
        assert str(answer.events(pieces)).count(WORD) == said


def test_an_embedding_has_no_words() -> None:
    for shape in shapes(CreateEmbeddingResponse):
        answer = begun("embeddings")
        shape["data"] = shape["data"][:1]
        answer.whole(shape)
        assert WORD not in str(answer.response([Finished(0, "stop")]))
        shape["data"][0]["embedding"] = WORD
        with pytest.raises(FormatError):
            answer.whole(shape)
