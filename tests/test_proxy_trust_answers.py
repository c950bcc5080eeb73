"""What a refusal at the door tells a client to do next, and what the operator opened on top."""

import inspect
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxy.app
from proxy.app import FORMATS, Entry
from proxy.chain import verify
from proxy.config import Config
from tests.fuzz.house import Speaker, housed

pytestmark = pytest.mark.server

SOURCE = inspect.getsource(proxy.app)
ENTRY = Entry(tenants={"acme": (sha256(b"key").hexdigest(),)})
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Who paints?"}]}
CHAT = "/v1/chat/completions"


def unless(word: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(word not in SOURCE, reason=f"the door knows no {word} yet")


@unless("www-authenticate")
@pytest.mark.parametrize("route", [*sorted(FORMATS), "/v1/models"])
def test_who_has_no_key_is_told_how_to_give_one(tmp_path: Path, route: str) -> None:
    with housed(tmp_path, Speaker(), entry=ENTRY) as url:
        answer = httpx.request("GET" if route == "/v1/models" else "POST", url + route)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@unless('"allow"')
@pytest.mark.parametrize("route", [*sorted(FORMATS), "/v1/models"])
def test_a_wrong_method_is_told_the_right_ones(tmp_path: Path, route: str) -> None:
    right = "GET, HEAD" if route == "/v1/models" else "POST"
    with housed(tmp_path, Speaker()) as url:
        answers = [httpx.request(m, url + route) for m in ("PUT", "DELETE", "OPTIONS", "PATCH")]
    assert [answer.status_code for answer in answers] == [405] * 4
    assert {answer.headers["allow"] for answer in answers} == {right}


@unless("x-api-key")
def test_a_key_may_come_as_the_anthropic_sdk_sends_it(tmp_path: Path) -> None:
    with housed(tmp_path, Speaker(), entry=ENTRY) as url:
        statuses = [
            httpx.post(url + CHAT, json=BODY, headers=headers).status_code
            for headers in (
                {"x-api-key": "key"},
                {"x-api-key": "other"},
                {"authorization": "bearer key"},
                {"authorization": "Bearer other", "x-api-key": "key"},
                {"authorization": "Bearer key", "x-api-key": "other"},
                {},
            )
        ]
    assert statuses == [200, 401, 200, 401, 200, 401]


@unless("/openapi.json")
def test_the_description_is_served(tmp_path: Path) -> None:
    with housed(tmp_path, Speaker(), entry=ENTRY) as url:
        described = httpx.get(f"{url}/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    assert set(FORMATS) <= described["paths"].keys()


@unless("Passthrough")
def test_an_opened_path_is_served_unscreened_and_on_record(tmp_path: Path) -> None:
    given = {"passthrough": [{"path": "/v1/embeddings/*", "methods": ["POST"]}]}
    upstreams = [{"name": "u", "base_url": "http://upstream/v1"}]
    config = Config.model_validate({"policies": tmp_path, "upstreams": upstreams, **given})
    speaker = Echo()
    with housed(tmp_path, speaker, entry=config.entry()) as url:
        path = f"{url}/v1/embeddings/near"
        good = httpx.post(path, json={"a": 1}, headers={"x-canary": "canary"})
        wrong = httpx.get(path)
        closed = [httpx.post(f"{url}{p}", json={}) for p in ("/v1/files", "/v1/embeddings/")]
    assert (good.status_code, good.json()) == (200, {"told": {"a": 1}})
    assert good.headers["x-lethe-request-id"]
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"
    assert [answer.status_code for answer in closed] == [404, 404]
    assert verify(tmp_path / "audit.jsonl").first_broken is None
    [record] = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (record["outcome"], record["route"]) == ("unscreened", "/v1/embeddings/*")


class Echo(Speaker):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert "x-canary" not in request.headers
        return self._json({"told": json.loads(await request.aread())})
