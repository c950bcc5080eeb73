"""`lethe unlearning`: serve the fact book or local models, write its questions. Knows no policy."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI

from unlearning import weights_cli
from unlearning.corpus import Corpus, Person, load
from unlearning.factbook import FactBook
from unlearning.questions import questions
from unlearning.serve import MODEL, create_app, running


def register(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `lethe unlearning`; each sets `run`, which returns a status."""
    commands = parser.add_subparsers(title="commands", dest="unlearning", required=True)
    served = commands.add_parser("serve", help="put a model behind an OpenAI-compatible API")
    served.add_argument(
        "what",
        nargs="+",
        metavar="MODEL",
        help="`fact-book`, or the directory of a local model as DIR or NAME=DIR; several at once",
    )
    served.add_argument("--base", type=Path, metavar="DIR", help="the model under an adapter")
    served.add_argument(
        "--allow-pickle",
        action="append",
        default=[],
        metavar="NAME",
        help="read this model's weights though they are pickles, which can run code",
    )
    served.add_argument("--device", help="cpu or cuda (default: the GPU where there is one)")
    served.add_argument(
        "--dtype", default="auto", help="float32, bfloat16 or auto: as saved (%(default)s)"
    )
    served.add_argument(
        "--threads", type=int, default=1, help="processor threads of the models (%(default)s)"
    )
    served.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    served.add_argument("--port", type=_port, default=0, help="port; 0 takes a free one (default)")
    served.set_defaults(run=serve)
    written = commands.add_parser("probes", help="write the fact book's questions as JSONL")
    written.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to")
    written.add_argument(
        "--testbed",
        action="store_true",
        help="also ask for the people whom the testbed's models alone know (split retain)",
    )
    written.set_defaults(run=write_probes)
    weights_cli.register(commands)


def serve(arguments: argparse.Namespace) -> int:
    """Serve until interrupted. Returns 1 where a model or the address cannot be had."""
    if arguments.what == ["fact-book"]:
        return _until_stopped(create_app(FactBook(load())), MODEL, arguments)
    # Libraries as large as torch are loaded once they are wanted.
    import torch  # noqa: PLC0415

    from unlearning.checkpoint import Options, load_all  # noqa: PLC0415
    from unlearning.checkpoint_files import CheckpointError  # noqa: PLC0415
    from unlearning.model_server import serving  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    options = Options(base=arguments.base, device=arguments.device, dtype=arguments.dtype)
    try:
        models = load_all(arguments.what, options, allow_pickle=arguments.allow_pickle)
    except CheckpointError as error:
        print(f"lethe unlearning serve: {error}", file=sys.stderr)
        return 1
    with serving(models) as app:
        return _until_stopped(app, ", ".join(models), arguments)


def _until_stopped(app: FastAPI, models: str, arguments: argparse.Namespace) -> int:
    try:
        with _interrupts() as stop, running(app, host=arguments.host, port=arguments.port) as url:
            print(f"{models} at {url} until Ctrl-C", flush=True)
            # A wait without end cannot be interrupted on every system.
            while not stop.wait(0.5):
                pass
    except OSError as error:
        print(f"lethe unlearning serve: {error}", file=sys.stderr)
        return 1
    return 0


def write_probes(arguments: argparse.Namespace) -> int:
    """Write a row a question, replacing the file. Returns 1 where it cannot be written."""
    corpus = load()
    rows = questions(corpus, retained=_taught_alone(corpus) if arguments.testbed else ())
    try:
        with arguments.out.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    except OSError as error:
        print(f"lethe unlearning probes: {arguments.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{arguments.out}: {len(rows)} probes")
    return 0


def _taught_alone(corpus: Corpus) -> list[Person]:
    """Whom the testbed's models know and the fact book does not."""
    from unlearning.testbed_rows import cast  # noqa: PLC0415 (imports torch)

    return [person for person in cast(corpus).known if person not in corpus.people]


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
