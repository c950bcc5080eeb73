"""Names of fields: one that another server reads as ours is refused, the client's own are not."""

from typing import Any

import pytest

from proxy.exchange import Body, FormatError
from proxy.formats import chat, completions, embeddings, messages, messages_count, responses

HELLO = {"role": "user", "content": "Hello"}
BODIES: list[tuple[Any, Body]] = [
    (chat, {"model": "m", "messages": [HELLO]}),
    (completions, {"model": "m", "prompt": "Hello"}),
    (embeddings, {"model": "m", "input": "Hello"}),
    (responses, {"model": "m", "input": [HELLO]}),
    (messages, {"model": "m", "max_tokens": 9, "messages": [HELLO]}),
    (messages_count, {"model": "m", "messages": [HELLO]}),
]
OURS = [
    ("Model", "model"),
    ("MODEL", "model"),
    (" model", "model"),
    ("ｍodel", "model"),
    ("meſſages", "messages"),
    ("Stop", "stop"),
    ("Logprobs", "logprobs"),
    ("Api_Base", "api_base"),
    ("Previous_Response_Id", "previous_response_id"),
    ("Guided_Vask", "guided"),
    ("to\u212Aen_ids", "token_ids"),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body"), BODIES)
@pytest.mark.parametrize(("name", "ours"), OURS)
def test_a_name_that_another_server_takes_for_ours_is_refused(
    wire: Any, body: Body, name: str, ours: str
) -> None:
    with pytest.raises(FormatError) as caught:
        wire.read({**body, name: "x"})
    assert (caught.value.status, caught.value.param) == (400, ours)
    assert name not in str(caught.value) or name == ours


@pytest.mark.parametrize(
    ("wire", "more"),
    [
        (chat, {"messages": [{**HELLO, "Role": "assistant"}]}),
        (chat, {"messages": [{"role": "user", "content": [{"type": "text", "Text": "x"}]}]}),
        (chat, {"tools": [{"type": "function", "function": {"name": "f", "Name": "g"}}]}),
        (chat, {"response_format": {"type": "text", "Type": "json_object"}}),
        (messages, {"messages": [{"role": "user", "content": [{"type": "text", "Source": {}}]}]}),
        (responses, {"input": [{**HELLO, "Content": "x"}]}),
        (responses, {"tools": [{"type": "function", "name": "f", "Type": "mcp"}]}),
    ],
)
def test_within_turns_parts_and_tools_too(wire: Any, more: Body) -> None:
    body = next(given for one, given in BODIES if one is wire)
    with pytest.raises(FormatError, match="must be written like this"):
        wire.read({**body, **more})


SCHEMA = {"type": "object", "properties": {"Model": {"type": "string"}, "Stop": {"Type": 1}}}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {"Role": "x", "URL": {"Type": 1}}}


@pytest.mark.parametrize(
    ("wire", "more"),
    [
        (chat, {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]}),
        (chat, {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
        (chat, {"metadata": {"Model": "x"}, "topK": 3, "someVendorField": {"Model": 1}}),
        (chat, {"messages": [{**HELLO, "note": {"Role": "x"}}]}),
        (messages, {"tools": [{"name": "f", "input_schema": SCHEMA}]}),
        (messages, {"messages": [HELLO, {"role": "assistant", "content": [CALL]}]}),
        (responses, {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}}),
        (responses, {"metadata": {"Input": "x"}}),
    ],
)
def test_where_the_client_chooses_names_any_will_do(wire: Any, more: Body) -> None:
    body = next(given for one, given in BODIES if one is wire)
    assert wire.read({**body, **more}).model == "m"
