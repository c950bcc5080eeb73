"""What an upstream of the responses API must not send: refused, and quoted nowhere."""

from typing import Any

import pytest

from proxy.exchange import Body, Channel, Delta, FormatError
from proxy.formats import responses
from proxy.formats.responses_answer import ResponsesAnswer

PLACE = {"output_index": 0, "content_index": 0}
DONE = {"type": "response.output_text.done", **PLACE}
DELTA = {"type": "response.output_text.delta", **PLACE}


def answer() -> ResponsesAnswer:
    return responses.answer(responses.read({"model": "m", "input": "Who paints?"}))


def message(*parts: Any) -> Body:
    return {"id": "msg_theirs", "type": "message", "role": "assistant", "content": list(parts)}


def feed(made: ResponsesAnswer, *events: Body) -> None:
    for event in events:
        made.feed(event)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": ["response.created"]},
        {"type": "error", "message": "Ann"},
        {"type": "response.failed", "response": {"error": {"message": "Ann"}}},
        {**DELTA, "delta": 3},
        {**DELTA, "delta": ["Ann"]},
        {**DELTA, "delta": "Ann", "output_index": None},
        {**DELTA, "delta": "Ann", "output_index": True},
        {**DELTA, "delta": "Ann", "content_index": -1},
        {**DONE, "text": None},
        {"type": "response.output_item.added", "item": message()},
        {"type": "response.output_item.done", "output_index": 0, "item": "Ann"},
        {"type": "response.output_item.done", "output_index": 0, "item": message("Ann")},
        {"type": "response.function_call_arguments.delta", "output_index": 9, "delta": "{}"},
        {"type": "response.content_part.done", **PLACE, "part": {"type": "refusal"}},
        {"type": "response.completed", "response": "Ann"},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "function_call", "name": "Ann", "arguments": "{}"},
        },
        {"type": "response.completed", "response": {"output": ["Ann"]}},
    ],
)
def test_what_is_not_the_formats_is_refused_and_not_quoted(event: Body) -> None:
    made = answer()
    feed(made, {**DELTA, "delta": "It rains."})
    feed(made, {"type": "response.output_item.added", "output_index": 9, "item": {"type": "x"}})
    with pytest.raises(FormatError) as caught:
        made.feed(event)
    assert "Ann" not in str(caught.value)


@pytest.mark.parametrize("status", ["failed", "in_progress", "queued", "cancelled", 3])
def test_a_response_that_is_not_complete_is_none(status: object) -> None:
    with pytest.raises(FormatError):
        answer().whole({"status": status, "output": []})
    with pytest.raises(FormatError):
        answer().whole({"status": "completed"})


def test_a_part_that_has_ended_does_not_speak_on() -> None:
    made = answer()
    feed(made, {**DELTA, "delta": "One."}, {**DELTA, "content_index": 1, "delta": "Two."})
    with pytest.raises(FormatError):
        made.feed({**DELTA, "delta": "Three."})


def test_an_error_is_an_event_of_its_own() -> None:
    made = answer()
    made.events([Delta(Channel(0), "x")])
    told = made.broken(responses.error("it broke", status=502, param="p"))
    assert told == {
        "type": "error",
        "code": "api_error",
        "message": "it broke",
        "param": "p",
        "sequence_number": 2,
    }
