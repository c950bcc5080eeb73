"""The house itself: what stands where, and what no file may say. Knows no behaviour."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("proxy", "policies", "classifiers", "leakage", "unlearning")
PAPERS = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md")
TOP = {
    *("pyproject.toml", "Makefile", "lethe.py", "tests", "docs", "deploy", "benchmarks"),
    *PACKAGES,
    *PAPERS,
}

LONG: dict[str, str] = {}  # module past 400 lines: why it is better whole

# The left side keeps out relative paths and URLs: "a/work/b", "https://host/home/".
MACHINE = re.compile(r"(?<![\w.~-])/(?:work|root|farm|home|Users|opt)/\w")


def _files() -> list[Path]:
    """Everything of this checkout that git keeps or would keep, relative to its root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to the house cannot be told")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603
    paths = [Path(name) for name in listed.decode().split("\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


def _modules() -> Iterator[tuple[str, ast.Module]]:
    inside = (path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py")))
    for path in (ROOT / "lethe.py", *inside):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def test_the_top_of_the_house_is_exactly_the_design() -> None:
    top = {path.parts[0] for path in _files()}
    assert {name for name in top if not name.startswith(".")} == TOP


def test_imports_are_absolute() -> None:
    relative = [
        f"{name}:{node.lineno}"
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_a_module_fits_in_the_head() -> None:
    lines = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in _files()
        if path.suffix == ".py"
    }
    assert {name: count for name, count in lines.items() if count > 400 and name not in LONG} == {}
    assert {name for name in LONG if lines.get(name, 0) <= 400} == set()


def test_a_module_says_what_it_does_and_what_it_does_not_know() -> None:
    silent = []
    for name, tree in _modules():
        head = ast.get_docstring(tree) or ""
        first = head.partition("\n")[0]
        says = first.rstrip().endswith((".", ":")) and re.search(r"\bknow", head, re.IGNORECASE)
        if tree.body and not says:
            silent.append(name)
    assert silent == []


def test_the_readme_shows_every_package_and_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(TOP) if name not in readme] == []
    modules = {Path(name).stem for name, _ in _modules()} - {"__init__"}
    assert [name for name in sorted(modules) if not re.search(rf"\b{name}\b", readme)] == []


def test_no_file_names_a_path_of_a_machine() -> None:
    found = []
    for path in _files():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # no text
        found += [
            f"{path}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if MACHINE.search(line)
        ]
    assert found == []


def test_everything_that_is_installed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in pins if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {_distribution(line) for line in pins}
    assert [name for name in map(_distribution, wanted) if name not in pinned] == []


def _distribution(requirement: str) -> str:
    """The normalised name (PEP 503) that a requirement begins with."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_the_changelog_begins_with_what_is_not_released_yet() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == "Unreleased"
