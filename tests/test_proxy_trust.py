"""What the door answers to strangers: a 4xx in the format's shape that quotes nothing of theirs."""

import json
import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.app import FORMATS, Entry
from tests.fuzz.house import INNOCENT, Speaker, housed
from tests.fuzz.mutation import SECRET
from tests.fuzz.wires import REQUESTS

pytestmark = pytest.mark.server

CANARY = "canary 4711"
HEADERS = {"content-type": "application/json", "authorization": "Bearer key"}
ROUTES = sorted(FORMATS)
# What formats must make sense of; other fields are the upstream's to refuse.
UNDERSTOOD = {"model", "messages", "input", "prompt", "stream"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Speaker, Path]]:
    folder, speaker = tmp_path_factory.mktemp("house"), Speaker()
    entry = Entry(
        body_bytes=4096,
        hosts=frozenset({"127.0.0.1"}),
        tenants={"acme": (sha256(b"key").hexdigest(),)},
    )
    with housed(folder, speaker, entry=entry) as url:
        yield url, speaker, folder / "audit.jsonl"


def refused(answer: httpx.Response, route: str) -> None:
    """A refusal in the shape of the route's format, without a word of the request."""
    assert 400 <= answer.status_code < 500, answer.text
    body = answer.json()
    assert set(body["error"]) >= {"type", "message"}
    assert (body.get("type") == "error") == route.startswith("/v1/messages")
    assert "canary" not in answer.text.lower()
    assert "canary" not in str(answer.headers).lower()


def malformed(route: str) -> list[bytes]:
    good = REQUESTS[route][0]
    odd: list[Any] = [
        *({**good, key: {CANARY: CANARY}} for key in good.keys() & UNDERSTOOD),
        *({**good, key: [{CANARY: CANARY}]} for key in good.keys() & UNDERSTOOD),
        *({key: value for key, value in good.items() if key != left} for left in good),
        {CANARY: CANARY},
        {**good, "stream": CANARY},
    ]
    optional = {"max_tokens", "stream", "system", "prompt"}  # what may be left out is no mistake
    raws = [json.dumps(body).encode() for body in odd if not _missing_only(good, body, optional)]
    plain = json.dumps(good).encode()[:-1]
    return [
        *raws,
        b"",
        b'["%s"]' % CANARY.encode(),
        b'"%s"' % CANARY.encode(),
        b'{"%s"' % CANARY.encode(),
        b"%s, }" % plain,
        b'%s, "model": "%s"}' % (plain, CANARY.encode()),
        b'%s, "%s": NaN}' % (plain, CANARY.encode()),
        b'%s, "%s": -Infinity}' % (plain, CANARY.encode()),
        b'%s, "%s": 1e999}' % (plain, CANARY.encode()),
        b'%s, "%s": 123456789012345678901}' % (plain, CANARY.encode()),
        b'%s, "%s": "\\ud800"}' % (plain, CANARY.encode()),
        b'%s, "%s": "\xff"}' % (plain, CANARY.encode()),
        b'%s, "%s": %s1%s}' % (plain, CANARY.encode(), b"[" * 80, b"]" * 80),
        b'%s, "%s": "%s"}' % (plain, CANARY.encode(), b"x" * 5000),
        b"\xef\xbb\xbf%s}" % plain,
        b"%s}{}" % plain,
    ]


def _missing_only(good: dict[str, Any], body: Any, optional: set[str]) -> bool:
    """Whether a body lacks nothing but what may be left out, or is given null for it."""
    return CANARY not in json.dumps(body) and good.keys() - body.keys() <= optional


@pytest.mark.parametrize("route", ROUTES)
def test_a_malformed_body_is_refused_and_not_quoted(
    house: tuple[str, Speaker, Path], route: str, caplog: pytest.LogCaptureFixture
) -> None:
    url, speaker, audit = house
    caplog.set_level(logging.DEBUG, "lethe")
    before = len(speaker.requests)
    with httpx.Client(base_url=url, headers=HEADERS) as client:
        for raw in malformed(route):
            answer = client.post(route, content=raw)
            assert answer.status_code in (400, 413), raw
            refused(answer, route)
        assert len(speaker.requests) == before
        # The twin: the same body unharmed is answered.
        answer = client.post(route, json=REQUESTS[route][0])
        assert answer.status_code == 200
        assert "canary" not in caplog.text.lower()
        assert "canary" not in audit.read_text().lower()


@pytest.mark.parametrize("route", [*ROUTES, "/v1/models"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"authorization": "Bearer canary"}, 401),
        ({"authorization": "Basic canary"}, 401),
        ({"authorization": "canary"}, 401),
        ({"authorization": ""}, 401),
        ({"host": "canary.example"}, 421),
        ({"host": "127.0.0.1.canary.example"}, 421),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "canary"}, 415),
        ({"content-type": "text/canary"}, 415),
        ({"content-type": "application/json-canary"}, 415),
        ({"content-type": "multipart/form-data; boundary=canary"}, 415),
    ],
)
def test_a_header_that_does_not_fit_is_refused_and_not_quoted(
    house: tuple[str, Speaker, Path],
    route: str,
    given: dict[str, str],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, speaker, _ = house
    caplog.set_level(logging.DEBUG, "lethe")
    before = len(speaker.requests)
    models = route == "/v1/models"
    if models and status == 415:
        pytest.skip("a GET has no body")
    with httpx.Client(base_url=url, headers={**HEADERS, **given}) as client:
        answer = client.get(route) if models else client.post(route, json=REQUESTS[route][0])
    assert answer.status_code == status
    refused(answer, route)
    assert len(speaker.requests) == before
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/canary",
        "/v1/canary",
        "/v1/models/canary",
        "/v1/chat/completions/canary",
        "/v1/chat/completions%2fcanary",
        "/v1/chat%2fcompletions/",
        "/v1/%63hat/completions?x",
        "//canary/v1/chat/completions",
        "/v1/./canary/../chat/completions",
        "/V1/chat/completions",
        "/v1/chat/completions;canary",
        "/v1/files",
        "/openapi.json/canary",
        "/healthz/",
    ],
)
def test_a_path_is_served_as_it_is_named_or_not_at_all(
    house: tuple[str, Speaker, Path], path: str
) -> None:
    url, speaker, _ = house
    before = len(speaker.requests)
    with httpx.Client(headers=HEADERS) as client:
        for method in ("GET", "DELETE", "PUT"):
            answer = client.request(method, httpx.URL(url, raw_path=path.encode()))
            refused(answer, "")
    told = [request for request in speaker.requests[before:] if request.url.path != "/v1/models"]
    assert told == []


EVASIONS: list[dict[str, Any]] = [
    {"headers": {"x-lethe-policy": "none", "x-lethe-mode": "off", "x-lethe-bypass": "1"}},
    {"headers": {"x-forwarded-for": "127.0.0.1", "x-real-ip": "::1", "forwarded": "for=_hidden"}},
    {"headers": {"x-tenant": "root", "x-lethe-tenant": "root", "openai-organization": "root"}},
    {"headers": {"x-http-method-override": "GET", "x-original-url": "/healthz"}},
    {"params": {"policy": "none", "mode": "off", "lethe": "0", "beta": "true"}},
    {"json": {"policy": "none", "policies": [], "mode": "off", "lethe": {"mode": "shadow"}}},
    {"json": {"guardrails": [], "disable_global_guardrails": True, "metadata": {"mode": "off"}}},
    {"json": {"extra_body": {"mode": "off"}, "extra_headers": {"x-lethe-mode": "off"}}},
]


@pytest.mark.parametrize("evasion", EVASIONS)
@pytest.mark.parametrize("route", [r for r in ROUTES if "embed" not in r and "count" not in r])
def test_no_client_can_name_or_weaken_a_policy(
    house: tuple[str, Speaker, Path], route: str, evasion: dict[str, Any]
) -> None:
    url, _, audit = house
    body = {**REQUESTS[route][0], **evasion.get("json", {}), "stream": False}
    headers = {**HEADERS, **evasion.get("headers", {})}
    with httpx.Client(base_url=url, headers=headers) as client:
        answers = [client.post(route, json=body, params=evasion.get("params")) for _ in range(2)]
    written = [json.loads(line) for line in audit.read_text().splitlines()][-2:]
    if answers[0].status_code == 400:  # a field that is no such field is as good
        assert {answer.status_code for answer in answers} == {400}
        return
    assert [answer.status_code for answer in answers] == [200, 200]
    assert sum(INNOCENT.strip() in answer.text for answer in answers) >= 1
    assert all("warts" not in answer.text and SECRET not in answer.text for answer in answers)
    assert sorted(record["action"] for record in written) == ["pass", "refuse"]
    assert {record["policies"][0]["mode"] for record in written} == {"enforce"}
    assert {record["tenant"] for record in written} == {"acme"}


@pytest.mark.parametrize(
    "fields",
    [
        {"api_base": "http://127.0.0.1:1/v1", "base_url": "http://127.0.0.1:1/v1"},
        {"custom_llm_provider": "openai", "api_key": "canary", "azure_endpoint": "http://x"},
        {"upstream": "u1", "backend": "u1", "route": "u1", "provider": {"only": ["x"]}},
    ],
)
def test_no_client_can_choose_where_a_request_goes(
    house: tuple[str, Speaker, Path], fields: dict[str, Any]
) -> None:
    url, speaker, _ = house
    route = "/v1/chat/completions"
    given = {"x-api-base": "http://127.0.0.1:1", "x-portkey-custom-host": "http://127.0.0.1:1"}
    before = len(speaker.requests)
    with httpx.Client(base_url=url, headers={**HEADERS, **given}) as client:
        client.post(route, json={**REQUESTS[route][0], **fields}, params=fields)
    told = speaker.requests[before:]
    assert [str(request.url) for request in told] in ([], [f"http://upstream{route}"])
    # An upstream that is such a gateway itself is not asked to obey either.
    bodies = [json.loads(request.content) for request in told]
    assert not any({"api_base", "custom_llm_provider"} & body.keys() for body in bodies)
