"""`lethe audit verify`: one line, one exit status."""

import argparse
import json
from contextlib import closing
from pathlib import Path

import pytest

from proxy.audit import Audit
from proxy.audit_cli import register


def verify(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="lethe audit")
    register(parser)
    parsed = parser.parse_args(["verify", *map(str, arguments)])
    status: int = parsed.run(parsed)
    return status


def written(path: Path) -> list[str]:
    """Three records; their hashes."""
    with closing(Audit.open(path)) as audit:
        return [audit.append({"request_id": f"r{n}"}).hash for n in (1, 2, 3)]


def test_a_whole_file_is_one_line_with_count_and_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    hashes = written(path)
    assert verify(path) == 0
    assert capsys.readouterr().out == f"{path}: 3 records, all whole, last hash {hashes[-1]}\n"


def test_a_broken_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.jsonl"
    written(path)
    path.write_bytes(path.read_bytes().replace(b"r2", b"r7"))
    assert verify(path) == 1
    said = capsys.readouterr().out
    assert said.startswith(f"{path}:2: hash mismatch (seq 2, request r7); 1 records before it")
    assert said.count("\n") == 1


def test_a_torn_end_fails_only_when_strict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    written(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert verify(path) == 0
    assert "2 records, all whole" in capsys.readouterr().out
    assert verify(path, "--strict") == 1
    assert "bytes of an unfinished one" in capsys.readouterr().out


def test_a_noted_hash_shows_that_records_were_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    hashes = written(path)
    assert verify(path, "--head", hashes[1]) == 0
    assert "the noted hash is that of record 2" in capsys.readouterr().out
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert verify(path) == 0
    capsys.readouterr()
    assert verify(path, "--head", hashes[1]) == 1
    assert "the noted hash is not among them" in capsys.readouterr().out


def test_what_is_no_hash_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        verify(tmp_path / "audit.jsonl", "--head", "5c1f…")
    assert "give the 64 hexadecimal digits" in capsys.readouterr().err


def test_the_result_is_written_for_programs(tmp_path: Path) -> None:
    path, out = tmp_path / "audit.jsonl", tmp_path / "result.json"
    hashes = written(path)
    assert verify(path, "--json", out, "--head", hashes[0]) == 0
    assert json.loads(out.read_text("utf-8")) == {
        "file": str(path),
        "whole": True,
        "records": 3,
        "head": hashes[2],
        "first_broken": None,
        "torn_bytes": 0,
        "noted": 1,
        "noted_head": hashes[0],
    }
    path.write_bytes(path.read_bytes().replace(b"r3", b"r7"))
    assert verify(path, "--json", out) == 1
    result = json.loads(out.read_text("utf-8"))
    assert result["whole"] is False
    assert result["first_broken"] == {
        "line": 3,
        "reason": "hash mismatch",
        "seq": 3,
        "request_id": "r7",
    }


def test_a_file_that_cannot_be_read_or_written_is_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.jsonl"
    assert verify(path) == 2
    assert capsys.readouterr().err == f"lethe audit verify: {path}: No such file or directory\n"
    written(path)
    assert verify(path, "--json", tmp_path / "none" / "result.json") == 2
    assert "none/result.json" in capsys.readouterr().err
