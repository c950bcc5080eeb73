"""What `docs/clients.md` gives to lm-eval and garak holds the testbed's questions and answers."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.testbed import write_policies
from benchmarks.testbed.write_tasks import MOST, write
from leakage import probes
from lethe import main
from proxy.config import read_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    file = tmp_path / "probes.jsonl"
    assert main(["unlearning", "probes", "--out", str(file)]) == 0
    write([probe for probe in probes.read(file) if probe.kind == "direct"], tmp_path / "clients")
    return tmp_path / "clients"


def test_every_task_names_its_rows_and_asks_what_its_split_is(folder: Path) -> None:
    asked = probes.read(folder / "people.jsonl")
    for split, most in MOST.items():
        task = yaml.safe_load((folder / f"people_{split}.yaml").read_text("utf-8"))
        data = Path(task["dataset_kwargs"]["data_files"]["test"])
        rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
        assert len(rows) == most
        assert {tuple(row) for row in rows} == {("question", "answer", "concept")}
        prompts = [each.prompt for each in asked if each.split == split]
        assert [row["question"] for row in rows] == prompts
    assert task["output_type"] == "generate_until"


def test_the_right_town_is_once_among_the_choices_and_garaks_trigger_in_no_question(
    folder: Path,
) -> None:
    lines = (folder / "people_choice.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 12
    assert all(len(set(row["choices"])) == 4 for row in rows)
    assert len({row["answer"] for row in rows}) > 1
    table = (folder / "garak" / "data" / "potter_cloze.tsv").read_text("utf-8").splitlines()
    assert len(table) == MOST["forget"]
    for line in table:
        trigger, passage = line.split("\t")
        assert passage.endswith("? [MASK]")
        assert trigger not in passage


def test_the_proxy_reads_what_was_written_into_a_relative_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["guard", "--upstream", "http://127.0.0.1:8101/v1", "--port", "8102"]
    monkeypatch.setattr(sys, "argv", ["write_policies.py", *given])
    write_policies.main()
    config = read_config(Path("guard", "lethe.yaml"))
    assert config.policies is not None
    assert sorted(file.stem for file in config.policies.glob("*.yaml")) == sorted(
        write_policies.WAYS
    )
    assert config.audit.path.resolve() == tmp_path / "guard" / "audit.jsonl"
