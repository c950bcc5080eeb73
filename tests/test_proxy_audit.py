"""The audit file: whole lines or nothing, one writer, and a chain that goes on after every end."""

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit import ENVELOPE, Audit, AuditError
from proxy.chain import GENESIS, MAX_RECORD_BYTES, Receipt, Verification, verify

WRITE_ELSEWHERE = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from proxy.audit import Audit
Audit.open(Path(sys.argv[1]))
"""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def write(path: Path, *records: dict[str, Any]) -> Receipt:
    with closing(Audit.open(path)) as audit:
        for record in records:
            audit.append(record)
        return audit.last


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """A limit of the kernel's: writes are cut short at `size`, and fail behind it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_records_are_numbered_dated_and_chained(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit:
        first = audit.append({"request_id": "a", "channels": {"0.content": {"held": 3}}})
        second = audit.append({"request_id": "b"})
        assert audit.last == second
    one, two = records(path)
    assert one["channels"] == {"0.content": {"held": 3}}
    assert (one["v"], one["seq"], one["prev"], one["hash"]) == (1, 1, GENESIS, first.hash)
    assert (two["v"], two["seq"], two["prev"], two["hash"]) == (1, 2, first.hash, second.hash)
    assert one["time"].endswith("Z")
    assert datetime.now(UTC) - datetime.fromisoformat(one["time"]) < timedelta(minutes=1)
    assert verify(path) == Verification(records=2, head=second.hash)


def test_the_file_is_private_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "audit.jsonl"
    write(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_mode_given_later_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path)
    path.chmod(0o640)
    write(path, {"n": 1})
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_chain_goes_on_after_each_start(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for n in range(4):
        assert write(path, {"n": n}).seq == n + 1
    assert verify(path).records == 4


def test_the_end_of_a_large_file_is_found_behind_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"text": "a" * 200_000}, {"text": "b" * 65_536}, {"text": "c" * 150_000})
    assert write(path, {"n": 4}).seq == 4
    assert verify(path).records == 4


def test_synced_records_are_the_same_records(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path, fsync=True)) as audit:
        audit.append({"n": 1})
    assert verify(path).records == 1


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_any_json_is_kept_or_refused_but_never_changed(record: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.jsonl"
        try:
            write(path, record)
        except AuditError:
            assert record.keys() & ENVELOPE
        else:
            [kept] = records(path)
            assert {key: kept[key] for key in record} == record
            assert verify(path).records == 1


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"score": float("nan")}, "no JSON (ValueError)"),
        ({"score": float("inf")}, "no JSON (ValueError)"),
        ({"when": datetime(2024, 1, 1, tzinfo=UTC)}, "no JSON (TypeError)"),
        ({"names": {"Hogwarts"}}, "no JSON (TypeError)"),
        ({("a", "b"): 1}, "no JSON (TypeError)"),
        ({1: "a", "1": "b"}, "the same key twice"),
        ({"request": {1: "a", "1": "b"}}, "the same key twice"),
        ({"seq": 9, "hash": "x"}, "may not name hash, seq itself"),
        ({"prev": "x"}, "may not name prev itself"),
    ],
)
def test_what_would_not_read_back_as_itself_is_refused(
    tmp_path: Path, record: dict[Any, Any], said: str
) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit:
        with pytest.raises(AuditError) as refused:
            audit.append(record)
        assert said in str(refused.value)
        assert "Hogwarts" not in str(refused.value)
        assert audit.append({"n": 1}).seq == 1
    assert verify(path).records == 1


def test_a_record_that_holds_itself_is_refused(tmp_path: Path) -> None:
    record: dict[str, Any] = {}
    record["self"] = record
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit, pytest.raises(AuditError, match="no JSON"):
        audit.append(record)


def test_keys_that_are_numbers_are_kept_as_json_spells_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"request": {10: "ten", 9: "nine", "a": 1}})
    assert records(path)[0]["request"] == {"9": "nine", "10": "ten", "a": 1}
    assert verify(path).records == 1


def test_halves_of_characters_do_not_break_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"model": "\ud83d\ude00", "\ud83d\ude00": 1, "\uffff": 2, "x": "\udc00"})
    assert verify(path).records == 1


def test_a_record_longer_than_a_line_may_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit, pytest.raises(AuditError, match="keep less text"):
        audit.append({"text": "a" * MAX_RECORD_BYTES})
    assert path.stat().st_size == 0


@pytest.mark.parametrize("room", [0, 1, 100, 5_000])
def test_a_write_cut_short_by_the_kernel_is_taken_back(tmp_path: Path, room: int) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit:
        audit.append({"n": 1})
        size = path.stat().st_size
        with room_for(size + room), pytest.raises(AuditError, match="cannot be appended to"):
            audit.append({"text": "a" * 10_000})
        assert path.stat().st_size == size
        assert audit.append({"n": 2}).seq == 2
    assert verify(path).records == 2


def test_what_cannot_be_taken_back_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit:
        audit.append({"n": 1})
        with path.open("ab") as other:
            other.write(b"torn")  # as if the file could not be cut
        for _ in range(2):
            with pytest.raises(AuditError, match="changed or deleted"):
                audit.append({"n": 2})
    assert write(path, {"n": 3}).seq == 3
    assert verify(path).records == 3


def test_a_file_truncated_or_deleted_while_open_is_not_written_to(tmp_path: Path) -> None:
    truncated, deleted = tmp_path / "truncated.jsonl", tmp_path / "deleted.jsonl"
    with closing(Audit.open(truncated)) as audit:
        audit.append({"n": 1})
        truncated.write_bytes(b"")
        with pytest.raises(AuditError, match="changed or deleted"):
            audit.append({"n": 2})
    with closing(Audit.open(deleted)) as audit:
        deleted.unlink()
        with pytest.raises(AuditError, match="changed or deleted"):
            audit.append({"n": 1})


def test_two_owners_of_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)):
        with pytest.raises(AuditError, match="another process appends to it"):
            Audit.open(path)
        other = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", WRITE_ELSEWHERE, str(path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[1],
        )
        assert "another process appends to it" in other.stderr
    write(path, {"n": 1})


def test_a_failed_start_lets_go_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"n": 1})
    whole = path.read_bytes()
    path.write_bytes(b"garbage\n")
    with pytest.raises(AuditError):
        Audit.open(path)
    path.write_bytes(whole)
    assert write(path, {"n": 2}).seq == 2


def test_threads_do_not_tear_each_other_apart(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(Audit.open(path)) as audit:

        def append(name: str) -> None:
            for n in range(50):
                audit.append({"thread": name, "n": n, "text": "x" * 5_000})

        threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert verify(path).records == 200
    for name in "abcd":
        assert [r["n"] for r in records(path) if r["thread"] == name] == list(range(50))


def test_nothing_is_appended_once_closed(tmp_path: Path) -> None:
    audit = Audit.open(tmp_path / "audit.jsonl")
    audit.close()
    audit.close()
    with pytest.raises(AuditError, match="is closed"):
        audit.append({"n": 1})


def test_a_new_file_names_the_one_it_succeeds(tmp_path: Path) -> None:
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    last = write(old, {"n": 1}, {"n": 2})
    for n in range(2):
        with closing(Audit.open(new, after=last.hash)) as audit:
            audit.append({"n": n})
    first, *others = records(new)
    assert (first["event"], first["after"]) == ("continues", last.hash)
    assert [record["n"] for record in others] == [0, 1]
    assert verify(new).records == 3


def test_a_torn_new_file_names_the_one_it_succeeds_first(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'{"after":')
    Audit.open(path, after="a" * 64).close()
    assert [record["event"] for record in records(path)] == ["continues", "recovered"]
    assert verify(path).records == 2


def test_a_file_that_exists_succeeds_only_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"n": 1})
    with pytest.raises(AuditError, match="does not continue that file"):
        Audit.open(path, after="a" * 64)
    with pytest.raises(AuditError, match="is not a hash"):
        Audit.open(path, after="A" * 64)
    assert verify(path).records == 1


def test_a_long_first_record_is_no_name_of_another_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"text": "a" * 100_000})
    with pytest.raises(AuditError, match="does not continue that file"):
        Audit.open(path, after="a" * 64)


def test_a_broken_end_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"n": 1}, {"n": 2}, {"n": 3, "request_id": "abc"})
    lines = path.read_bytes().splitlines(keepends=True)
    for broken, said in [
        ([lines[0], lines[1], lines[2].replace(b'"n":3', b'"n":4')], ":3: hash mismatch (seq 3, "),
        ([lines[0], lines[2]], ":2: seq gap (seq 3, request abc)"),
        ([lines[0], b"\n", lines[2]], ":2: not JSON"),
        ([lines[1]], ":1: seq gap (seq 2)"),
        ([lines[0], lines[1].replace(b'"v":1', b'"v":2'), lines[2]], ":2: hash mismatch"),
    ]:
        path.write_bytes(b"".join(broken))
        with pytest.raises(AuditError) as refused:
            Audit.open(path)
        assert f"{path}{said}" in str(refused.value)
        assert "give a new one" in str(refused.value)
        assert path.read_bytes() == b"".join(broken)


def test_an_end_too_long_for_a_record_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with path.open("wb") as file:
        file.truncate(MAX_RECORD_BYTES + 10)  # a hole: nothing but zeros
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    with pytest.raises(AuditError, match=":1: too long"):
        Audit.open(path)


def test_zeros_that_a_power_cut_leaves_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, {"n": 1})
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 200_000)
    assert write(path, {"n": 2}).seq == 3
    assert records(path)[1]["torn_bytes"] == 200_000
    assert verify(path).records == 3


def test_only_a_regular_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(AuditError, match="no regular file"):
        Audit.open(pipe)
    with pytest.raises(AuditError, match="cannot be opened"):
        Audit.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be opened"):
        Audit.open(tmp_path / "file" / "audit.jsonl")
