"""`lethe audit`: whether a file of records is as it was written. Knows no request and no policy."""

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

from proxy.chain import Verification, describe, verify


def register(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `lethe audit`."""
    commands = parser.add_subparsers(title="commands", dest="audit_command", required=True)
    summary = "find the first record that was changed, dropped, inserted or moved"
    command = commands.add_parser("verify", help=summary, description=summary)
    command.add_argument("file", metavar="FILE", type=Path, help="records, as the proxy wrote them")
    command.add_argument(
        "--head", metavar="HASH", type=_hash, help="a last hash noted earlier, to be found again"
    )
    command.add_argument("--json", metavar="FILE", type=Path, help="write the result there, too")
    command.add_argument(
        "--strict", action="store_true", help="an unfinished record at the end is a failure, too"
    )
    command.set_defaults(run=run_verify)


def run_verify(arguments: argparse.Namespace) -> int:
    """Print one line. Returns 0 for a whole file, 1 for a broken one, 2 where none can be read."""
    path: Path = arguments.file
    try:
        found = verify(path, head=arguments.head)
        sentence = describe(path, found)
        missing = arguments.head is not None and found.noted is None
        whole = not (found.first_broken or missing or (arguments.strict and found.torn_bytes))
        if arguments.json:
            result = {
                "file": str(path),
                "whole": whole,
                **asdict(found),
                "noted_head": arguments.head,
            }
            arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        print(f"lethe audit verify: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(sentence + _about_head(found, head=arguments.head))
    return 0 if whole else 1


def _about_head(found: Verification, *, head: str | None) -> str:
    if head is None:
        return ""
    if found.noted is not None:
        return f"; the noted hash is that of record {found.noted}"
    return (
        "; the noted hash is not among them: records were cut off or all were written anew, or it "
        "was noted for another file"
    )


def _hash(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("give the 64 hexadecimal digits that verify prints")
    return text
