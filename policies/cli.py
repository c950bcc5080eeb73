"""`lethe policy lint | explain | test | …`: arguments to lines. Knows no HTTP."""

import argparse
import json
import sys
from pathlib import Path

from classifiers import EncoderError
from classifiers import load as load_encoder
from policies import calibrate_cli, cases
from policies.compile import PolicySet, compile_policies
from policies.draft import command as drafting
from policies.explain import Channel, as_json, explain, lines, outcome
from policies.load import LIBRARY, LoadedPolicy, load
from policies.problem import PolicyErrors
from policies.schema import json_schema

SCHEMA = Path(__file__).parent / "schema.json"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `lethe policy`."""
    commands = parser.add_subparsers(title="commands", dest="policy_command", required=True)

    summary = "check policy files; exits with 1 where something is wrong"
    lint_parser = commands.add_parser("lint", help=summary, description=summary)
    _add_sources(lint_parser)
    lint_parser.set_defaults(run=lint)

    summary = "show what a text touches, how near it comes, and what would happen"
    explain_parser = commands.add_parser("explain", help=summary, description=summary)
    _add_sources(explain_parser)
    explain_parser.add_argument("--text", type=_text, required=True, help="the text to try")
    explain_parser.add_argument(
        "--before",
        type=_text,
        default="",
        metavar="QUESTION",
        help="the question that the text answers",
    )
    explain_parser.add_argument(
        "--channel",
        choices=["prompt", "output"],
        help="the direction it travels in (default: output with --before, else prompt)",
    )
    _add_encoder(explain_parser)
    explain_parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the findings there too"
    )
    explain_parser.set_defaults(run=explain_text)

    summary = "try the cases that stand in policies; exits with 1 where one comes out otherwise"
    test_parser = commands.add_parser("test", help=summary, description=summary)
    _add_sources(test_parser)
    test_parser.add_argument(
        "--cases",
        type=Path,
        metavar="DIR",
        help="a folder of further cases: files with policy, must_block and must_pass",
    )
    _add_encoder(test_parser)
    test_parser.set_defaults(run=test)

    summary = calibrate_cli.SUMMARY
    calibrate_parser = commands.add_parser("calibrate", help=summary, description=summary)
    calibrate_cli.register(calibrate_parser)

    draft_parser = commands.add_parser("draft", help=drafting.SUMMARY, description=drafting.SUMMARY)
    drafting.register(draft_parser)

    summary = "print the JSON Schema of a policy file"
    schema_parser = commands.add_parser("schema", help=summary, description=summary)
    schema_parser.add_argument(
        "--write", action="store_true", help="write it into the package instead (schema.json)"
    )
    schema_parser.set_defaults(run=schema)


def lint(arguments: argparse.Namespace) -> int:
    """Print every problem and a line that sums up. Returns 1 where there is any, else 0."""
    loaded = _loaded(arguments)
    if loaded is None:
        return 1
    concepts = sum(len(one.policy.concepts) for one in loaded)
    texts = sum(len(t.exemplars) + len(t.neighbours) for one in loaded for t in one.texts)
    print(f"no problems; policies: {len(loaded)}, concepts: {concepts}, texts: {texts}")
    return 0


def explain_text(arguments: argparse.Namespace) -> int:
    """Print what a text touches and why. Returns 1 where the policies are wrong, else 0."""
    compiled = _compiled(arguments)
    if compiled is None:
        return 1
    channel: Channel = arguments.channel or ("output" if arguments.before else "prompt")
    findings = explain(compiled, arguments.text, channel=channel, before=arguments.before)
    for line in (*_not_compared(compiled), *lines(findings), outcome(findings)):
        print(line)
    if arguments.json:
        content = json.dumps(as_json(findings, channel=channel), indent=2, ensure_ascii=False)
        return _write(arguments.json, content + "\n")
    return 0


def test(arguments: argparse.Namespace) -> int:
    """Print the cases that fail and a line that sums up. Returns 1 where any does, else 0."""
    compiled = _compiled(arguments)
    if compiled is None:
        return 1
    files = _case_files(arguments.cases, compiled) if arguments.cases else []
    if files is None:
        return 1
    tried = cases.tried(compiled, files)
    for line in (*_not_compared(compiled), *cases.lines(tried)):
        print(line)
    if not tried:
        print("no policy holds a case; add must_block and must_pass")
    return int(not tried or any(one.failed for one in tried))


def _case_files(folder: Path, compiled: PolicySet) -> list[tuple[Path, cases.CaseFile]] | None:
    """The case files of a folder; None where something is wrong, which is printed."""
    if not folder.is_dir():
        print(f"lethe policy test: --cases: {folder} is no folder", file=sys.stderr)
        return None
    try:
        files, conversations = cases.read_cases(folder, compiled)
    except PolicyErrors as errors:
        print(errors)
        return None
    if conversations:
        print(f"not tried, because only a proxy plays conversations: {conversations} files")
    if not files:
        print(f"{folder}: no case file (*.yaml, *.yml) is here; name another folder")
        return None
    return files


def schema(arguments: argparse.Namespace) -> int:
    """Print the JSON Schema, or write it where the package keeps it. Returns 1 if it cannot."""
    if arguments.write:
        return _write(SCHEMA, json_schema())
    print(json_schema(), end="")
    return 0


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="*",
        type=Path,
        default=[LIBRARY],
        metavar="DIR|FILE",
        help="folders and policy files (default: the library that comes with Lethe)",
    )


def _add_encoder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoder",
        default="embedded",
        metavar="MODEL",
        help="a sentence-transformers model or an export's folder (default: the embedded one)",
    )


def _text(given: str) -> str:
    """An argument as text: bytes that are no UTF-8 reach us as half surrogate pairs."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("must be UTF-8") from None
    return given


def _write(path: Path, content: str) -> int:
    try:
        path.write_text(content, "utf-8")
    except OSError as error:
        print(f"lethe policy: {path}: cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"lethe: wrote {path}", file=sys.stderr)
    return 0


def _loaded(arguments: argparse.Namespace) -> list[LoadedPolicy] | None:
    """The policies; None where something is wrong, which is printed."""
    try:
        loaded = load(arguments.sources)
    except PolicyErrors as errors:
        files = {problem.path for problem in errors.problems}
        print(errors)
        print(f"problems: {len(errors.problems)}, in files: {len(files)}")
        return None
    if not loaded:
        places = ", ".join(map(str, arguments.sources))
        print(f"{places}: no policy file (*.yaml, *.yml) is here; name another folder or a file")
        return None
    return loaded


def _compiled(arguments: argparse.Namespace) -> PolicySet | None:
    """The policies as a screen; None where something is wrong, which is printed."""
    loaded = _loaded(arguments)
    if loaded is None:
        return None
    print(f"lethe: loading the encoder '{arguments.encoder}'", file=sys.stderr)
    try:
        return compile_policies(loaded, load_encoder(arguments.encoder))
    except PolicyErrors as errors:
        print(errors)
    except EncoderError as error:
        print(f"lethe policy: {error}", file=sys.stderr)
    return None


def _not_compared(compiled: PolicySet) -> list[str]:
    off = [loaded.policy.id for loaded in compiled.policies if loaded.policy.mode == "off"]
    return [f"not compared, because off: {', '.join(off)}"] if off else []
