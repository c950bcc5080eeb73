"""Paths that an operator opened: a request up, an answer down, on record as unscreened."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.app import FORMATS, MODELS
from proxy.audit import Audit
from proxy.chain import verify
from proxy.passthrough import Asked, Opening, Passthrough, Relayed
from proxy.upstream import Limits, Upstream, UpstreamError

CLOSED = {*FORMATS, MODELS}
FILES = Opening("/v1/files", frozenset({"GET", "POST"}))
BELOW = Opening("/v1/files/*", frozenset({"GET", "DELETE"}))


class Files(httpx.AsyncBaseTransport):
    """An upstream that answers with what it is told to, and keeps what came."""

    def __init__(self, status: int = 200, content: bytes = b"{}", **headers: str) -> None:
        self.asked: list[httpx.Request] = []
        self._status = status
        self._content = content
        self._headers = {"content-type": "application/json", **headers}
        self.pause_s = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        await asyncio.sleep(self.pause_s)
        headers = {name.replace("_", "-"): value for name, value in self._headers.items()}
        return httpx.Response(self._status, headers=headers, stream=Pieces(self._content))


class Pieces(httpx.AsyncByteStream):
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._raw), 100):
            yield self._raw[at : at + 100]


@asynccontextmanager
async def opened(
    folder: Path, files: Files, *openings: Opening, limits: Limits | None = None
) -> AsyncIterator[Passthrough]:
    audit = Audit.open(folder / "audit.jsonl")
    async with httpx.AsyncClient(transport=files) as client:
        upstream = Upstream("u", "http://up/v1", client, key="s3cret", limits=limits or Limits())
        yield Passthrough(openings or (FILES, BELOW), upstream=upstream, audit=audit, closed=CLOSED)
    audit.close()


def records(folder: Path) -> list[dict[str, Any]]:
    assert verify(folder / "audit.jsonl").first_broken is None
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


async def relayed(passthrough: Passthrough, asked: Asked) -> Relayed:
    return await passthrough.relay(asked, request_id="r", tenant="acme")


async def test_a_request_goes_up_with_our_key_and_comes_back_on_record(tmp_path: Path) -> None:
    files = Files(200, b'{"id": "file-1"}' * 50, set_cookie="canary", x_canary="canary")
    kind = "multipart/form-data; boundary=x"
    headers = {"content-type": kind, "accept": "*/*", "authorization": "canary", "x-a": "canary"}
    async with opened(tmp_path, files) as passthrough:
        asked = Asked("POST", "/v1/files", b"purpose=batch", headers, b"--x--")
        answer = await relayed(passthrough, asked)
    assert (answer.status, answer.body) == (200, b'{"id": "file-1"}' * 50)
    assert "canary" not in str(answer.headers)
    assert dict(answer.headers)["x-content-type-options"] == "nosniff"
    [sent] = files.asked
    assert str(sent.url) == "http://up/v1/files?purpose=batch"
    assert (sent.headers["content-type"], sent.content) == (kind, b"--x--")
    assert sent.headers["authorization"] == "Bearer s3cret"
    assert "canary" not in str(sent.headers.multi_items())
    [record] = records(tmp_path)
    assert (record["outcome"], record["route"], record["tenant"]) == (
        "unscreened",
        "/v1/files",
        "acme",
    )
    assert (record["upstream"], record["policies"], record["action"]) == ("u", [], "pass")


@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("GET", "/v1/files", {"GET", "POST"}),
        ("GET", "/v1/files/file-1/content", {"GET", "DELETE"}),
        ("POST", "/v1/files/file-1", {"GET", "DELETE"}),
        ("GET", "/v1/files/", set()),
        ("GET", "/v1/filesystem", set()),
        ("GET", "/v1/files/../chat/completions", set()),
        ("GET", "/v1/files/./x", set()),
        ("GET", "/v1/files//x", set()),
        ("GET", "/v1/files/a b", set()),
        ("GET", "/v1/files/a?b", set()),
        ("GET", "/v1/files/a#b", set()),
        ("GET", "/v1/files/a\\b", set()),
        ("GET", "/v1/files/%2e%2e", set()),
        ("GET", "/v1/files/é", set()),
        ("GET", "//v1/files", set()),
        ("GET", "http://evil/v1/files", set()),
        ("GET", "/v1/FILES", set()),
        ("GET", "/v1/batches", set()),
        ("GET", "*", set()),
    ],
)
async def test_only_what_is_opened_is_open(
    tmp_path: Path, method: str, path: str, methods: set[str]
) -> None:
    files = Files()
    async with opened(tmp_path, files) as passthrough:
        assert passthrough.methods(path) == methods
        if method in methods:
            assert (await relayed(passthrough, Asked(method, path))).status == 200
            assert files.asked[0].url.path == path
        else:
            with pytest.raises(UpstreamError) as caught:
                await relayed(passthrough, Asked(method, path))
            assert caught.value.status == 404
            assert files.asked == []


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/Chat/Completions", "/v1/models", "/v1/chat/COMPLETIONS"]
)
async def test_what_is_screened_is_never_passed_on(tmp_path: Path, path: str) -> None:
    wide = Opening("/v1/chat/*", frozenset({"POST"}))
    async with opened(tmp_path, Files(), wide) as passthrough:
        assert passthrough.methods(path) == frozenset()
        assert passthrough.methods("/v1/chat/other") == {"POST"}
        with pytest.raises(ValueError, match="is served here"):
            Passthrough(
                [Opening(path, frozenset({"POST"}))],
                upstream=passthrough._upstream,
                audit=passthrough._audit,
                closed=CLOSED,
            )


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/*", {"GET"}),
        ("/v1", {"GET"}),
        ("/*", {"GET"}),
        ("*", {"GET"}),
        ("/v2/files", {"GET"}),
        ("/v1/files/", {"GET"}),
        ("/v1/fi*", {"GET"}),
        ("/v1/*/x", {"GET"}),
        ("/v1/../x", {"GET"}),
        ("/v1/files", set()),
        ("/v1/files", {"TRACE"}),
        ("/v1/files", {"get"}),
    ],
)
def test_what_could_not_be_meant_is_not_opened(path: str, methods: set[str]) -> None:
    with pytest.raises(ValueError, match="passthrough"):
        Opening(path, frozenset(methods))


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (Files(400, b"canary"), 400),
        (Files(401, b"canary"), 502),
        (Files(404, b"canary"), 404),
        (Files(429, b"canary", retry_after="7"), 429),
        (Files(302, b"canary", location="http://127.0.0.1:1/"), 502),
        (Files(500, b"canary"), 502),
        (Files(200, b"canary" * 1000), 502),
        (Files(200, b"canary", content_encoding="gzip"), 502),
    ],
)
async def test_an_upstream_that_fails_says_nothing_through_us(
    tmp_path: Path, files: Files, status: int
) -> None:
    async with opened(tmp_path, files, limits=Limits(answer_bytes=2000)) as passthrough:
        with pytest.raises(UpstreamError) as caught:
            await relayed(passthrough, Asked("GET", "/v1/files"))
    assert caught.value.status == status
    assert "canary" not in str(caught.value)
    assert (caught.value.retry_after == "7") == (status == 429)
    [record] = records(tmp_path)
    assert record["outcome"] == "upstream failed"


async def test_an_upstream_has_so_much_time_and_no_more(tmp_path: Path) -> None:
    files = Files()
    files.pause_s = 5
    async with opened(tmp_path, files, limits=Limits(answer_s=0.1)) as passthrough:
        with pytest.raises(UpstreamError) as caught:
            await relayed(passthrough, Asked("GET", "/v1/files"))
    assert caught.value.status == 504


async def test_who_leaves_is_on_record(tmp_path: Path) -> None:
    files = Files()
    files.pause_s = 5
    async with opened(tmp_path, files) as passthrough:
        asking = asyncio.ensure_future(relayed(passthrough, Asked("GET", "/v1/files")))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert [record["outcome"] for record in records(tmp_path)] == ["client left"]


async def test_what_is_not_on_record_does_not_leave(tmp_path: Path) -> None:
    async with opened(tmp_path, Files()) as passthrough:
        passthrough._audit.close()
        with pytest.raises(UpstreamError) as caught:
            await relayed(passthrough, Asked("GET", "/v1/files"))
    assert caught.value.status == 500


async def test_a_query_or_a_type_of_unknown_shape_is_not_passed_on(tmp_path: Path) -> None:
    files = Files(200, b"x", content_type="text/html\tcanary<script>")
    headers = {"content-type": "a/b\u00e9", "accept": ""}
    async with opened(tmp_path, files) as passthrough:
        with pytest.raises(UpstreamError) as caught:
            await relayed(passthrough, Asked("GET", "/v1/files", b"a=<canary>"))
        assert caught.value.status == 400
        answer = await relayed(passthrough, Asked("GET", "/v1/files", b"limit=2", headers))
    assert dict(answer.headers)["content-type"] == "application/octet-stream"
    assert "content-type" not in files.asked[0].headers
    assert "canary" not in repr(Asked("GET", "/", b"canary", {"a": "canary"}, b"canary"))
