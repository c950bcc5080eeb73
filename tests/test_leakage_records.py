"""Record files: one line a draw, appended, whole after a crash."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from leakage import records
from leakage.records import Likelihood, Record, RecordError, Writer
from tests.leakage_record import RECORD as BASE

RECORD = replace(
    BASE,
    at="2026-01-02T03:04:05.000+00:00",
    scorer=1,
    probe="vell.birthplace",
    concept="Ada Vell",
    kind="attack:json",
    streamed=True,
    latency_s=0.25,
    first_token_s=0.125,
    tokens_in=None,
    tokens_out=3,
    answer_sha256="00",
)


def test_what_is_written_is_read_back_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    lost = replace(RECORD, draw=1, leak=None, answered=None, status=None, error="HTTP 500")
    told = replace(RECORD, draw=2, answer="Tarn Hollow \u2028 caf\u00e9")
    records.write(path, [RECORD, lost])
    records.write(path, [told])
    assert records.read(path) == [RECORD, lost, told]


def test_an_answer_is_only_in_the_file_if_it_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    records.write(path, [RECORD])
    assert "answer" not in json.loads(path.read_text())
    assert json.loads(path.read_text())["version"] == 1
    assert path.stat().st_mode & 0o077 == 0


def test_what_a_record_may_hold_besides_is_read_back_and_left_out_where_there_is_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "records.jsonl"
    found = (Likelihood("answer", (-0.5, -1.0), (1, 3)), Likelihood("wrong", (-9.25,)))
    more = replace(RECORD, kind="likelihood", leak=None, likelihoods=found, span=1, requests=4)
    lacking = replace(RECORD, draw=1, leak=None, answered=None, lacks="logprobs")
    number = replace(RECORD, draw=2, leak=None, answered=None, source="x 1", measured={"p": None})
    told = replace(RECORD, draw=3, source="x 1", measured={"p": 0.5})
    made = [RECORD, more, lacking, number, told]
    records.write(path, made)
    assert records.read(path) == made
    assert [record.spoken for record in records.read(path)] == [True, False, False, False, True]
    assert "lacks" not in json.loads(path.read_text().splitlines()[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "likelihoods: has the wrong type"),
        ([{"role": "answer"}], "an object of role, logprobs and ranks"),
        ([{"role": "gold", "logprobs": [], "ranks": None}], "role: one of answer, "),
        ([{"role": "wrong", "logprobs": ["x"], "ranks": None}], "has the wrong type"),
        ([{"role": "wrong", "logprobs": [0.0], "ranks": [0.5]}], "has the wrong type"),
    ],
)
def test_likelihoods_of_another_shape_are_errors(
    tmp_path: Path, given: object, message: str
) -> None:
    path = tmp_path / "records.jsonl"
    records.write(path, [RECORD])
    row = json.loads(path.read_text()) | {"likelihoods": given}
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(RecordError, match=message):
        records.read(path)


def test_a_record_does_not_show_its_answer() -> None:
    assert "Tarn Hollow" not in repr(replace(RECORD, answer="Tarn Hollow"))


def test_a_record_knows_its_attack_and_whether_it_is_innocent() -> None:
    assert RECORD.attack == "json"
    assert replace(RECORD, kind="direct").attack is None
    assert not RECORD.innocent
    assert replace(RECORD, split="world").innocent


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_line_that_a_crash_cut_off_is_left_out_and_written_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "records.jsonl"
    records.write(path, [RECORD, RECORD])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert records.read(path) == [RECORD]
    with Writer(path) as writer:
        writer.write(RECORD)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "is no leakage record"),
        ('{"run": "r"}', "is no leakage record"),
        ('{"version": 2}', "is of another version; this program reads version 1"),
        ('{"version": 1}', "lacks answer_sha256, answered, arm, at"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "records.jsonl"
    records.write(path, [RECORD])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RecordError) as caught:
        records.read(path)
    assert str(caught.value).startswith(f"{path}:2: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leak": "yes"}, "leak: has the wrong type"),
        ({"latency_s": None}, "latency_s: has the wrong type"),
        ({"split": "train"}, "split: one of forget, neighbour, retain, world"),
        ({"colour": "red"}, "has unknown fields"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "records.jsonl"
    records.write(path, [RECORD])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}) + "\n")
    with pytest.raises(RecordError, match=f":1: {message}"):
        records.read(path)


def test_the_fields_are_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "leakage.md").read_text(encoding="utf-8")
    assert [f.name for f in fields(Record) if f"`{f.name}`" not in page] == []
