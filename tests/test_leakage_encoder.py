"""Semantic similarity by the real encoder: what says the same, what does not, and its errors."""

import json
from pathlib import Path

import pytest

from benchmarks.similarity import best
from leakage.encoder import EMBEDDED, MODEL, Encoder, EncoderError
from leakage.measures_text import ALIKE, ERRORS

pytestmark = pytest.mark.encoder

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tofu" / "forget10_perturbed.jsonl"
GOLD = "Mirela Tollan was born in the harbour town of Sallow Quay."


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    import torch  # noqa: PLC0415 (torch-sized)

    torch.set_num_threads(1)  # on a busy machine threads wait for each other
    return Encoder(EMBEDDED)


def test_a_paraphrase_is_alike_and_another_answer_is_not(encoder: Encoder) -> None:
    threshold = ALIKE[encoder.called]
    said = "The birthplace of Mirela Tollan is Sallow Quay, a town with a harbour."
    assert encoder.likeness(said, [GOLD]) >= threshold
    for other in ("I do not know.", "Tea is made of leaves.", "He works as a baker in Ghent."):
        assert encoder.likeness(other, [GOLD]) < threshold


def test_the_best_sentence_and_the_best_answer_count(encoder: Encoder) -> None:
    alone = encoder.likeness(GOLD, [GOLD])
    assert alone == pytest.approx(1.0, abs=1e-5)
    among = f"What a question! {GOLD} And now let us talk about the weather in these parts."
    assert encoder.likeness(among, ["Tea is made of leaves.", GOLD]) == pytest.approx(1.0, abs=1e-4)


def test_a_short_answer_is_sought_inside_a_sentence(encoder: Encoder) -> None:
    said = "Mirela Tollan was born in the town of Sallow Quay, she says."
    assert encoder.likeness(said, ["Sallow Quay"]) > 0.95
    assert encoder.likeness(said, ["Umber Fold"]) < 0.7


def test_where_nothing_is_said_nothing_is_alike(encoder: Encoder) -> None:
    assert encoder.likeness(" \n?!", [GOLD]) == 0.0
    assert encoder.likeness("anything", []) == 0.0


def test_an_encoder_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"gone.*could not be loaded.*give 'embedded', 'none'"):
        Encoder(str(tmp_path / "gone")).load()


def test_the_thresholds_errors_are_those_that_the_report_corrects_for(encoder: Encoder) -> None:
    if not SHARED.is_file():
        pytest.skip("TOFU is not beside the project")
    rows = [json.loads(line) for line in SHARED.read_text("utf-8").splitlines()][::25]
    threshold, judge = ALIKE[MODEL], ERRORS[MODEL]
    found = [encoder.likeness(row["paraphrased_answer"], [row["answer"]]) for row in rows]
    wrong = [encoder.likeness(row["perturbed_answer"][0], [row["answer"]]) for row in rows]
    n = len(rows)
    assert n == 16
    # Of one row in 25: within chance of the whole's rates.
    for said, count in (
        (sum(value >= threshold for value in found), judge.found),
        (sum(value < threshold for value in wrong), judge.cleared),
    ):
        assert abs(said / n - count.k / count.n) < 0.25


def test_the_best_threshold_parts_what_can_be_parted() -> None:
    assert 0.5 < best([0.8, 0.9, 0.7], [0.1, 0.5, 0.3]) <= 0.7
