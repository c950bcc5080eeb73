"""Writes docs/commands.md from the argument parsers. Knows no command by name.

`python docs/generate.py` writes it, `--check` only says whether it is up to date. It does not use
argparse's own help: that depends on the version of Python and the width of the terminal.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import lethe

TARGET = Path(__file__).with_name("commands.md")

HEAD = """\
# Commands

Written by `make docs` from the argument parsers; change those. Every command takes `--help`.
"""


def main() -> int:
    """Write the reference, or compare it. Returns 1 where it is out of date."""
    parser = argparse.ArgumentParser(description="Write docs/commands.md.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if it differs")
    check: bool = parser.parse_args().check
    reference = render()
    if not check:
        TARGET.write_text(reference, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != reference:
        print("docs/commands.md: differs from the commands; run `make docs`", file=sys.stderr)
        return 1
    return 0


def render() -> str:
    """The whole reference, as Markdown."""
    sections = [HEAD]
    for name, (module, summary) in lethe.COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"lethe {name}", description=summary)
        importlib.import_module(module).register(parser)
        sections += _sections(parser, depth=2)
    return "\n".join(sections)


def _sections(parser: argparse.ArgumentParser, *, depth: int) -> Iterator[str]:
    lines = [f"{'#' * depth} `{parser.prog}`", ""]
    if parser.description:
        lines += [_sentence(parser.description), ""]
    # argparse offers no public way to read back what was added to a parser.
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
    arguments = [action for action in actions if _is_argument(action)]
    if arguments:
        lines += ["| argument | meaning |", "| --- | --- |"]
        lines += [_row(action, prog=parser.prog) for action in arguments]
        lines += [""]
    yield "\n".join(lines)
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for choice in action._choices_actions:  # noqa: SLF001
                command = action.choices[choice.dest]
                command.description = command.description or choice.help
                yield from _sections(command, depth=depth + 1)


def _is_argument(action: argparse.Action) -> bool:
    return not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))  # noqa: SLF001


def _row(action: argparse.Action, *, prog: str) -> str:
    # As argparse does it, so that "%(default)s" in a help text says the default.
    meaning = (action.help or "") % {**vars(action), "prog": prog}
    required = " (required)" if action.required and action.option_strings else ""
    return f"| `{_spelling(action)}` | {_escape(meaning)}{required} |"


def _spelling(action: argparse.Action) -> str:
    value = _value(action)
    spelt = [f"{option} {value}".rstrip() for option in action.option_strings] or [value]
    repeated = {"*": " …", "+": " …"}.get(str(action.nargs), "")
    return _escape(", ".join(spelt) + repeated)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    metavar = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    return metavar if isinstance(metavar, str) else " ".join(metavar)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
