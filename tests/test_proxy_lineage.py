"""Lineage files: what the proxy believes of them, and what it refuses to start with."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from proxy.lineage import LineageError, read
from unlearning import lineage as theirs
from unlearning import testbed

GOOD = {"version": 1, "method": "npo", "weights": "ab" * 32}


def written(folder: Path, record: Any) -> Path:
    path = folder / "lineage.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    return path


@pytest.mark.parametrize("arm", testbed.SHIPPED_ARMS)
def test_the_lineage_of_every_shipped_arm_is_read(arm: str) -> None:
    path = testbed.shipped(arm) / theirs.FILE
    found, said = read(path), theirs.read(testbed.shipped(arm))
    assert (found.method, found.weights) == (said.method, said.weights)
    assert found.digest == sha256(path.read_bytes()).hexdigest()
    assert read(path, digest=found.digest) == found


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "is no lineage file"),
        ('{"version": 1, "version": 1}', "is no lineage file"),
        ({**GOOD, "version": 2}, "of version 1"),
        ({**GOOD, "method": "a method\nof two lines"}, "names no method"),
        ({**GOOD, "weights": "short"}, "no digest of the weights"),
        ({"version": 1}, "names no method"),
    ],
)
def test_a_file_that_says_nothing_reliable_is_refused(
    tmp_path: Path, record: Any, message: str
) -> None:
    with pytest.raises(LineageError, match=message):
        read(written(tmp_path, record))


def test_a_file_that_is_missing_or_another_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LineageError, match="cannot be read"):
        read(tmp_path / "nowhere.json")
    with pytest.raises(LineageError, match="not the file of that sha256"):
        read(written(tmp_path, GOOD), digest="0" * 64)
