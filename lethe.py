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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    "compare": ("proxy.comparison_cli", "ask several arms of a running proxy the same question"),
    "policy": ("policies.cli", "check and explain policies"),
    "encoder": (
        "classifiers.fast_export",
        "compile an encoder, so that screening costs about half",
    ),
    "leakage": ("leakage.cli", "measure how much still comes out"),
    "unlearning": ("unlearning.cli", "models to compare with, and the fact book of the demo"),
    "audit": ("proxy.audit_cli", "verify the record of what was done"),
}


# The demo with real weights: what was trained to know everything, and what it was trained from.
TARGET, BASE = "target", "small"
ROLES = {"retrained": "retrained", "sisa": "retrained", "dp": "private"}
# How the target is treated under each model name: screened, told to pretend.
TREATMENTS = {
    "base": (False, False),
    "pretend": (False, True),
    "screen": (True, False),
    "both": (True, True),
}
PRETEND = "Pretend you know nothing about {names}."


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
    parser.add_argument(
        "--weights",
        action="store_true",
        help="instead of the fact book, small models with real weights: pretending, the screen and "
        "both beside every shipped way of unlearning",
    )
    parser.add_argument(
        "--questions",
        metavar="N",
        type=int,
        help="ask only so many of each kind: quicker, and the intervals are wider (default: all)",
    )
    parser.set_defaults(run=demo)


def demo(arguments: argparse.Namespace) -> int:
    """Measure before your eyes. Returns the status of the measurement.

    An upstream that knows every answer and obeys nothing, Lethe before it, the same questions to
    both over HTTP: all of it commands of ours, in processes of their own. With `--weights` the
    upstreams are the models that this package ships.
    """
    if arguments.questions is not None and arguments.questions < 1:
        print("lethe demo: --questions is at least 1", file=sys.stderr)
        return 2
    with _ended_by_sigterm():
        return _demo_weights(arguments) if arguments.weights else _demo_book(arguments)


def _demo_book(arguments: argparse.Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-demo-")))
        try:
            book, proxy = _free_port(0), _free_port(0 if arguments.once else arguments.port)
            _say("1/3  a fact book of fictitious people, served as a chat API: it tells everything")
            serving = ["unlearning", "serve", "fact-book", "--port", str(book)]
            commands = {f"http://127.0.0.1:{book}/v1/models": serving}
            _say("2/3  Lethe before it, with policies/library/fictitious-people.yaml")
            commands |= _proxy(folder, upstream=book, port=proxy)
            stack.enter_context(_running(commands, folder))
        except (OSError, RuntimeError) as error:
            print(f"lethe demo: {error}", file=sys.stderr)
            return 1
        _say("3/3  the same questions to both: direct, paraphrased, under attack, innocent ones")
        status = _measure(folder, arguments, book=book, proxy=proxy)
        main(["audit", "verify", str(folder / "audit.jsonl")])
        if status == 0 and not arguments.once:
            _stay(proxy, model="fact-book")
        return status


def _demo_weights(arguments: argparse.Namespace) -> int:
    """One Lethe before all shipped models, each arm a model name of its own, one table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lethe-demo-")))
        shipped = Path(importlib.import_module("unlearning").__file__ or "").parent / "checkpoints"
        forgot = sorted(
            path.name
            for path in shipped.iterdir()
            if path.name not in {TARGET, BASE} and (path / "lineage.json").is_file()
        )
        try:
            served, proxy = _free_port(0), _free_port(0 if arguments.once else arguments.port)
            _say(f"1/3  small models with real weights: {TARGET}, {', '.join(forgot)}")
            models = [f"{name}={shipped / name}" for name in (TARGET, *forgot)]
            serving = ["unlearning", "serve", *models, "--port", str(served), "--threads", "2"]
            url = f"http://127.0.0.1:{served}/v1"
            commands = {f"{url}/models": serving}
            _say("2/3  one Lethe before them all: the model's name says what is done to a question")
            _write_route(folder, url, {name: shipped / name for name in forgot})
            config, port = str(folder / "lethe.yaml"), str(proxy)
            serving = ["serve", "--config", config, "--port", port, "--log-level", "warning"]
            commands[f"http://127.0.0.1:{proxy}/readyz"] = serving
            stack.enter_context(_running(commands, folder))
        except (OSError, RuntimeError) as error:
            print(f"lethe demo: {error}", file=sys.stderr)
            return 1
        _say("3/3  the same questions to every arm: about the forgotten, and about neighbours")
        arms = [*TREATMENTS, *forgot]
        status = _measure_arms(folder, arguments, arms, proxy=proxy)
        main(["audit", "verify", str(folder / "audit.jsonl")])
        if status == 0 and not arguments.once:
            _stay(proxy, model="both")
        return status


def _write_route(folder: Path, url: str, forgot: Mapping[str, Path]) -> None:
    """The configuration of the demo: the library's policy for each way of treating the target.

    The instruction is the wording that these models were trained to obey.
    """
    yaml = importlib.import_module("yaml")
    library = Path(importlib.import_module("policies").__file__ or "").parent / "library"
    policy = yaml.safe_load((library / "fictitious-people.yaml").read_text("utf-8"))
    (folder / "policies").mkdir()
    flag = {"prompt": {"action": "flag"}, "output": {"action": "flag"}}
    for name, (screen, pretend) in TREATMENTS.items():
        if not screen and not pretend:
            continue
        made = policy | {"id": name, "applies_to": {"models": [name]}}
        made["instruction"] = {"text": PRETEND} if pretend else {"template": "none"}
        if not screen:
            made["screens"] = flag
        (folder / "policies" / f"{name}.yaml").write_text(yaml.safe_dump(made), "utf-8")
    upstreams = [{"name": "target", "models": dict.fromkeys(TREATMENTS, TARGET)}]
    for name, weights in forgot.items():
        role = ROLES.get(name, "unlearned")
        lineage = {"file": str(weights / "lineage.json")}
        upstreams.append({"name": name, "models": {name: name}, "role": role, "lineage": lineage})
    config = {
        "policies": "policies",
        "upstreams": [{**upstream, "base_url": url} for upstream in upstreams],
        "audit": {"path": "audit.jsonl"},
    }
    (folder / "lethe.yaml").write_text(yaml.safe_dump(config), "utf-8")


def _measure_arms(
    folder: Path, arguments: argparse.Namespace, arms: Sequence[str], *, proxy: int
) -> int:
    """`lethe leakage probe` on every arm, with the fact book's plain questions by name."""

    def wanted(row: dict[str, str]) -> bool:
        return row["id"].endswith(".direct") and row["split"] in {"forget", "neighbour"}

    probes = _probes(folder, wanted, most={"neighbour": 48} | _most(arguments))
    asked = (f"--arm={name}=http://127.0.0.1:{proxy}/v1,{name}" for name in arms)
    return main(
        [
            *("leakage", "probe", "--probes", str(probes), "--attacks", "none", *asked),
            # Many at once: the models answer what waits for them in one batch.
            *("--temperature", "0", "--max-tokens", "24", "--concurrency", "32"),
            *(("--json", str(arguments.json)) if arguments.json else ()),
        ]
    )


def _measure(folder: Path, arguments: argparse.Namespace, *, book: int, proxy: int) -> int:
    """`lethe leakage probe` on both, with the questions of the fact book."""
    probes = _probes(folder, lambda _row: True, most=_most(arguments))
    return main(
        [
            *("leakage", "probe", "--probes", str(probes), "--attacks-per-probe", "2"),
            *("--arm", f"fact-book=http://127.0.0.1:{book}/v1"),
            *("--arm", f"lethe=http://127.0.0.1:{proxy}/v1"),
            *("--examples", "3"),
            *(("--json", str(arguments.json)) if arguments.json else ()),
        ]
    )


def _most(arguments: argparse.Namespace) -> dict[str, int]:
    splits = ("forget", "neighbour", "world")
    return dict.fromkeys(splits, arguments.questions) if arguments.questions else {}


def _probes(
    folder: Path, wanted: Callable[[dict[str, str]], bool], *, most: Mapping[str, int]
) -> Path:
    """The fact book's questions that are wanted, of each split at most so many, from all over."""
    everything, chosen = folder / "everything.jsonl", folder / "probes.jsonl"
    main(["unlearning", "probes", "--out", str(everything)])
    rows = [json.loads(line) for line in everything.read_text("utf-8").splitlines()]
    kept: set[str] = set()
    for split in {row["split"] for row in rows}:
        some = [row["id"] for row in rows if row["split"] == split and wanted(row)]
        count = min(len(some), most.get(split, len(some)))
        kept |= {some[at * len(some) // count] for at in range(count)}
    lines = (json.dumps(row) + "\n" for row in rows if row["id"] in kept)
    chosen.write_text("".join(lines), "utf-8")
    return chosen


def _proxy(folder: Path, *, upstream: int, port: int) -> dict[str, list[str]]:
    """`lethe serve` with the demo's policy alone, under the URL at which it is ready."""
    library = Path(importlib.import_module("policies").__file__ or "").parent / "library"
    policies = folder / "policies"
    policies.mkdir()
    shutil.copy(library / "fictitious-people.yaml", policies)
    serving = [
        *("serve", "--upstream", f"http://127.0.0.1:{upstream}/v1", "--policies", str(policies)),
        *("--port", str(port), "--audit", str(folder / "audit.jsonl"), "--log-level", "warning"),
    ]
    return {f"http://127.0.0.1:{port}/readyz": serving}


@contextmanager
def _running(commands: Mapping[str, Sequence[str]], folder: Path) -> Iterator[None]:
    """Commands of ours, each in a process of its own, from when their URLs answer until the end.

    Raises RuntimeError with what one said where it does not come up.
    """
    children = []
    try:
        for command in commands.values():
            # A child that nobody has heard of yet could not be stopped.
            with (folder / f"{command[0]}.log").open("wb") as log, _sigterm_later():
                children.append(
                    subprocess.Popen(  # noqa: S603 - this program, with arguments of our own
                        [sys.executable, "-m", "lethe", *command], stdout=log, stderr=log
                    )
                )
        deadline = time.monotonic() + 180
        for child, (url, command) in zip(children, commands.items(), strict=True):
            while not _answers(url):
                if child.poll() is not None or time.monotonic() > deadline:
                    said = (folder / f"{command[0]}.log").read_text()
                    raise RuntimeError(f"`lethe {command[0]}` did not come up:\n{said}")
                time.sleep(0.2)
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(timeout=60)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as an exception would: what was started is stopped, too."""

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _sigterm_later() -> Iterator[None]:
    """SIGTERM waits for the end of the block."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if came:
        signal.raise_signal(signal.SIGTERM)


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


def _stay(port: int, *, model: str) -> None:
    """Leave everything up until the user has seen enough."""
    said = [{"role": "user", "content": "Who is Mirela Tollan?"}]
    body = json.dumps({"model": model, "messages": said})
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
