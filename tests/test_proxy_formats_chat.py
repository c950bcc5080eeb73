"""Requests of chat completions into an exchange, without any server."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Body, FormatError, replace_texts
from proxy.formats import chat

HELLO = {"role": "user", "content": "Hello"}


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


@pytest.mark.parametrize(
    "url", ["data:image/svg+xml,<text>Ann</text>", "data:image/png;base64,Who is Ann?", "data:,Ann"]
)
def test_a_picture_that_says_something_in_plain_is_a_text(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    assert list(said(body(messages=[{"role": "user", "content": [part]}])).values()) == [url]


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
        ({"messages": [{**HELLO, "images": ["AAAA"]}]}, "images", "messages[0].images"),
        ({"messages": [{**HELLO, "video": "x"}]}, "files", "messages[0].video"),
        ({"add_generation_prompt": 0}, "prefill", "add_generation_prompt"),
        ({"add_generation_prompt": "false"}, "prefill", "add_generation_prompt"),
        ({"audio": {"voice": "x"}}, "audio", "audio"),
        ({"web_search_options": {}}, "server_tools", "web_search_options"),
        ({"plugins": [{"id": "web"}]}, "server_tools", "plugins"),
        ({"models": ["n"]}, "server_tools", "models"),
        ({"tools": [{"type": "web_search"}]}, "server_tools", "tools[0]"),
        ({"tools": [{"google_search": {}}]}, "server_tools", "tools[0]"),
        ({"tools": ["web_search"]}, "server_tools", "tools[0]"),
        ({"tools": {"web_search": {}}}, "server_tools", "tools"),
        ({"tools": [{"type": "builtin_function", "function": {}}]}, "server_tools", "tools[0]"),
        (
            {"tools": [{"type": "function", "function": {}, "google_search": {}}]},
            "server_tools",
            "tools[0]",
        ),
        ({"tool_choice": {"type": "web_search"}}, "server_tools", "tool_choice"),
        ({"return_token_ids": True}, "logprobs", "return_token_ids"),
        ({"return_tokens_as_token_ids": True}, "logprobs", "return_tokens_as_token_ids"),
        ({"prompt_token_ids": [1]}, "tokens", "prompt_token_ids"),
        ({"kv_transfer_params": {"do_remote_decode": True}}, "stored", "kv_transfer_params"),
        (
            {
                "messages": [
                    {"role": "assistant", "thinking_blocks": [{"signature": "x"}]},
                    HELLO,
                ]
            },
            "opaque",
            "messages[0].thinking_blocks",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "video_url": {}}]}]},
            "files",
            "messages[0].content[0]",
        ),
        ({"store": True}, "stored", "store"),
        ({"messages": [{"role": "assistant", "content": "She"}]}, "prefill", "messages[0]"),
        *(
            (
                {"messages": [{"role": "assistant", "content": "She"}, {"role": role, **nothing}]},
                "prefill",
                "messages[0]",
            )
            for role in ("user", "system")
            for nothing in (
                {},
                {"content": " \u200b\n"},
                {"content": [{"type": "text", "text": ""}]},
            )
        ),
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
            {"messages": [{"role": "assistant", "audio": {"id": "a"}}, HELLO]},
            "audio",
            "messages[0].audio",
        ),
    ],
)
def test_what_goes_around_the_screens_is_named(fields: Body, name: str, param: str) -> None:
    found = [(c.name, c.param) for c in chat.read(body(**fields)).side_channels]
    assert found == [(name, param)]


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user", "content": "\U0001fa77"},  # a heart that is newer than Python's tables
        {"role": "user", "content": "\uf8ff"},
        {"role": "user", "content": "?"},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "function", "name": "f", "content": None},
    ],
)
def test_a_turn_that_shows_anything_and_a_result_end_a_prefill(turn: Body) -> None:
    turns = [HELLO, {"role": "assistant", "content": "She"}, turn]
    assert chat.read(body(messages=turns)).side_channels == ()


def test_what_is_switched_off_is_no_side_channel() -> None:
    harmless = body(
        logprobs=False, top_logprobs=None, logit_bias={}, store=False, echo=False, audio=None
    )
    assert chat.read(harmless).side_channels == ()


def test_settings_and_tools_that_the_client_runs_are_no_side_channels() -> None:
    harmless = body(
        modalities=["text"],
        min_tokens=3,
        top_k=5,
        ignore_eos=True,
        parallel_tool_calls=False,
        stream_options={"include_usage": True},
        tools=[
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
            {"function": {"name": "h"}},
        ],
        tool_choice={"type": "function", "function": {"name": "f"}},
    )
    assert chat.read(harmless).side_channels == ()
    for choice in ("required", {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}):
        assert chat.read(body(tool_choice=choice)).side_channels == ()


def test_sealed_reasoning_is_no_text_and_only_where_it_is_named() -> None:
    details = [{"type": "reasoning.encrypted", "data": "QUJD"}, {"text": "hm", "signature": "s"}]
    turns = [{"role": "assistant", "reasoning_details": details}, HELLO]
    found = {"messages.0.reasoning_details.1.text": "hm", "messages.1.content": "Hello"}
    assert said(body(messages=turns)) == found
    odd = [{"role": "assistant", "reasoning_details": {"0": {"data": "words"}}}, HELLO]
    assert chat.read(body(messages=odd)).side_channels == ()
    assert "words" in said(body(messages=odd)).values()


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
    given = body(messages=[{"role": "user"}, {"role": "assistant"}, HELLO])
    roles = [m["role"] for m in chat.instruct(given, "I", "before-last-user")["messages"]]
    assert roles == ["user", "assistant", "system", "user"]
    lonely = body(messages=[{"role": "tool", "content": "x"}])
    assert chat.instruct(lonely, "I", "before-last-user")["messages"][-1]["content"] == "I"


def test_texts_are_replaced_in_a_copy() -> None:
    given = body(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}])
    path = ("messages", 0, "content", 0, "text")
    assert replace_texts(given, {path: "b"})["messages"][0]["content"][0]["text"] == "b"
    assert given["messages"][0]["content"][0]["text"] == "a"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (502, "api_error")],
)
def test_errors_have_the_formats_shape(status: int, kind: str) -> None:
    error = chat.error("why", status=status, param="n", code="c")["error"]
    assert error == {"message": "why", "type": kind, "param": "n", "code": "c"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=12), json_values))
def test_no_field_of_a_client_raises_anything_else(fields: Body) -> None:
    with suppress(FormatError):
        chat.read({**body(), **fields})


def test_a_body_of_too_many_texts_is_refused_before_any_is_judged() -> None:
    with pytest.raises(FormatError) as caught:
        chat.read(body(tools=["x"] * 20_001))
    assert caught.value.status == 413
