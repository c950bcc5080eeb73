"""Every string that the SDK's types know in what an upstream says: screened or left out."""

import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from openai import BaseModel
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent

from proxy.exchange import Body, Delta, Finished, FormatError, Piece
from proxy.formats import responses
from proxy.formats.responses_answer import ResponsesAnswer

PHRASE = "Ottoline Vask"
INNOCENT = "It rains."
HEADS = {"response.created", "response.in_progress", "response.queued"}


def variants(annotation: Any) -> Iterator[Any]:
    """Samples of a type, one for each alternative in it; the first uses the first of each."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from variants(inner[0])
    elif origin in (Union, types.UnionType):
        for one in inner:
            if one is not type(None):
                yield from variants(one)
    elif origin is Literal:
        yield inner[0]
    elif origin is list:
        yield from ([sample] for sample in variants(inner[0]))
    elif origin is dict:
        yield from ({"key": sample} for sample in variants(inner[1]))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from modelled(annotation)
    elif annotation in (int, float, bool):
        yield annotation(0)
    else:
        yield INNOCENT


def modelled(model: type[BaseModel]) -> Iterator[Body]:
    found = {
        field.alias or name: list(variants(field.annotation))
        for name, field in model.model_fields.items()
    }
    first = {name: samples[0] for name, samples in found.items()}
    yield first
    for name, samples in found.items():
        yield from ({**first, name: sample} for sample in samples[1:])


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(node, str):
        yield path
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from leaves(value, (*path, number))


def planted(node: Any, path: tuple[str | int, ...]) -> Any:
    """A copy with the phrase at a path."""
    if not path:
        return PHRASE
    copy = node.copy()
    copy[path[0]] = planted(node[path[0]], path[1:])
    return copy


ITEMS = list(variants(ResponseOutputItem))
BARE = {**next(modelled(Response)), "status": "completed", "output": []}
EVENT_TYPES = get_args(get_args(ResponseStreamEvent)[0])


def with_response(kind: str) -> Iterator[Body]:
    yield {"type": kind, "sequence_number": 0, "response": BARE}
    if kind not in HEADS:
        for item in ITEMS:
            whole = {**BARE, "output": [item]}
            yield {"type": kind, "sequence_number": 0, "response": whole}


def events() -> Iterator[Body]:
    for model in EVENT_TYPES:
        if "response" in model.model_fields:
            yield from with_response(get_args(model.model_fields["type"].annotation)[0])
        else:
            yield from modelled(model)


REQUEST: Body = {"model": "m", "input": "Who paints?"}


def heard(answer: ResponsesAnswer, event: Body) -> list[Piece]:
    try:
        return answer.feed(event)
    except FormatError:
        return []


def cleared(pieces: list[Piece]) -> list[Piece]:
    """Pieces without the one that a screen would have stopped."""
    return [piece for piece in pieces if not isinstance(piece, Delta) or PHRASE not in piece.text]


def said(event: Body) -> tuple[list[Piece], str]:
    """What goes to the screens of one event, and all that goes out without what they stop."""
    answer = responses.answer(responses.read(REQUEST))
    pieces = heard(answer, event)
    released = cleared(pieces)
    if not any(isinstance(piece, Finished) for piece in released):
        released.append(Finished(0, "stop"))
    told = [answer.events(released), answer.end(), answer.response(released)]
    return pieces, json.dumps(told)


SAMPLES = list(events())
SCREENED = {
    "annotation": {"container_id", "file_id", "filename", "title", "url"},
    "item": {"arguments", "input", "name", "refusal", "text"},
    "part": {"refusal", "text"},
}


@pytest.mark.parametrize("kind", sorted({event["type"] for event in SAMPLES}))
def test_a_field_is_screened_or_not_passed_on(kind: str) -> None:
    for event in (sample for sample in SAMPLES if sample["type"] == kind):
        for path in leaves(event):
            _, told = said(planted(event, path))
            assert PHRASE not in told, path


def test_what_is_screened_is_everything_that_is_ever_passed_on() -> None:
    passed = set()
    for event in SAMPLES:
        for path in leaves(event):
            pieces, _ = said(planted(event, path))
            if any(isinstance(piece, Delta) and PHRASE in piece.text for piece in pieces):
                shown = [event["type"].removeprefix("response."), *path]
                passed.add(".".join(str(step) for step in shown if isinstance(step, str)))
    in_items = {
        *(f"content.{field}" for field in ("text", "refusal")),
        *(f"content.annotations.{field}" for field in SCREENED["annotation"]),
        *("summary.text", "name", "arguments", "input"),
    }
    assert passed == {
        *(f"{kind}.response.output.{f}" for kind in ("completed", "incomplete") for f in in_items),
        *(f"output_item.{verb}.item.{field}" for verb in ("added", "done") for field in in_items),
        *(
            f"content_part.{verb}.part.{field}"
            for verb in ("added", "done")
            for field in (*SCREENED["part"], *(f"annotations.{f}" for f in SCREENED["annotation"]))
        ),
        *(f"reasoning_summary_part.{verb}.part.text" for verb in ("added", "done")),
        *(f"output_text.annotation.added.annotation.{f}" for f in SCREENED["annotation"]),
        *("output_text.delta.delta", "output_text.done.text"),
        *("refusal.delta.delta", "refusal.done.refusal"),
        *("reasoning_text.delta.delta", "reasoning_text.done.text"),
        *("reasoning_summary_text.delta.delta", "reasoning_summary_text.done.text"),
        *("function_call_arguments.delta.delta", "function_call_arguments.done.arguments"),
        *("custom_tool_call_input.delta.delta", "custom_tool_call_input.done.input"),
    }


def test_the_same_event_without_the_phrase_arrives() -> None:
    for item in ITEMS:
        event = {"type": "response.output_item.done", "output_index": 0, "item": item}
        _, told = said(event)
        spoken = item["type"] in ("message", "reasoning", "function_call", "custom_tool_call")
        assert (INNOCENT in told) == spoken, item["type"]


def test_a_whole_response_passes_on_no_more() -> None:
    for item in ITEMS:
        body = {**BARE, "output": [item]}
        for path in leaves(body):
            answer = responses.answer(responses.read(REQUEST))
            try:
                pieces = answer.whole(planted(body, path))
            except FormatError:
                continue
            assert PHRASE not in json.dumps(answer.response(cleared(pieces))), path
