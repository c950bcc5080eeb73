"""Programs of a run: up before it, gone after it, and their failures told."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from leakage.processes import ProcessError, Program, ports, running, with_ports

SERVE = (
    "import sys; from http.server import SimpleHTTPRequestHandler, test; "
    "test(SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
)


def test_a_server_answers_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    given = ports(["${port:a}", "x ${port:b} ${port:a}"])
    assert set(given) == {"a", "b"}
    assert given["a"] != given["b"]
    url = with_ports("http://127.0.0.1:${port:a}/", given)
    first = Program("first", ("python", "-c", "open('made', 'w').close()"))
    server = Program(
        "server", (sys.executable, "-c", SERVE, str(given["a"])), ready=url, within_s=20
    )
    with running([first, server], folder=tmp_path, logs=tmp_path / "logs"):
        assert (tmp_path / "made").exists()
        assert urllib.request.urlopen(url, timeout=5).status == 200  # noqa: S310
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=5)  # noqa: S310
    assert (tmp_path / "logs" / "server.log").exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Program("p", ("python", "-c", "raise SystemExit(3)")), "p: ended with status 3"),
        (Program("p", ("python", "-c", ""), ready="http://127.0.0.1:9/"), "ended with status 0"),
        (
            Program("p", ("python", "-c", "import time; time.sleep(60)"),
                    ready="http://127.0.0.1:9/", within_s=0.3),
            "not up within 0.3 s",
        ),
    ],
)  # fmt: skip
def test_a_program_that_fails_is_told(tmp_path: Path, program: Program, message: str) -> None:
    with (
        pytest.raises(ProcessError, match=message),
        running([program], folder=tmp_path, logs=tmp_path),
    ):
        pass


def test_lethe_is_this_program_whatever_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "proxy.py").write_text("raise SystemExit(9)")
    with running([Program("p", ("lethe", "--version"))], folder=tmp_path, logs=tmp_path / "logs"):
        assert (tmp_path / "logs" / "p.log").read_text().startswith("lethe ")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere programs outlive who is killed")
def test_programs_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    given = ports(["${port:a}"])
    url = with_ports("http://127.0.0.1:${port:a}/", given)
    script = f"""
import os, signal
from pathlib import Path
from leakage.processes import Program, running
server = Program("s", ("python", "-c", {SERVE!r}, "{given["a"]}"), ready="{url}", within_s=20)
with running([server], folder=Path({str(tmp_path)!r}), logs=Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)  # noqa: S603
    assert done.returncode == -signal.SIGKILL
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
        except urllib.error.URLError:
            return
        except ConnectionError:  # taken, and then reset: it ends this moment
            pass
        time.sleep(0.05)
    pytest.fail("the server is still there")
