"""`lethe unlearning`: the fact book served until interrupted, its questions written."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from unlearning.cli import register

ROOT = Path(__file__).parent.parent


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    register(parser)
    parsed = parser.parse_args(arguments)
    status: int = parsed.run(parsed)
    return status


def test_probes_are_written_a_row_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "probes.jsonl"

    assert _run(["probes", "--out", str(out)]) == 0

    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(rows) > 500
    assert capsys.readouterr().out == f"{out}: {len(rows)} probes\n"


def test_a_place_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["probes", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"lethe unlearning probes: {tmp_path}: Is a directory\n"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _run(["serve", "fact-book", f"--port={port}"])
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.server
def test_a_port_in_use_is_said_and_not_raised(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert _run(["serve", "fact-book", "--port", str(port)]) == 1

    assert f"127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.server
def test_a_polite_kill_ends_it_and_gives_the_signal_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def mine(*_: object) -> None:
        return None

    before, ended = signal.signal(signal.SIGTERM, mine), threading.Event()

    def kill_until_ended() -> None:
        while not ended.wait(0.7):
            os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=kill_until_ended)
    killer.start()
    try:
        assert _run(["serve", "fact-book"]) == 0
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        ended.set()
        killer.join()
        signal.signal(signal.SIGTERM, before)
    assert "fact-book at http://127.0.0.1:" in capsys.readouterr().out


@pytest.mark.server
def test_ctrl_c_ends_the_real_command() -> None:
    command = [sys.executable, "-m", "lethe", "unlearning", "serve", "fact-book"]
    with subprocess.Popen(  # noqa: S603 (our own module)
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().split()[2]
        answered = httpx.get(f"{url}/models").status_code
        process.send_signal(signal.SIGINT)

        assert process.wait(20) == 0
        assert answered == 200
        assert process.stderr.read() == ""
