"""The page of the leak matrix: runs side by side, and what it says of itself."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.leak_cells.catalogue import catalogue
from benchmarks.leak_cells.run import Row
from benchmarks.leak_cells.tables import BEGIN, END, Run, page, written
from benchmarks.leak_matrix import POLICY

PAGE = Path(__file__).parents[1] / "docs" / "leak-matrix.md"

GOOD = Row(
    key="chat/content/whole/plain/whole",
    wire="chat",
    group="text",
    channel="content",
    streamed=False,
    disguise="plain",
    chunking="whole",
    leaked=0,
    of=14,
    innocent="intact",
)
LEAKS = replace(GOOD, key="chat/content/stream", streamed=True, leaked=14, sound=False)
CLOSED = replace(GOOD, key="chat/stop", channel="stop", innocent="closed", why="a stop tells")
ABSENT = replace(GOOD, key="messages/text", wire="messages", of=0, innocent="not served")


def run(name: str, *rows: Row) -> Run:
    return Run(name, "2026-01-02", "as it comes", rows)


def table(text: str, title: str) -> list[str]:
    """The cells of the first table row that begins with a title."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_totals_count_what_is_served() -> None:
    text = page([run("A", GOOD, LEAKS, CLOSED, ABSENT), run("B", GOOD, GOOD)])
    assert table(text, "cells not served") == ["1", "0"]
    assert table(text, "cells that leak") == ["1 of 3", "0 of 2"]
    assert table(text, "characters leaked") == ["14 of 42", "0 of 28"]
    assert table(text, "innocent twin intact") == ["2 of 3", "2 of 2"]
    assert table(text, "closed or dropped, with a reason") == ["1 of 3", "0 of 2"]
    assert table(text, "answer broken off or no JSON") == ["1 of 3", "0 of 2"]
    assert table(text, "nothing leaks and all is well") == ["2 of 3", "2 of 2"]
    assert table(text, "chat, streamed") == ["1 of 1 (14)", "-"]
    assert table(text, "messages, whole") == ["not served", "-"]


def test_every_cell_is_there_with_both_modes_beside_each_other() -> None:
    text = page([run("A", GOOD, LEAKS), run("B", GOOD)])
    assert "| chat | content | whole 0 · stream 14 broken | whole 0 |" in text


def test_a_leak_with_a_closed_twin_is_not_good() -> None:
    assert CLOSED.good
    assert not replace(CLOSED, leaked=4).good
    assert not replace(GOOD, innocent="missing").good
    assert not replace(GOOD, sound=False).good


def test_a_run_is_read_back_as_it_was_written() -> None:
    one = run("A", GOOD, LEAKS, CLOSED)
    assert Run.read(json.loads(json.dumps(one.json()))) == one


def test_tables_go_between_the_marks_and_nowhere_else() -> None:
    text = written(f"before\n{BEGIN}\nold\n{END}\nafter\n", [run("A", GOOD)])
    assert text.startswith(f"before\n{BEGIN}\n1 cells")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    with pytest.raises(ValueError, match="has no"):
        written("nothing", [run("A", GOOD)])


def test_the_published_page_is_of_this_matrix() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"\n{len(catalogue())} cells; measured " in text
    for group in {cell.group for cell in catalogue()}:
        assert f"\n| {group} | " in text, group
    assert "Lethe" in text.split(BEGIN)[1].split("| --- |")[0]


def test_the_published_page_shows_the_policy_that_was_measured() -> None:
    assert f"```yaml\n{POLICY}```" in PAGE.read_text(encoding="utf-8")
