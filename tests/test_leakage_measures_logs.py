"""Forget quality from open-unlearning's logs, against a retrained model's of the same rows."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import ks_2samp

from leakage.logs import truth_ratios
from leakage.logs.rows import LogError
from leakage.measures import Finding
from leakage.reading import load
from leakage.summary import measure
from tests.leakage_command import lethe_leakage

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tofu"
FORGET = ("forget01", "forget05", "forget10")
NAME = "forget quality, from a log"


def published(forget: str) -> Path:
    path = SHARED / f"retain_reference_{forget}_llama2-7b.json"
    if not path.is_file():
        pytest.skip("the logs of TOFU's retrained models are not beside the project")
    return path


def evaluation(folder: Path, ratios: Sequence[float | None]) -> Path:
    """A log as open-unlearning writes it."""
    folder.mkdir(parents=True)
    rows = {str(at): {"score": ratio} for at, ratio in enumerate(ratios)}
    known = [min(r, 1 / (r + 1e-10)) for r in ratios if r is not None]
    whole = {"agg_value": sum(known) / len(known), "value_by_index": rows}
    path = folder / "TOFU_EVAL.json"
    path.write_text(json.dumps({"forget_Truth_Ratio": whole}), encoding="utf-8")
    return path


def imported(tmp_path: Path, name: str, ratios: Sequence[float | None]) -> Path:
    log = evaluation(tmp_path / "logs" / name, ratios)
    assert lethe_leakage("import", "open-unlearning", log, "--out", tmp_path / name) == 0
    return tmp_path / name


def found(runs: Sequence[Path], **how: Any) -> dict[str, Finding]:
    made = load(runs)
    arms = list(dict.fromkeys(record.arm for record in made))
    return {f.arm: f for f in measure(made, arms=arms, **how) if f.name == NAME}


def reference(forget: str) -> list[float]:
    ratios = truth_ratios.read(published(forget))
    return [ratio for ratio in ratios if ratio is not None]


@pytest.mark.parametrize("forget", FORGET)
def test_a_model_against_itself_has_a_forget_quality_of_one(tmp_path: Path, forget: str) -> None:
    ratios = reference(forget)
    run = imported(tmp_path, "again", ratios)
    one = found([run], ratios=ratios)["again (open-unlearning)"]
    assert (one.value, one.n) == (1.0, len(ratios))
    assert f"D 0.000, at most {2 * math.sqrt(math.log(80) / 2 / len(ratios)):.3f}" in one.note


@pytest.mark.parametrize("forget", FORGET)
def test_a_model_that_knows_is_told_as_open_unlearnings_own_test_tells_it(
    tmp_path: Path, forget: str
) -> None:
    ratios = reference(forget)
    knows = [ratio / 3 for ratio in ratios]
    run = imported(tmp_path, "full", knows)
    one = found([run], ratios=ratios)["full (open-unlearning)"]
    theirs = ks_2samp(knows, ratios)
    assert one.value == pytest.approx(theirs.pvalue)
    assert f"D {theirs.statistic:.3f}" in one.note
    assert theirs.pvalue < 1e-6


def test_two_logs_are_compared_as_arms_where_one_is_the_retrained(tmp_path: Path) -> None:
    runs = [
        imported(tmp_path, "npo", [0.2 + at / 100 for at in range(40)]),
        imported(tmp_path, "retain", [0.9 + at / 100 for at in range(40)]),
    ]
    both = found(runs, retrained="retain (open-unlearning)")
    assert both["retain (open-unlearning)"].value == 1.0
    npo = both["npo (open-unlearning)"]
    assert npo.value is not None
    assert npo.value < 1e-9
    assert found(runs)["npo (open-unlearning)"].lacks == "the log of a retrained model"


def test_different_forget_sets_are_never_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [imported(tmp_path, "npo", [1.0] * 40), imported(tmp_path, "retain", [1.0] * 200)]
    apart = found(runs, retrained="retain (open-unlearning)")["npo (open-unlearning)"]
    assert (apart.value, apart.lacks) == (
        None,
        "rows of the same forget set (40, the retrained arm's 200)",
    )
    log = evaluation(tmp_path / "other", [1.0] * 200)
    assert lethe_leakage("report", runs[0], "--retrained-log", log) == 2
    assert (
        "npo (open-unlearning): its log has 40 truth ratios and the one to compare with 200: they "
        "are of different forget sets; give the log of the same"
    ) in capsys.readouterr().err


def test_a_report_has_it_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ratios = [0.5 + at / 20 for at in range(20)]
    run, log = imported(tmp_path, "npo", ratios), evaluation(tmp_path / "retain", ratios)
    page, table, whole = (tmp_path / f"report.{end}" for end in ("html", "md", "json"))
    given = ("--html", page, "--markdown", table, "--json", whole, "--details")
    assert lethe_leakage("report", run, "--retrained-log", log, *given) == 0
    assert NAME in page.read_text("utf-8")
    assert f"| {NAME} | 1.000, n 20; p of Kolmogorov" in table.read_text("utf-8")
    kept = {each["name"]: each for each in json.loads(whole.read_text("utf-8"))["measures"]}
    assert (kept[NAME]["value"], kept[NAME]["n"]) == (1.0, 20)
    told = capsys.readouterr()
    assert "forget quality" in told.out
    assert "failed" not in told.err


def test_rows_without_a_number_are_left_out_and_counted(tmp_path: Path) -> None:
    run = imported(tmp_path, "npo", [None, *([1.0] * 39)])
    one = found([run], ratios=[*([1.0] * 39), None])["npo (open-unlearning)"]
    assert one.n == 38
    assert one.note.endswith("; 2 rows without a number in one of both")


def test_a_log_to_compare_with_needs_one_to_be_compared(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("")
    with pytest.raises(ValueError, match="no arm has a log of open-unlearning"):
        measure([], arms=[], ratios=[1.0])


def test_tofus_own_logs_hold_losses(tmp_path: Path) -> None:
    losses = {
        "avg_paraphrased_loss": {"1": 2.0, "0": 1.0},
        "average_perturb_loss": {"0": [1.0, 2.0], "1": [1.0, 1.0]},
    }
    for log in (losses, {"eval_log_forget.json": losses}):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(log))
        # False over true: likelier false answers have the smaller loss.
        assert truth_ratios.read(path) == [pytest.approx(math.exp(-0.5)), pytest.approx(math.e)]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ({"x": 1}, r"log\.json: has no truth ratios"),
        ({"forget_truth_ratio": ["secret"]}, r"forget_truth_ratio: is no number"),
        ({"forget_truth_ratio": [True]}, r"forget_truth_ratio: is no number"),
        ({"forget_truth_ratio": []}, r"no truth ratio that is a number"),
        ({"forget_truth_ratio": [1.0, -1.0]}, r"row 1: a truth ratio is not negative"),
        (
            {"forget_Truth_Ratio": {"value_by_index": {"0": {"score": 1.0}, "2": {"score": 1.0}}}},
            r"rows are not numbered from 0 on; some are missing",
        ),
        (
            {"avg_paraphrased_loss": {"0": 1.0}, "average_perturb_loss": {"1": [1.0]}},
            r"are of different rows",
        ),
    ],
)
def test_what_has_no_truth_ratios_is_said(tmp_path: Path, log: Any, message: str) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    with pytest.raises(LogError, match=message) as caught:
        truth_ratios.read(path)
    assert "secret" not in str(caught.value)
