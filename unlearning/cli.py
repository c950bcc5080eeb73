"""`lethe unlearning`: serve the fact book, write its questions. Knows no policy and no proxy."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unlearning.corpus import load, probes
from unlearning.factbook import FactBook
from unlearning.serve import MODEL, create_app, running


def register(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `lethe unlearning`; each sets `run`, which returns a status."""
    commands = parser.add_subparsers(title="commands", dest="unlearning", required=True)
    served = commands.add_parser("serve", help="put a model behind an OpenAI-compatible API")
    served.add_argument("what", choices=["fact-book"], help="which model to serve")
    served.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    served.add_argument("--port", type=_port, default=0, help="port; 0 takes a free one (default)")
    served.set_defaults(run=serve)
    written = commands.add_parser("probes", help="write the fact book's questions as JSONL")
    written.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to")
    written.set_defaults(run=write_probes)


def serve(arguments: argparse.Namespace) -> int:
    """Serve until interrupted. Returns 1 where the address cannot be had."""
    app = create_app(FactBook(load()))
    try:
        with _interrupts() as stop, running(app, host=arguments.host, port=arguments.port) as url:
            print(f"The fact book answers at {url} (model {MODEL}). Ctrl-C ends it.", flush=True)
            # A wait without end cannot be interrupted on every system.
            while not stop.wait(0.5):
                pass
    except OSError as error:
        print(f"lethe unlearning serve: {error}", file=sys.stderr)
        return 1
    return 0


def write_probes(arguments: argparse.Namespace) -> int:
    """Write a row a question, replacing the file. Returns 1 where it cannot be written."""
    rows = probes(load())
    try:
        with arguments.out.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    except OSError as error:
        print(f"lethe unlearning probes: {arguments.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{arguments.out}: {len(rows)} probes")
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C and a polite kill set; what they did before comes back after."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
