"""Between the door and an upstream on a real socket: headers, keys, redirects, words."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.config import KeySource
from tests.fuzz.house import housed
from tests.fuzz.targets import heard
from tests.fuzz.wires import STREAMS, WHOLES

pytestmark = pytest.mark.server

ROUTE = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Who paints?"}]}
KEY = "upstream-key-4711"
OURS = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type"}
OURS |= {"content-length", "authorization"}
LEAVES = {"date", "content-type", "content-length", "transfer-encoding", "cache-control"}
LEAVES |= {"x-lethe-request-id", "connection", "retry-after"}
STRANGE = {
    "cookie": "session=canary",
    "x-api-key": "canary",
    "x-forwarded-for": "canary",
    "x-request-id": "canary",
    "openai-organization": "canary",
    "openai-project": "canary",
    "anthropic-beta": "canary",
    "anthropic-version": "canary",
    "user-agent": "canary",
    "accept": "canary/canary",
    "accept-language": "canary",
    "referer": "http://canary/",
    "origin": "http://canary",
    "traceparent": "00-canary",
    "te": "trailers",
    "x-canary": "canary",
}


@dataclass(slots=True)
class Answering:
    """What an upstream says, and what it was asked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def upstream(said: Answering) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            said.asked.append((self.path, headers, raw))
            self.send_response(said.status)
            for name, value in {"content-type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST  # noqa: N815 - the base class's name

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def between(folder: Path, said: Answering) -> Iterator[httpx.Client]:
    (folder / "key").write_text(KEY)
    with (
        upstream(said) as url,
        housed(folder, None, upstream=url, key=KeySource(file=folder / "key")) as ours,
        httpx.Client(base_url=ours, timeout=20) as client,
    ):
        yield client


def whole(text: str = "It rains.") -> bytes:
    return json.dumps(WHOLES[ROUTE]([text])).encode()


def test_no_header_of_a_client_goes_up_and_none_of_an_upstream_comes_down(tmp_path: Path) -> None:
    told = {
        "set-cookie": "canary=canary",
        "server": "canary",
        "via": "canary",
        "location": "http://canary/",
        "x-request-id": "canary",
        "openai-organization": "canary",
        "x-ratelimit-remaining": "canary",
        "x-lethe-request-id": "canary",
        "link": "<http://canary/>; rel=preload",
        "retry-after": "canary",
        "access-control-allow-origin": "*",
        "content-type": "application/json; canary=canary",
    }
    said = Answering(headers=told, body=whole())
    with between(tmp_path, said) as client:
        answer = client.post(ROUTE, json=BODY, headers=STRANGE)
    assert answer.json()["choices"][0]["message"]["content"] == "It rains."
    assert {name.lower() for name in answer.headers} <= LEAVES
    assert "canary" not in str(answer.headers).lower()
    [(path, headers, raw)] = said.asked
    assert path == ROUTE
    assert headers.keys() <= OURS
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["accept-encoding"] == "identity"
    assert "canary" not in str(headers)
    assert json.loads(raw) == BODY


def test_what_is_sent_up_is_written_anew(tmp_path: Path) -> None:
    said = Answering(body=whole())
    raw = b' {"model" : "m",\n "messages":[{"role":"user","content":"Wh\\u006f paints?"}] }'
    with between(tmp_path, said) as client:
        client.post(ROUTE, content=raw, headers={"content-type": "application/json"})
    [(_, _, sent)] = said.asked
    assert sent == json.dumps(BODY, separators=(",", ":")).encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(tmp_path: Path, status: int) -> None:
    elsewhere = Answering(body=whole())
    with upstream(elsewhere) as other:
        said = Answering(status=status, headers={"location": f"{other}/chat/completions"})
        with between(tmp_path, said) as client:
            answer = client.post(ROUTE, json=BODY)
            models = client.get("/v1/models")
    assert (answer.status_code, models.status_code) == (502, 502)
    assert elsewhere.asked == []
    assert other.split("/")[2] not in answer.text + models.text


@pytest.mark.parametrize(
    ("status", "seen"),
    [(400, 400), (401, 502), (403, 502), (404, 404), (418, 418), (500, 502), (529, 529)],
)
def test_what_an_upstream_says_of_a_failure_stays_there(
    tmp_path: Path, status: int, seen: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = {"error": {"message": f"canary {KEY}", "param": "canary", "code": "canary"}}
    said = Answering(status, {"x-canary": "canary"}, json.dumps(error).encode())
    with between(tmp_path, said) as client:
        answers = [client.post(ROUTE, json={**BODY, "stream": s}) for s in (True, False)]
    for answer in answers:
        assert answer.status_code == seen
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert "canary" not in answer.text + str(answer.headers)
        assert KEY not in answer.text + str(answer.headers)
    lethe = [record.getMessage() for record in caplog.records if record.name == "lethe"]
    assert lethe
    assert all("canary" not in line and KEY not in line for line in lethe)
    audit = (tmp_path / "audit.jsonl").read_text()
    assert audit.count('"upstream failed"') == 2
    assert KEY not in audit
    assert "canary" not in audit


def test_no_key_is_in_any_log_however_much_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = Answering(body=whole())
    with between(tmp_path, said) as client:
        headers = {"authorization": "Bearer client-key-4711", "x-api-key": "client-key-4711"}
        assert client.post(ROUTE, json=BODY, headers=headers).status_code == 200
    lines = [r.getMessage() for r in caplog.records if not r.name.startswith("httpcore")]
    assert lines
    assert all("key-4711" not in line for line in lines)


INJECTIONS = [
    'a\n\ndata: {"choices": []}\n\n',
    "a\r\nevent: error\r\ndata: x\r\n\r\n",
    "a\rdata: [DONE]\r\r",
    "a\u2028data: [DONE]\u2029\u0085",
    "data: [DONE]",
    "\ufeff: \x00\x1b[31m",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_can_end_an_event_or_begin_one(tmp_path: Path, text: str) -> None:
    events = STREAMS[ROUTE][0]([text, "End."])
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    said = Answering(headers={"content-type": "text/event-stream"}, body=stream.encode())
    with between(tmp_path, said) as client:
        answer = client.post(ROUTE, json={**BODY, "stream": True})
    told, good = heard([answer.content])
    assert good
    assert [event.data for event in told].count("[DONE]") == 1
    assert {event.event for event in told} == {"message"}
    parts = [json.loads(event.data)["choices"][0]["delta"] for event in told[:-1]]
    assert "".join(part.get("content") or "" for part in parts) == text + "End."
