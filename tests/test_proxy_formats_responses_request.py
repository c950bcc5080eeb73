"""Requests of the responses API into an exchange, without any server."""

from typing import Any, get_args, get_type_hints

import pytest
from openai.types.responses import tool_param
from openai.types.responses.response_input_item_param import ResponseInputItemParam

from proxy.exchange import Body, FormatError, SideChannel, replace_texts
from proxy.formats import responses


def body(*items: Any, **fields: Any) -> Body:
    return {"model": "m", "input": list(items) or "Who paints?", **fields}


def user(content: Any) -> Body:
    return {"role": "user", "content": content}


def said(given: Body) -> dict[str, tuple[str, str]]:
    texts = responses.read(given).said
    return {".".join(map(str, one.path)): (one.role, one.text) for one in texts}


def type_of(model: Any) -> str:
    """The one value that the type of a TypedDict may have."""
    kind = get_type_hints(model)["type"]
    while not isinstance(get_args(kind)[0], str):
        kind = get_args(kind)[0]
    return str(get_args(kind)[0])


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": 3, "input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": ""}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": {"text": "oracle"}}, "input"),
        ({"model": "m", "previous_response_id": "r"}, "input"),
        (body("oracle"), "input[0]"),
        (body([1, 2]), "input[0]"),
        (body({}), "input[0].type"),
        (body({"type": "oracle"}), "input[0].type"),
        (body({"type": ["message"]}), "input[0].type"),
        (body({"role": "oracle", "content": "x"}), "input[0].role"),
        (body({"type": "message", "content": "x"}), "input[0].role"),
        (body({"role": ["user"], "content": "x"}), "input[0].role"),
        (body(user(None)), "input[0].content"),
        (body(user(3)), "input[0].content"),
        (body(user(["oracle"])), "input[0].content"),
        (body(user([{"type": "oracle"}])), "input[0].content[0].type"),
        (body(user([{"text": "oracle"}])), "input[0].content[0].type"),
        (body({"type": "function_call", "name": "f"}), "input[0].arguments"),
        (body({"type": "function_call", "name": 3, "arguments": "{}"}), "input[0].name"),
        (body({"type": "custom_tool_call", "name": "f"}), "input[0].input"),
        (body({"type": "function_call_output", "output": 3}), "input[0].output"),
        (body({"type": "reasoning", "summary": "oracle"}), "input[0].summary"),
        (body({"type": "reasoning", "content": ["oracle"]}), "input[0].content"),
        (body(instructions=["oracle"]), "instructions"),
        (body(stream=1), "stream"),
        (body(include="oracle"), "include"),
        (body(include=[["oracle"]]), "include"),
        (body(tools={"oracle": 1}), "tools"),
        (body(tools=["oracle"]), "tools"),
        (body(text="oracle"), "text"),
    ],
)
def test_a_bad_request_names_the_field_and_quotes_nothing(given: Body, param: str) -> None:
    with pytest.raises(FormatError) as caught:
        responses.read(given)
    assert caught.value.param == param
    assert caught.value.status == 400
    assert "oracle" not in str(caught.value)


CONVERSATION = (
    {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "be brief"}]},
    user("look this up"),
    {
        "type": "reasoning",
        "id": "rs_0123456789abcdef",
        "summary": [{"type": "summary_text", "text": "they want it looked up"}],
        "content": [{"type": "reasoning_text", "text": "so be it"}],
    },
    {"type": "function_call", "call_id": "Ann", "name": "find", "arguments": '{"a": 1}'},
    {"type": "function_call_output", "call_id": "Ann", "output": "found"},
    {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": "print it"},
    {
        "type": "custom_tool_call_output",
        "call_id": "c",
        "output": [{"type": "input_text", "text": "printed"}],
    },
    {
        "type": "message",
        "id": "msg_0123456789abcdef",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "there it is", "annotations": []},
            {"type": "refusal", "refusal": "no more"},
        ],
    },
    user([{"type": "input_text", "text": "and "}, {"type": "input_text", "text": "then?"}]),
)


def test_every_text_is_found_where_it_stands() -> None:
    request = body(
        *CONVERSATION,
        instructions="you are kind",
        metadata={"a_key": "value"},
        tools=[{"type": "function", "name": "find", "parameters": {"properties": {"Ann": {}}}}],
        user="u1",
        unheard_of={"deep": ["words"]},
    )
    texts = said(request)
    assert texts["instructions"] == ("system", "you are kind")
    assert texts["input.0.content.0.text"] == ("system", "be brief")
    assert texts["input.1.content"] == ("user", "look this up")
    assert texts["input.2.summary.0.text"] == ("assistant", "they want it looked up")
    assert texts["input.2.content.0.text"] == ("assistant", "so be it")
    assert texts["input.3.call_id"] == ("assistant", "Ann")
    assert texts["input.3.name"] == ("assistant", "find")
    assert texts["input.3.arguments"] == ("assistant", '{"a": 1}')
    assert texts["input.4.output"] == ("tool", "found")
    assert texts["input.5.input"] == ("assistant", "print it")
    assert texts["input.6.output.0.text"] == ("tool", "printed")
    assert texts["input.7.content.0.text"] == ("assistant", "there it is")
    assert texts["input.7.content.1.refusal"] == ("assistant", "no more")
    assert texts["tools.0.parameters.properties"] == ("keys", "Ann")
    assert texts["metadata"] == ("keys", "a key")
    assert texts["metadata.a_key"] == ("field", "value")
    assert texts["unheard_of.deep.0"] == ("field", "words")
    assert texts["user"] == ("field", "u1")
    assert not {"input.2.id", "input.7.id", "input.7.status"} & set(texts)
    assert responses.read(request).question == "and then?"
    assert responses.read(request).side_channels == ()


def test_a_string_is_what_a_user_says() -> None:
    assert said(body()) == {"input": ("user", "Who paints?")}
    assert responses.read(body()).question == "Who paints?"


def test_what_looks_like_the_formats_own_words_elsewhere_is_a_text() -> None:
    texts = said(
        body(
            {"role": "user", "content": "completed", "status": "Ann Smith", "id": "msg_Ann"},
            {"type": "function_call", "name": "f", "arguments": "{}", "role": "Ann"},
            user("x"),
            text={"format": {"type": "Ann"}},
            user="msg_0123456789abcdef",
        )
    )
    assert texts["input.0.content"][1] == "completed"
    assert texts["input.0.status"][1] == "Ann Smith"
    assert texts["input.0.id"][1] == "msg_Ann"
    assert texts["input.1.role"][1] == "Ann"
    assert texts["text.format.type"][1] == "Ann"
    assert texts["user"][1] == "msg_0123456789abcdef"


def test_inline_media_is_no_text_and_what_only_looks_like_it_is() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    assert list(said(body(user([image, sound])))) == ["input.0.content.1.input_audio.format"]
    seen = body(user([{"type": "input_image", "image_url": "http://a/Ann"}]), image_url="data:Ann")
    assert [text for _, text in said(seen).values()] == ["http://a/Ann", "data:Ann"]


@pytest.mark.parametrize(
    ("given", "name", "param"),
    [
        (body(previous_response_id="r"), "stored", "previous_response_id"),
        (body(conversation="c"), "stored", "conversation"),
        ({"model": "m", "conversation": {"id": "c"}}, "stored", "conversation"),
        ({"model": "m", "prompt": {"id": "p"}}, "stored", "prompt"),
        (body(store=True), "stored", "store"),
        (body(background=True), "stored", "background"),
        (body({"type": "item_reference", "id": "m"}, user("x")), "stored", "input[0]"),
        (body({"id": "m"}, user("x")), "stored", "input[0]"),
        (body(include=["message.output_text.logprobs"]), "logprobs", "include"),
        (body(top_logprobs=3), "logprobs", "top_logprobs"),
        (body(include=["reasoning.encrypted_content"]), "opaque", "include"),
        (body(context_management=[{"type": "compaction"}]), "opaque", "context_management"),
        (
            body({"type": "reasoning", "summary": [], "encrypted_content": "x"}, user("x")),
            "opaque",
            "input[0].encrypted_content",
        ),
        (body({"type": "compaction_trigger"}, user("x")), "opaque", "input[0]"),
        (body(include=["message.input_image.image_url"]), "images", "include"),
        (body(include=["web_search_call.results"]), "server_tools", "include"),
        (body(include=["novelty"]), "server_tools", "include"),
        (body(tools=[{"type": "web_search"}]), "server_tools", "tools[0]"),
        (body(tools=[{"type": "novelty"}]), "server_tools", "tools[0]"),
        (body(tools=[{}]), "server_tools", "tools[0]"),
        (
            body(tools=[{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]),
            "server_tools",
            "tools[0].tools[0]",
        ),
        (
            body({"type": "additional_tools", "tools": [{"type": "shell"}]}, user("x")),
            "server_tools",
            "input[0].tools[0]",
        ),
        (body(tool_choice={"type": "file_search"}), "server_tools", "tool_choice"),
        (
            body(tools=[{"type": "custom", "name": "c", "format": {"type": "grammar"}}]),
            "guided",
            "tools[0].format",
        ),
        (body(text={"format": {"type": "grammar"}}), "guided", "text"),
        (body(text={"format": {"type": []}}), "guided", "text"),
        (body(structured_outputs={"regex": "x"}), "guided", "structured_outputs"),
        (body(logit_bias={"1": 5}), "logit_bias", "logit_bias"),
        (body(stop=["Ann"]), "stop", "stop"),
        (body(user([{"type": "input_image", "file_id": "f"}])), "images", "input[0].content[0]"),
        (body(user([{"type": "input_file"}])), "files", "input[0].content[0]"),
        (body(user([{"type": "input_audio"}])), "audio", "input[0].content[0]"),
        (body(user([{"type": "input_text", "file_url": "u"}])), "files", "input[0].content[0]"),
        (
            body({"type": "function_call_output", "output": [{"type": "input_image"}]}),
            "images",
            "input[0].output[0]",
        ),
        (body(user("x"), {"role": "assistant", "content": "She"}), "prefill", "input[1]"),
        (body({"role": "assistant", "content": "She"}, user("")), "prefill", "input[0]"),
        (body(user("x"), {"type": "reasoning", "summary": []}), "prefill", "input[1]"),
    ],
)
def test_what_goes_around_the_screens_is_named(given: Body, name: str, param: str) -> None:
    assert SideChannel(name, param) in responses.read(given).side_channels


@pytest.mark.parametrize(
    "fields",
    [
        {"store": False, "background": False, "top_logprobs": 0, "include": [], "tools": []},
        {"tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]},
        {"tools": [{"type": "custom", "name": "c", "format": {"type": "text"}}]},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
        {"text": {"format": {"type": "text"}, "verbosity": "low"}},
        {"stream_options": {"include_obfuscation": False}, "truncation": "auto"},
        {"reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 9},
        {"parallel_tool_calls": False, "service_tier": "flex", "metadata": {"a": "b"}},
    ],
)
def test_what_an_ordinary_request_asks_for_is_no_side_channel(fields: Body) -> None:
    assert responses.read(body(**fields)).side_channels == ()


def test_every_item_and_tool_of_the_sdk_is_known() -> None:
    kinds = {type_of(model) for model in get_args(ResponseInputItemParam)}
    assert kinds <= responses.SCREENED | set(responses.UNSCREENED)
    for kind in sorted(kinds - responses.SCREENED):
        asked = responses.read(body({"type": kind, "id": "x"}, user("x")))
        assert SideChannel(responses.UNSCREENED[kind], "input[0]") in asked.side_channels
    tools = {type_of(model) for model in get_args(tool_param.ToolParam)}
    for kind in sorted(tools - {"function", "custom", "namespace"}):
        asked = responses.read(body(tools=[{"type": kind}]))
        assert SideChannel("server_tools", "tools[0]") in asked.side_channels


@pytest.mark.parametrize(
    ("fields", "promised"),
    [
        ({}, False),
        ({"text": {"format": {"type": "text"}}}, False),
        ({"text": {"format": {"type": "json_object"}}}, True),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}}, True),
    ],
)
def test_promised_json_is_known(fields: Body, promised: bool) -> None:
    assert responses.read(body(**fields)).json_promised is promised
    later = body({"type": "configuration_update", **fields}, user("x"))
    assert responses.read(later).json_promised is promised


def test_storing_is_off_unless_asked_for() -> None:
    assert responses.defaults == {"store": False}
    assert responses.typed
    assert {"response.completed", "response.incomplete", "response.failed", "error"} == set(
        responses.last
    )


def test_an_instruction_stands_behind_the_clients_own() -> None:
    given = body(instructions="be brief")
    assert responses.instruct(given, "forget", "system")["instructions"] == "be brief\n\nforget"
    assert responses.instruct(body(), "forget", "developer")["instructions"] == "forget"
    assert given["instructions"] == "be brief"


def test_an_instruction_stands_before_the_last_user_turn() -> None:
    told = responses.instruct(body(), "forget", "before-last-user")
    assert [(item["role"], item["content"]) for item in told["input"]] == [
        ("developer", "forget"),
        ("user", "Who paints?"),
    ]
    given = body(user("one"), {"type": "reasoning", "summary": []}, user("two"), CONVERSATION[4])
    told = responses.instruct(given, "forget", "before-last-user")
    assert [item.get("content") for item in told["input"]] == ["one", None, "forget", "two", None]
    assert len(given["input"]) == 4
    assert responses.read(told).question == "two"
    none = responses.instruct({"model": "m", "prompt": {"id": "p"}}, "forget", "before-last-user")
    assert [item["content"] for item in none["input"]] == ["forget"]


def test_a_text_can_be_replaced_where_it_stands() -> None:
    given = body(*CONVERSATION)
    texts = {one.path: one.text.upper() for one in responses.read(given).said if one.role != "keys"}
    changed = replace_texts(given, texts)
    assert changed["input"][4]["output"] == "FOUND"
    assert given["input"][4]["output"] == "found"
