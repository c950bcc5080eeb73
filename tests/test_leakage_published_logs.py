"""Published p-values of forget quality come out again from the logs of the models behind them.

`tests/logs/open-unlearning` has the truth ratios of fine-tuned and of retrained models, a row each.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.published import agrees
from leakage import published
from leakage.logs import truth_ratios
from leakage.logs.rows import whole
from leakage.reading import load
from leakage.records import Record
from leakage.tofu import nearness, truth_ratio
from tests.leakage_command import lethe_leakage

LOGS = Path(__file__).parent / "logs" / "open-unlearning"
LLAMA_2, LLAMA_3 = "tofu_Llama-2-7b-chat-hf", "tofu_Llama-3.2-1B-Instruct"
PAIRS = [
    # full model, forget set, retrained model, rows, D, as docs/repro.md prints p
    (LLAMA_2, "forget01", "retain99", 40, 0.425, "1.27e-03"),
    (LLAMA_2, "forget05", "retain95", 200, 0.39, "5.87e-14"),
    (LLAMA_2, "forget10", "retain90", 400, 0.3725, "4.35e-25"),
    (LLAMA_3, "forget01", "retain99", 40, 0.375, "0.01"),
]
NAME = "forget quality, from a log"


def full(model: str, forget: str) -> Path:
    return LOGS / f"{model}_full" / f"evals_{forget}" / "TOFU_EVAL.json"


def reported(tmp_path: Path, log: Path, retrained: Path) -> dict[str, Any]:
    """What `import` and `report` make of it, as a user has it."""
    run, table = tmp_path / "full", tmp_path / "report.json"
    assert lethe_leakage("import", "open-unlearning", log, "--arm", "full", "--out", run) == 0
    assert lethe_leakage("report", run, "--retrained-log", retrained, "--json", table) == 0
    measures: list[dict[str, Any]] = json.loads(table.read_text("utf-8"))["measures"]
    return next(each for each in measures if each["name"] == NAME)


@pytest.mark.parametrize(("model", "forget", "retrained", "n", "d", "printed"), PAIRS)
def test_a_published_forget_quality_is_reproduced_from_the_logs(
    tmp_path: Path, model: str, forget: str, retrained: str, n: int, d: float, printed: str
) -> None:
    log = full(model, forget)
    one = reported(tmp_path, log, LOGS / f"{model}_{retrained}" / "TOFU_EVAL.json")
    own = whole(log).row("forget_quality").number("agg_value")
    assert own is not None
    assert one["n"] == n
    assert one["value"] == pytest.approx(own, rel=1e-9)
    assert agrees(one["value"], float(printed))
    assert f"D {d:.3f}, " in one["note"]
    assert f"; n {n} + {n}; " in one["note"]


def test_the_sheet_of_published_numbers_has_the_same() -> None:
    sheet = {
        (f"tofu_{number.model}", number.metric.rpartition(" ")[2]): number.value
        for number in published.numbers()
        if number.setting == "before unlearning"
    }
    for model, forget, _, _, _, printed in PAIRS:
        assert sheet[model.removesuffix("-hf"), forget] == float(printed)


@pytest.mark.parametrize("path", sorted(LOGS.glob("*/**/TOFU_EVAL.json")), ids=str)
def test_a_logs_own_mean_is_that_of_its_rows(path: Path) -> None:
    ratios = [ratio for ratio in truth_ratios.read(path) if ratio is not None]
    told = whole(path).row("forget_truth_ratio").number("agg_value")
    assert math.fsum(map(nearness, ratios)) / len(ratios) == pytest.approx(told, abs=1e-6)


def test_a_published_truth_ratio_is_of_geometric_means() -> None:
    """Losses of rows whose ratios the same log tells: by the mean of losses, no other way."""
    losses = json.loads((LOGS / "losses.json").read_text("utf-8"))
    told = truth_ratios.read(full(LLAMA_2, "forget01"))
    right, wrong = losses["avg_paraphrased_loss"], losses["average_perturb_loss"]
    assert len(right) == 10
    for at, theirs in enumerate(truth_ratios.read(LOGS / "losses.json")):
        ours = truth_ratio(-right[str(at)], [-each for each in wrong[str(at)]])
        arithmetic = sum(math.exp(-each) for each in wrong[str(at)]) / 5 / math.exp(-right[str(at)])
        assert theirs == pytest.approx(told[at], abs=5e-6)
        assert ours == pytest.approx(told[at], abs=5e-6)
        assert abs(arithmetic - (told[at] or 0.0)) > 0.001


@pytest.mark.parametrize("name", ["forget_truth_ratio", "forget_Truth_Ratio"])
def test_both_spellings_of_the_metric_are_read(tmp_path: Path, name: str) -> None:
    text = full(LLAMA_3, "forget01").read_text("utf-8").replace("forget_truth_ratio", name)
    log = tmp_path / "TOFU_EVAL.json"
    log.write_text(text, "utf-8")
    assert reported(tmp_path, log, log)["value"] == 1.0
    kept: list[Record] = load([tmp_path / "full"])
    assert len(kept) == 40
    assert {record.kind for record in kept} == {f"open-unlearning {name}"}
