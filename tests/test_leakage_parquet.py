"""Records as Parquet: every field comes back as it was, and other files are named."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from leakage import parquet
from leakage.reading import load
from leakage.records import Likelihood, RecordError
from tests.leakage_record import RECORD

LIKELIHOODS = (Likelihood("answer", (-0.5, -1.0), (1, 3)), Likelihood("wrong", (-9.25,)))
MADE = [
    RECORD,
    replace(RECORD, draw=1, answer="caf\u00e9 \u2028", status=None, first_token_s=0.5, span=1.0),
    replace(RECORD, kind="likelihood", answered=None, leak=None, likelihoods=LIKELIHOODS),
    replace(RECORD, draw=2, source="x 1", measured={"p": None, "q": 0.5}, error="HTTP 500"),
]


def test_every_field_comes_back_as_it_was(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is in the extra `hub`")
    path = tmp_path / "records.parquet"
    parquet.write(path, MADE)
    assert parquet.read(path) == MADE
    parquet.write(path, MADE[:3])
    assert load([path]) == MADE[:3]
    parquet.write(path, MADE)
    table = arrow.read_table(path)
    assert table.column("leak").to_pylist() == [True, True, None, True]
    assert str(table.schema.field("measured").type).startswith("map<string, double")


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is in the extra `hub`")
    from pyarrow import parquet as theirs  # noqa: PLC0415 (absent where this test is skipped)

    path = tmp_path / "other.parquet"
    theirs.write_table(arrow.table({"run": ["r"]}), path)
    with pytest.raises(RecordError, match="holds no leakage records of version 1"):
        parquet.read(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(RecordError, match="is no Parquet file"):
        parquet.read(path)


def test_without_pyarrow_one_is_told_where_to_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordError, match=r"pip install 'lethe-proxy\[hub\]'"):
        parquet.write(tmp_path / "x.parquet", MADE)
    assert not (tmp_path / "x.parquet").exists()
