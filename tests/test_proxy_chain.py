"""Verification: any later change is found at the record that was changed, or before."""

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit import Audit
from proxy.chain import (
    GENESIS,
    MAX_RECORD_BYTES,
    Broken,
    Reason,
    Verification,
    describe,
    sealed,
    verify,
)

COUNT = 4
DOCS = Path(__file__).parents[1] / "docs" / "audit.md"


def lines_of(path: Path, *, count: int = COUNT) -> list[bytes]:
    with closing(Audit.open(path)) as audit:
        for n in range(count):
            audit.append({"request_id": f"r{n + 1}", "score": n / 7, "model": "a\n\u2028ü"})
    return path.read_bytes().splitlines(keepends=True)


def made_lines() -> list[bytes]:
    with TemporaryDirectory() as folder:
        return lines_of(Path(folder) / "audit.jsonl")


LINES = made_lines()
WHOLE = b"".join(LINES)
HASHES = [json.loads(line)["hash"] for line in LINES]


def verified(content: bytes, *, head: str | None = None) -> Verification:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.jsonl"
        path.write_bytes(content)
        return verify(path, head=head)


def found_at(found: Verification) -> int | None:
    """The line of the first broken record; a torn one is named by its length only."""
    if found.first_broken:
        return found.first_broken.line
    return found.records + 1 if found.torn_bytes else None


def forged(line: bytes, **changes: Any) -> bytes:
    """A record with other fields and a hash that fits them."""
    record = {**json.loads(line), **changes}
    del record["hash"]
    return sealed(record)[0]


def test_a_whole_file_is_whole() -> None:
    assert verified(WHOLE) == Verification(records=COUNT, head=HASHES[-1])
    assert verified(b"") == Verification(records=0, head=GENESIS)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found(position: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[position] ^= change
    at = found_at(verified(bytes(changed)))
    assert at is not None
    assert at <= WHOLE.count(b"\n", 0, position) + 1


@given(st.integers(0, len(WHOLE) - 1))
def test_a_deleted_byte_is_found(position: int) -> None:
    at = found_at(verified(WHOLE[:position] + WHOLE[position + 1 :]))
    assert at is not None
    assert at <= WHOLE.count(b"\n", 0, position) + 1


@given(st.integers(0, len(WHOLE)), st.binary(min_size=1, max_size=3))
def test_inserted_bytes_are_found(position: int, inserted: bytes) -> None:
    at = found_at(verified(WHOLE[:position] + inserted + WHOLE[position:]))
    assert at is not None
    # A line's end that was put before another leaves that line whole, and an empty one behind it.
    assert at <= (WHOLE[:position] + inserted).count(b"\n") + 1


@given(st.permutations(range(COUNT)), st.integers(0, COUNT))
def test_dropped_moved_and_repeated_records_are_found(order: list[int], kept: int) -> None:
    kept_order = order[:kept]
    found = verified(b"".join(LINES[n] for n in kept_order))
    first = next((at for at, n in enumerate(kept_order) if at != n), None)
    assert found_at(found) == (None if first is None else first + 1)
    repeated = verified(b"".join([LINES[0], *(LINES[n] for n in order)]))
    assert found_at(repeated) == 2 if order[0] != 1 else 3


@pytest.mark.parametrize("kept", range(COUNT + 1))
def test_records_cut_off_the_end_are_found_by_a_noted_hash_only(kept: int) -> None:
    content = b"".join(LINES[:kept])
    assert found_at(verified(content)) is None
    assert verified(content, head=HASHES[-1]).noted == (COUNT if kept == COUNT else None)
    for seq, noted in enumerate([GENESIS, *HASHES[:kept]]):
        assert verified(content, head=noted).noted == seq


def test_a_file_written_anew_is_found_by_a_noted_hash_only() -> None:
    other = b"".join(made_lines())
    assert found_at(verified(other)) is None
    assert verified(other, head=HASHES[1]).noted is None


@pytest.mark.parametrize(
    ("second", "reason", "seq", "request_id"),
    [
        (b"Hogwarts\n", "not JSON", None, None),
        (b"[1]\n", "not JSON", None, None),
        (b"7\n", "not JSON", None, None),
        (b"\xff\n", "not JSON", None, None),
        (b"\n", "not JSON", None, None),
        (b"[" * 100_000 + b"\n", "not JSON", None, None),
        (LINES[1].replace(b'"score":', b'"score":NaN,"s":'), "not JSON", None, None),
        (LINES[1].replace(b'"score":', b'"score":1e999,"s":'), "not JSON", None, None),
        (LINES[1].replace(b"r2", b"r9"), "hash mismatch", 2, "r9"),
        (LINES[1].replace(b'"hash"', b'"hush"'), "hash mismatch", 2, "r2"),
        (b"{}\n", "hash mismatch", None, None),
        (LINES[1].replace(b'"v":1', b'"v":1,"v":1'), "duplicate keys", 2, "r2"),
        (LINES[1].replace(b'":', b'": '), "not canonical", 2, "r2"),
        (LINES[1].replace(b"\n", b"\r\n"), "not canonical", 2, "r2"),
        (forged(LINES[1], v=2), "unknown version", 2, "r2"),
        (forged(LINES[1], v=None), "unknown version", 2, "r2"),
        (LINES[2], "seq gap", 3, "r3"),
        (forged(LINES[1], seq=True), "seq gap", None, "r2"),
        (forged(LINES[1], seq=2.0), "seq gap", None, "r2"),
        (forged(LINES[1], seq=3), "seq gap", 3, "r2"),
        (forged(LINES[1], prev=GENESIS), "chain broken", 2, "r2"),
        (forged(LINES[1], prev=None), "chain broken", 2, "r2"),
        (forged(LINES[1], prev=GENESIS, request_id="\x1b[2J"), "chain broken", 2, None),
        (forged(LINES[1], prev=GENESIS, request_id="r" * 101), "chain broken", 2, None),
        (forged(LINES[1], prev=GENESIS, request_id=["r2"]), "chain broken", 2, None),
    ],
)
def test_the_reason_is_named(
    second: bytes, reason: Reason, seq: int | None, request_id: str | None
) -> None:
    found = verified(LINES[0] + second + b"".join(LINES[2:]), head=HASHES[0])
    assert found == Verification(
        records=1,
        head=HASHES[0],
        first_broken=Broken(line=2, reason=reason, seq=seq, request_id=request_id),
        noted=1,
    )


def test_a_forged_record_is_found_at_the_next_one() -> None:
    second = forged(LINES[1], score=0.0)
    found = verified(LINES[0] + second + b"".join(LINES[2:]))
    assert found.first_broken == Broken(line=3, reason="chain broken", seq=3, request_id="r3")


def test_a_line_too_long_for_a_record_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with path.open("wb") as file:
        file.write(LINES[0])
        file.truncate(len(LINES[0]) + MAX_RECORD_BYTES + 100_000)  # a hole: nothing but zeros
    assert verify(path) == Verification(
        records=1, head=HASHES[0], torn_bytes=MAX_RECORD_BYTES + 100_000
    )
    with path.open("ab") as file:
        file.write(b"\n")
    assert verify(path).first_broken == Broken(line=2, reason="too long")


def test_a_sentence_says_where_what_and_the_hash_to_note() -> None:
    path = Path("audit.jsonl")
    whole = Verification(records=3, head="ab")
    assert describe(path, whole) == "audit.jsonl: 3 records, all whole, last hash ab"
    torn = Verification(records=3, head="ab", torn_bytes=9)
    assert "; behind them 9 bytes of an unfinished one" in describe(path, torn)
    for broken, said in [
        (Broken(4, "not JSON"), "audit.jsonl:4: not JSON; 3 records"),
        (Broken(4, "seq gap", seq=5), "audit.jsonl:4: seq gap (seq 5); 3 records"),
        (Broken(4, "seq gap", 5, "r"), "audit.jsonl:4: seq gap (seq 5, request r); 3 records"),
    ]:
        assert describe(path, Verification(3, "ab", broken)).startswith(said)


def documented(language: str) -> str:
    [block] = re.findall(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    return str(block)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the documentation's own commands
        command, capture_output=True, text=True, check=False
    )


def test_the_documented_verifier_agrees(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(WHOLE)
    python = [sys.executable, "-c", documented("python"), str(path)]
    assert run(*python).stdout == f"{COUNT} {HASHES[-1]}\n"
    path.write_bytes(WHOLE.replace(b"r3", b"r9"))
    assert "line 3 was changed" in run(*python).stderr
    path.write_bytes(b"".join([LINES[0], *LINES[2:]]))
    assert "line 2 does not follow" in run(*python).stderr


def test_the_documented_shell_line_prints_the_last_hash(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(WHOLE)
    script = documented("sh").replace("$FILE", str(path))
    assert run("/bin/sh", "-c", script).stdout.split()[0] == HASHES[-1]


def test_every_reason_and_field_is_documented() -> None:
    text = DOCS.read_text("utf-8")
    names = [*get_args(Reason), "v", "seq", "prev", "time", "hash"]
    names += Verification.__dataclass_fields__
    names += Broken.__dataclass_fields__
    names += ["recovered", "torn_bytes", "torn_sha256", "continues", "after"]
    assert [name for name in names if f"`{name}`" not in text] == []
