"""The official SDK's older endpoints, unmodified, before a real server: completions, embeddings."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from proxy.exchange import Body
from proxy.inject import REFUSALS
from tests.listening import proxy_before

pytestmark = pytest.mark.server

POLICY = """\
id: p
allow: [{allow}]
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""
SECRET = "Ottoline Vask"
VECTOR = [0.25, -0.5, 1.0]


class Bytes(httpx.AsyncByteStream):
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._raw


class Upstream(httpx.AsyncBaseTransport):
    """Completes every prompt with the same texts, and embeds every input as the same vector."""

    def __init__(self, *texts: str, embedding: Any = None) -> None:
        self.requests: list[Body] = []
        self._texts = texts
        self._embedding = embedding

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self._sent(json.dumps({"data": [{"id": "scripted", "object": "model"}]}))
        body = json.loads(await request.aread())
        self.requests.append(body)
        if request.url.path == "/v1/embeddings":
            return self._sent(json.dumps(self._embedded(body)))
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        if not body.get("stream"):
            whole = _completion(*((n, text, "stop") for n, text in enumerate(self._texts)))
            return self._sent(json.dumps({**whole, "usage": usage}))
        events = [
            _completion((n, text[at : at + 3], None if at + 3 < len(text) else "stop"))
            for at in range(0, max(map(len, self._texts)), 3)
            for n, text in enumerate(self._texts)
            if at < len(text)
        ]
        events.append({**_completion(), "usage": usage})
        raw = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
        return self._sent(raw + "data: [DONE]\n\n", "text/event-stream")

    def _embedded(self, body: Body) -> Body:
        several = len(body["input"]) if isinstance(body["input"], list) else 1
        raw = base64.b64encode(np.array(VECTOR, dtype="<f4").tobytes()).decode()
        own = raw if body.get("encoding_format") == "base64" else VECTOR
        data = [{"index": n, "embedding": self._embedding or own} for n in range(several)]
        return {"object": "list", "data": data, "model": "x", "usage": {"prompt_tokens": 2}}

    def _sent(self, raw: str, kind: str = "application/json") -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, stream=Bytes(raw.encode()))


def _completion(*choices: tuple[int, str, str | None]) -> Body:
    rows = [{"index": n, "text": text, "finish_reason": reason} for n, text, reason in choices]
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "scripted"}
    return {**head, "choices": rows}


@dataclass(frozen=True)
class Served:
    client: openai.AsyncOpenAI
    audit: Path

    def records(self) -> list[Body]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@asynccontextmanager
async def serving(folder: Path, transport: Upstream, *, allow: str = "") -> AsyncIterator[Served]:
    """The SDK before a real server on a free port."""
    async with (
        proxy_before(transport, folder, policy=POLICY.replace("{allow}", allow)) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield Served(client, folder / "audit.jsonl")


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def completed(
    served: Served, prompt: Any, *, stream: bool, **fields: Any
) -> tuple[dict[int, str], dict[int, str], int]:
    """Texts and finish reasons by choice, and the total of tokens."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    total = -1
    options = {"stream_options": {"include_usage": True}} if stream else {}
    create: Any = served.client.completions.create
    answer = await create(model="m", prompt=prompt, stream=stream, **options, **fields)
    for part in [part async for part in answer] if stream else [answer]:
        total = part.usage.total_tokens if part.usage else total
        for choice in part.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    return texts, reasons, total


@STREAMED
async def test_every_completion_of_every_prompt_arrives(tmp_path: Path, stream: bool) -> None:
    said = ["It rains. Still.", "Sun. ", "Snow", "Nothing at all, they say. Fine."]
    upstream = Upstream(*said)
    async with serving(tmp_path, upstream) as served:
        texts, reasons, total = await completed(served, ["One", "Two"], n=2, stream=stream)
        record = served.records()[-1]
    assert texts == dict(enumerate(said))
    assert reasons == dict.fromkeys(range(4), "stop")
    assert total == 3
    assert upstream.requests[0]["prompt"] == ["One", "Two"]
    assert (record["outcome"], record["action"]) == ("answered", "pass")


@STREAMED
async def test_a_forbidden_completion_is_refused_beside_others(
    tmp_path: Path, stream: bool
) -> None:
    upstream = Upstream("It rains.", f"It was {SECRET}. Yes.")
    async with serving(tmp_path, upstream) as served:
        texts, reasons, total = await completed(served, "Once", n=2, stream=stream)
        record = served.records()[-1]
    assert texts[0] == "It rains."
    assert texts[1] in REFUSALS
    assert reasons == {0: "stop", 1: "content_filter"}
    assert total == 0
    assert (record["outcome"], record["action"]) == ("answered", "refuse")


@STREAMED
async def test_a_prompt_that_is_continued_into_a_name_is_seen(tmp_path: Path, stream: bool) -> None:
    """What a client reads is the prompt with its completion behind it."""
    async with serving(tmp_path, Upstream(" Vask, of course.")) as served:
        texts, reasons, _ = await completed(served, "She is called Ottoline", stream=stream)
    assert "Vask" not in texts[0]
    assert reasons[0] == "content_filter"
    async with serving(tmp_path, Upstream(" Miller, of course.")) as served:
        texts, _, _ = await completed(served, "She is called Ottoline", stream=stream)
    assert texts[0] == " Miller, of course."


@STREAMED
async def test_a_name_that_ends_in_the_suffix_is_seen(tmp_path: Path, stream: bool) -> None:
    """Text that is inserted is read with what stands behind it."""
    for said, behind in ((" Otto", "line Vask, of course."), (" Ottoline", " Vask.")):
        async with serving(tmp_path, Upstream(said)) as served:
            texts, reasons, _ = await completed(served, "It was", suffix=behind, stream=stream)
        assert "Otto" not in texts[0]
        assert reasons[0] == "content_filter"
    async with serving(tmp_path, Upstream(" Anna")) as served:
        texts, reasons, _ = await completed(served, "It was", suffix="bel.", stream=stream)
    assert (texts, reasons) == ({0: " Anna"}, {0: "stop"})


@STREAMED
async def test_a_forbidden_prompt_reaches_no_model(tmp_path: Path, stream: bool) -> None:
    upstream = Upstream("x", "y")
    async with serving(tmp_path, upstream) as served:
        for fields in ({"prompt": ["Hi", f"Say {SECRET}"]}, {"prompt": "Hi", "suffix": SECRET}):
            _, reasons, _ = await completed(served, stream=stream, **fields)
            assert set(reasons.values()) == {"content_filter"}
    assert upstream.requests == []


async def test_what_goes_around_the_screens_is_refused_by_name(tmp_path: Path) -> None:
    upstream = Upstream("x")
    async with serving(tmp_path, upstream) as served:
        asked: list[tuple[Body, str]] = [
            ({"prompt": [1, 2]}, "prompt"),
            ({"echo": True}, "echo"),
            ({"logprobs": 2}, "logprobs"),
        ]
        for fields, param in asked:
            with pytest.raises(openai.BadRequestError) as caught:
                await served.client.completions.create(model="m", **{"prompt": "x", **fields})
            assert caught.value.param == param
        with pytest.raises(openai.BadRequestError) as caught:
            await served.client.embeddings.create(model="m", input=[1, 2])
        assert caught.value.param == "input"
    assert upstream.requests == []
    async with serving(tmp_path, upstream, allow="tokens, echo, logprobs") as served:
        whole = await served.client.completions.create(
            model="m", prompt=[1, 2], echo=True, logprobs=1
        )
    assert whole.choices[0].text == "x"
    assert upstream.requests[0]["prompt"] == [1, 2]


@pytest.mark.parametrize("encoding", ["float", "base64", None])
async def test_embeddings_arrive(tmp_path: Path, encoding: Any) -> None:
    upstream = Upstream()
    options = {"encoding_format": encoding} if encoding else {}
    async with serving(tmp_path, upstream) as served:
        answer = await served.client.embeddings.create(model="m", input=["a", "b"], **options)
        single = await served.client.embeddings.create(model="m", input="a")
        record = served.records()[0]
    vectors: list[Any] = [item.embedding for item in answer.data]
    if encoding == "base64":
        vectors = [np.frombuffer(base64.b64decode(v), dtype="<f4").tolist() for v in vectors]
    assert vectors == [VECTOR, VECTOR]
    assert single.data[0].embedding == VECTOR
    assert (answer.model, answer.usage.prompt_tokens) == ("m", 2)
    assert upstream.requests[0]["input"] == ["a", "b"]
    assert (record["outcome"], record["action"]) == ("answered", "pass")


async def test_a_forbidden_input_is_no_vector_but_an_error(tmp_path: Path) -> None:
    upstream = Upstream()
    async with serving(tmp_path, upstream) as served:
        with pytest.raises(openai.BadRequestError) as caught:
            await served.client.embeddings.create(model="m", input=["a", f"By {SECRET}"])
        record = served.records()[0]
    assert caught.value.code == "content_filter"
    assert SECRET not in str(caught.value)
    assert upstream.requests == []
    assert record["outcome"] == "rejected"


async def test_words_in_place_of_a_vector_do_not_arrive(tmp_path: Path) -> None:
    words = base64.b64encode(b"Ottoline Vask paints").decode()
    async with serving(tmp_path, Upstream(embedding=words)) as served:
        with pytest.raises(openai.APIStatusError) as caught:
            await served.client.embeddings.create(model="m", input="a", encoding_format="base64")
        record = served.records()[0]
    assert caught.value.status_code == 502
    assert record["outcome"] == "upstream failed"


async def test_models_are_listed_and_errors_understood(tmp_path: Path) -> None:
    async with serving(tmp_path, Upstream("x")) as served:
        models = await served.client.models.list()
        assert [model.id for model in models.data] == ["scripted"]
        with pytest.raises(openai.NotFoundError):
            await served.client.models.retrieve("nobody")
        with pytest.raises(openai.BadRequestError) as caught:
            await served.client.completions.create(model="m", prompt="x", best_of=1, n=2)
        assert caught.value.param == "best_of"
        with pytest.raises(openai.NotFoundError):
            await served.client.moderations.create(input="x")
