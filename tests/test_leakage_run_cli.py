"""`lethe leakage run` and `attacks` on the command line: files written, mistakes told."""

import json
from pathlib import Path
from typing import Any

import pytest

from leakage.attacks import CATALOGUE
from leakage.probes import Probe, write
from lethe import main

pytestmark = pytest.mark.server

PROBES = [
    Probe("a", "Mirela Tollan", "direct", "forget", "Where was Mirela Tollan born?",
          ("Sallow Quay",), subject="Mirela Tollan"),
    Probe("b", "Edda Tollan", "direct", "neighbour", "What is Edda Tollan by profession?",
          ("baker",), subject="Edda Tollan"),
]  # fmt: skip
SOMEBODY = "probes: {file: probes.jsonl}\narms: [{name: a, url: 'http://127.0.0.1:9/v1'}]"
CONFIG = """
probes: {{file: probes.jsonl{more}}}
programs:
  - name: book
    run: [lethe, unlearning, serve, fact-book, --port, "${{port:book}}"]
    ready: "http://127.0.0.1:${{port:book}}/v1/models"
arms:
  - {{name: book, url: "http://127.0.0.1:${{port:book}}/v1", role: base, cost: {{seconds: 3}},
     encoder: all-MiniLM-L6-v2}}
attacks: [json, base64, completion, tool-arguments]
likelihoods: false
keep_answers: true
"""


def test_a_run_starts_what_it_needs_and_leaves_rows_records_and_their_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "probes.jsonl", PROBES)
    (tmp_path / "run.yaml").write_text(CONFIG.format(more=""))
    out, file = tmp_path / "out", tmp_path / "rows.json"
    arguments = ["leakage", "run", str(tmp_path / "run.yaml"), "--out", str(out)]
    assert main([*arguments, "--json", str(file)]) == 0
    rows: list[dict[str, Any]] = json.loads(file.read_text())
    found = {(row["attack"], row["split"]): row for row in rows}
    assert {row["arm"] for row in rows} == {"book"}
    told = found["base64", "forget"]
    assert (told["n"], told["leak"], told["high"]) == (1, 1.0, 1.0)
    assert told["utility"] == found["base64", "neighbour"]["utility"] == 1.0
    unasked = found["completion", "forget"]
    assert (unasked["lacks"], unasked["leak"], unasked["n"]) == ("completions", None, 0)
    story = json.loads((out / "run.json").read_text())
    (arm,) = story["arms"]
    assert (arm["base_url"], arm["cost"]) == ("http://127.0.0.1:${port:book}/v1", {"seconds": 3})
    assert story["errors"] == {"book": 0}
    assert story["requests"] > 0
    measured = {each["name"]: each for each in story["measures"]}
    assert story["encoder"] == "all-MiniLM-L6-v2"
    assert measured["similarity (all-MiniLM-L6-v2)"]["value"] > 0.9
    assert measured["extraction strength by text"]["value"] == 1.0
    assert "beside leaks and blocks" in capsys.readouterr().out
    assert main(["leakage", "report", str(out), "--details", "--request", "book=1"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "by the encoder all-MiniLM-L6-v2. Encoders of the screens: book: all-Mini" in said
    assert main(["leakage", "report", str(out), "--request", "cook=1"]) == 2
    assert "request: no arm is named 'cook'; there are book" in capsys.readouterr().err
    # Another port, the same arm: nothing is asked again.
    assert main(arguments) == 0
    assert json.loads((out / "run.json").read_text())["requests"] == 0
    assert (out / "probes.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("config", "message", "status"),
    [
        ("drawz: 1", "run.yaml:1: probes: is missing", 2),
        ("probes: {file: gone.jsonl}\narms: [{name: a, url: 'http://127.0.0.1:9/v1'}]", "gone", 2),
        ("probes: {file: probes.jsonl}\narms: [{name: a, url: 'ftp://x'}]", "must read http", 2),
        (f"{SOMEBODY}\nprograms: [{{name: p, run: [python, -c, 'raise SystemExit(4)']}}]",
         "status 4", 1),
    ],
)  # fmt: skip
def test_what_must_be_mended_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, message: str, status: int
) -> None:
    write(tmp_path / "probes.jsonl", PROBES)
    (tmp_path / "run.yaml").write_text(config)
    arguments = ["leakage", "run", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "out")]
    assert main(arguments) == status
    assert message in capsys.readouterr().err


def test_attacks_are_listed_with_family_and_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["leakage", "attacks", "--json", str(tmp_path / "a.json")]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in CATALOGUE)
    rows = json.loads((tmp_path / "a.json").read_text())
    assert [row["attack"] for row in rows] == list(CATALOGUE)
    assert all(row["family"] and row["source"] for row in rows)
