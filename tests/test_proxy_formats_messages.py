"""Anthropic requests into an exchange, without any server."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.exchange import Body, FormatError, Refused
from proxy.formats import messages, messages_count

SHOWN = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def body(*content: Any, **fields: Any) -> Body:
    turn = {"role": "user", "content": list(content) or "Hello"}
    return {"model": "m", "max_tokens": 9, "messages": [turn], **fields}


def said(given: Body) -> dict[str, str]:
    return {".".join(map(str, s.path)): s.text for s in messages.read(given).said}


def roles(given: Body) -> dict[str, str]:
    return {s.text: s.role for s in messages.read(given).said}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"model": "m", "messages": ["x"]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "oracle"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": ["user"]}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        (body("x"), "messages[0].content[0]"),
        (body({"text": "x"}), "messages[0].content[0]"),
        (body(system=3), "system"),
        (body(system=["x"]), "system[0]"),
        (body(stream="yes"), "stream"),
        (body(tools=["x"]), "tools"),
        (body(output_config="x"), "output_config"),
    ],
)
def test_a_bad_request_names_the_field_and_quotes_nothing(given: Body, param: str) -> None:
    with pytest.raises(FormatError) as caught:
        messages.read(given)
    assert caught.value.param == param
    assert "oracle" not in str(caught.value)


def test_every_text_is_found_where_it_stands() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "found it"}],
    }
    found = {
        "type": "search_result",
        "source": "shelf",
        "title": "Book",
        "content": [{"type": "text", "text": "a line"}],
    }
    paper = {
        "type": "document",
        "title": "Paper",
        "context": "old",
        "source": {"type": "text", "media_type": "text/plain", "data": "plain words"},
    }
    request = body(
        result,
        found,
        paper,
        {"type": "text", "text": "look"},
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        tools=[
            {
                "name": "f",
                "description": "finds",
                "input_schema": {"type": "object", "properties": {"a_key": {"description": "d"}}},
            }
        ],
        tool_choice={"type": "tool", "name": "chosen"},
        metadata={"user_id": "u1"},
        unheard_of={"deep": ["words"]},
    )
    call = {"type": "tool_use", "id": "t1", "name": "g", "input": {"query": ["a", {"b": "c"}]}}
    request["messages"].insert(0, {"role": "assistant", "content": [call]})
    texts = said(request)
    assert texts["system.0.text"] == "be brief"
    assert texts["messages.0.content.0.name"] == "g"
    assert texts["messages.0.content.0.input.query.0"] == "a"
    assert texts["messages.0.content.0.input"] == "query"
    assert texts["messages.1.content.0.content.0.text"] == "found it"
    assert texts["messages.1.content.1.content.0.text"] == "a line"
    assert texts["messages.1.content.1.source"] == "shelf"
    assert texts["messages.1.content.1.title"] == "Book"
    assert texts["messages.1.content.2.source.data"] == "plain words"
    assert texts["messages.1.content.2.context"] == "old"
    assert texts["messages.1.content.3.text"] == "look"
    assert texts["tools.0.description"] == "finds"
    assert texts["tools.0.input_schema.properties"] == "a key"
    assert texts["tool_choice.name"] == "chosen"
    assert texts["metadata.user_id"] == "u1"
    assert texts["unheard_of.deep.0"] == "words"
    spoken = roles(request)
    assert spoken["found it"] == "tool"
    assert spoken["look"] == "user"
    assert spoken["be brief"] == "system"
    assert spoken["finds"] == "field"
    assert spoken["a key"] == "keys"
    assert messages.read(request).side_channels == ()


def test_a_plain_system_text_and_plain_turns_are_texts() -> None:
    assert said(body(system="S")) == {"system": "S", "messages.0.content": "Hello"}


def test_only_what_is_closed_by_name_is_left_unread() -> None:
    image = {"type": "image", "source": SHOWN}
    request = messages.read(body(image))
    assert [s.text for s in request.said] == ["image/png"]
    assert [c.name for c in request.side_channels] == ["images"]
    prose = {"type": "image", "source": {"type": "url", "data": "Who is Ann?", "url": "http://a/"}}
    assert set(said(body(prose)).values()) == {"Who is Ann?", "http://a/"}
    # What only looks like media is a text.
    assert "Who" in said(body({"type": "text", "text": "x", "data": "Who"})).values()
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {"source": SHOWN}}
    turns = [{"role": "assistant", "content": [call]}, {"role": "user", "content": "x"}]
    assert "AAAA" in said({"model": "m", "messages": turns}).values()


def in_result(block: Body) -> Body:
    return {"type": "tool_result", "tool_use_id": "t", "content": [block]}


@pytest.mark.parametrize(
    ("content", "name", "param"),
    [
        ({"type": "image", "source": SHOWN}, "images", "messages[0].content[0]"),
        ({"type": "image", "source": {"type": "url", "url": "u"}}, "images", None),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "images", None),
        ({"type": "image", "source": {"type": "text", "data": "x"}}, "images", None),
        ({"type": "image", "source": {"type": ["text"]}}, "images", None),
        ({"type": "image"}, "images", None),
        ({"type": "document", "source": {"type": "base64", "data": "A"}}, "files", None),
        ({"type": "document", "source": {"type": "url", "url": "u"}}, "files", None),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, "files", None),
        ({"type": "document", "source": "x"}, "files", None),
        ({"type": "text", "text": "x", "source": SHOWN}, "files", None),
        ({"type": "text", "text": "x", "image_url": {"url": "u"}}, "images", None),
        ({"type": "container_upload", "file_id": "f"}, "files", None),
        ({"type": "novelty"}, "files", None),
        (
            in_result({"type": "image", "source": SHOWN}),
            "images",
            "messages[0].content[0].content[0]",
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "image", "source": SHOWN}]},
            },
            "images",
            "messages[0].content[0].source.content[0]",
        ),
        (in_result({"type": "video"}), "files", "messages[0].content[0].content[0]"),
        ({"type": "redacted_thinking", "data": "A"}, "opaque", None),
        ({"type": "thinking", "thinking": "hm", "signature": "A"}, "opaque", None),
        (
            {
                "type": "web_search_tool_result",
                "content": [{"type": "web_search_result", "encrypted_content": "A", "title": "t"}],
            },
            "opaque",
            "messages[0].content[0].content[0]",
        ),
        (
            {
                "type": "text",
                "text": "x",
                "citations": [{"type": "web_search_result_location", "encrypted_index": "A"}],
            },
            "opaque",
            "messages[0].content[0].citations[0]",
        ),
    ],
)
def test_what_no_screen_can_read_is_named(content: Body, name: str, param: str | None) -> None:
    found = [(c.name, c.param) for c in messages.read(body(content)).side_channels]
    assert found == [(name, param or "messages[0].content[0]")]
    assert "A" not in said(body(content)).values()


@pytest.mark.parametrize(
    ("fields", "name", "param"),
    [
        ({"stop_sequences": ["x"]}, "stop", "stop_sequences"),
        ({"mcp_servers": [{"url": "u"}]}, "server_tools", "mcp_servers"),
        ({"container": "c"}, "server_tools", "container"),
        ({"container": {"skills": [{}]}}, "server_tools", "container"),
        ({"tools": [{"type": "web_search_20250305"}]}, "server_tools", "tools[0]"),
        ({"tools": [{"name": "f"}, {"type": "mcp_toolset"}]}, "server_tools", "tools[1]"),
        ({"tools": [{"type": ["custom"]}]}, "server_tools", "tools[0]"),
        ({"fallbacks": [{"model": "n"}]}, "server_tools", "fallbacks"),
        ({"thread": {"id": "t"}}, "stored", "thread"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "logit_bias"),
        ({"guided_regex": "x"}, "guided", "guided_regex"),
        ({"messages": [{"role": "assistant", "content": "She"}]}, "prefill", "messages[0]"),
        (
            {
                "messages": [
                    {"role": "assistant", "content": "She"},
                    {"role": "user", "content": " "},
                ]
            },
            "prefill",
            "messages[0]",
        ),
    ],
)
def test_what_goes_around_the_screens_is_named(fields: Body, name: str, param: str) -> None:
    found = [(c.name, c.param) for c in messages.read(body(**fields)).side_channels]
    assert found == [(name, param)]


def test_what_asks_for_nothing_and_what_the_client_runs_is_no_side_channel() -> None:
    harmless = body(
        stop_sequences=[],
        container=None,
        tools=[{"name": "f"}, {"type": "custom"}, {"type": "bash_20250124", "name": "bash"}],
        thinking={"type": "enabled", "budget_tokens": 1024},
        tool_choice={"type": "auto"},
    )
    assert messages.read(harmless).side_channels == ()


def test_thinking_that_came_from_here_does_not_go_back() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    turns: list[Body] = [
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": [thought]},
        {"role": "assistant", "content": [thought, call]},
        {"role": "user", "content": "R"},
    ]
    given = {"model": "m", "messages": turns}
    request = messages.read(given)
    assert request.body["messages"] == [turns[0], {**turns[2], "content": [call]}, turns[3]]
    assert given["messages"] is turns
    assert "hm" not in [s.text for s in request.said]
    assert [s.path for s in request.said if s.text == "R"] == [("messages", 2, "content")]
    assert request.side_channels == ()
    with pytest.raises(FormatError):
        messages.read({"model": "m", "messages": [turns[1]]})


def test_json_is_promised_by_an_output_format() -> None:
    shape = {"type": "json_schema", "schema": {}}
    assert messages.read(body(output_config={"format": shape})).json_promised
    assert messages.read(body(output_format=shape)).json_promised
    assert not messages.read(body(output_config={"effort": "low"})).json_promised
    assert not messages.read(body()).json_promised


def test_the_question_is_what_the_last_user_turn_says() -> None:
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    turns = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": texts},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": [in_result({"type": "text", "text": "result"})]},
    ]
    assert messages.read({"model": "m", "messages": turns}).question == "ab"
    assert messages.read({"model": "m", "messages": turns[2:]}).question == ""


@pytest.mark.parametrize("placement", ["system", "developer"])
def test_an_instruction_comes_behind_the_system_text(placement: Any) -> None:
    cached = {"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}
    given = body(system=[cached])
    added = {"type": "text", "text": "I"}
    assert messages.instruct(given, "I", placement)["system"] == [cached, added]
    assert given["system"] == [cached]
    assert messages.instruct(body(system="S"), "I", placement)["system"] == "S\n\nI"
    assert messages.instruct(body(), "I", placement)["system"] == "I"


def test_an_instruction_begins_the_last_user_turn() -> None:
    added, asked = {"type": "text", "text": "I"}, {"type": "text", "text": "Q"}
    result = in_result({"type": "text", "text": "r"})
    plain = messages.instruct(body(), "I", "before-last-user")["messages"]
    assert plain[0]["content"] == [added, {"type": "text", "text": "Hello"}]
    # The API wants results of tools first.
    turns = messages.instruct(body(result, asked), "I", "before-last-user")["messages"]
    assert turns[0]["content"] == [result, added, asked]
    empty = {"model": "m", "messages": [{"role": "user"}, {"role": "assistant"}]}
    assert messages.instruct(empty, "I", "before-last-user")["messages"][0]["content"] == [added]
    lonely = {"model": "m", "messages": [{"role": "assistant", "content": "x"}]}
    assert messages.instruct(lonely, "I", "before-last-user")["system"] == "I"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (502, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_have_the_formats_shape(status: int, kind: str) -> None:
    error = messages.error("n: why", status=status, param="n", code="c")
    assert error == {"type": "error", "error": {"type": kind, "message": "n: why"}}
    assert messages.error("why", status=status, param="n")["error"]["message"] == "n: why"
    details = messages.error("why", status=status, param="thread")["error"]["details"]
    assert details == {"error_code": "thread_unsupported_request"}


def test_a_count_is_read_like_a_message_and_answered_with_a_number() -> None:
    given = body(stop_sequences=["x"], stream=True, system="S")
    request = messages_count.read(given)
    assert (request.speaks, request.stream) == (False, False)
    assert request.said == messages.read(given).said
    assert [c.name for c in request.side_channels] == ["stop"]
    assert messages_count.instruct(given, "I", "system") is given
    answer = messages_count.answer(request)
    pieces = answer.whole({"input_tokens": 7, "context_management": {"note": "prose"}})
    assert answer.response(pieces) == {"input_tokens": 7}
    assert answer.response([Refused(0, "No.")]) == {"input_tokens": 0}
    assert [*answer.events(pieces), *answer.end()] == []
    for wrong in ({}, {"input_tokens": "7"}, {"input_tokens": True}, {"input_tokens": -1}):
        with pytest.raises(FormatError):
            answer.whole(wrong)
    with pytest.raises(FormatError):
        answer.feed({})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "content", "source", "data", "citations", "signature", "é"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
blocks = st.dictionaries(
    st.sampled_from(["type", "content", "source", "text", "input", "citations", "encrypted_x"]),
    json_values | st.sampled_from(["text", "image", "document", "tool_result", "thinking"]),
    max_size=5,
)


@given(st.dictionaries(st.sampled_from(["system", "tools", "thinking", "é"]), json_values))
def test_no_field_of_a_client_raises_anything_else(fields: Body) -> None:
    with suppress(FormatError):
        messages.read({**body(), **fields})


@example([{"type": "text", "text": {"type": []}}])  # not a key of any table
@given(st.lists(blocks, max_size=3))
def test_no_block_of_a_client_raises_anything_else_and_none_hides_a_text(given: list[Body]) -> None:
    planted = {"type": "text", "text": "planted words"}
    with suppress(FormatError):
        assert "planted words" in said(body(*given, planted)).values()
    for block in given:
        with suppress(FormatError):
            request = messages.read(body({**block, "content": [planted]}))
            assert "planted words" in {s.text for s in request.said}
