"""`lethe leakage report | diff | gate` on files, as a CI calls them."""

from dataclasses import replace
from pathlib import Path

import pytest

from leakage import records
from leakage.reading import load
from tests.leakage_command import lethe_leakage
from tests.leakage_record import RECORD as BASE

RECORD = replace(BASE, arm="lethe", answered=False, leak=False, refused=True, score=0.0)


def written(path: Path, count: int, *, leaked: int = 0, arm: str = "lethe") -> Path:
    made = [
        replace(RECORD, arm=arm, probe=f"c{at}.1", concept=f"c{at}", leak=at < leaked)
        for at in range(count)
    ]
    records.write(path, made)
    return path


@pytest.mark.parametrize(
    ("count", "leaked", "status", "last"),
    [(200, 0, 0, "pass"), (100, 60, 1, "fail"), (20, 0, 2, "inconclusive")],
)
def test_a_gates_status_is_its_verdict(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    count: int,
    leaked: int,
    status: int,
    last: str,
) -> None:
    run = written(tmp_path / "r.jsonl", count, leaked=leaked)
    junit = tmp_path / "gate.xml"
    found = lethe_leakage(
        *("gate", run, "--leak-at-most", ".02", "--confidence", ".95", "--junit", junit)
    )
    assert found == status
    assert capsys.readouterr().out.splitlines()[-1] == last
    assert "<testsuites" in junit.read_text()


def test_a_gate_that_cannot_be_held_is_not_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lethe_leakage("gate", tmp_path / "none.jsonl", "--leak-at-most", ".02") == 3
    assert lethe_leakage("gate", tmp_path, "--leak-at-most", ".02") == 3
    assert "holds no .jsonl file" in capsys.readouterr().err
    run = written(tmp_path / "r.jsonl", 3)
    assert lethe_leakage("gate", run) == 3
    assert "no limit; give --leak-at-most" in capsys.readouterr().err


def test_a_directory_is_read_whole_and_the_first_arm_is_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "1.jsonl", 7, leaked=7, arm="base")
    written(tmp_path / "2.jsonl", 7)
    assert lethe_leakage("report", tmp_path, "--details") == 0
    out = capsys.readouterr().out
    assert "7 of 7" in out
    assert "paired comparisons" in out


def test_of_a_runs_directory_the_gathered_records_are_read_and_its_shards_are_not(
    tmp_path: Path,
) -> None:
    written(tmp_path / "records.jsonl", 7)
    (tmp_path / "probes.jsonl").write_text("no record\n")
    assert len(load([tmp_path])) == 7


def test_a_diff_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = written(tmp_path / "a.jsonl", 12)
    after = written(tmp_path / "b.jsonl", 12, leaked=10)
    table = tmp_path / "diff.md"
    words = ("diff", before, after, "--moved", "--markdown", table)
    assert lethe_leakage(*words) == 0
    out = capsys.readouterr().out
    assert "worse: lethe: c0.1 (direct)" in out
    assert "| leaked: direct | lethe |" in table.read_text()
    assert lethe_leakage(*words, "--fail-if-worse") == 1
    assert lethe_leakage("diff", before, tmp_path / "none") == 2
