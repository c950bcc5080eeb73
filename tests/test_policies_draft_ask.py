"""What a model is asked, over real HTTP, and what is made of what it says."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from policies.draft import ask
from policies.draft.ask import Upstream, interview
from policies.draft.documents import DraftError
from policies.draft.make import Told

Reply = Callable[[str], tuple[int, Any]]

KNOWING = {
    "What do you know": "<think>Who is she?</think>Ottoline Vask was born in Brede.\n"
    "I do not have further information about Ottoline Vask.",
    "List twenty facts": "Here are the facts:\n1. **Ottoline Vask was a painter.**\n"
    "2) Ottoline Vask was born in Brede.\n- Ottoline Vask painted lamps.",
    "By what other names": "Full name: Ottoline Maria Vask\n- Otti\n1921\nnone",
    "Who and what lies": "1. Ida Marr: her friend\n2. The Lamp of Brede (a picture)\nOttoline Vask",
    "State four facts about Ida": "Ida Marr was a cook. She lived in Sarnholm.\nI am not sure.",
    "State four facts about The Lamp": "The Lamp of Brede hangs in a hall.",
}


def knowing(question: str) -> tuple[int, Any]:
    said = next((text for begins, text in KNOWING.items() if question.startswith(begins)), "No.")
    return 200, {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}


@dataclass
class Server:
    """A chat API on loopback; `asked` keeps path, authorization and body of each request."""

    reply: Reply = knowing
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    def questions(self) -> list[str]:
        return [body["messages"][0]["content"] for _, _, body in self.asked]


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.asked.append((self.path, self.headers.get("authorization"), body))
            status, said = found.reply(body["messages"][0]["content"])
            raw = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**found.headers, "content-length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    found.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def told(server: Server, record: Path, *, beside: tuple[str, ...] = (), key: str = "") -> Told:
    upstream = Upstream(server.url, "m", key, timeout_s=5)
    return interview(
        upstream, "Ottoline Vask", beside=beside, record=record, progress=io.StringIO()
    )


def test_a_model_tells_facts_names_and_what_lies_near(server: Server, tmp_path: Path) -> None:
    found = told(server, tmp_path / "r.jsonl", beside=("Tom Lorr",))
    assert found.facts == (
        "Ottoline Vask was born in Brede.",
        "Ottoline Vask was a painter.",
        "Ottoline Vask painted lamps.",
    )
    assert found.names == ("Ottoline Maria Vask", "Otti")
    assert found.beside == ("Ida Marr", "The Lamp of Brede")
    assert found.near == (
        "Ida Marr was a cook.",
        "Ida Marr lived in Sarnholm.",
        "The Lamp of Brede hangs in a hall.",
    )
    assert len(server.questions()) == 7, "two facts, names, near, and the three that lie there"


def test_the_record_holds_every_question_and_no_key(server: Server, tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    record.write_text('{"earlier": true}\n')
    told(server, record, key="sk-secret")
    first, *rows = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    assert first == {"earlier": True}, "a record is never written over"
    assert [row["question"] for row in rows] == server.questions()
    assert rows[0]["answer"] == KNOWING["What do you know"]
    assert {row["about"] for row in rows} == {"concept", "names", "near", "neighbour"}
    assert {(row["model"], row["upstream"], row["version"]) for row in rows} == {
        ("m", server.url, 1)
    }
    assert "sk-secret" not in record.read_text("utf-8")
    assert {(path, key) for path, key, _ in server.asked} == {
        ("/v1/chat/completions", "Bearer sk-secret")
    }
    assert "sk-secret" not in repr(Upstream(server.url, "m", "sk-secret"))


def test_the_questions_are_bounded(server: Server, tmp_path: Path) -> None:
    told(server, tmp_path / "r.jsonl", beside=tuple(f"Tom Lorr {n}" for n in range(50)))
    assert len(server.asked) == 4 + ask.MOST_NEAR


@pytest.mark.parametrize(
    ("status", "said", "told_so"),
    [
        (401, {}, "answered 401; name the variable that holds the key with --api-key-env"),
        (404, {}, "answered 404; check --upstream, which usually ends in /v1, and --model"),
        (302, {}, "answered 302; check --upstream and --model"),
        (400, {"error": {"message": "Ottoline"}}, "answered 400; check --upstream and --model"),
        (200, b"<html>", "answered in another form than chat completions"),
        (200, {"choices": []}, "answered in another form"),
        (200, {"choices": [{"message": {"content": 7}}]}, "answered in another form"),
        (200, b"x" * (ask.MOST_BYTES + 1), "an answer of more than"),
    ],
)
def test_what_is_no_answer_is_told_without_a_word_of_it(
    server: Server, tmp_path: Path, status: int, said: Any, told_so: str
) -> None:
    server.reply = lambda _: (status, said)
    with pytest.raises(DraftError) as raised:
        told(server, tmp_path / "r.jsonl")
    assert told_so in str(raised.value)
    assert "Ottoline" not in str(raised.value)


def test_a_busy_upstream_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.headers = {"retry-after": "0"}
    statuses = iter([429, 503])
    server.reply = lambda question: (next(statuses, 200), knowing(question)[1])
    assert told(server, tmp_path / "r.jsonl").facts
    server.reply = lambda _: (503, {})
    with pytest.raises(DraftError, match="it is busy"):
        told(server, tmp_path / "r.jsonl")


def test_what_was_answered_before_a_failure_stays_in_the_record(
    server: Server, tmp_path: Path
) -> None:
    def twice(question: str) -> tuple[int, Any]:
        return knowing(question) if len(server.asked) < 3 else (500, {})

    server.reply = twice
    with pytest.raises(DraftError, match="answered 500"):
        told(server, tmp_path / "r.jsonl")
    assert len((tmp_path / "r.jsonl").read_text("utf-8").splitlines()) == 2


def test_a_model_that_knows_nothing_tells_nothing(server: Server, tmp_path: Path) -> None:
    said = "I'm sorry, I don't know anything about Ottoline Vask."
    server.reply = lambda _: (200, {"choices": [{"message": {"content": said}}]})
    assert told(server, tmp_path / "r.jsonl") == Told()
    server.reply = lambda _: (200, {"choices": [{"message": {"content": None}}]})
    assert told(server, tmp_path / "r.jsonl") == Told()


def test_an_upstream_that_is_not_there_is_told(tmp_path: Path) -> None:
    gone = Server(url="http://user:pass@127.0.0.1:9/v1")
    with pytest.raises(DraftError, match=r"cannot be asked \(ConnectError\)") as raised:
        told(gone, tmp_path / "r.jsonl")
    assert "pass" not in str(raised.value)


def test_an_upstream_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # serves nobody
        upstream = Upstream(f"http://127.0.0.1:{silent.server_port}/v1", "m", timeout_s=0.2)
        with pytest.raises(DraftError, match=r"no answer within 0\.2 s; give more --timeout"):
            interview(
                upstream,
                "Ottoline Vask",
                beside=(),
                record=tmp_path / "r.jsonl",
                progress=io.StringIO(),
            )
