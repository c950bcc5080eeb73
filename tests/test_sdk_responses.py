"""The official SDK, unmodified, before a real server whose upstream speaks the responses API."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

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


class Bytes(httpx.AsyncByteStream):
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._raw


class Upstream(httpx.AsyncBaseTransport):
    """Answers every request with the same items; `requests` keeps the bodies that came.

    Fields given by name are those of the response. `events` are sent instead of those that tell
    the items; `status` other than 200 is an error that quotes the request.
    """

    def __init__(
        self, *items: Body, events: list[Body] | None = None, status: int = 200, **fields: Any
    ) -> None:
        self.requests: list[Body] = []
        self._items = items
        self._events = events
        self._status = status
        self._fields = fields

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        assert request.url.path == "/v1/responses"
        self.requests.append(body)
        if self._status != 200:
            return self._sent(json.dumps({"error": {"message": json.dumps(body)}}))
        whole = self._whole(list(self._items), body)
        if not body.get("stream"):
            return self._sent(json.dumps(whole))
        events = list(self._told(whole)) if self._events is None else self._events
        raw = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        return self._sent(raw, "text/event-stream")

    def _sent(self, raw: str, kind: str = "application/json") -> httpx.Response:
        headers = {"content-type": kind}
        return httpx.Response(self._status, headers=headers, stream=Bytes(raw.encode()))

    def _whole(self, items: list[Body], asked: Body) -> Body:
        return {
            "id": "resp_scripted",
            "object": "response",
            "created_at": 1,
            "model": "scripted",
            "status": "completed",
            "output": items,
            "instructions": asked.get("instructions"),
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
            **self._fields,
        }

    def _told(self, whole: Body) -> Iterator[Body]:
        yield {"type": "response.created", "response": {**whole, "output": []}}
        for at, item in enumerate(whole["output"]):
            here = {"output_index": at, "item_id": item["id"]}
            yield {"type": "response.output_item.added", "output_index": at, "item": begun(item)}
            for n, part in enumerate(item.get("content", ())):
                for piece in cut(part["text"]):
                    delta = {"type": "response.output_text.delta", "delta": piece, "logprobs": []}
                    yield {**delta, **here, "content_index": n}
            for piece in cut(item.get("arguments", "")):
                yield {"type": "response.function_call_arguments.delta", **here, "delta": piece}
            yield {"type": "response.output_item.done", "output_index": at, "item": item}
        yield {"type": f"response.{whole['status']}", "response": whole}


def begun(item: Body) -> Body:
    blank: Body = {"content": [], "arguments": "", "status": "in_progress"}
    return {**item, **{key: value for key, value in blank.items() if key in item}}


def cut(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def message(*texts: str) -> Body:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": parts,
    }


def call(arguments: str, number: int = 0) -> Body:
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": "look_up",
        "arguments": arguments,
        "status": "completed",
    }


@asynccontextmanager
async def asking(folder: Path, upstream: Upstream) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a real server on a free port before the upstream."""
    async with (
        proxy_before(upstream, folder, policy=POLICY) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client


def audited(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "audit.jsonl").read_text().splitlines()
    return [(record["action"], record["outcome"]) for record in map(json.loads, lines)]


TOOLS: Any = [
    {"type": "function", "name": "look_up", "strict": True, "parameters": {"type": "object"}}
]


async def test_an_innocent_response_arrives_streamed_and_not(tmp_path: Path) -> None:
    upstream = Upstream(message("It is raining. ", "Take a coat."))
    async with asking(tmp_path, upstream) as client:
        whole = await client.responses.create(model="m", input="How is it?", instructions="short")
        assert whole.output_text == "It is raining. Take a coat."
        assert (whole.status, whole.model, whole.instructions) == ("completed", "m", "short")
        assert whole.usage
        assert whole.usage.total_tokens == 7
        assert whole.usage.output_tokens_details.reasoning_tokens == 0
        text = ""
        stream = await client.responses.create(model="m", input="How is it?", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                assert event.response.output_text == text
        assert text == whole.output_text
        async with client.responses.stream(model="m", input="How is it?") as helper:
            kinds = [event.type async for event in helper]
            final = await helper.get_final_response()
        assert final.output_text == text
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
    assert audited(tmp_path) == [("pass", "answered")] * 3
    assert [request["store"] for request in upstream.requests] == [False] * 3
    assert upstream.requests[0]["instructions"] == "short"


async def test_a_forbidden_response_is_refused_streamed_and_not(tmp_path: Path) -> None:
    upstream = Upstream(message("It was Otto", "line Vask. Yes."))
    async with asking(tmp_path, upstream) as client:
        whole = await client.responses.create(model="m", input="Who was it?")
        assert whole.output_text in REFUSALS
        assert whole.status == "incomplete"
        assert whole.incomplete_details
        assert whole.incomplete_details.reason == "content_filter"
        assert whole.usage
        assert whole.usage.total_tokens == 0
        async with client.responses.stream(model="m", input="Who was it?") as helper:
            events = [event async for event in helper]
        last = events[-1]
        assert last.type == "response.incomplete"
        assert last.response.output_text == whole.output_text
        assert not any("Vask" in event.to_json() for event in events)
        await client.responses.create(model="m", input="Tell me about Ottoline Vask.")
    assert audited(tmp_path) == [("refuse", "answered")] * 3
    assert len(upstream.requests) == 2


class City(BaseModel):
    name: str


async def test_structured_output_is_parsed_and_a_refusal_is_one(tmp_path: Path) -> None:
    async with asking(tmp_path, Upstream(message('{"name": "Paris"}'))) as client:
        parsed = await client.responses.parse(model="m", input="Where?", text_format=City)
        assert parsed.output_parsed == City(name="Paris")
        async with client.responses.stream(model="m", input="?", text_format=City) as helper:
            assert (await helper.get_final_response()).output_parsed == City(name="Paris")
    assert audited(tmp_path) == [("pass", "answered")] * 2
    (tmp_path / "audit.jsonl").unlink()
    forbidden = Upstream(message('{"name": "Ottoline Vask"}'))
    async with asking(tmp_path, forbidden) as client:
        parsed = await client.responses.parse(model="m", input="Where?", text_format=City)
        async with client.responses.stream(model="m", input="?", text_format=City) as helper:
            streamed = await helper.get_final_response()
        for response in (parsed, streamed):
            assert response.output_parsed is None
            assert response.output[0].type == "message"
            assert response.output[0].content[0].type == "refusal"
            assert response.output[0].content[0].refusal in REFUSALS
            assert response.status == "completed"
    assert audited(tmp_path) == [("refuse", "answered")] * 2


async def test_function_calls_arrive_whole_and_the_loop_goes_on(tmp_path: Path) -> None:
    upstream = Upstream(
        message("Let me look."), call('{"city": "Paris"}'), call('{"city": "Rome"}', 1)
    )
    async with asking(tmp_path, upstream) as client:
        async with client.responses.stream(model="m", input="Where?", tools=TOOLS) as helper:
            events = [event async for event in helper]
            final = await helper.get_final_response()
        calls = [item for item in final.output if item.type == "function_call"]
        assert [one.parsed_arguments for one in calls] == [{"city": "Paris"}, {"city": "Rome"}]
        assert [one.name for one in calls] == ["look_up"] * 2
        deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
        assert "".join(deltas) == '{"city": "Paris"}{"city": "Rome"}'
        # What came goes back with the results, as the API's own documentation does it.
        history: Any = [{"role": "user", "content": "Where?"}]
        history += [item.to_dict() for item in final.output]
        history += [
            {"type": "function_call_output", "call_id": one.call_id, "output": "sunny"}
            for one in calls
        ]
        await client.responses.create(model="m", input=history, tools=TOOLS)
    assert (
        upstream.requests[1]["input"][-1]["call_id"] == upstream.requests[1]["input"][-3]["call_id"]
    )
    assert audited(tmp_path) == [("pass", "answered")] * 2


@pytest.mark.parametrize(
    "calls",
    [
        [call('{"city": "Ottoline Vask"}')],
        [call('{"city": "Ottoline"}'), call('{"name": "Vask"}', 1)],
        [{**call("{}"), "name": "Ottoline_Vask"}],
    ],
)
async def test_forbidden_calls_do_not_arrive(tmp_path: Path, calls: list[Body]) -> None:
    async with asking(tmp_path, Upstream(message("Let me look."), *calls)) as client:
        whole = await client.responses.create(model="m", input="Where?", tools=TOOLS)
        async with client.responses.stream(model="m", input="Where?", tools=TOOLS) as helper:
            events = [event async for event in helper]
    for told in (whole.to_json(), *(event.to_json() for event in events)):
        assert "Vask" not in told
        assert "function_call" not in told.replace('"function_call_', "")
    assert events[-1].type == "response.incomplete"
    assert audited(tmp_path) == [("refuse", "answered")] * 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_an_upstreams_error_is_the_sdks_and_quotes_nothing(
    tmp_path: Path, status: int, error: type[openai.APIStatusError]
) -> None:
    async with asking(tmp_path, Upstream(status=status)) as client:
        for stream in (False, True):
            with pytest.raises(error) as caught:
                await client.responses.create(model="m", input="Quote me", stream=stream)
            assert "Quote me" not in str(caught.value)


async def test_a_request_that_cannot_be_taken_says_which_field(tmp_path: Path) -> None:
    upstream = Upstream(message("Yes."))
    odd: Any = [{"type": "riddle"}]
    async with asking(tmp_path, upstream) as client:
        for fields, param in (
            ({"store": True}, "store"),
            ({"previous_response_id": "resp_1"}, "previous_response_id"),
            ({"tools": [{"type": "web_search"}]}, "tools[0]"),
            ({"include": ["reasoning.encrypted_content"]}, "include"),
            ({"input": odd}, "input[0].type"),
        ):
            asked: Any = {"model": "m", "input": "Who?", **fields}
            with pytest.raises(openai.BadRequestError) as caught:
                await client.responses.create(**asked)
            assert caught.value.param == param
    assert upstream.requests == []


BROKEN: list[list[Body]] = [
    [{"type": "error", "message": "Ottoline Vask", "code": None, "param": None}],
    [{"type": "response.failed", "response": {"error": {"message": "Ottoline Vask"}}}],
    [],
]


@pytest.mark.parametrize("ending", BROKEN)
async def test_a_stream_that_breaks_ends_in_an_error(tmp_path: Path, ending: list[Body]) -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "It rains. " * 20}
    async with asking(tmp_path, Upstream(events=[delta, *ending])) as client:
        stream = await client.responses.create(model="m", input="Who?", stream=True)
        events = [event async for event in stream]
        assert events[-1].type == "error"
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert not any("Vask" in event.to_json() for event in events)


@pytest.mark.parametrize("ending", BROKEN)
async def test_a_stream_that_never_begins_is_an_error(tmp_path: Path, ending: list[Body]) -> None:
    async with asking(tmp_path, Upstream(events=ending)) as client:
        with pytest.raises(openai.InternalServerError):
            await client.responses.create(model="m", input="Who?", stream=True)
