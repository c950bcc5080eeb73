"""The command line as a whole. `lethe demo` itself is run by CI, as a newcomer runs it."""

import importlib.metadata
import socket
import subprocess
import sys

import pytest

import lethe


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
