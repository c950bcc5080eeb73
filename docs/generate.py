"""Writes docs/commands.md from the argument parsers, and the README's tree from the modules' heads.

Knows no command and no module by name. `python docs/generate.py` writes them, `--check` only says
whether they are up to date. It does not use argparse's own help: that depends on the version of
Python and the width of the terminal.
"""

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import lethe

TARGET = Path(__file__).with_name("commands.md")
README = Path(__file__).parents[1] / "README.md"
PACKAGES = ("proxy", "policies", "classifiers", "leakage", "unlearning")
TREE = re.compile(r"(?<=<!-- tree -->\n).*?(?=<!-- /tree -->)", re.DOTALL)

HEAD = """\
# Commands

Written by `make docs` from the argument parsers; change those. Every command takes `--help`.
"""


def main() -> int:
    """Write the reference, or compare it. Returns 1 where it is out of date."""
    parser = argparse.ArgumentParser(description="Write docs/commands.md.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if it differs")
    check: bool = parser.parse_args().check
    stale = []
    for path, text in ((TARGET, render()), (README, with_tree(README.read_text("utf-8")))):
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(path.name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"{', '.join(stale)}: out of date; run `make docs`", file=sys.stderr)
        return 1
    return 0


def with_tree(readme: str) -> str:
    """The README with the first sentence of every module between its tree marks."""
    rows = []
    for package in PACKAGES:
        folder = README.parent / package
        rows.append((f"{package}/", folder / "__init__.py"))
        modules = sorted(p for p in folder.rglob("*.py") if p.name != "__init__.py")
        rows += [(f"  {p.relative_to(folder)}", p) for p in modules]
    width = max(len(name) for name, _ in rows) + 2
    tree = "\n".join(name.ljust(width) + _heading(path) for name, path in rows)
    return TREE.sub(lambda _: f"```text\n{tree}\n```\n", readme)


def _heading(module: Path) -> str:
    """What a module does: the first sentence of its docstring."""
    said = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return re.split(r"(?<=[.!?])\s", said.replace("\n", " "), maxsplit=1)[0].rstrip(".")


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
