"""What the benchmark of published forget quality says of logs, and with which status it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.published import agrees, main, pairs

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "tests" / "logs" / "open-unlearning"
FULL, RETRAINED = "tofu_Llama-3.2-1B-Instruct_full/evals_forget01", "tofu_Llama-3.2-1B-Instruct"


def copied(
    tmp_path: Path, *, model: str = "Llama-3.2-1B-Instruct", forget: str = "forget01", own: str
) -> Path:
    """The logs of a full model and of its retrained one, with another p in the log."""
    for name, to in (
        (FULL, f"tofu_{model}_full/evals_{forget}"),
        (
            f"{RETRAINED}_retain99",
            f"tofu_{model}_retain{100 - int(forget.removeprefix('forget'))}",
        ),
    ):
        text = (LOGS / name / "TOFU_EVAL.json").read_text("utf-8")
        (tmp_path / to).mkdir(parents=True)
        changed = text.replace("0.006760732303569208", own)
        (tmp_path / to / "TOFU_EVAL.json").write_text(changed, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("ours", "printed", "same"),
    [
        (4.3462e-25, 4.35e-25, True),
        (4.3562e-25, 4.35e-25, False),
        (0.00676, 0.01, True),
        (0.00499, 0.01, False),
        (0.99, 1.0, True),
        (3.9e-22, 1.66e-21, False),
    ],
)
def test_a_number_agrees_where_rounding_as_in_print_gives_it(
    ours: float, printed: float, same: bool
) -> None:
    assert agrees(ours, printed) is same


def test_all_logs_beside_the_tests_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--logs", str(LOGS)]) == 0
    told = capsys.readouterr().out
    assert told.count("agrees") == 4
    assert "4.346e-25" in told


@pytest.mark.parametrize(
    ("own", "forget", "status", "verdict"),
    [
        ("0.006760732303569208", "forget01", 0, "agrees"),
        ("0.0067608", "forget01", 1, "DIFFERS from the log"),
        (
            "0.006760732303569208",
            "forget10",
            0,
            "agrees with the log; the page has another number",
        ),
        ("null", "forget10", 1, "DIFFERS from the page"),
        ("null", "forget01", 0, "agrees"),
    ],
)
def test_it_says_which_number_is_another(
    tmp_path: Path, own: str, forget: str, status: int, verdict: str
) -> None:
    folder = copied(tmp_path, own=own, forget=forget)
    assert [each.verdict for each in pairs(folder)] == [verdict]
    assert main(["--logs", str(folder)]) == status


def test_a_model_that_no_page_has_is_held_against_its_log_alone(tmp_path: Path) -> None:
    (one,) = pairs(copied(tmp_path, model="Llama-3.2-3B-Instruct", own="0.006760732303569208"))
    assert (one.page, one.n, one.verdict) == (None, 40, "agrees")


def test_a_folder_without_a_pair_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--logs", str(tmp_path)]) == 2
    folder = copied(tmp_path, own='"secret"')
    assert main(["--logs", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "no tofu_*_full with its retrained model" in told
    assert "forget_quality: agg_value: is no number" in told
    assert "secret" not in told


def test_without_the_hub_it_says_so_and_ends_well(tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "benchmarks/published.py"],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0
    assert asked.stdout.startswith("skipped: open-unlearning/eval could not be had")
