"""Answers of chat completions into pieces and back, without any server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Body, Channel, Delta, Finished, FormatError, Piece, Refused
from proxy.formats import chat
from proxy.formats.chat_answer import ChatAnswer


def body(**fields: Any) -> Body:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}


def begun(**fields: Any) -> ChatAnswer:
    return chat.answer(chat.read(body(**fields)))


def whole(message: Body, **fields: Any) -> Body:
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **fields}


def test_an_answer_is_taken_apart_and_put_together_again() -> None:
    answer = chat.answer(chat.read(body()))
    message: Body = {
        "content": "Hi",
        "reasoning": "hm",
        "refusal": "no",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
        ],
        "function_call": {"name": "h", "arguments": "[]"},
        "annotations": [{"url_citation": {"title": "unscreened"}}],
    }
    pieces = answer.whole(whole(message, id="chatcmpl-1", usage={"total_tokens": 3, "note": "x"}))
    written = answer.response(pieces)
    back = written["choices"][0]["message"]
    assert back.pop("role") == "assistant"
    # Identifiers are the proxy's own.
    for call, sent in zip(back["tool_calls"], message["tool_calls"], strict=True):
        assert call.pop("id").startswith("call_")
        del sent["id"]
    del message["annotations"]
    assert back == message
    assert written["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 3}
    assert written["id"] != "chatcmpl-1"


def test_prose_where_an_identifier_belongs_is_dropped() -> None:
    answer = chat.answer(chat.read(body()))
    call = {"id": "Ann was born in Rome", "function": {"name": "f", "arguments": "{}"}}
    pieces = answer.whole(
        whole(
            {"tool_calls": [call]},
            id="Ann was born in Rome",
            system_fingerprint="Ann was born",
            model="Ann was born",
            usage={"Ann was born": 1, "detail": {"n": 1.5, "Rome": "x"}},
        )
    )
    assert "Ann" not in str(answer.response(pieces))


@pytest.mark.parametrize(
    "event",
    [
        {"choices": "x"},
        {"choices": [3]},
        {"choices": [{"index": 1, "delta": {"content": "x"}}]},
        {"choices": [{"index": -1}]},
        {"choices": [{"index": 0, "delta": "x"}]},
        {"choices": [{"index": 0, "delta": {"content": 3}}]},
        {"choices": [{"index": 0, "delta": {"content": ["x"]}}]},
        {"choices": [{"index": 0, "delta": {"content": [{"type": "refusal"}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": "x"}]}}]},
    ],
)
def test_a_malformed_event_is_an_error(event: Body) -> None:
    with pytest.raises(FormatError):
        chat.answer(chat.read(body())).feed(event)


def test_an_answer_without_choices_is_an_error() -> None:
    with pytest.raises(FormatError):
        chat.answer(chat.read(body())).whole({"choices": []})


def test_text_parts_and_unserialised_arguments_are_texts() -> None:
    answer = begun()
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"text": "b"},
        {"type": "image", "data": "unscreened"},
    ]
    call = {"function": {"name": "f", "arguments": {"é": 1}}}
    pieces = answer.whole(whole({"content": parts, "tool_calls": [call]}))
    message = answer.response(pieces)["choices"][0]["message"]
    assert message["content"] == "ab"
    assert message["reasoning_content"] == "hm"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"é": 1}'}


def test_two_fields_of_reasoning_are_two_texts() -> None:
    answer = begun()
    pieces = answer.whole(whole({"reasoning": "one", "reasoning_content": "two", "content": "x"}))
    assert len({p.channel for p in pieces if isinstance(p, Delta)}) == 3
    message = answer.response(pieces)["choices"][0]["message"]
    assert (message["reasoning"], message["reasoning_content"]) == ("one", "two")


def call(index: int | None, name: str = "", arguments: str = "", **fields: Any) -> Body:
    function = {"name": name, "arguments": arguments}
    at = {} if index is None else {"index": index}
    return {**at, **fields, "function": {k: v for k, v in function.items() if v}}


def chunk(delta: Body, reason: str | None = None) -> Body:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def fed(answer: ChatAnswer, *deltas: Body, reason: str = "stop") -> list[Piece]:
    """Pieces as release windows hand them out: the texts of each channel in one."""
    pieces = [piece for delta in deltas for piece in answer.feed(chunk(delta))]
    texts: dict[Channel, str] = {}
    for piece in pieces:
        if isinstance(piece, Delta):
            texts[piece.channel] = texts.get(piece.channel, "") + piece.text
    out: list[Piece] = [Delta(channel, text) for channel, text in texts.items()]
    return [*out, *answer.feed(chunk({}, reason))]


def deltas(answer: ChatAnswer, pieces: list[Piece]) -> list[Body]:
    return [event["choices"][0]["delta"] for event in answer.events(pieces)]


def test_chunks_begin_with_a_role_and_introduce_a_call_once() -> None:
    answer = begun()
    parts = [call(0, "f", id="c1"), call(0, arguments="{"), call(0, arguments="}")]
    pieces = fed(answer, *({"tool_calls": [part]} for part in parts), reason="tool_calls")
    first, head, more, last = deltas(answer, pieces)
    assert first == {"role": "assistant", "content": ""}
    assert head["tool_calls"][0]["id"].startswith("call_")
    assert head["tool_calls"][0]["function"] == {"name": "f", "arguments": ""}
    assert more["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]
    assert last == {}


def test_fragments_of_several_calls_find_their_way() -> None:
    """Names in fragments, arguments before names, calls in turn, and calls without an index."""
    answer = begun()
    parts = [
        call(4, arguments='{"a"'),
        call(7, "g", type="function"),
        call(4, "look_"),
        call(7, arguments="[]"),
        call(4, "up", arguments=":1}"),
    ]
    pieces = fed(answer, *({"tool_calls": [part]} for part in parts))
    calls = answer.response(pieces)["choices"][0]["message"]["tool_calls"]
    assert [c["function"] for c in calls] == [
        {"name": "look_up", "arguments": '{"a":1}'},
        {"name": "g", "arguments": "[]"},
    ]
    assert len({c["id"] for c in calls}) == 2

    answer = begun()
    parts = [call(None, "f", "{", id="x"), call(None, arguments="}"), call(None, "g", id="y")]
    pieces = fed(answer, *({"tool_calls": [part]} for part in parts))
    calls = answer.response(pieces)["choices"][0]["message"]["tool_calls"]
    assert [c["function"]["name"] for c in calls] == ["f", "g"]
    assert calls[0]["function"]["arguments"] == "{}"


def test_calls_of_a_whole_answer_are_told_apart_by_their_place() -> None:
    answer = begun()
    pieces = answer.whole(whole({"tool_calls": [call(0, "f", "1"), call(0, "g", "2")]}))
    calls = answer.response(pieces)["choices"][0]["message"]["tool_calls"]
    assert [c["function"]["name"] for c in calls] == ["f", "g"]


def test_usage_closes_a_stream_where_it_was_asked_for() -> None:
    usage = {"choices": [], "usage": {"total_tokens": 1}}
    silent = begun()
    silent.feed(usage)
    assert silent.end() == []
    asked = begun(stream_options={"include_usage": True})
    assert asked.end()[0]["usage"]["total_tokens"] == 0
    asked.feed(usage)
    assert asked.end()[0]["usage"]["total_tokens"] == 1


TOKENS = [{"token": "x", "logprob": -1.0, "bytes": [120], "top_logprobs": []}]


def test_logprobs_pass_only_where_the_request_may_have_them() -> None:
    unknown = {**TOKENS[0], "note": "unscreened"}
    logprobs = {"content": [unknown], "note": "unscreened"}
    reply = whole({"content": "x"})
    reply["choices"][0]["logprobs"] = logprobs
    asked = begun(logprobs=True)
    written = asked.response(asked.whole(reply))["choices"][0]
    assert written["logprobs"] == {"content": TOKENS, "refusal": None}
    silent = begun()
    assert silent.response(silent.whole(reply))["choices"][0]["logprobs"] is None


def test_logprobs_of_a_stream_come_with_its_end_and_only_whole() -> None:
    asked = begun(logprobs=True)
    event = chunk({"content": "x"})
    event["choices"][0]["logprobs"] = {"content": TOKENS}
    asked.feed(event)
    asked.feed(event)
    kept = asked.events([Delta(Channel(0), "xx"), Finished(0, "stop")])
    assert [e["choices"][0]["logprobs"] for e in kept[:-1]] == [None, None]
    assert kept[-1]["choices"][0]["logprobs"]["content"] == TOKENS * 2
    ends: list[tuple[str, Piece]] = [("x […]", Finished(0, "stop")), ("x", Refused(0, "No."))]
    for text, end in ends:
        assert asked.response([Delta(Channel(0), text), end])["choices"][0]["logprobs"] is None


def test_a_function_call_is_written_as_it_came() -> None:
    answer = begun()
    pieces: list[Piece] = [Delta(Channel(0, "function", 0, "name"), "h"), Finished(0, "stop")]
    assert deltas(answer, pieces)[1] == {"function_call": {"name": "h", "arguments": ""}}


CITED = {"url": "http://a/", "title": "Rain", "start_index": 0, "end_index": 4}


def test_citations_are_judged_each_and_come_with_the_text_that_they_are_of() -> None:
    cited = {**CITED, "score": 1, "note": "unscreened"}
    filed = {"type": "file_citation", "file_citation": {"filename": "f", "index": 3}}
    message = {
        "content": "Rain.",
        "annotations": [
            {"type": "url_citation", "url_citation": cited, "note": "unscreened"},
            {"type": "url_citation", "url_citation": cited},
            filed,
            {"type": "novelty", "novelty": {"text": "unscreened"}},
            "unscreened",
        ],
    }
    answer = begun()
    pieces = answer.whole(whole(message))
    judged = [p for p in pieces if isinstance(p, Delta) and p.channel.kind == "annotation"]
    assert [str(p.channel) for p in judged] == [
        "0.annotation.0.url_citation",
        "0.annotation.1.file_citation",
    ]
    assert json.loads(judged[0].text) == {"type": "url_citation", "url_citation": CITED}
    known = [{"type": "url_citation", "url_citation": CITED}, filed]
    assert answer.response(pieces)["choices"][0]["message"]["annotations"] == known
    # One that was held back is missing; where text was, places in it are told no more.
    rest: list[Piece] = [piece for piece in pieces if piece != judged[0]]
    assert answer.response(rest)["choices"][0]["message"]["annotations"] == [filed]
    cut: list[Piece] = [Delta(Channel(0), "[…]"), judged[0], Finished(0, "stop")]
    assert "annotations" not in answer.response(cut)["choices"][0]["message"]
    refused: list[Piece] = [Delta(Channel(0), "Rain."), judged[0], Refused(0, "No.")]
    assert "annotations" not in answer.response(refused)["choices"][0]["message"]
    streamed = begun()
    streamed.feed(chunk(message))
    assert {"annotations": known} in deltas(streamed, pieces)


def read(answer: ChatAnswer, pieces: list[Piece], *, stream: bool) -> tuple[Body, str]:
    """A message and its finish reason, of a stream or of a whole answer."""
    if not stream:
        choice = answer.response(pieces)["choices"][0]
        return choice["message"], choice["finish_reason"]
    message: Body = {}
    events = answer.events(pieces)
    for event in events:
        for key, text in event["choices"][0]["delta"].items():
            message[key] = message.get(key, "") + text
    return message, events[-1]["choices"][0]["finish_reason"]


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAMED
def test_a_refusal_is_words_and_costs_nothing(stream: bool) -> None:
    answer = begun(stream_options={"include_usage": True}, stream=stream)
    answer.whole({**whole({"content": "x"}), "usage": {"total_tokens": 9}})
    pieces: list[Piece] = [Delta(Channel(0), "It rains."), Refused(0, "I do not know.")]
    message, reason = read(answer, pieces, stream=stream)
    assert (message["content"], reason) == ("It rains. I do not know.", "content_filter")
    usage = answer.end()[0]["usage"] if stream else answer.response(pieces)["usage"]
    assert set(usage.values()) == {0}


@STREAMED
def test_a_refusal_where_json_was_promised_is_json_and_a_refusal(stream: bool) -> None:
    answer = begun(response_format={"type": "json_object"})
    message, reason = read(answer, [Refused(0, "I know „no“.")], stream=stream)
    assert json.loads(message["content"]) == {"refusal": "I know „no“."}
    assert (message["refusal"], reason) == ("I know „no“.", "stop")


@STREAMED
def test_a_refusal_behind_released_json_leaves_it_valid(stream: bool) -> None:
    """A call may be refused where the content beside it was cleared."""
    answer = begun(response_format={"type": "json_object"})
    message, reason = read(
        answer, [Delta(Channel(0), '{"a": 1}'), Refused(0, "No.")], stream=stream
    )
    assert json.loads(message["content"]) == {"a": 1}
    assert (message["refusal"], reason) == ("No.", "stop")


def test_a_whole_refusal_takes_back_what_was_told_of_calls() -> None:
    answer = begun()
    answer.whole(whole({"content": "x", "tool_calls": [call(0, "f", "{}")]}))
    message = answer.response([Refused(0, "No.")])["choices"][0]["message"]
    assert "tool_calls" not in message


@pytest.mark.parametrize("reason", ["model_length", "max_tokens", "abort"])
def test_other_words_for_an_answer_cut_off_are_length(reason: str) -> None:
    assert begun().feed(chunk({}, reason)) == [Finished(0, "length", cut=True)]


def test_an_unknown_reason_is_stop() -> None:
    pieces = chat.answer(chat.read(body())).feed({"choices": [{"finish_reason": "Ann was born"}]})
    assert pieces == [Finished(0, "stop", cut=True)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["index", "delta", "message", "finish_reason"]), json_values)
)
def test_no_shape_of_an_upstream_raises_anything_else(choice: Body) -> None:
    answer = chat.answer(chat.read(body()))
    for take in (answer.feed, answer.whole):
        try:
            pieces = take({"choices": [choice]})
        except FormatError:
            continue
        answer.response([*pieces, Finished(0, "stop")])
        answer.events(pieces)


def test_the_only_choice_needs_no_index() -> None:
    def heard(number: int) -> list[Piece]:
        request = chat.read({"model": "m", "n": number, "messages": [{"role": "user"}]})
        return chat.answer(request).feed({"choices": [{"index": None, "delta": {"content": "x"}}]})

    assert heard(1) == [Delta(Channel(0), "x")]
    with pytest.raises(FormatError):
        heard(2)
