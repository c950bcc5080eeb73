"""Content blocks written in their order from what was released of them, and as they came."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import (
    Answer,
    Body,
    Channel,
    Closed,
    Delta,
    Finished,
    Piece,
    Refused,
)
from proxy.formats import messages
from proxy.formats.messages_blocks import folded

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
THOUGHT: Body = {"type": "thinking", "thinking": "Hm. ", "signature": "c2ln"}


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


def filling(block: Body) -> Iterator[Body]:
    """The beginning of a block and the deltas that fill it, as the API streams them."""
    kind = block["type"]
    if kind == "tool_use":
        yield {**block, "input": {}}
        yield {"type": "input_json_delta", "partial_json": ""}
        for letter in json.dumps(block["input"]):
            yield {"type": "input_json_delta", "partial_json": letter}
    elif kind == "thinking":
        yield {**block, "thinking": "", "signature": ""}
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        yield {"type": "text", "text": ""}
        for letter in block["text"]:
            yield {"type": "text_delta", "text": letter}
        for citation in block.get("citations", ()):
            yield {"type": "citations_delta", "citation": citation}


def streamed(given: Body) -> Iterator[Body]:
    empty = {**given, "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": empty}
    for index, block in enumerate(given["content"]):
        start, *deltas = filling(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": given["stop_reason"], "stop_sequence": given["stop_sequence"]}
    yield {"type": "message_delta", "delta": ending, "usage": given["usage"]}
    yield {"type": "message_stop"}


def kept(block: Body) -> Body:
    """A block as it may come out: identifiers are ours, signatures are gone."""
    ours = {"tool_use": {"id": "ours"}, "thinking": {"signature": ""}}
    return {**block, **ours.get(block["type"], {})}


def built(events: list[Body]) -> list[Body]:
    """The blocks of a stream whose indices are in order and whose blocks do not overlap."""
    index = -1
    for event in events:
        if event["type"] == "content_block_start":
            index += 1
        if "index" in event:
            assert event["index"] == index
    kinds = [event["type"].removeprefix("content_block_") for event in events]
    starts, stops = kinds.count("start"), kinds.count("stop")
    assert starts == stops
    return [kept(block) for block in folded(events)]


def heard(given: Body, **fields: Any) -> tuple[list[Body], list[Body]]:
    """A message streamed through an answer, each piece released as it comes."""
    told: Answer = answer(**fields)
    events = [out for event in streamed(given) for out in told.events(told.feed(event))]
    return built(events), [*events, *told.end()]


CONTENTS: list[list[Body]] = [
    [],
    [text("One. Two.")],
    [THOUGHT, text("One.")],
    [text("One."), CALL, text("Two."), THOUGHT, CALL],
    [text("One "), text("two ", citations=[CITED, CITED]), text("three.")],
    [CALL, {**CALL, "name": "g", "input": {}}],
    [{**CALL, "toolset_name": "browser"}],
    [
        text(
            "x",
            citations=[
                {
                    "type": "page_location",
                    "cited_text": "c",
                    "document_index": 0,
                    "document_title": None,
                    "start_page_number": 1,
                    "end_page_number": 2,
                    "file_id": None,
                },
                {
                    "type": "content_block_location",
                    "cited_text": "c",
                    "document_index": 0,
                    "document_title": None,
                    "start_block_index": 1,
                    "end_block_index": 2,
                    "file_id": None,
                },
                {
                    "type": "search_result_location",
                    "cited_text": "c",
                    "search_result_index": 0,
                    "source": "s",
                    "title": "t",
                    "start_block_index": 1,
                    "end_block_index": 2,
                },
                {
                    "type": "web_search_result_location",
                    "cited_text": "c",
                    "url": "u",
                    "title": None,
                    "encrypted_index": "",
                },
            ],
        )
    ],
]


@pytest.mark.parametrize("content", CONTENTS)
def test_an_innocent_message_comes_out_block_by_block(content: list[Body]) -> None:
    told = answer()
    whole = told.response(told.whole(message(*content)))
    assert [kept(block) for block in whole.pop("content")] == [kept(block) for block in content]
    assert whole.pop("id") != "msg_x"
    assert whole == {
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    blocks, events = heard(message(*content))
    assert blocks == [kept(block) for block in content]
    assert [event["type"] for event in (events[0], events[-2], events[-1])] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"] == {"input_tokens": 3, "output_tokens": 0}
    assert events[-2]["usage"] == {"input_tokens": 3, "output_tokens": 4}


def test_a_redaction_puts_the_rest_into_one_block_and_drops_its_citations() -> None:
    told = answer()
    content = Channel(0)
    given = message(
        text("One. ", citations=[CITED]),
        text("Two. ", citations=[CITED]),
        text("Three. "),
        text("Four.", citations=[CITED]),
        THOUGHT,
    )
    pieces = told.whole(given)
    citations = [p for p in pieces if not isinstance(p, Finished) and p.channel.kind != "content"]
    released: list[Piece] = [
        Delta(content, "One. "),
        *citations,
        Delta(content, "[…] "),
        Delta(content, "Three. "),
        Delta(content, "Four."),
        Closed(content),
        pieces[-1],
    ]
    expected = [text("One. ", citations=[CITED]), text("[…] Three. Four."), kept(THOUGHT)]
    assert [kept(block) for block in told.response(released)["content"]] == expected
    assert built(told.events(released)) == expected


def test_a_citation_that_was_redacted_is_gone_and_one_that_is_judged_is_waited_for() -> None:
    told = answer()
    pieces = told.whole(message(text("One. ", citations=[CITED, CITED]), text("Two.")))
    said = [p for p in pieces if isinstance(p, Delta)]
    content, first, second = said[0].channel, said[1].channel, said[2].channel
    events = told.events([said[0], Delta(content, "Two."), Closed(first)])
    assert folded(events) == [text("One. ")]
    events += told.events([said[2], Closed(second), Closed(content), Finished(0, "end_turn")])
    assert built(events) == [text("One. ", citations=[CITED]), text("Two.")]


def test_what_is_cut_off_the_end_of_a_text_leaves_no_empty_block() -> None:
    told = answer()
    told.whole(message(text("One. "), text("Two.", citations=[CITED]), THOUGHT))
    released = [Delta(Channel(0), "One. "), Closed(Channel(0)), Finished(0, "end_turn")]
    assert built(told.events(released)) == [text("One. ")]


def test_later_blocks_wait_until_earlier_ones_have_ended() -> None:
    told = answer()
    pieces = told.whole(message(text("One."), THOUGHT, text("Two.")))
    one, thought, two = (p for p in pieces if isinstance(p, Delta))
    assert told.events([two, thought]) == []
    assert built([*told.events([one, Closed(one.channel)]), *told.events([pieces[-1]])]) == [
        text("One."),
        kept(THOUGHT),
        text("Two."),
    ]


def test_a_refusal_ends_what_is_open_and_counts_nothing() -> None:
    told = answer()
    told.feed({"type": "message_start", "message": message(usage={"input_tokens": 7})})
    told.whole(message(THOUGHT, text("One. Two."), CALL))
    reasoning, content = Channel(0, "reasoning"), Channel(0, "content", 1, "text")
    events = told.events([Delta(reasoning, "Hm. "), Closed(reasoning), Delta(content, "One.")])
    events += told.events([Refused(0, "I do not know.")])
    assert built(events) == [kept(THOUGHT), text("One."), text(" I do not know.")]
    assert events[-1]["delta"] == {"stop_reason": "refusal", "stop_sequence": None}
    assert events[-1]["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert told.events([Delta(content, "more"), Finished(0, "end_turn")]) == []
    alone = told.response([Refused(0, "No.")])
    assert alone["content"] == [text("No.")]
    assert alone["stop_reason"] == "refusal"
    assert alone["usage"] == {"input_tokens": 0, "output_tokens": 0}
    first = answer().events([Refused(0, "No.")])
    assert first[0]["type"] == "message_start"
    assert first[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_where_json_was_promised_a_refusal_is_the_only_json() -> None:
    told = answer(output_config={"format": {"type": "json_schema", "schema": {}}})
    told.whole(message(text('{"a": 1}'), CALL, text('{"b": 1}')))
    first, second = Channel(0), Channel(0, "content", 2, "text")
    released: list[Piece] = [Delta(first, '{"a": 1}'), Closed(first)]
    assert told.events(released) == []
    blocks = built(told.events([Refused(0, "No.")]))
    assert [json.loads(block["text"]) for block in blocks] == [{"refusal": "No."}]
    whole = told.response([*released, Delta(second, '{"b": 1}'), Finished(0, "end_turn")])
    assert [block["text"] for block in whole["content"]] == ['{"a": 1}', '{"b": 1}']


words = st.text(alphabet="ab. é", min_size=1, max_size=8)
said_blocks = st.one_of(
    words.map(text),
    words.map(lambda said: text(said, citations=[CITED])),
    words.map(lambda said: {**THOUGHT, "thinking": said}),
    words.map(lambda said: {**CALL, "input": {"a": said}}),
)


def released(pieces: list[Piece], draw: st.DataObject) -> list[Piece]:
    """Pieces as the windows might release them: each channel in order, calls at the end."""
    queues: dict[Channel, list[Piece]] = {}
    calls: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Delta | Closed):
            call = piece.channel.kind == "tool"
            (calls if call else queues.setdefault(piece.channel, [])).append(piece)
    for channel, queue in queues.items():
        if not isinstance(queue[-1], Closed):
            queue.append(Closed(channel))
    out: list[Piece] = []
    while waiting := [channel for channel, queue in queues.items() if queue]:
        out.append(queues[draw.draw(st.sampled_from(waiting))].pop(0))
    return [*out, *calls, pieces[-1]]


@given(st.lists(said_blocks, max_size=6), st.data())
def test_in_whatever_order_pieces_are_released_the_blocks_are_the_same(
    content: list[Body], draw: st.DataObject
) -> None:
    told = answer()
    pieces = [piece for event in streamed(message(*content)) for piece in told.feed(event)]
    order = released(pieces, draw)
    events = [event for piece in order for event in told.events([piece])]
    assert built(events) == [kept(block) for block in content]
    again = told.response(order)["content"]
    assert [kept(block) for block in again] == [kept(block) for block in content]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_signature_passes_only_where_policies_allow_it(allowed: bool) -> None:
    given = message(THOUGHT, text("So it is."))
    asked = messages.read({"model": "m", "messages": [{"role": "user", "content": "Why?"}]})
    asked = replace(asked, allowed=frozenset({"opaque"} if allowed else ()))
    told = messages.answer(asked)
    whole = told.response(told.whole(given))["content"]
    told = messages.answer(asked)
    events = [out for event in streamed(given) for out in told.events(told.feed(event))]
    assert folded(events) == whole
    assert whole[0] == {**THOUGHT, "signature": "c2ln" if allowed else ""}


def test_a_thought_that_was_redacted_is_not_signed() -> None:
    asked = messages.read({"model": "m", "messages": [{"role": "user", "content": "Why?"}]})
    told = messages.answer(replace(asked, allowed=frozenset({"opaque"})))
    first, *rest = told.whole(message(THOUGHT, text("So it is.")))
    assert isinstance(first, Delta)
    [thought, _] = told.response([replace(first, text="[…]"), *rest])["content"]
    assert thought == {"type": "thinking", "thinking": "[…]", "signature": ""}
