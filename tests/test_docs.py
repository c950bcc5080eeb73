"""The papers say what is true: their commands parse, their links lead somewhere."""

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lethe

ROOT = Path(__file__).parents[1]
PAPERS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
SHELL = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)[^)]*\)")


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line in a paper's shell blocks, as (where, words), a `$` prompt left out."""
    for paper in PAPERS:
        text = paper.read_text(encoding="utf-8")
        for block in SHELL.finditer(text):
            for line in block[1].replace("\\\n", " ").splitlines():
                words = shlex.split(line.strip().removeprefix("$ "), comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    del words[0]
                if words:
                    yield f"{paper.name}: {line.strip()}", words


def _parses(words: list[str]) -> bool:
    if words == ["--version"]:
        return True
    parser = argparse.ArgumentParser(prog=f"lethe {words[0]}", exit_on_error=False)
    module, _ = lethe.COMMANDS[words[0]]
    importlib.import_module(module).register(parser)
    try:
        parser.parse_args([word for word in words[1:] if word != "&"])
    except (SystemExit, argparse.ArgumentError):
        return False
    return True


def test_every_lethe_command_in_the_papers_parses() -> None:
    ours = [(where, words[1:]) for where, words in _commands() if words[0].endswith("lethe")]
    assert [where for where, words in ours if not _parses(words)] == []


def test_every_make_verb_in_the_papers_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"setup", "demo", "test", "check", "bench", "docs", "clean", "help"} <= verbs
    unknown = [
        where
        for where, words in _commands()
        if words[0] == "make" and not {word for word in words[1:] if "=" not in word} <= verbs
    ]
    assert unknown == []


def test_every_link_in_the_papers_leads_to_a_file() -> None:
    broken = [
        f"{paper.name}: {target}"
        for paper in PAPERS
        for target in LINK.findall(paper.read_text(encoding="utf-8"))
        if not (paper.parent / target).exists()
    ]
    assert broken == []


def test_the_command_reference_is_current() -> None:
    check = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


def test_every_argument_says_what_it_means() -> None:
    reference = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `.*` \|\s*(?:\(required\) )?\|$", reference, re.MULTILINE) == []
