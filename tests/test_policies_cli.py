"""`lethe policy …` as it is typed."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import policies
from policies import cli
from policies.cli import register
from policies.schema import json_schema

ROOT = Path(policies.__file__).parent.parent
MIRA = """\
id: mira
concepts:
  - name: Mira Tollan
    exemplars: [Mira Tollan was born in Port Vell.]
"""


def lethe(*words: str | Path) -> int:
    parser = argparse.ArgumentParser(prog="lethe policy")
    register(parser)
    arguments = parser.parse_args([str(word) for word in words])
    status: int = arguments.run(arguments)
    return status


def test_lint_sums_up_what_it_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mira.yaml").write_text(MIRA)
    assert lethe("lint", tmp_path) == 0
    assert capsys.readouterr().out == "no problems; policies: 1, concepts: 1, texts: 1\n"


def test_lint_prints_every_problem_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(MIRA + "mod: off\non_error: retry\n")
    (tmp_path / "b.yaml").write_text("")
    assert lethe("lint", tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/a.yaml:5:1: mod: unknown key; did you mean 'mode'?",
        f"{tmp_path}/a.yaml:6:11: on_error: must be one of refuse, pass",
        f"{tmp_path}/b.yaml: is empty",
        "problems: 3, in files: 2",
    ]


def test_lint_of_a_folder_without_policies_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lethe("lint", tmp_path) == 1
    assert "no policy file" in capsys.readouterr().out


def test_lint_takes_the_library_where_nothing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert lethe("lint") == 0
    assert capsys.readouterr().out.startswith("no problems; policies: ")


def test_lint_runs_from_another_folder_and_loads_no_model(tmp_path: Path) -> None:
    program = (
        "import argparse, sys\n"
        "from policies.cli import register\n"
        "parser = argparse.ArgumentParser()\n"
        "register(parser)\n"
        "arguments = parser.parse_args(['lint'])\n"
        "status = arguments.run(arguments)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else status)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert lethe("schema") == 0
    assert capsys.readouterr().out == json_schema()


def test_schema_is_written_into_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "SCHEMA", tmp_path / "schema.json")
    assert lethe("schema", "--write") == 0
    assert (tmp_path / "schema.json").read_text("utf-8") == json_schema()
    assert "wrote" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "SCHEMA", tmp_path)
    assert lethe("schema", "--write") == 1
    assert f"{tmp_path}: cannot be written: Is a directory" in capsys.readouterr().err


@pytest.mark.encoder
def test_explain_shows_why_and_what_would_happen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mira.yaml").write_text(MIRA)
    (tmp_path / "off.yaml").write_text(MIRA.replace("id: mira", "id: ada\nmode: off"))
    found = tmp_path / "found.json"
    question = ("--before", "Where was Mira Tollan born?")
    assert lethe("explain", tmp_path, "--text", "In Port Vell.", *question, "--json", found) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "not compared, because off: ada"
    assert shown[1] == "HIT: Mira Tollan (policy mira, mode enforce)"
    assert shown[-1] == "mira: refuse (output)"
    written = json.loads(found.read_text("utf-8"))
    assert written["channel"] == "output"
    assert written["findings"][0]["exchange"]


@pytest.mark.encoder
def test_explain_says_that_nothing_is_near_and_what_was_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mira.yaml").write_text(MIRA)
    assert lethe("explain", tmp_path / "mira.yaml", "--text", "How do I boil an egg?") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("nearest, and not near: Mira Tollan")
    assert shown.endswith("Nothing is near: it passes untouched.\n")


def test_explain_of_wrong_policies_prints_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("")
    assert lethe("explain", tmp_path, "--text", "x") == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path}/a.yaml: is empty\n")


@pytest.mark.encoder
def test_explain_with_an_encoder_that_cannot_be_loaded_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mira.yaml").write_text(MIRA)
    missing = tmp_path / "no-such-model"
    assert lethe("explain", tmp_path, "--text", "x", "--encoder", missing) == 1
    assert "cannot be loaded" in capsys.readouterr().err


def test_a_text_that_is_no_utf_8_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        lethe("explain", tmp_path, "--text", "\udcff")
    assert "--text: must be UTF-8" in capsys.readouterr().err
