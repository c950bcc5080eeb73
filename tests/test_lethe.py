"""The command line as a whole. `lethe demo` itself is run by CI, as a newcomer runs it."""

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lethe
from unlearning.testbed import SHIPPED_ARMS


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        lethe.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"lethe {lethe.__version__}\n"


def test_an_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        lethe.main(["sreve"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in lethe.COMMANDS)


def test_help_lints_and_audits_without_loading_torch() -> None:
    program = (
        "import sys, lethe\n"
        "for words in (['policy', 'lint'], ['audit', 'verify', 'no-such-file']):\n"
        "    lethe.main(words)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_clash_over_an_import_name_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lethe, "packages_distributions", lambda: {"proxy": ["proxy.py"]})
    assert lethe.main(["policy", "lint"]) == 2
    assert "'proxy.py' is installed too" in capsys.readouterr().err


def test_a_checkout_that_is_not_installed_knows_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(lethe, "version", missing)
    with pytest.raises(SystemExit):
        lethe.main(["--version"])
    assert lethe.__version__ in capsys.readouterr().out


def test_a_busy_port_is_said_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lethe.main(["demo", "--port", str(port)]) == 1
    assert f"port {port}" in capsys.readouterr().err


def started(*words: str, folder: Path) -> "subprocess.Popen[str]":
    """`lethe` in a process group of its own, its temporary files in a folder."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "lethe", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"},
        start_new_session=True,
    )


def test_the_demo_with_weights_measures_every_arm(tmp_path: Path) -> None:
    """All of it as a user runs it, with one question of each kind."""
    report, folder = tmp_path / "report.json", tmp_path / "temporary"
    folder.mkdir()
    words = ("demo", "--weights", "--once", "--questions", "1", "--json", str(report))
    demo = started(*words, folder=folder)
    said, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, said
    arms = {*lethe.TREATMENTS, *SHIPPED_ARMS} - {lethe.TARGET}
    assert set(json.loads(report.read_text("utf-8"))["arms"]) == arms
    assert all(f" {name} " in said for name in arms)
    assert not list(folder.glob("lethe-demo-*"))


def test_a_demo_that_is_told_to_end_while_it_comes_up_leaves_nothing(tmp_path: Path) -> None:
    demo = started("demo", "--once", folder=tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("lethe-demo-*/serve.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    demo.send_signal(signal.SIGTERM)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGTERM, said
    assert not list(tmp_path.glob("lethe-demo-*"))
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)


def test_a_demo_without_questions_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert lethe.main(["demo", "--questions", "0"]) == 2
    assert "--questions is at least 1" in capsys.readouterr().err
