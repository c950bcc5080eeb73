"""A process killed in the midst of a write leaves a file that verifies and can be gone on with."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from proxy.audit import Audit
from proxy.chain import verify

# Says how many records it has been given receipts for, after each: none of these may be lost.
APPEND_FOR_EVER = """
import os, sys
from pathlib import Path
from proxy.audit import Audit

audit = Audit.open(Path(sys.argv[1]))
text = "x" * int(sys.argv[2])
while True:
    receipt = audit.append({"request_id": "r", "text": text})
    os.write(1, b"%d\\n" % receipt.seq)
"""


def written(path: Path, *sizes: int) -> bytes:
    with closing(Audit.open(path)) as audit:
        for n, size in enumerate(sizes):
            audit.append({"n": n, "text": "x" * size})
    return path.read_bytes()


def test_killed_at_any_moment_it_verifies_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    chance = random.Random(7)
    for _ in range(10):
        moment, size = chance.uniform(0, 0.03), chance.choice([10, 50_000])
        killed_and_mended(path, size=size, when=partial(time.sleep, moment))


def test_killed_in_the_midst_of_a_write_it_verifies_and_goes_on(tmp_path: Path) -> None:
    path, torn = tmp_path / "audit.jsonl", 0
    for _ in range(10):
        torn += killed_and_mended(path, size=3_000_000, when=partial(wait_for_growth, path)) > 0
    assert torn, "no kill fell into a write: this tested nothing"


def killed_and_mended(path: Path, *, size: int, when: Callable[[], None]) -> int:
    """Let a process append until it is killed, then go on; return how many bytes were torn."""
    acknowledged = killed(path, size=size, when=when)
    found = verify(path)
    assert found.first_broken is None
    assert found.records >= acknowledged, "there was a receipt for a record that is lost"
    with closing(Audit.open(path)) as audit:
        audit.append({"survived": True})
    after = verify(path)
    assert (after.first_broken, after.torn_bytes) == (None, 0)
    assert after.records == found.records + (2 if found.torn_bytes else 1)
    return found.torn_bytes


def killed(path: Path, *, size: int, when: Callable[[], None]) -> int:
    """Start a process that appends, kill it; return how many records it had receipts for."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", APPEND_FOR_EVER, str(path), str(size)],
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        when()
        process.kill()
        rest = process.stdout.read().split(b"\n")[:-1]
    return int(rest[-1] if rest else first)


def wait_for_growth(path: Path) -> None:
    size, patience = path.stat().st_size, time.monotonic() + 10
    while path.stat().st_size == size and time.monotonic() < patience:
        pass


def test_a_tear_at_every_byte_of_the_last_record_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    whole = written(path, 10, 20, 30)
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start + 1, len(whole)):
        path.write_bytes(whole[:end])
        found = verify(path)
        assert (found.records, found.first_broken, found.torn_bytes) == (2, None, end - start)
        with closing(Audit.open(path)) as audit:
            assert audit.append({"n": 3}).seq == 4
        recovered = json.loads(path.read_bytes().splitlines()[2])
        assert recovered["event"] == "recovered"
        assert recovered["torn_bytes"] == end - start
        assert recovered["torn_sha256"] == sha256(whole[start:end]).hexdigest()
        assert verify(path).records == 4


@pytest.mark.parametrize("torn", [65_535, 65_536, 65_537, 200_000])
def test_long_tears_are_mended(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "audit.jsonl"
    whole = written(path, 10)
    path.write_bytes(whole + b"x" * torn)
    assert verify(path).torn_bytes == torn
    Audit.open(path).close()
    recovered = json.loads(path.read_bytes().splitlines()[1])
    assert recovered["torn_sha256"] == sha256(b"x" * torn).hexdigest()
    assert verify(path).torn_bytes == 0


def test_a_file_torn_in_its_first_record_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    whole = written(path, 10)
    path.write_bytes(whole[:40])
    Audit.open(path).close()
    found = verify(path)
    assert (found.records, found.first_broken) == (1, None)
