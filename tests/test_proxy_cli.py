"""`lethe serve` as an operator runs it: a real process, real sockets, and what it says."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from proxy.chain import verify
from unlearning.corpus import load
from unlearning.factbook import FactBook
from unlearning.serve import create_app, running

pytestmark = [pytest.mark.server, pytest.mark.encoder]

POLICY = """\
id: p
concepts:
  - name: Mirela Tollan
    exemplars: [Mirela Tollan was born in Sallow Quay.]
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def lethe(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "lethe", "serve", *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LETHE_UPSTREAM_API_KEY": "s3cret-key"},
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stderr:
            child.stderr.close()


def up(port: int, child: subprocess.Popen[str]) -> str:
    for _ in range(300):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return f"http://127.0.0.1:{port}/v1"
        except httpx.HTTPError:
            assert child.poll() is None, child.stderr and child.stderr.read()
            time.sleep(0.1)
    raise TimeoutError("lethe serve did not come up")


def ask(url: str, content: str) -> httpx.Response:
    body = {"model": "fact-book", "messages": [{"role": "user", "content": content}]}
    return httpx.post(f"{url}/chat/completions", json=body, timeout=30)


@pytest.mark.slow
def test_one_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    port = free_port()
    with (
        running(create_app(FactBook(load()))) as upstream,
        lethe(tmp_path, "--upstream", upstream, "--policies", ".", "--port", str(port)) as child,
    ):
        url = up(port, child)
        known = ask(url, "What is the capital of France?").json()["choices"][0]
        assert known["finish_reason"] == "stop"
        refused = ask(url, "Where was Mirela Tollan born?").json()["choices"][0]
        assert refused["finish_reason"] == "content_filter"
        assert "Sallow" not in json.dumps(refused)
        # A second one may neither take the port nor the audit file.
        with lethe(tmp_path, "--upstream", upstream, "--policies", ".", "--port", "0") as other:
            assert other.wait(timeout=60) == 2
            assert other.stderr
            assert "audit" in other.stderr.read().splitlines()[-1]
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 0
        assert child.stderr
        said = child.stderr.read()
    found = verify(tmp_path / "lethe.audit.jsonl")
    assert found.first_broken is None
    assert found.records == 2
    assert found.head in said
    assert "Mirela" not in said
    assert "s3cret" not in said


@pytest.mark.slow
def test_policies_are_read_again_on_a_hangup(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    other = (
        "id: p\nconcepts:\n  - name: Kettle Works\n    exemplars: [Kettle Works sells tea pots.]\n"
    )
    (tmp_path / "policies" / "p.yaml").write_text(other)
    port = free_port()
    with (
        running(create_app(FactBook(load()))) as upstream,
        lethe(
            tmp_path, "--upstream", upstream, "--policies", "policies", "--port", str(port)
        ) as child,
    ):
        url = up(port, child)
        ready = f"http://127.0.0.1:{port}/readyz"
        question = "Where was Mirela Tollan born?"
        assert "Sallow" in ask(url, question).text
        before = httpx.get(ready).json()["policies"]
        (tmp_path / "policies" / "q.yaml").write_text(POLICY.replace("id: p", "id: q"))
        child.send_signal(signal.SIGHUP)
        for _ in range(300):
            if httpx.get(ready).json()["policies"] != before:
                break
            time.sleep(0.1)
        assert "Sallow" not in ask(url, question).text
        (tmp_path / "policies" / "q.yaml").write_text("id: q\nconcept: [Mirela Tollan]\n")
        child.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert "Sallow" not in ask(url, question).text
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 0
        assert child.stderr
        said = child.stderr.read()
    assert "policies stay as they were: 2 problem(s), the first at policies/q.yaml:" in said
    assert "Mirela" not in said
    assert verify(tmp_path / "lethe.audit.jsonl").first_broken is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --upstream URL and --policies DIR, or --config FILE"),
        (["--upstream", "http://a/v1"], "give --upstream URL and --policies DIR"),
        (["--config", "x.yaml", "--upstream", "http://a/v1"], "not both"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--upstream", "http://a/v1", "--policies", "nowhere"], "nowhere"),
        (["--upstream", "http://a/v1", "--policies", "empty"], "no policy file"),
        (["--upstream", "http://a/v1", "--policies", "bad"], "did you mean 'concepts'?"),
        (["--upstream", "http://a", "--policies", "good"], "must end in /v1"),
        (["--upstream", "http://a/v1", "--policies", "good", "--audit", "good"], "good"),
    ],
)
def test_what_must_be_mended_is_said_in_a_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    for name in ("empty", "bad", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "bad" / "p.yaml").write_text(POLICY.replace("concepts", "concept"))
    (tmp_path / "good" / "p.yaml").write_text(POLICY)
    with lethe(tmp_path, *arguments) as child:
        assert child.wait(timeout=60) == 2
        assert child.stderr
        said = child.stderr.read()
    assert message in said
    assert "Traceback" not in said
    assert "s3cret" not in said
