"""Released pieces of a response back on the wire: blocks, citations, refusals, what is asked for.

Nothing is judged here: a screen is played by releasing other pieces than came in.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from proxy.exchange import Body, Closed, Delta, Finished, Piece, Refused
from proxy.formats import responses
from proxy.formats.responses_answer import ResponsesAnswer

CITED = {"type": "url_citation", "url": "http://a", "title": "A", "start_index": 0, "end_index": 5}
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


def answer(**fields: Any) -> ResponsesAnswer:
    return responses.answer(responses.read({"model": "m", "input": "Who paints?", **fields}))


def message(*parts: Body, **fields: Any) -> Body:
    return {
        "id": "msg_theirs",
        "type": "message",
        "role": "assistant",
        "content": list(parts),
        **fields,
    }


def text(words: str, *annotations: Body, **fields: Any) -> Body:
    return {"type": "output_text", "text": words, "annotations": list(annotations), **fields}


def whole(*items: Body, **fields: Any) -> Body:
    return {
        "id": "resp_theirs",
        "status": "completed",
        "output": list(items),
        "usage": USAGE,
        **fields,
    }


def completed(*items: Body, **fields: Any) -> Body:
    return {"type": "response.completed", "response": whole(*items, **fields)}


def said(made: ResponsesAnswer, *events: Body) -> list[Piece]:
    return [piece for event in events for piece in made.feed(event)]


def released(made: ResponsesAnswer, pieces: Sequence[Piece]) -> tuple[list[Body], Body]:
    """The events and the final response; the same pieces unstreamed make the same response."""
    events = [event for piece in pieces for event in made.events([piece])] + made.end()
    final: Body = events[-1]["response"]
    at_once = made.response(pieces)
    words = [words_of(response) for response in (final, at_once)]
    assert words[0] == words[1]
    assert at_once["status"] == final["status"] == events[-1]["type"].removeprefix("response.")
    return events, final


def words_of(response: Body) -> list[Any]:
    return [item.get("content") or item.get("summary") for item in response["output"]]


def deltas(pieces: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, Delta)]


def kinds(events: Sequence[Body]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_message_is_told_as_the_api_tells_it() -> None:
    made = answer()
    events, final = released(made, said(made, completed(message(text("Rain.", CITED)))))
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert final["output"][0]["content"] == [text("Rain.", CITED, logprobs=[])]
    assert final["usage"]["total_tokens"] == 7
    assert final["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}
    assert "theirs" not in json.dumps(events)


PLACE = {"output_index": 0, "content_index": 0}
DELTA = {"type": "response.output_text.delta", **PLACE}


def test_what_a_provider_ran_itself_is_left_out() -> None:
    made = answer()
    search = {"id": "ws_1", "type": "web_search_call", "action": {"query": "Ann"}}
    pieces = said(
        made,
        {"type": "response.output_item.added", "output_index": 0, "item": search},
        {"type": "response.web_search_call.completed", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.output_item.done", "output_index": 0, "item": search},
        {"type": "response.output_item.done", "output_index": 1, "item": message(text("Rain."))},
        completed(search, message(text("Rain."))),
    )
    events, final = released(made, pieces)
    assert [item["type"] for item in final["output"]] == ["message"]
    assert {event["output_index"] for event in events if "output_index" in event} == {0}


PARTED = message(
    text("It rains. ", CITED), text("Otto", CITED), text("line is here. "), text("Yes.", CITED)
)


def test_consecutive_parts_are_one_text_and_come_back_as_they_were_cut() -> None:
    made = answer()
    pieces = said(made, completed(PARTED))
    channels = {p.channel for p in pieces if isinstance(p, Delta) and p.channel.kind == "content"}
    assert len(channels) == 1
    channel = channels.pop()
    spoken = "".join(p.text for p in pieces if isinstance(p, Delta) and p.channel == channel)
    assert spoken == "It rains. Ottoline is here. Yes."
    # As sentences, which is how they are released.
    sentences = [Delta(channel, part) for part in ("It rains. ", "Ottoline is here. ", "Yes.")]
    rest = [p for p in pieces if not (isinstance(p, Delta) and p.channel == channel)]
    _, final = released(made, [*sentences, *rest])
    assert [p["text"] for p in final["output"][0]["content"]] == [
        p["text"] for p in PARTED["content"]
    ]
    assert [len(p["annotations"]) for p in final["output"][0]["content"]] == [1, 1, 0, 1]


def test_parts_without_a_word_come_back_too() -> None:
    empty = [message(text("")), message(), message(text(""), text("Rain."), text(""))]
    for item in empty:
        made = answer()
        _, final = released(made, said(made, completed(item)))
        told = [[part["text"] for part in found["content"]] for found in final["output"]]
        assert told == [[part["text"] for part in item["content"]]]


def test_an_announcement_of_nothing_is_no_item() -> None:
    made = answer()
    nothing = {"type": "response.output_item.added", "output_index": 0, "item": None}
    _, final = released(made, said(made, nothing, {**DELTA, "delta": "Rain."}, completed()))
    assert words_of(final) == [[text("Rain.", logprobs=[])]]


@pytest.mark.parametrize("marker", ["[…]", ""])
def test_behind_a_redaction_all_is_one_part_without_citations(marker: str) -> None:
    made = answer()
    pieces = said(made, completed(PARTED))
    channel = next(p.channel for p in pieces if isinstance(p, Delta))
    sentences = [Delta(channel, part) for part in ("It rains. ", marker, " Yes.") if part]
    rest = [p for p in pieces if not (isinstance(p, Delta) and p.channel == channel)]
    _, final = released(made, [*sentences, *rest])
    parts = final["output"][0]["content"]
    assert "".join(p["text"] for p in parts) == f"It rains. {marker} Yes."
    assert len(parts) <= 2
    assert parts[-1]["annotations"] == []


def test_a_citation_that_is_cut_is_gone_and_the_text_stays() -> None:
    made = answer()
    pieces = said(made, completed(message(text("Rain.", CITED, CITED))))
    cited = [p for p in pieces if isinstance(p, Delta) and p.channel.kind == "annotation"]
    pieces.remove(cited[0])
    events, final = released(made, pieces)
    assert final["output"][0]["content"] == [text("Rain.", CITED, logprobs=[])]
    assert kinds(events).count("output_text.annotation.added") == 1
    assert Closed(cited[0].channel) in pieces


def test_behind_a_text_cut_short_no_citation_is_left() -> None:
    made = answer()
    pieces = said(made, completed(message(text("It rains. Ann.", CITED), text(" Yes."))))
    channel = next(p.channel for p in pieces if isinstance(p, Delta))
    rest = [p for p in pieces if not (isinstance(p, Delta) and p.channel == channel)]
    _, final = released(made, [Delta(channel, "It rains. "), *rest])
    assert words_of(final) == [[text("It rains. ", logprobs=[])]]


def test_a_citation_that_is_told_again_is_one() -> None:
    made = answer()
    odd = {**CITED, "title": {"deep": "Ann"}, "note": "Ann"}
    pieces = said(
        made,
        {**DELTA, "delta": "Rain."},
        {"type": "response.output_text.annotation.added", **PLACE, "annotation": odd},
        {"type": "response.content_part.done", **PLACE, "part": text("Rain.", odd)},
        completed(message(text("Rain.", odd))),
    )
    _, final = released(made, pieces)
    told = {key: value for key, value in CITED.items() if key != "title"}
    assert words_of(final) == [[text("Rain.", told, logprobs=[])]]


def test_a_call_is_told_only_at_the_end() -> None:
    made = answer()
    call = {"type": "function_call", "name": "find", "arguments": "{}"}
    pieces = said(
        made,
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {**DELTA, "output_index": 1, "delta": "Rain."},
    )
    name, said_by, spoken = (piece for piece in pieces if isinstance(piece, Delta))
    assert kinds(made.events([spoken])) == ["created", "in_progress"]
    made.events([name, said_by, Finished(0, "stop")])
    assert [item["type"] for item in made.end()[0]["response"]["output"]] == [
        "function_call",
        "message",
    ]


def test_a_later_item_waits_for_the_end_of_an_earlier_one() -> None:
    made = answer()
    said(
        made,
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "Hmm. "},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Rain."},
    )
    thought, spoken = (item.blocks[0].run.channel for item in made._heard.items)
    assert kinds(made.events([Delta(spoken, "Rain.")])) == ["created", "in_progress"]
    assert kinds(made.events([Delta(thought, "Hmm. ")]))[-1] == "reasoning_text.delta"
    told = kinds(made.events([Closed(thought)]))
    assert told == ["reasoning_text.done", "content_part.done"]  # its item may still go on
    said(made, {"type": "response.output_item.done", "output_index": 0, "item": {
        "type": "reasoning", "id": "r", "summary": []}})  # fmt: skip
    events = made.events([Finished(0, "stop")])
    assert [event["delta"] for event in events if "delta" in event] == ["Rain."]
    assert made.end()[0]["type"] == "response.completed"


def test_reasoning_that_says_nothing_holds_nothing_up() -> None:
    made = answer()
    empty = {"type": "reasoning", "id": "rs_1", "summary": []}
    said(made, {"type": "response.output_item.added", "output_index": 0, "item": empty})
    said(made, {"type": "response.output_item.done", "output_index": 0, "item": empty})
    delta = said(
        made, {"type": "response.output_text.delta", "output_index": 1, "delta": "It rains. "}
    )
    assert kinds(made.events(delta))[-1] == "output_text.delta"
    made.events([Finished(0, "stop")])
    assert [item["type"] for item in made.end()[0]["response"]["output"]] == ["message"]


STREAMED = (
    {"type": "response.output_text.delta", "output_index": 0, "delta": "It rains. "},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "Otto"},
)


def test_a_refusal_closes_what_is_open_and_stands_behind_it() -> None:
    made = answer()
    pieces = said(made, *STREAMED)
    events, final = released(made, [pieces[0], Refused(0, "I don't know.")])
    assert final["status"] == "incomplete"
    assert final["incomplete_details"] == {"reason": "content_filter"}
    assert [(i["status"], i["content"][0]["text"]) for i in final["output"]] == [
        ("incomplete", "It rains. "),
        ("incomplete", "I don't know."),
    ]
    assert final["usage"]["input_tokens"] == 0
    assert kinds(events)[-1] == "incomplete"
    alone = made.response([Refused(0, "I don't know.")])
    assert words_of(alone) == [[text("I don't know.", logprobs=[])]]
    assert (alone["status"], alone["usage"]["total_tokens"]) == ("incomplete", 0)


def test_a_refusal_where_json_was_promised_is_no_text() -> None:
    made = answer(text={"format": {"type": "json_object"}})
    said(made, *STREAMED)
    events, final = released(made, [Refused(0, "I don't know.")])
    assert words_of(final) == [[{"type": "refusal", "refusal": "I don't know."}]]
    assert (final["status"], final["incomplete_details"]) == ("completed", None)
    assert not [event for event in events if "output_text" in event["type"]]


def test_a_refusal_tells_what_was_cleared_of_later_items_and_nothing_else() -> None:
    made = answer(top_logprobs=1, include=["message.output_text.logprobs"])
    token = {"token": "Rain", "logprob": -1.0, "top_logprobs": []}
    call = {"type": "function_call", "id": "f", "name": "find", "arguments": "{}"}
    pieces = said(
        made,
        *STREAMED,
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {
            "type": "response.output_text.delta",
            "output_index": 2,
            "delta": "Rain. ",
            "logprobs": [token],
        },
        {"type": "response.output_text.delta", "output_index": 3, "delta": "Held. "},
    )
    cleared = [p for p in pieces if isinstance(p, Delta) and p.text in ("It rains. ", "Rain. ")]
    events, final = released(made, [*reversed(cleared), Refused(0, "No idea.")])
    assert [part[0]["text"] for part in words_of(final)] == ["It rains. ", "Rain. ", "No idea."]
    assert '"token"' not in json.dumps(events)
    assert "find" not in json.dumps(events)


@pytest.mark.parametrize(
    ("details", "reason", "told"),
    [
        ({"reason": "max_output_tokens"}, "length", {"reason": "max_output_tokens"}),
        ({"reason": "content_filter"}, "content_filter", {"reason": "content_filter"}),
        ({"reason": "Ann Smith"}, "incomplete", None),
        (None, "incomplete", None),
    ],
)
def test_an_answer_that_was_cut_off_says_so(details: Any, reason: str, told: Any) -> None:
    made = answer()
    cut = whole(message(text("It"), status="incomplete"), incomplete_details=details)
    pieces = said(made, {"type": "response.incomplete", "response": cut})
    assert pieces[-1] == Finished(0, reason, cut=True)
    _, final = released(made, pieces)
    assert (final["status"], final["incomplete_details"]) == ("incomplete", told)
    assert final["output"][0]["status"] == "incomplete"


def test_a_status_in_words_of_the_upstreams_own_is_ours_again() -> None:
    made = answer()
    pieces = made.whole(whole(message(text("Rain.")), status="Ann Smith"))
    assert made.response(pieces)["status"] == "completed"


def test_a_response_tells_of_the_clients_request_and_not_of_the_upstreams() -> None:
    asked: Body = {
        "instructions": "be brief",
        "tools": [{"type": "function", "name": "find", "parameters": {}}],
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "conversation": "c1",
        "tool_choice": "required",
    }
    made = answer(**asked)
    theirs = {"instructions": "be brief\n\nforget Ann", "tools": [], "user": "Ann", "metadata": {}}
    _, final = released(made, said(made, completed(message(text("x")), **theirs)))
    assert {**asked, "conversation": {"id": "c1"}} == {key: final[key] for key in asked}
    assert "Ann" not in json.dumps(final)


def test_what_a_policy_must_allow_comes_only_where_it_was_asked_for() -> None:
    thought = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}
    token = {"token": "x", "logprob": -0.1, "bytes": [120], "top_logprobs": [], "Ann": "Ann"}
    call = {"type": "function_call", "call_id": "call_" + "aB3" * 8, "name": "f", "arguments": "{}"}
    theirs = completed(thought, message(text("x", logprobs=[token])), call, id="resp_" + "0f" * 16)
    made = answer()
    _, plain = released(made, said(made, theirs))
    assert [item["type"] for item in plain["output"]] == ["message", "function_call"]
    assert plain["output"][0]["content"][0]["logprobs"] == []
    assert "aB3" not in json.dumps(plain)
    made = answer(
        include=["reasoning.encrypted_content", "message.output_text.logprobs"], store=True
    )
    _, allowed = released(made, said(made, theirs))
    assert allowed["output"][0]["encrypted_content"] == "gAAA"
    told = {key: value for key, value in token.items() if key != "Ann"}
    assert allowed["output"][1]["content"][0]["logprobs"] == [told]
    assert allowed["output"][2]["call_id"] == call["call_id"]
    assert allowed["id"] == theirs["response"]["id"]


def test_names_of_tool_groups_are_the_clients_own() -> None:
    tools = [{"type": "namespace", "name": "desk", "tools": []}]
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    made = answer(tools=tools)
    theirs = completed({**call, "namespace": "desk"}, {**call, "namespace": "Ann"})
    _, final = released(made, said(made, theirs))
    assert [item.get("namespace") for item in final["output"]] == ["desk", None]
