"""The front door on a real socket: the official SDK, strangers, and many clients at once."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from pydantic import BaseModel

from proxy.app import Entry
from proxy.audit import Audit
from proxy.chain import verify
from proxy.scripted import Scripted
from tests.listening import proxy_before

pytestmark = pytest.mark.server

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""


@asynccontextmanager
async def serving(
    folder: Path, transport: httpx.AsyncBaseTransport, *, entry: Entry | None = None
) -> AsyncIterator[str]:
    """A real server on a free port; yields its base URL."""
    async with proxy_before(transport, folder, policy=POLICY, entry=entry) as url:
        yield f"{url}/v1"


@asynccontextmanager
async def sdk(url: str, key: str = "any") -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        yield client


MESSAGES: Any = [{"role": "user", "content": "Who paints?"}]


async def test_the_sdk_works_unmodified_streamed_and_not(tmp_path: Path) -> None:
    script = Scripted(["It is ", "raining."], ["Ottoline ", "Vask."])
    async with serving(tmp_path, script) as url, sdk(url) as client:
        whole = await client.chat.completions.create(model="m", messages=MESSAGES, n=2)
        assert [c.finish_reason for c in whole.choices] == ["stop", "content_filter"]
        assert whole.choices[0].message.content == "It is raining."
        assert whole.choices[1].message.content
        stream = await client.chat.completions.create(
            model="m", messages=MESSAGES, n=2, stream=True
        )
        texts = ["", ""]
        reasons: list[str | None] = [None, None]
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
                reasons[choice.index] = choice.finish_reason or reasons[choice.index]
        assert texts == [c.message.content for c in whole.choices]
        assert reasons == ["stop", "content_filter"]


async def test_the_sdk_gets_tool_calls_and_structured_output(tmp_path: Path) -> None:
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"city": "Paris"}'},
    }
    tools: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    script = Scripted([{"tool_calls": [call]}], reason="tool_calls")
    async with serving(tmp_path, script) as url, sdk(url) as client:
        whole = await client.chat.completions.create(model="m", messages=MESSAGES, tools=tools)
        calls = whole.choices[0].message.tool_calls
        assert calls
        assert calls[0].type == "function"
        assert calls[0].function.arguments == '{"city": "Paris"}'
        # The loop of the API's own documentation.
        built: dict[int, Any] = {}
        async for chunk in await client.chat.completions.create(
            model="m", messages=MESSAGES, tools=tools, stream=True
        ):
            for part in chunk.choices[0].delta.tool_calls or []:
                if part.index not in built:
                    built[part.index] = part
                else:
                    assert part.function
                    built[part.index].function.arguments += part.function.arguments
        assert built[0].function.arguments == '{"city": "Paris"}'
        async with client.chat.completions.stream(
            model="m", messages=MESSAGES, tools=tools
        ) as stream:
            streamed = await stream.get_final_completion()
        assert streamed.choices[0].message.tool_calls
        assert streamed.choices[0].message.tool_calls[0].function.arguments == '{"city": "Paris"}'

    class City(BaseModel):
        name: str

    async with serving(tmp_path, Scripted(['{"name": "Par', 'is"}'])) as url, sdk(url) as client:
        parsed = await client.chat.completions.parse(
            model="m", messages=MESSAGES, response_format=City
        )
        assert parsed.choices[0].message.parsed == City(name="Paris")

    async with (
        serving(tmp_path, Scripted(['{"name": "Ottoline Vask"}'])) as url,
        sdk(url) as client,
    ):
        refused = await client.chat.completions.create(
            model="m", messages=MESSAGES, response_format={"type": "json_object"}
        )
        assert json.loads(refused.choices[0].message.content or "")
        parsed = await client.chat.completions.parse(
            model="m", messages=MESSAGES, response_format=City
        )
        assert parsed.choices[0].message.parsed is None
        assert parsed.choices[0].message.refusal


async def test_the_sdk_understands_our_errors(tmp_path: Path) -> None:
    script = Scripted(["One. ", b"data: {broken\n\n"])
    async with serving(tmp_path, script) as url, sdk(url) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="m", messages=MESSAGES, logprobs=True)
        assert caught.value.param == "logprobs"
        with pytest.raises(openai.NotFoundError):
            await client.moderations.create(model="m", input="x")
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve("resp_1")
        with pytest.raises(openai.APIError):
            async for _ in await client.chat.completions.create(
                model="m", messages=MESSAGES, stream=True
            ):
                pass
        models = await client.models.list()
        assert [model.id for model in models.data] == ["scripted"]
        assert (await client.models.retrieve("scripted")).id == "scripted"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nobody")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/moderations", "POST", 404),
        ("/v1/files", "GET", 404),
        ("/v1/chat/completions/", "POST", 404),
        ("/v1//chat/completions", "POST", 404),
        ("/v1/chat/completions", "GET", 405),
        ("/v1/models", "POST", 405),
        ("/elsewhere", "GET", 404),
        ("/v1/responses/resp_1", "GET", 404),
    ],
)
async def test_what_is_not_supported_does_not_exist(
    tmp_path: Path, path: str, method: str, status: int
) -> None:
    script = Scripted(["x"])
    async with serving(tmp_path, script) as url, httpx.AsyncClient() as client:
        response = await client.request(method, url.removesuffix("/v1") + path, json={})
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.headers["x-lethe-request-id"]
    assert script.requests == []


GOOD = json.dumps({"model": "m", "messages": MESSAGES}).encode()


async def test_a_host_is_known_with_and_without_its_port(tmp_path: Path) -> None:
    entry = Entry(hosts=frozenset({"::1", "a.example"}))
    found = {}
    async with (
        serving(tmp_path, Scripted(["x"]), entry=entry) as url,
        httpx.AsyncClient() as client,
    ):
        for host in (
            "[::1]",
            "[::1]:8484",
            "A.example",
            "a.example:1",
            "::1",
            "[::2]",
            "[a.example",
        ):
            sent = {"content-type": "application/json", "host": host}
            response = await client.post(f"{url}/chat/completions", content=GOOD, headers=sent)
            found[host] = response.status_code
    assert found == {
        "[::1]": 200,
        "[::1]:8484": 200,
        "A.example": 200,
        "a.example:1": 200,
        "::1": 421,
        "[::2]": 421,
        "[a.example": 421,
    }


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b"{", {}, 400),
        (b'{"model": "m", "model": "n"}', {}, 400),
        (GOOD.replace(b'"m"', b"NaN"), {}, 400),
        (GOOD.replace(b"Who", b"\\ud800"), {}, 400),
        (b'{"a":' * 200 + b"1" + b"}" * 200, {}, 400),
        (GOOD, {"content-type": "text/plain"}, 415),
        (GOOD, {"content-encoding": "gzip"}, 415),
        (b'{"a": "' + b"x" * 3000 + b'"}', {}, 413),
        (GOOD, {"host": "evil.example"}, 421),
        (GOOD, {"authorization": "Bearer wrong"}, 401),
    ],
)
async def test_a_bad_request_is_refused_at_the_door(
    tmp_path: Path, content: bytes, headers: dict[str, str], status: int
) -> None:
    script = Scripted(["x"])
    entry = Entry(
        body_bytes=2048,
        hosts=frozenset({"127.0.0.1"}),
        tenants={"acme": (sha256(b"key").hexdigest(),)},
    )
    async with serving(tmp_path, script, entry=entry) as url, httpx.AsyncClient() as client:
        sent = {"content-type": "application/json", "authorization": "Bearer key", **headers}
        response = await client.post(f"{url}/chat/completions", content=content, headers=sent)
        good = {"content-type": "application/json", "authorization": "Bearer key"}
        assert (
            await client.post(f"{url}/chat/completions", content=GOOD, headers=good)
        ).status_code == 200
    assert response.status_code == status
    assert "error" in response.json()
    assert "Who" not in response.text
    assert len(script.requests) == 1


async def raw(url: str, content: bytes) -> bytes:
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(content)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(65_536), timeout=5)
    writer.close()
    return answer


async def test_a_length_and_a_transfer_encoding_are_refused_together(tmp_path: Path) -> None:
    script = Scripted(["x"])
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    )
    async with serving(tmp_path, script) as url:
        assert b" 400 " in (await raw(url, request)).split(b"\r\n")[0]
    assert script.requests == []


async def test_a_body_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 400\r\n\r\n{"
    )
    async with serving(tmp_path, Scripted(["x"]), entry=Entry(receive_s=0.2)) as url:
        assert b" 408 " in (await raw(url, request)).split(b"\r\n")[0]


async def test_health_and_readiness(tmp_path: Path) -> None:
    async with serving(tmp_path, Scripted(["x"])) as url, httpx.AsyncClient() as client:
        base = url.removesuffix("/v1")
        assert (await client.get(f"{base}/healthz")).json() == {"status": "ok"}
        assert (await client.get(f"{base}/readyz")).json()["status"] == "ready"
        (tmp_path / "audit.jsonl").unlink()
        body = {"model": "m", "messages": MESSAGES}
        assert (await client.post(f"{url}/chat/completions", json=body)).status_code == 200
        answer = await client.get(f"{base}/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "the audit cannot be written")


class Each(Scripted):
    """Tells every client its own number, in many pieces, and every fifth a secret too."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(await request.aread())["messages"][0]["content"]
        number = int(asked.split()[-1])
        self._choices = (script_of(number),)
        return await super().handle_async_request(request)


def script_of(number: int) -> Sequence[str]:
    own = f"Client {number} is told {number * 7919}. "
    secret = ["Otto", "line V", "ask is known. "] if number % 5 == 0 else []
    return [own[:9], own[9:], *["It goes on and on like this. "] * 20, *secret, "The end."]


async def client_of(client: openai.AsyncOpenAI, number: int) -> str:
    """A client: fast, slow, or gone in the middle."""
    text = ""
    async with await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": f"I am {number}"}], stream=True
    ) as stream:
        async for chunk in stream:
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            if number % 3 == 1:
                await asyncio.sleep(0.005)
            if number % 7 == 3 and len(text) > 200:
                return text
    return text


@pytest.mark.slow
async def test_fifty_clients_at_once_get_their_own_answers_and_memory_returns(
    tmp_path: Path,
) -> None:
    process = psutil.Process()
    script = Each(pause_s=0.002)
    async with serving(tmp_path, script) as url, sdk(url) as client:

        async def wave(first: int) -> None:
            numbers = range(first, first + 50)
            texts = await asyncio.gather(*(client_of(client, n) for n in numbers))
            for number, text in zip(numbers, texts, strict=True):
                assert text.startswith(f"Client {number} is told {number * 7919}. ")
                assert text.count("Client") == 1
                assert "Vask" not in text
                if number % 7 != 3:
                    assert text.endswith("The end.") == (number % 5 != 0)
            script.requests.clear()  # the double keeps what it was asked; that is no memory of ours

        # The same conversations again and again: what is cached is cached by the second wave.
        for _ in range(3):
            await wave(0)
        gc.collect()
        before = process.memory_info().rss
        for _ in range(6):
            await wave(0)
        for _ in range(100):
            if script.open == 0:
                break
            await asyncio.sleep(0.05)
        gc.collect()
        grown = process.memory_info().rss - before
        assert script.open == 0
        assert len([t for t in asyncio.all_tasks() if "_converse" in repr(t)]) == 0
    found = verify(tmp_path / "audit.jsonl")
    assert found.first_broken is None
    assert found.records == 450
    # 300 more conversations: what each left behind is less than a page of memory.
    assert grown < 300 * 4096


def test_the_audit_is_shared_by_nobody(tmp_path: Path) -> None:
    held = Audit.open(tmp_path / "a.jsonl")
    with pytest.raises(RuntimeError):
        Audit.open(tmp_path / "a.jsonl")
    held.close()
