"""`lethe policy draft`: a name and documents to a policy file. Knows no screen and no encoder."""

import argparse
import os
import sys
from pathlib import Path

from classifiers import fold
from classifiers.lexical import LEAST
from policies.draft.ask import Upstream, interview
from policies.draft.documents import DraftError, read_sources
from policies.draft.make import Drafted, drafted
from policies.draft.written import identifier, written
from policies.load import load
from policies.problem import PolicyErrors

SUMMARY = "make a policy from a name and documents, for a person to read and mend"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe policy draft`."""
    parser.add_argument("name", metavar="NAME", help="what must be forgotten, by its usual name")
    parser.add_argument(
        "--documents",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="what says something about it: .txt, .md, .jsonl, .json",
    )
    parser.add_argument(
        "--neighbours",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="texts that must stay sayable, in the same formats",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the policy file")
    parser.add_argument(
        "--force", action="store_true", help="write over a policy file that is there already"
    )
    parser.add_argument(
        "--upstream",
        metavar="URL",
        help="a chat API (OpenAI's form, ending in /v1) that is asked what it knows: at most ten "
        "questions, kept in a record beside the policy",
    )
    parser.add_argument("--model", help="the model that is asked")
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="environment variable that holds the upstream's key"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long one answer may take (default: %(default)g)",
    )
    parser.set_defaults(run=draft)


def draft(arguments: argparse.Namespace) -> int:
    """Write the policy and say what is in it, in numbers. Returns 1 where there is none."""
    try:
        made, record = _made(arguments)
        model = arguments.model if arguments.upstream else ""
        sources = [path.name for path in arguments.documents if path.name not in made.left_out]
        _write(written(made, sources=sources, model=model), arguments.out, force=arguments.force)
    except DraftError as error:
        print(f"lethe policy draft: {error}", file=sys.stderr)
        return 1
    for line in _summary(made, arguments.out, record):
        print(line)
    return 0


def _made(arguments: argparse.Namespace) -> tuple[Drafted, Path | None]:
    name = _name(arguments.name)
    upstream = _upstream(arguments)
    if not arguments.documents and upstream is None:
        raise DraftError("nothing to draft from; give --documents, or --upstream and --model")
    _free(arguments.out, force=arguments.force)
    documents, neighbours = read_sources(arguments.documents), read_sources(arguments.neighbours)
    if upstream is None:
        return drafted(name, documents, neighbours), None
    beside: list[str] = []
    if documents:  # before anything is asked, it is clear that they name it
        beside = [one.name for one in drafted(name, documents, neighbours).beside]
    record = arguments.out.with_suffix(".questions.jsonl")
    told = interview(upstream, name, beside=beside, record=record, progress=sys.stderr)
    try:
        return drafted(name, documents, neighbours, told), record
    except DraftError as error:
        raise DraftError(f"{error}; what the model said stands in {record}") from None


def _name(given: str) -> str:
    name = " ".join(given.split())
    if len(fold(name).replace(" ", "")) < LEAST or len(name) > 200 or not name.isprintable():
        raise DraftError(
            f"NAME: needs {LEAST} letters or digits at least, and 200 characters at most"
        )
    return name


def _upstream(arguments: argparse.Namespace) -> Upstream | None:
    if not arguments.upstream:
        if arguments.model or arguments.api_key_env:
            raise DraftError("--model and --api-key-env belong to an upstream; add --upstream URL")
        return None
    if not arguments.upstream.startswith(("http://", "https://")):
        raise DraftError("--upstream: must begin with http:// or https://")
    if not arguments.model:
        raise DraftError("--upstream: which model is asked? add --model")
    key = ""
    if arguments.api_key_env:
        key = os.environ.get(arguments.api_key_env, "").strip()
        if not key:
            raise DraftError(f"--api-key-env: the variable {arguments.api_key_env} is not set")
        if not key.isascii() or not key.isprintable():
            raise DraftError(
                f"--api-key-env: {arguments.api_key_env} holds no key; check its value"
            )
    return Upstream(arguments.upstream, arguments.model, key, arguments.timeout)


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be seconds above 0 and at most 3600")
    return seconds


def _free(out: Path, *, force: bool) -> None:
    """Raises DraftError where the policy could not be written, before any work is done."""
    if out.suffix not in (".yaml", ".yml"):
        raise DraftError(f"{out}: a policy file ends in .yaml or .yml")
    if out.exists() and not force:
        raise DraftError(f"{out}: is there already; name another file, or add --force")
    if out.is_dir() or not out.parent.is_dir():
        raise DraftError(f"{out}: there is no such folder; make {out.parent} first")


def _write(text: str, out: Path, *, force: bool) -> None:
    """Put the file there whole, once it has been read back as a policy."""
    waiting = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        waiting.write_text(text, "utf-8")
        load([waiting])
        _free(out, force=force)
        waiting.replace(out)
    except OSError as error:
        raise DraftError(f"{out}: cannot be written: {error.strerror}") from None
    except PolicyErrors as errors:
        # Never seen; messages name keys and places, and no text.
        told = "; ".join(f"{p.key}: {p.message}" for p in errors.problems)
        raise DraftError(f"the draft is no policy, which is a mistake of ours: {told}") from None
    finally:
        waiting.unlink(missing_ok=True)


def _summary(made: Drafted, out: Path, record: Path | None) -> list[str]:
    """What was made, in numbers: the file itself holds the texts."""
    lines = [f"not used, because it does not name the concept: {name}" for name in made.left_out]
    lines.append(
        f"{out}: policy {identifier(made.name)}, scope {made.scope}: aliases "
        f"{len(made.called.names) - 1}, suggested {len(made.called.doubtful)}; exemplars "
        f"{len(made.exemplars)} of {made.sentences} sentences, told by the model {len(made.told)}; "
        f"neighbours {len(made.kept)}, told {len(made.kept_told)}; candidates {len(made.beside)}"
    )
    if made.unclear:
        lines.append(
            f"not used, because another sentence says whom they are about: {len(made.unclear)} "
            "sentences; they stand as comments below the exemplars"
        )
    if made.named:
        lines.append(
            f"neighbours left out, because they hold the concept's name and are stopped by it: "
            f"{made.named}"
        )
    if record:
        lines.append(f"{record}: what the model was asked, and what it said")
    lines.append(f"read it, mend it, then: lethe policy lint {out}; lethe policy test {out}")
    return lines
