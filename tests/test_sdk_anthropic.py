"""The official Anthropic SDK, unmodified, through a real server to an upstream of its own kind."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pydantic
import pytest
from anthropic import beta_async_tool

from proxy.app import Entry
from proxy.exchange import Body
from proxy.inject import REFUSALS
from tests.listening import proxy_before

pytestmark = pytest.mark.server

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""
MESSAGES: Any = [{"role": "user", "content": "Who paints?"}]
ASKED: Any = {"model": "m", "max_tokens": 99, "messages": MESSAGES}
TOOL: Any = {"name": "look_up", "description": "Looks up.", "input_schema": {"type": "object"}}


class Upstream(httpx.AsyncBaseTransport):
    """Speaks the wire of the API, letter by letter: one answer after the other, the last again.

    An answer is a list of blocks, a number for a count, a status for an error, or an event that
    stands in the middle of a stream.
    """

    def __init__(self, *answers: Sequence[Body] | int, inside: Body | None = None) -> None:
        self.requests: list[tuple[str, Body]] = []
        self._answers = list(answers)
        self._inside = inside

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        self.requests.append((str(request.url), body))
        told = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(told, int):
            return self._number(told)
        calls = any(block["type"] == "tool_use" for block in told)
        whole = {
            "id": "msg_x",
            "type": "message",
            "role": "assistant",
            "model": "theirs",
            "content": list(told),
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 4},
        }
        if not body.get("stream"):
            return _json(200, whole)
        raw = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode()
                       for e in self._events(whole))  # fmt: skip
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, content=_letters(raw))

    def _number(self, number: int) -> httpx.Response:
        if number < 400:
            return _json(200, {"input_tokens": number})
        error = {"type": "overloaded_error", "message": "Ottoline Vask"}
        body = {"type": "error", "error": error}
        return _json(number, body, ("retry-after", "7"))

    def _events(self, whole: Body) -> list[Body]:
        fields = {"text": "text", "thinking": "thinking", "tool_use": "input"}
        kinds = {"text": "text_delta", "thinking": "thinking_delta", "input": "input_json_delta"}
        events: list[Body] = [
            {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
            {"type": "ping"},
        ]
        for index, block in enumerate(whole["content"]):
            field = fields[block["type"]]
            tool = field == "input"
            begun = {**block, field: {} if tool else "", "citations": None}
            said = json.dumps(block[field]) if tool else block[field]
            key = "partial_json" if tool else field
            events.append({"type": "content_block_start", "index": index, "content_block": begun})
            deltas = [{"type": kinds[field], key: letter} for letter in said]
            cited = block.get("citations") or ()
            deltas += ({"type": "citations_delta", "citation": one} for one in cited)
            events += [
                {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
            ]
            events.append({"type": "content_block_stop", "index": index})
        events += [self._inside] if self._inside else []
        ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 4}})
        return [*events, {"type": "message_stop"}]


def _json(status: int, body: Body, *headers: tuple[str, str]) -> httpx.Response:
    kind = ("content-type", "application/json")
    return httpx.Response(
        status, headers=[kind, *headers], content=_letters(json.dumps(body).encode())
    )


async def _letters(raw: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(raw), 7):
        yield raw[at : at + 7]


@asynccontextmanager
async def sdk(
    folder: Path, upstream: Upstream, *, policy: str = POLICY, entry: Entry | None = None
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The SDK's client before a real server on a free port."""
    async with (
        proxy_before(upstream, folder, policy=policy, entry=entry) as url,
        anthropic.AsyncAnthropic(base_url=url, auth_token="any", max_retries=0) as client,
    ):
        yield client


def text(said: str, **fields: Any) -> Body:
    return {"type": "text", "text": said, **fields}


def call(**given: Any) -> Body:
    return {"type": "tool_use", "id": "toolu_theirs", "name": "look_up", "input": given}


def blocks(told: Any) -> list[Body]:
    return [block.to_dict() for block in told.content]


def outcomes(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "audit.jsonl").read_text().splitlines()
    return [(r["outcome"], r["action"]) for r in map(json.loads, lines)]


async def test_a_message_arrives_whole_and_streamed(tmp_path: Path) -> None:
    thought = {"type": "thinking", "thinking": "Rain, then.", "signature": "c2ln"}
    upstream = Upstream([thought, text("It is raining. "), text("Take a coat.")])
    async with sdk(tmp_path, upstream) as client:
        whole = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            spoken = "".join([said async for said in stream.text_stream])
            final = await stream.get_final_message()
        raw = [event.type async for event in await client.messages.create(**ASKED, stream=True)]
    expected = [{**thought, "signature": ""}, text("It is raining. "), text("Take a coat.")]
    assert blocks(whole) == blocks(final) == expected
    assert spoken == "It is raining. Take a coat."
    assert final.stop_reason == whole.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens == 4
    assert final.usage.input_tokens == 3
    assert (raw[0], raw[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert {url for url, _ in upstream.requests} == {"http://upstream/v1/messages"}
    assert outcomes(tmp_path) == [("answered", "pass")] * 3


async def test_a_secret_is_refused_whole_and_streamed(tmp_path: Path) -> None:
    opening = "It rains in the harbour and the boats are in. " * 4
    upstream = Upstream([text(f"{opening}Otto"), text("line Vask paints. ")])
    async with sdk(tmp_path, upstream) as client:
        whole = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            spoken = "".join([said async for said in stream.text_stream])
            final = await stream.get_final_message()
    for told in (whole, final):
        assert told.stop_reason == "refusal"
        assert (told.usage.input_tokens, told.usage.output_tokens) == (0, 0)
        assert "Vask" not in told.to_json()
        assert blocks(told)[-1]["text"].strip() in REFUSALS
    assert spoken.startswith("It rains in the harbour")
    assert outcomes(tmp_path) == [("answered", "refuse")] * 2


async def test_citations_are_accumulated(tmp_path: Path) -> None:
    cited = {
        "type": "char_location",
        "cited_text": "a line",
        "document_index": 0,
        "document_title": "Paper",
        "start_char_index": 0,
        "end_char_index": 6,
        "file_id": None,
    }
    said = [text("It says "), text("a line", citations=[cited]), text(" and goes on.")]
    async with sdk(tmp_path, Upstream(said)) as client:
        async with client.messages.stream(**ASKED) as stream:
            final = await stream.get_final_message()
        whole = await client.messages.create(**ASKED)
    assert blocks(final) == blocks(whole) == said


async def test_tool_calls_are_accumulated_and_refused_whole(tmp_path: Path) -> None:
    upstream = Upstream([text("I look."), call(city="Paris", deep=[1, {"a": "é"}]), call()])
    async with sdk(tmp_path, upstream) as client:
        whole = await client.messages.create(**ASKED, tools=[TOOL])
        async with client.messages.stream(**ASKED, tools=[TOOL]) as stream:
            snapshots = [e.snapshot async for e in stream if e.type == "input_json"]
            final = await stream.get_final_message()
    for told in (whole, final):
        inputs = [block["input"] for block in blocks(told)[1:]]
        assert inputs == [{"city": "Paris", "deep": [1, {"a": "é"}]}, {}]
        assert told.stop_reason == "tool_use"
        assert "theirs" not in told.to_json()
    assert snapshots[0] == {"city": "Paris", "deep": [1, {"a": "é"}]}

    secret = Upstream([text("I look."), call(a="Otto"), call(b="line Vask")])
    async with sdk(tmp_path, secret) as client:
        refused = await client.messages.create(**ASKED, tools=[TOOL])
        async with client.messages.stream(**ASKED, tools=[TOOL]) as stream:
            final = await stream.get_final_message()
    for told in (refused, final):
        assert [block["type"] for block in blocks(told)] == ["text"]
        assert told.stop_reason == "refusal"


class City(pydantic.BaseModel):
    name: str


async def test_structured_output_is_parsed_and_a_refusal_is_json(tmp_path: Path) -> None:
    async with sdk(tmp_path, Upstream([text('{"name": "Paris"}')])) as client:
        parsed = await client.messages.parse(**ASKED, output_format=City)
        assert parsed.parsed_output == City(name="Paris")
        async with client.messages.stream(**ASKED, output_format=City) as stream:
            assert (await stream.get_final_message()).parsed_output == City(name="Paris")

    async with sdk(tmp_path, Upstream([text('{"name": "Ottoline Vask"}')])) as client:
        shape: Any = {"format": {"type": "json_schema", "schema": City.model_json_schema()}}
        refused = await client.messages.create(**ASKED, output_config=shape)
        assert json.loads(blocks(refused)[0]["text"])["refusal"] in REFUSALS
        # The API's own refusals do not keep the schema either.
        with pytest.raises(pydantic.ValidationError):
            await client.messages.parse(**ASKED, output_format=City)


async def test_the_tool_runner_goes_round(tmp_path: Path) -> None:
    asked: list[str] = []

    @beta_async_tool
    async def look_up(city: str) -> str:
        """Look a city up."""
        asked.append(city)
        return "It rains there."

    thought = {"type": "thinking", "thinking": "Look.", "signature": "c2ln"}
    for stream in (False, True):
        upstream = Upstream([thought, call(city="Paris")], [text("It rains in Paris.")])
        async with sdk(tmp_path, upstream) as client:
            tools: Any = [look_up]
            if stream:
                streamed = client.beta.messages.tool_runner(**ASKED, tools=tools, stream=True)
                told = [await turn.get_final_message() async for turn in streamed][-1]
            else:
                told = await client.beta.messages.tool_runner(**ASKED, tools=tools).until_done()
            assert blocks(told) == [text("It rains in Paris.")]
        turns = upstream.requests[1][1]["messages"]
        # Thinking whose signature stayed here does not go back: the API would not take it.
        assert [block["type"] for block in turns[1]["content"]] == ["tool_use"]
        assert turns[1]["content"][0]["id"] == turns[2]["content"][0]["tool_use_id"]
        assert turns[2]["content"][0]["content"] == "It rains there."
    assert asked == ["Paris", "Paris"]


async def test_tokens_are_counted_and_a_count_has_no_words(tmp_path: Path) -> None:
    async with sdk(tmp_path, Upstream(42)) as client:
        counted = await client.messages.count_tokens(model="m", messages=MESSAGES)
        assert counted.input_tokens == 42
        beta = await client.beta.messages.count_tokens(model="m", messages=MESSAGES)
        assert beta.input_tokens == 42
        with pytest.raises(anthropic.BadRequestError):
            await client.messages.count_tokens(
                model="m", messages=[{"role": "user", "content": "Who is Ottoline Vask?"}]
            )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.InternalServerError),
        (429, anthropic.RateLimitError),
        (529, anthropic.InternalServerError),
    ],
)
async def test_what_an_upstream_refuses_is_the_sdks_own_error(
    tmp_path: Path, answer: int, error: type[anthropic.APIStatusError]
) -> None:
    async with sdk(tmp_path, Upstream(answer)) as client:
        for stream in (False, True):
            with pytest.raises(error) as caught:
                await client.messages.create(**ASKED, stream=stream)
            assert "Vask" not in str(caught.value)
            assert isinstance(caught.value.body, dict)
            assert caught.value.body["type"] == "error"


async def test_what_breaks_in_the_middle_is_the_sdks_own_error(tmp_path: Path) -> None:
    inside = {"type": "error", "error": {"type": "overloaded_error", "message": "Ottoline Vask"}}
    upstream = Upstream([text("It rains in the harbour and the boats are in. " * 9)], inside=inside)
    async with sdk(tmp_path, upstream) as client, client.messages.stream(**ASKED) as stream:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await stream.until_done()
        assert stream.current_message_snapshot.content
    assert "Vask" not in str(caught.value)
    assert outcomes(tmp_path) == [("upstream failed", "pass")]


async def test_what_is_closed_and_who_has_no_key_is_told_so(tmp_path: Path) -> None:
    entry = Entry(tenants={"acme": (sha256(b"key").hexdigest(),)})
    upstream = Upstream([text("x")])
    async with sdk(tmp_path, upstream, entry=entry) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(**ASKED)
        known = client.with_options(auth_token="key")
        assert (await known.messages.create(**ASKED)).content
        for fields in ({"stop_sequences": ["x"]}, {"tools": [{"type": "web_search_20250305"}]}):
            with pytest.raises(anthropic.BadRequestError) as caught:
                await known.messages.create(**{**ASKED, **fields})
            assert "not available here" in str(caught.value)
    assert len(upstream.requests) == 1
