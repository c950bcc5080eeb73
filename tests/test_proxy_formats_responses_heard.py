"""What an upstream of the responses API said, as pieces: each text once, however it is told."""

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.exchange import Body, Closed, Delta, Piece
from proxy.formats import responses
from proxy.formats.responses_answer import ResponsesAnswer

PLACE = {"output_index": 0, "content_index": 0}
DONE = {"type": "response.output_text.done", **PLACE}
DELTA = {"type": "response.output_text.delta", **PLACE}


def answer() -> ResponsesAnswer:
    return responses.answer(responses.read({"model": "m", "input": "Who paints?"}))


def message(*parts: Body, **fields: Any) -> Body:
    return {
        "id": "msg_theirs",
        "type": "message",
        "role": "assistant",
        "content": list(parts),
        **fields,
    }


def text(words: str) -> Body:
    return {"type": "output_text", "text": words, "annotations": []}


def completed(*items: Body) -> Body:
    response = {"id": "resp_theirs", "status": "completed", "output": list(items)}
    return {"type": "response.completed", "response": response}


def said(made: ResponsesAnswer, *events: Body) -> list[Piece]:
    return [piece for event in events for piece in made.feed(event)]


def deltas(pieces: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, Delta)]


@pytest.mark.parametrize(
    "events",
    [
        [{**DONE, "text": "It rains. Yes."}],
        [{"type": "response.content_part.done", **PLACE, "part": text("It rains. Yes.")}],
        [{"type": "response.content_part.added", **PLACE, "part": text("It rains. Yes.")}],
        [{"type": "response.output_item.done", **PLACE, "item": message(text("It rains. Yes."))}],
        [{"type": "response.output_item.added", **PLACE, "item": message(text("It rains. Yes."))}],
        [],
        [{**DELTA, "delta": "It rains."}],
        [{**DELTA, "delta": "It rains."}, {**DONE, "text": "It rains. Yes."}],
        [{**DELTA, "delta": "It rains. Yes."}, {**DONE, "text": "It rains.  Yes!"}],
        [
            {"type": "response.output_item.added", **PLACE, "item": message()},
            {"type": "response.output_item.done", **PLACE, "item": message()},
        ],
    ],
)
def test_a_text_is_taken_up_once_wherever_it_comes_first(events: list[Body]) -> None:
    made = answer()
    everything = [*events, completed(message(text("It rains. Yes."), id="another"))]
    pieces = said(made, *everything)
    assert "".join(deltas(pieces)) == "It rains. Yes."


def test_items_that_the_end_tells_in_other_words_are_not_said_twice() -> None:
    made = answer()
    first = message(text("One."), id="a")
    pieces = said(
        made,
        {"type": "response.output_item.done", "output_index": 1, "item": first},
        {
            "type": "response.output_item.done",
            "output_index": 7,
            "item": message(text("Two."), id="b"),
        },
        completed(message(text("Two."), id="b"), message(text("One!"), id="c")),
    )
    assert deltas(pieces) == ["One.", "Two."]


def test_a_part_ends_where_one_of_another_kind_begins() -> None:
    made = answer()
    refused = {"type": "response.refusal.delta", "output_index": 0, "content_index": 1}
    pieces = said(made, {**DELTA, "delta": "Rain. "}, {**refused, "delta": "No."})
    assert [type(piece) for piece in pieces] == [Delta, Closed, Delta]


def test_an_item_that_others_have_followed_says_nothing_late() -> None:
    made = answer()
    late = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]}
    pieces = said(
        made,
        {"type": "response.output_item.done", "output_index": 0, "item": {**late, "summary": []}},
        {**DELTA, "output_index": 1, "delta": "Rain."},
        completed(late, message(text("Rain."))),
    )
    assert deltas(pieces) == ["Rain."]
