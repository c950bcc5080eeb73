"""docs/threat-model.md holds what it says: a promise has tests that exist, a limit a way out.

Knows no promise itself.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/\w+\.py)::(\w+)(?:\[([^\]`]+)\])?`")
LIMITED = "tests/test_threat_model_limits.py"
CASES = ROOT / "tests" / "cases"


def section(title: str) -> str:
    """What stands under a heading of the second level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of each table, heads left out."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@cache
def defined(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(n.name for n in tree.body if isinstance(n, functions))


PROMISES = list(rows(section("What is promised")))
LIMITS = list(rows(section("What is not promised")))


@pytest.mark.parametrize(
    ("path", "name", "case"), sorted(set(TEST.findall(PAGE))), ids=lambda part: part or "-"
)
def test_a_named_test_exists(path: str, name: str, case: str) -> None:
    assert (ROOT / path).is_file()
    assert name in defined(path)
    if case and path == "tests/test_cases.py":
        assert (CASES / "attacks" / f"{case}.yaml").is_file()


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0][:60])
def test_a_promise_has_a_test(row: list[str]) -> None:
    promise, shown = row
    assert promise
    assert TEST.search(shown)
    assert TEST.sub("", shown).strip(" ,") == ""


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0][:60])
def test_a_limit_says_why_and_what_can_be_done(row: list[str]) -> None:
    assert len(row) == 3
    assert all(len(TEST.sub("", cell)) > 10 for cell in row)


def test_nothing_is_promised_outside_a_table() -> None:
    assert len(PROMISES) > 30
    assert len(LIMITS) > 20
    bullets = re.findall(r"^\s*[-*] .*", section("What is promised"), re.MULTILINE)
    assert bullets == []


def test_every_known_leak_is_told_and_no_other() -> None:
    told = {name for name, _ in rows(section("Known leaks"))}
    files = {f"`{path.stem}`" for path in (CASES / "known-leaks").glob("*.yaml")}
    assert told == files


def test_every_limit_that_is_shown_is_on_the_page() -> None:
    shown = {f"tests/test_threat_model_limits.py::{n}" for n in defined(LIMITED) if "test_" in n}
    assert [name for name in sorted(shown) if f"`{name}`" not in PAGE] == []


def test_numbers_of_the_demo_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    numbers = re.findall(r"\d+ of \d+", section("What is not promised"))
    assert numbers
    assert [number for number in numbers if number not in readme] == []
