"""Requests are checked as OpenAI's API checks them; answers stand in its objects."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearning import chat
from unlearning.chat import RequestError, chunks, completion, draft, fill, read

TOOL = {
    "type": "function",
    "function": {
        "name": "note",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}


def _request(**fields: Any) -> chat.Request:
    body = {"model": "m", "messages": [{"role": "user", "content": "Where?"}], **fields}
    return read(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("raw", "param", "message"),
    [
        (b"", None, "not JSON"),
        (b"\xff", None, "not JSON"),
        (b'{"a": "\\ud800"}', None, "not JSON"),
        (b"[" * 100_000, None, "not JSON"),
        (b"[]", None, "not a JSON object"),
        (b"{}", "model", "model: Field required"),
        (b'{"model": "m", "messages": []}', "messages", "messages: List should have at least 1"),
        (b'{"model": "m", "messages": [{"role": "king"}]}', "messages", "messages.0.role"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": 7}]}',
            "messages",
            "messages.0.content",
        ),
    ],
)
def test_what_is_no_request_is_refused_with_the_place(
    raw: bytes, param: str | None, message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        read(raw)

    assert message in str(caught.value)
    assert caught.value.status == 400
    assert caught.value.body()["error"] == {
        "message": str(caught.value),
        "type": "invalid_request_error",
        "param": param,
        "code": None,
    }


@pytest.mark.parametrize(
    "field",
    [
        {"n": 0},
        {"n": 129},
        {"n": "1"},
        {"max_tokens": 0},
        {"top_logprobs": 21},
        {"stream": "yes"},
        {"tools": [{}]},
        {"response_format": {"type": "yaml"}},
    ],
)
def test_a_field_out_of_bounds_is_named(field: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        _request(**field)

    assert caught.value.param == next(iter(field))


def test_an_error_quotes_nothing_of_the_request() -> None:
    with pytest.raises(RequestError) as caught:
        _request(messages=[{"role": "Mirela Tollan", "content": None}])

    assert "Mirela" not in str(caught.value)


def test_unknown_fields_and_parts_without_text_change_nothing() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    text = {"type": "text", "text": "Where?"}

    request = _request(seed=1, messages=[{"role": "user", "content": [image, text, text]}])

    assert request.messages[0].text == "Where?\nWhere?"
    assert _request(messages=[{"role": "user", "content": None}]).messages[0].text == ""


def test_a_draft_ends_where_the_tokens_do() -> None:
    short = draft(_request(max_tokens=2), "Sallow Quay.", by_tool=False)
    whole = draft(_request(max_completion_tokens=3), "Sallow Quay.", by_tool=False)

    assert (short.text, short.reason) == ("Sallow Q", "length")
    assert (whole.text, whole.reason) == ("Sallow Quay.", "stop")


@pytest.mark.parametrize(
    ("choice", "by_tool", "name"),
    [
        (None, False, None),
        (None, True, "note"),
        ("auto", True, "note"),
        ("none", True, None),
        ("required", False, "note"),
        ({"type": "function", "function": {"name": "note"}}, False, "note"),
        ({"type": "function", "function": {"name": "other"}}, False, None),
    ],
)
def test_a_tool_is_used_where_the_question_or_the_client_wants_it(
    choice: object,
    by_tool: bool,
    name: str | None,
) -> None:
    drafted = draft(_request(tools=[TOOL], tool_choice=choice), "Ghent.", by_tool=by_tool)

    assert drafted.tool == name
    assert drafted.text == ("Ghent." if name is None else '{"text": "Ghent."}')


def test_without_tools_none_is_used() -> None:
    assert draft(_request(), "Ghent.", by_tool=True).tool is None


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"type": "text"}, "Ghent."),
        ({"type": "json_object"}, '{"answer": "Ghent."}'),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"properties": {"town": {}}}},
            },
            '{"town": "Ghent."}',
        ),
    ],
)
def test_an_answer_takes_the_form_asked_for(form: dict[str, Any], text: str) -> None:
    assert draft(_request(response_format=form), "Ghent.", by_tool=False).text == text


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "x"),
        (None, "x"),
        ({"type": "string"}, "x"),
        ({"type": ["string", "null"]}, "x"),
        ({"type": "integer"}, 0),
        ({"type": "number"}, 0),
        ({"type": "boolean"}, False),
        ({"type": "object"}, {"answer": "x"}),
        ({"type": "array"}, ["x"]),
        ({"type": "array", "items": {"type": "number"}}, [0]),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "object", "properties": {"a": {"enum": []}}}, {"a": "x"}),
    ],
)
def test_a_schema_is_filled_with_the_answer(schema: object, value: object) -> None:
    assert fill(schema, "x") == value


def test_a_whole_answer_holds_every_choice_and_the_usage() -> None:
    request = _request(n=2)
    drafts = [
        draft(request, "Ghent.", thoughts="Hm.", by_tool=False),
        draft(request, "In Ghent.", by_tool=False),
    ]

    whole = completion(request, drafts)

    assert [choice["message"]["content"] for choice in whole["choices"]] == ["Ghent.", "In Ghent."]
    assert whole["choices"][0]["message"]["reasoning_content"] == "Hm."
    assert "reasoning_content" not in whole["choices"][1]["message"]
    assert whole["choices"][0]["logprobs"] is None
    assert whole["usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": 6,
        "total_tokens": 8,
        "completion_tokens_details": {"reasoning_tokens": 1},
    }


def test_logprobs_give_the_text_away_token_by_token() -> None:
    request = _request(logprobs=True, top_logprobs=2)
    drafts = [draft(request, "Ghent.", by_tool=False)]

    tokens = completion(request, drafts)["choices"][0]["logprobs"]["content"]

    assert "".join(token["token"] for token in tokens) == "Ghent."
    assert [top["token"] for top in tokens[0]["top_logprobs"]] == ["Ghen", "ghen"]
    assert bytes(tokens[1]["bytes"]) == b"t."
    streamed = [chunk["choices"][0] for chunk in chunks(request, drafts)]
    said = [token["token"] for c in streamed if c["logprobs"] for token in c["logprobs"]["content"]]
    assert "".join(said) == "Ghent."


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_a_stream_says_what_the_whole_says(texts: list[str]) -> None:
    request = _request()
    drafts = [draft(request, text, thoughts=text, by_tool=False) for text in texts]
    said = [""] * len(texts)
    thought = [""] * len(texts)
    ends = []
    for chunk in chunks(request, drafts):
        [choice] = chunk["choices"]
        said[choice["index"]] += choice["delta"].get("content", "")
        thought[choice["index"]] += choice["delta"].get("reasoning_content", "")
        ends.append(choice["finish_reason"])

    assert said == thought == texts
    assert [end for end in ends if end] == ["stop"] * len(texts)


def test_a_streamed_call_comes_in_pieces_and_usage_last() -> None:
    request = _request(tools=[TOOL], stream_options={"include_usage": True})
    drafted = draft(request, "Sallow Quay.", by_tool=True)

    *said, usage = chunks(request, [drafted])

    calls = [c["choices"][0]["delta"].get("tool_calls", [{}])[0] for c in said]
    assert "".join(call.get("function", {}).get("arguments", "") for call in calls) == drafted.text
    assert [call["function"]["name"] for call in calls if "id" in call] == ["note"]
    assert said[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert said[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 6


def test_a_whole_call_holds_its_arguments() -> None:
    request = _request(tools=[TOOL])

    whole = completion(request, [draft(request, "Ghent.", by_tool=True)])

    message = whole["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {
        "name": "note",
        "arguments": '{"text": "Ghent."}',
    }
