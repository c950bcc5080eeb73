"""The command line: composes the sub-commands of the five packages, imports them lazily.

Knows nothing of how they work; `lethe demo` is a composition too, of commands that anybody can run.
"""

import argparse
import importlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

__version__ = "0.1.0"

DISTRIBUTION = "lethe-proxy"
PACKAGES = ("proxy", "policies", "classifiers", "leakage", "unlearning")

# Name: (module with a `register`, one line for the help).
COMMANDS = {
    "demo": ("lethe", "see it work: a fact book that tells everything, and Lethe before it"),
    "serve": ("proxy.cli", "put the proxy in front of a chat API"),
    "policy": ("policies.cli", "check and explain policies"),
    "encoder": ("classifiers.fast_export", "compile the encoder, so that screening costs a third"),
    "leakage": ("leakage.cli", "measure how much still comes out"),
    "unlearning": ("unlearning.cli", "models to compare with, and the fact book of the demo"),
    "audit": ("proxy.audit_cli", "verify the record of what was done"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status; 2 where the command line makes no sense."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if clash := _clash():
        print(f"lethe: {clash}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(
        prog="lethe", description="Guardrail unlearning for LLM APIs, and its measure."
    )
    parser.add_argument("--version", action="version", version=f"lethe {_version()}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == wanted:
            importlib.import_module(module).register(command)
    parsed = parser.parse_args(given)
    status: int = parsed.run(parsed)
    return status


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe demo`."""
    parser.add_argument("--once", action="store_true", help="print the table and end")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report as JSON too")
    parser.add_argument("--port", type=int, default=8484, help="port of the proxy (%(default)s)")
    parser.set_defaults(run=demo)


def demo(arguments: argparse.Namespace) -> int:
    """Measure a worst case before your eyes. Returns the status of the measurement.

    An upstream that knows every answer and obeys nothing, Lethe before it, the same questions to
    both over HTTP: all of it commands of ours, in processes of their own.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-demo-")))
        try:
            book, proxy = _free_port(0), _free_port(0 if arguments.once else arguments.port)
            _say("1/3  a fact book of fictitious people, served as a chat API: it tells everything")
            serving = ["unlearning", "serve", "fact-book", "--port", str(book)]
            stack.enter_context(_running(serving, f"http://127.0.0.1:{book}/v1/models", folder))
            _say("2/3  Lethe before it, with policies/library/fictitious-people.yaml")
            stack.enter_context(_proxy(folder, upstream=book, port=proxy))
        except (OSError, RuntimeError) as error:
            print(f"lethe demo: {error}", file=sys.stderr)
            return 1
        _say("3/3  the same questions to both: direct, paraphrased, under attack, innocent ones")
        status = _measure(folder, book=book, proxy=proxy, out=arguments.json)
        main(["audit", "verify", str(folder / "audit.jsonl")])
        if status == 0 and not arguments.once:
            _stay(proxy)
        return status


def _measure(folder: Path, *, book: int, proxy: int, out: Path | None) -> int:
    """`lethe leakage probe` on both, with the questions of the fact book."""
    probes = folder / "probes.jsonl"
    if status := main(["unlearning", "probes", "--out", str(probes)]):
        return status
    return main(
        [
            *("leakage", "probe", "--probes", str(probes), "--attacks-per-probe", "2"),
            *("--arm", f"fact-book=http://127.0.0.1:{book}/v1"),
            *("--arm", f"lethe=http://127.0.0.1:{proxy}/v1"),
            *("--examples", "3"),
            *(("--json", str(out)) if out else ()),
        ]
    )


@contextmanager
def _proxy(folder: Path, *, upstream: int, port: int) -> Iterator[None]:
    """`lethe serve` with the demo's policy alone."""
    library = Path(importlib.import_module("policies").__file__ or "").parent / "library"
    policies = folder / "policies"
    policies.mkdir()
    shutil.copy(library / "fictitious-people.yaml", policies)
    serving = [
        *("serve", "--upstream", f"http://127.0.0.1:{upstream}/v1", "--policies", str(policies)),
        *("--port", str(port), "--audit", str(folder / "audit.jsonl"), "--log-level", "warning"),
    ]
    with _running(serving, f"http://127.0.0.1:{port}/readyz", folder):
        yield


@contextmanager
def _running(command: Sequence[str], url: str, folder: Path) -> Iterator[None]:
    """A command of ours in a process of its own, from when `url` answers until the block ends.

    Raises RuntimeError with what it said where it does not come up.
    """
    said = folder / f"{command[0]}.log"
    with said.open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - this program, with arguments of our own
            [sys.executable, "-m", "lethe", *command], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 180
        while not _answers(url):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`lethe {command[0]}` did not come up:\n{said.read_text()}")
            time.sleep(0.2)
        yield
    finally:
        child.terminate()
        child.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - a loopback URL of our own
            return True
    except (urllib.error.URLError, OSError):
        return False


def _free_port(wanted: int) -> int:
    """A port that can be listened on, any where `wanted` is 0. Raises OSError."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise OSError(f"port {wanted}: {error.strerror}; choose another with --port") from None
        port: int = listener.getsockname()[1]
        return port


def _stay(port: int) -> None:
    """Leave everything up until the user has seen enough."""
    said = [{"role": "user", "content": "Who is Mirela Tollan?"}]
    body = json.dumps({"model": "fact-book", "messages": said})
    _say(
        "Everything stays up until Ctrl-C. Try it:\n\n"
        f"  curl http://127.0.0.1:{port}/v1/chat/completions \\\n"
        f"    -H 'content-type: application/json' -d '{body}'\n"
    )
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        # A wait without end cannot be interrupted on every system.
        while not ended.wait(0.5):
            pass
    except KeyboardInterrupt:
        print()


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return __version__


def _clash() -> str | None:
    """Another distribution that owns one of our import names: pip overwrites without a word."""
    owners = packages_distributions()
    for package in PACKAGES:
        for owner in owners.get(package, ()):
            if owner.lower() != DISTRIBUTION:
                return (
                    f"'{owner}' is installed too and owns the import name '{package}'; "
                    f"install {DISTRIBUTION} into an environment of its own"
                )
    return None


if __name__ == "__main__":
    sys.exit(main())
