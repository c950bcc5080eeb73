"""Chat completions into an exchange and back, without any server."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Body, Channel, Delta, Finished, FormatError, replace_texts
from proxy.formats import chat


def body(**fields: Any) -> Body:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}], **fields}


def said(given: Body) -> dict[str, str]:
    return {".".join(map(str, s.path)): s.text for s in chat.read(given).said}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": ["x"]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "oracle"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": [3]}]}, "messages[0].content[0]"),
        (body(stream="yes"), "stream"),
        (body(stream=1), "stream"),
        ({"model": "m", "messages": [{"role": ["user"]}]}, "messages[0].role"),
        (body(n=0), "n"),
        (body(n=True), "n"),
        (body(n=129), "n"),
    ],
)
def test_a_bad_request_names_the_field_and_quotes_nothing(given: Body, param: str) -> None:
    with pytest.raises(FormatError) as caught:
        chat.read(given)
    assert caught.value.param == param
    assert "oracle" not in str(caught.value)


def test_every_text_is_found_where_it_stands() -> None:
    request = body(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "look"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "result"},
        ],
        tools=[{"type": "function", "function": {"name": "f", "description": "finds"}}],
        metadata={"a_key": "value"},
        unheard_of={"deep": ["words"]},
        user="u1",
    )
    texts = said(request)
    assert texts["messages.0.content"] == "be brief"
    assert texts["messages.1.name"] == "Ann"
    assert texts["messages.1.content.0.text"] == "look"
    assert texts["messages.2.tool_calls.0.function.arguments"] == '{"a":1}'
    assert texts["messages.3.content"] == "result"
    assert texts["tools.0.function.description"] == "finds"
    assert texts["metadata"] == "a key"
    assert texts["metadata.a_key"] == "value"
    assert texts["unheard_of.deep.0"] == "words"
    assert texts["user"] == "u1"


def test_a_text_that_only_looks_like_media_is_a_text() -> None:
    assert said(body(messages=[{"role": "user", "content": "data: who is Ann?"}]))
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert said(body(messages=[{"role": "user", "content": [part]}])) == {}


def test_a_type_that_is_prose_is_a_text() -> None:
    assert "tools.0.type" in said(body(tools=[{"type": "Who is Ann Smith?"}]))


@pytest.mark.parametrize(
    ("fields", "name", "param"),
    [
        ({"logprobs": True}, "logprobs", "logprobs"),
        ({"top_logprobs": 3}, "logprobs", "top_logprobs"),
        ({"prompt_logprobs": 1}, "logprobs", "prompt_logprobs"),
        ({"echo": True}, "echo", "echo"),
        ({"continue_final_message": True}, "prefill", "continue_final_message"),
        ({"add_generation_prompt": False}, "prefill", "add_generation_prompt"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "logit_bias"),
        ({"chat_template": "x"}, "chat_template", "chat_template"),
        ({"chat_template_kwargs": {"a": 1}}, "chat_template", "chat_template_kwargs"),
        ({"guided_regex": "x"}, "guided", "guided_regex"),
        ({"structured_outputs": {"regex": "x"}}, "guided", "structured_outputs"),
        ({"modalities": ["audio"]}, "audio", "modalities"),
        ({"modalities": 1}, "audio", "modalities"),
        ({"response_format": {"type": []}}, "guided", "response_format"),
        ({"response_format": {"type": "regex"}}, "guided", "response_format"),
        ({"stop_token_ids": [1]}, "stop", "stop_token_ids"),
        ({"previous_response_id": "r"}, "stored", "previous_response_id"),
        ({"messages": [{"role": "user", "prefix": True}]}, "prefill", "messages[0].prefix"),
        ({"audio": {"voice": "x"}}, "audio", "audio"),
        ({"store": True}, "stored", "store"),
        ({"messages": [{"role": "assistant", "content": "She"}]}, "prefill", "messages[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "images",
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "novelty"}]}]},
            "files",
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "assistant", "audio": {"id": "a"}}, {"role": "user"}]},
            "audio",
            "messages[0].audio",
        ),
    ],
)
def test_what_goes_around_the_screens_is_named(fields: Body, name: str, param: str) -> None:
    found = [(c.name, c.param) for c in chat.read(body(**fields)).side_channels]
    assert found == [(name, param)]


def test_what_is_switched_off_is_no_side_channel() -> None:
    harmless = body(
        logprobs=False, top_logprobs=None, logit_bias={}, store=False, echo=False, audio=None
    )
    assert chat.read(harmless).side_channels == ()


def test_json_is_promised_by_response_format() -> None:
    assert chat.read(body(response_format={"type": "json_object"})).json_promised
    assert chat.read(body(response_format={"type": "json_schema"})).json_promised
    assert not chat.read(body(response_format={"type": "text"})).json_promised
    assert not chat.read(body()).json_promised


def test_the_question_is_the_last_user_turn() -> None:
    turns = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "tool", "content": "result"},
    ]
    assert chat.read(body(messages=turns)).question == "ab"
    assert chat.read(body(messages=turns[2:])).question == ""


def test_an_instruction_joins_the_system_text() -> None:
    given = body(messages=[{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}])
    assert chat.instruct(given, "I", "system")["messages"][0]["content"] == "S\n\nI"
    assert given["messages"][0]["content"] == "S"


@pytest.mark.parametrize("placement", ["system", "developer"])
def test_an_instruction_comes_first_where_no_such_text_is(placement: Any) -> None:
    messages = chat.instruct(body(), "I", placement)["messages"]
    assert messages[0] == {"role": placement, "content": "I"}
    assert len(messages) == 2


def test_an_instruction_stands_before_the_last_user_turn() -> None:
    given = body(messages=[{"role": "user"}, {"role": "assistant"}, {"role": "user"}])
    roles = [m["role"] for m in chat.instruct(given, "I", "before-last-user")["messages"]]
    assert roles == ["user", "assistant", "system", "user"]
    lonely = body(messages=[{"role": "tool", "content": "x"}])
    assert chat.instruct(lonely, "I", "before-last-user")["messages"][-1]["content"] == "I"


def test_texts_are_replaced_in_a_copy() -> None:
    given = body(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}])
    path = ("messages", 0, "content", 0, "text")
    assert replace_texts(given, {path: "b"})["messages"][0]["content"][0]["text"] == "b"
    assert given["messages"][0]["content"][0]["text"] == "a"


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
    assert written["usage"] == {"total_tokens": 3}
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
    answer = chat.answer(chat.read(body()))
    pieces = answer.whole(
        whole(
            {
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "tool_calls": [{"function": {"name": "f", "arguments": {"é": 1}}}],
            }
        )
    )
    assert [p.text for p in pieces if isinstance(p, Delta)] == ["ab", "f", '{"é": 1}']


def test_chunks_begin_with_a_role_and_introduce_a_call_once() -> None:
    answer = chat.answer(chat.read(body()))
    head = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f"}}
    pieces = answer.feed({"choices": [{"index": 0, "delta": {"tool_calls": [head]}}]})
    more = {"index": 0, "function": {"arguments": "{}"}}
    pieces += answer.feed(
        {"choices": [{"index": 0, "delta": {"tool_calls": [more]}, "finish_reason": "tool_calls"}]}
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in answer.events(pieces)]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1]["tool_calls"][0]["id"].startswith("call_")
    assert deltas[2]["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]
    assert deltas[3] == {}


def test_usage_closes_a_stream_where_it_was_asked_for() -> None:
    usage = {"choices": [], "usage": {"total_tokens": 1}}
    silent = chat.answer(chat.read(body()))
    silent.feed(usage)
    assert silent.end() == []
    asked = chat.answer(chat.read(body(stream_options={"include_usage": True})))
    assert asked.end()[0]["usage"]["total_tokens"] == 0
    asked.feed(usage)
    assert asked.end()[0]["usage"] == {"total_tokens": 1}


def test_logprobs_pass_only_where_the_request_may_have_them() -> None:
    reply = {"choices": [{"index": 0, "message": {"content": "x"}, "logprobs": {"content": []}}]}
    asked = chat.answer(chat.read(body(logprobs=True)))
    assert asked.response(asked.whole(reply))["choices"][0]["logprobs"] == {"content": []}
    silent = chat.answer(chat.read(body()))
    assert silent.response(silent.whole(reply))["choices"][0]["logprobs"] is None
    streamed = {"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": []}}]}
    chunks = asked.events(asked.feed(streamed))
    assert chunks[1]["choices"][0]["logprobs"] == {"content": []}


def test_a_function_call_is_written_as_it_came() -> None:
    answer = chat.answer(chat.read(body()))
    piece = Delta(Channel(0, "function", 0, "name"), "h")
    assert answer.events([piece])[1]["choices"][0]["delta"] == {
        "function_call": {"name": "h", "arguments": ""}
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (502, "api_error")],
)
def test_errors_have_the_formats_shape(status: int, kind: str) -> None:
    error = chat.error("why", status=status, param="n", code="c")["error"]
    assert error == {"message": "why", "type": kind, "param": "n", "code": "c"}


def test_an_unknown_reason_is_stop() -> None:
    pieces = chat.answer(chat.read(body())).feed({"choices": [{"finish_reason": "Ann was born"}]})
    assert pieces == [Finished(0, "stop")]


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


@given(st.dictionaries(st.text(max_size=12), json_values))
def test_no_field_of_a_client_raises_anything_else(fields: Body) -> None:
    with suppress(FormatError):
        chat.read({**body(), **fields})


def test_a_body_of_too_many_texts_is_refused_before_any_is_judged() -> None:
    with pytest.raises(FormatError) as caught:
        chat.read(body(tools=["x"] * 20_001))
    assert caught.value.status == 413
