"""Programs that a run needs and starts itself: models and proxies, up as long as it lasts.

Knows no arm: a program is a command, and perhaps a URL that answers once it is up.
"""

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PORT = re.compile(r"\$\{port:([\w-]+)\}")
_ENDS_S = 20
_PAUSE_S = 0.1


class ProcessError(RuntimeError):
    """A program that failed or did not come up. Names it and where its words are."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command. `ready` None waits until it has ended well; else it stays up until the run ends.

    `lethe` as the first word is this program itself, whatever the path says.
    """

    name: str
    command: tuple[str, ...]
    ready: str | None = None
    within_s: float = 180.0


def ports(texts: Sequence[str]) -> dict[str, int]:
    """A free port of this machine for every `${port:NAME}` in the texts."""
    names = dict.fromkeys(name for text in texts for name in _PORT.findall(text))
    with ExitStack() as stack:
        # All are held at once: a port that was let go could be given out twice.
        listeners = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in names
        }
        return {name: listener.getsockname()[1] for name, listener in listeners.items()}


def with_ports(text: str, given: Mapping[str, int]) -> str:
    """The text with its ports."""
    return _PORT.sub(lambda found: str(given[found[1]]), text)


@contextmanager
def running(programs: Sequence[Program], *, folder: Path, logs: Path) -> Iterator[None]:
    """Run them in order, in `folder`, as long as the block lasts. Raises ProcessError, OSError."""
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for program in programs:
            stack.enter_context(_up(program, folder=folder, log=logs / f"{program.name}.log"))
        yield


@contextmanager
def _up(program: Program, *, folder: Path, log: Path) -> Iterator[None]:
    command = list(program.command)
    if command[0] == "lethe":
        # -P: a file of the folder that is named like a package of ours would come before it.
        command[:1] = [sys.executable, "-P", "-m", "lethe"]
    if command[0] == "python":
        command[:1] = [sys.executable]
    with log.open("wb") as said:
        child = subprocess.Popen(  # noqa: S603 - the commands of the user's own file
            command,
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_me if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    try:
        _await(program, child, log)
        yield
    finally:
        _end(child)


def _end_with_me() -> None:
    """In a child: be ended when whoever started it is killed. prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _await(program: Program, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + program.within_s
    while True:
        status = child.poll()
        if status is not None and (status or program.ready):
            raise ProcessError(f"{program.name}: ended with status {status}; see {log}")
        if status == 0 or (program.ready and _answers(program.ready)):
            return
        if time.monotonic() > deadline:
            raise ProcessError(f"{program.name}: not up within {program.within_s:g} s; see {log}")
        time.sleep(_PAUSE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - http alone, by the config
            return True
    except (urllib.error.URLError, OSError):
        return False


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a program and what it started, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_ENDS_S)
