"""An upstream within its bounds, over the real client and a real socket where that matters."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from proxy.exchange import FormatError
from proxy.scripted import Scripted
from proxy.upstream import Limits, Upstream, UpstreamError
from proxy.upstreams import Upstreams

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def answering(
    *parts: bytes | float, limits: Limits | None = None
) -> AsyncIterator[tuple[Upstream, list[bytes]]]:
    """A socket that sends the parts as they are (numbers are pauses), and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever has heard enough hangs up in the middle.
        with suppress(ConnectionError, asyncio.CancelledError):
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await asyncio.sleep(part)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server, httpx.AsyncClient(transport=AiohttpTransport(), trust_env=False) as client:
        yield Upstream("u", url, client, key="s3cret", limits=limits or Limits()), heard


async def events(upstream: Upstream) -> list[object]:
    return [event async for event in upstream.stream("/chat/completions", {"a": 1})]


async def test_events_come_until_done_and_the_key_goes_up() -> None:
    async with answering(HEAD, b'data: {"a": 1}\n\nda', b"ta: [DONE]\n\nrubbish") as (up, heard):
        assert await events(up) == [{"a": 1}]
    sent = heard[0].lower()
    assert b"authorization: bearer s3cret" in sent
    assert b"accept-encoding: identity" in sent
    assert "s3cret" not in repr(up)


async def test_a_last_event_without_an_empty_line_is_an_end() -> None:
    async with answering(HEAD, b'data: {"a": 1}\n\ndata: [DONE]') as (up, _):
        assert await events(up) == [{"a": 1}]


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((HEAD, b'data: {"a": 1}\n\n'), 502),
        ((HEAD, b"data: {"), 502),
        ((HEAD, b"data: [1]\n\n"), 502),
        ((HEAD, b"data: " + b"x" * 3000), 502),
        ((HEAD, b'data: {"error": {"message": "quoted prompt"}}\n\n'), 502),
        ((HEAD.replace(b"text/event-stream", b"text/html"), b"<p>"), 502),
        ((HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), b"x"), 502),
        ((HEAD, *[b'data: {"a": 1}\n\n'] * 500), 502),
        ((HEAD, 0.6), 504),
        ((HEAD, *[0.1, b": drip\n"] * 12), 504),
        ((0.6,), 504),
        ((b"nonsense\r\n\r\n",), 502),
        ((b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",), 502),
    ],
)
async def test_a_bad_answer_is_an_error_that_quotes_nothing(
    parts: tuple[bytes | float, ...], status: int
) -> None:
    limits = Limits(idle_s=0.4, answer_s=0.8, event_bytes=2000, answer_bytes=5000)
    async with answering(*parts, limits=limits) as (up, _):
        with pytest.raises(UpstreamError) as caught:
            await events(up)
    assert caught.value.status == status
    assert "quoted" not in str(caught.value)


async def test_nobody_there_is_an_error() -> None:
    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
        with pytest.raises(UpstreamError) as caught:
            await Upstream("u", "http://127.0.0.1:1/v1", client).complete("/x", {})
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("said", "told"), [("7", "7"), ("86400", "86400"), ("4" * 4000, None), ("Vask", None)]
)
async def test_a_busy_upstream_says_when_to_come_back(said: str, told: str | None) -> None:
    busy = f"HTTP/1.1 429 No\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n"
    async with answering(busy.encode()) as (up, _):
        with pytest.raises(UpstreamError) as caught:
            await up.complete("/x", {})
    assert (caught.value.status, caught.value.retry_after) == (429, told)


async def test_models_are_listed_without_anything_else() -> None:
    async with httpx.AsyncClient(transport=Scripted()) as client:
        upstreams = Upstreams(
            [
                Upstream("a", "http://a/v1", client, models={"public": "private"}),
                Upstream("b", "http://b/v1", client),
            ]
        )
        listed = await upstreams.listed(tenant="t")
        assert [entry["id"] for entry in listed] == ["public", "scripted"]
        assert upstreams.of("public", tenant="t").upstream.name == "a"
        assert upstreams.of("anything", tenant="t").upstream.name == "b"


async def test_models_of_an_upstream_that_is_down_take_no_others_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") as (down, _),
        httpx.AsyncClient(transport=Scripted()) as client,
    ):
        up = Upstream("b", "http://b/v1", client)
        listed = await Upstreams([down, up]).listed(tenant="t")
        assert [entry["id"] for entry in listed] == ["scripted"]
        assert down.name in caplog.text
        with pytest.raises(UpstreamError):
            await Upstreams([down]).listed(tenant="t")


async def test_a_published_model_is_there_for_its_tenants_and_nobodys_else() -> None:
    async with httpx.AsyncClient(transport=Scripted()) as client:
        models = {"npo": "theirs", "rmu": "rmu"}
        npo = Upstream("n", "http://n/v1", client, models=models, tenants=("a*", "b"))
        upstreams = Upstreams([Upstream("m", "http://m/v1", client), npo])
        for tenant in ("acme", "b"):
            found = upstreams.of("npo", tenant=tenant)
            assert (found.upstream, found.model) == (npo, "theirs")
            assert len(await upstreams.listed(tenant=tenant)) == 3
        # It does not fall to the upstream that serves any name, which might know one like it.
        with pytest.raises(FormatError) as unlisted:
            upstreams.of("npo", tenant="other")
        with pytest.raises(FormatError) as unknown:
            Upstreams([npo]).of("no-such-model", tenant="other")
        assert (str(unlisted.value), unlisted.value.status) == (str(unknown.value), 404)
        assert [m["id"] for m in await upstreams.listed(tenant="other")] == ["scripted"]
        with pytest.raises(ValueError, match="listed by two"):
            Upstreams([npo, Upstream("x", "http://x/v1", client, models={"npo": "y"})])


async def test_what_is_sent_by_a_policy_has_the_name_that_the_upstream_knows() -> None:
    async with httpx.AsyncClient(transport=Scripted()) as client:

        def called(model: str | None = None, **models: str) -> str:
            only = Upstream("n", "http://n/v1", client, models=models, model=model)
            return Upstreams([only]).named("n", model="m").model

        assert called() == "m"
        assert called(other="theirs") == "theirs"
        assert called(m="mine", other="theirs") == "mine"
        assert called("set", a="x", b="y") == "set"
        assert called("set", m="mine") == "mine"


async def test_a_model_that_nobody_serves_is_not_found() -> None:
    async with httpx.AsyncClient(transport=Scripted()) as client:
        only = Upstream("a", "http://a/v1", client, models={"public": "private"})
        with pytest.raises(FormatError) as caught:
            Upstreams([only]).of("other", tenant="t")
        assert caught.value.status == 404
        for wrong in ([], [only, only]):
            with pytest.raises(ValueError, match="upstreams"):
                Upstreams(wrong)
