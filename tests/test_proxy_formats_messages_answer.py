"""Anthropic answers taken apart, without any server and any screen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import (
    Body,
    Channel,
    Closed,
    Delta,
    Finished,
    FormatError,
    Piece,
)
from proxy.formats import messages

CITED: Body = {
    "type": "char_location",
    "cited_text": "a line",
    "document_index": 0,
    "document_title": "Paper",
    "start_char_index": 0,
    "end_char_index": 6,
    "file_id": "file_1",
}
CALL: Body = {"type": "tool_use", "id": "toolu_x", "name": "f", "input": {"a": [1, "é"]}}


def text(said: str, **fields: Any) -> Body:
    return {"type": "text", "text": said, **fields}


def answer(**fields: Any) -> Any:
    source = {"type": "file", "file_id": "file_1"}
    turn = {"role": "user", "content": [{"type": "document", "source": source}]}
    return messages.answer(messages.read({"model": "m", "messages": [turn], **fields}))


def message(*content: Body, **fields: Any) -> Body:
    return {
        "id": "msg_x",
        "type": "message",
        "role": "assistant",
        "model": "theirs",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 4},
        **fields,
    }


def test_identifiers_are_ours_and_of_the_apis_kind() -> None:
    told = answer()
    whole = told.response(told.whole(message(CALL)))
    assert whole["id"].startswith("msg_")
    assert whole["content"][0]["id"].startswith("toolu_")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("stop_sequence", "stop_sequence"),
        ("pause_turn", "pause_turn"),
        ("Ann was born", "end_turn"),
        (["x"], "end_turn"),
    ],
)
def test_reasons_are_of_a_closed_set(theirs: Any, ours: str) -> None:
    told = answer(stop_sequences=["END"])
    given = message(text("x"), stop_reason=theirs, stop_sequence="END")
    written = told.response(told.whole(given))
    assert written["stop_reason"] == ours
    assert written["stop_sequence"] == ("END" if ours == "stop_sequence" else None)
    silent = answer()
    assert silent.response(silent.whole(given))["stop_sequence"] is None


def test_a_limit_is_told_in_the_word_of_the_core_and_an_unsaid_end_is_the_usual_one() -> None:
    told = answer()
    assert told.whole(message(stop_reason="max_tokens")) == [Finished(0, "length")]
    assert told.response([Finished(0, "length")])["stop_reason"] == "max_tokens"
    assert told.response([Finished(0, "stop")])["stop_reason"] == "end_turn"
    calling = answer()
    calling.whole(message(CALL))
    assert calling.response([Finished(0, "stop")])["stop_reason"] == "tool_use"
    ended = answer()
    assert ended.feed({"type": "message_stop"}) == [Finished(0, "end_turn")]
    assert ended.feed({"type": "message_stop"}) == []


def test_text_blocks_with_nothing_to_be_seen_between_them_are_one_text() -> None:
    dropped = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    pieces = answer().whole(message(text("Otto"), dropped, text("line"), CALL, text("x")))
    spoken = [(str(p.channel), p.text) for p in pieces if isinstance(p, Delta)]
    assert spoken[:2] == [("0.content", "Otto"), ("0.content", "line")]
    assert spoken[-1] == ("0.content.2.text", "x")
    assert [str(p.channel) for p in pieces if isinstance(p, Closed)] == ["0.content"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error"},
        {"type": "content_block_start", "content_block": text("x")},
        {"type": "content_block_start", "index": True, "content_block": text("x")},
        {"type": "content_block_start", "index": 5000, "content_block": text("x")},
        {"type": "content_block_start", "index": 0, "content_block": text("x")},
        {"type": "content_block_start", "index": 9, "content_block": "x"},
        {"type": "content_block_start", "index": 9, "content_block": {"text": "x"}},
        {"type": "content_block_start", "index": 9, "content_block": {**CALL, "name": ""}},
        {"type": "content_block_start", "index": 9, "content_block": {**CALL, "input": "x"}},
        {"type": "content_block_start", "index": 9, "content_block": text("x", citations="x")},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ["x"]}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "x"},
        },
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": "{}"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "citations_delta", "citation": {**CITED, "cited_text": 3}},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "citations_delta", "citation": {**CITED, "document_index": "Ann"}},
        },
        {"type": "content_block_stop", "index": 9},
        {"type": "message_delta", "delta": "x"},
        {"type": "message_start", "message": "x"},
    ],
)
def test_a_malformed_event_is_an_error(event: Body) -> None:
    told = answer()
    begun = [(1, text("x")), (0, text("x")), (2, CALL)]  # the second text ends the first
    for index, block in begun:
        told.feed({"type": "content_block_start", "index": index, "content_block": block})
    with pytest.raises(FormatError):
        told.feed(event)


def test_a_message_without_content_is_an_error() -> None:
    for wrong in ({}, {"content": None}, {"content": "x"}, {"content": ["x"]}):
        with pytest.raises(FormatError):
            answer().whole(wrong)


def test_calls_may_be_told_side_by_side() -> None:
    told = answer()
    pieces: list[Piece] = []
    for index in (0, 1):
        start = {"type": "content_block_start", "index": index, "content_block": CALL}
        pieces += told.feed({**start, "content_block": {**CALL, "input": {}}})
    for part in ('{"a"', ": 1}"):
        for index in (0, 1):
            delta = {"type": "input_json_delta", "partial_json": part}
            pieces += told.feed({"type": "content_block_delta", "index": index, "delta": delta})
    whole = told.response([*pieces, Finished(0, "tool_use")])
    assert [block["input"] for block in whole["content"]] == [{"a": 1}, {"a": 1}]
    assert len({block["id"] for block in whole["content"]}) == 2


def test_a_call_that_was_cut_off_is_written_as_it_came() -> None:
    told = answer()
    pieces = [
        Delta(Channel(0, "tool", 0, "name"), "f"),
        Delta(Channel(0, "tool", 0, "input"), '{"a": "b'),
        Finished(0, "length"),
    ]
    told.whole(message({**CALL, "input": {}}))
    assert told.response(pieces)["content"][0]["input"] == {}
    deltas = [event["delta"] for event in told.events(pieces) if "delta" in event]
    assert deltas[0]["partial_json"] == '{"a": "b'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "thinking", "citations", "name", "input", "delta"]),
            inner | st.sampled_from(["text", "thinking", "tool_use", "text_delta"]),
            max_size=4,
        )
    ),
    max_leaves=10,
)
KINDS = [
    "message_start",
    "message_delta",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
]
some_events = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        "index": st.integers(-1, 3),
        "content_block": json_values
        | st.sampled_from([CALL, text("x"), text("x", citations=[CITED])]),
        "delta": json_values,
        "message": json_values,
        "usage": json_values,
    },
)


@given(st.lists(some_events, max_size=6))
def test_no_shape_of_an_upstream_raises_anything_else(given: list[Body]) -> None:
    told = answer()
    pieces: list[Piece] = []
    for event in given:
        try:
            pieces += told.feed(event)
        except FormatError:
            break
    told.events([*pieces, Finished(0, "stop")])
    told.response([*pieces, Finished(0, "stop")])
