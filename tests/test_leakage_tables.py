"""Tables by `datasets`: from small copies in the hub's own layout, as none is reachable here."""

import sys
from pathlib import Path

import pytest

from leakage.data import load
from leakage.tables import DataError, Table, rows

CARD = """---
configs:
  - config_name: wmdp-bio
    data_files:
      - {split: test, path: wmdp-bio/test.jsonl}
  - config_name: wmdp-cyber
    data_files:
      - {split: test, path: wmdp-cyber/test.jsonl}
---
"""


def copy(folder: Path) -> None:
    repo = folder / "cais" / "wmdp"
    for name in ("wmdp-bio", "wmdp-cyber"):
        (repo / name).mkdir(parents=True)
        (repo / name / "test.jsonl").write_text(
            f'{{"question": "Of {name}?", "choices": ["a b", "c d"], "answer": 1}}\n'
        )
    (repo / "README.md").write_text(CARD)


def test_a_copy_of_the_hub_is_read_by_configuration_and_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets", reason="needs the extra `hub`")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    copy(tmp_path)
    bio, cyber = load(["wmdp-bio", "wmdp-cyber"], folder=tmp_path).probes
    assert (bio.answers, cyber.concept) == (("c d",), "wmdp-cyber")
    with pytest.raises(
        DataError, match=r"x \(cais/wmdp gone test\): could not be loaded \(ValueError\)"
    ):
        rows(Table("x", "cais/wmdp", "gone", "test"), tmp_path)


def test_without_the_library_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"lethe-proxy\[hub\]"):
        rows(Table("x", "a/b", "c", "test"), None)


def test_a_set_without_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "wmdp").mkdir()
    (tmp_path / "wmdp" / "wmdp-bio.jsonl").write_text("\n")
    with pytest.raises(DataError, match="wmdp-bio: holds no row"):
        load(["wmdp-bio"], folder=tmp_path)
