"""What others published stands beside a run of the same benchmark, apart and with its source."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from leakage import cli, published, records
from leakage.html.page import render
from leakage.story import story
from tests.leakage_record import RECORD


def test_every_number_has_a_benchmark_that_probes_are_of_and_a_source() -> None:
    found = published.numbers()
    assert len({replace(n, value=0) for n in found}) == len(found)
    assert {number.benchmark for number in found} == {"TOFU", "RWKU", "WMDP"}
    by = {(n.benchmark, n.method, n.metric): n for n in found}
    number = by["RWKU", "pretend prompt", "neighbours"]
    assert (number.value, number.model) == (55.7, "Llama-3-8B")
    assert number.source == "Jin et al. 2024, RWKU, arXiv 2406.10890"
    assert by["TOFU", "gradient ascent", "forget quality"].value == 1e-239


def test_only_numbers_of_the_same_benchmark_stand_beside_a_run() -> None:
    probes = (
        "wmdp-bio.0f",
        "wmdp_bio.3.aa",
        "tofu.open-unlearning.forget.1",
        "vell.1",
        "triviaqa.1",
    )
    made = [replace(RECORD, probe=probe) for probe in probes]
    assert published.benchmarks(made) == ["WMDP", "TOFU"]
    sheet = published.beside(made[:2])
    assert sheet is not None
    assert {row[0].partition(":")[0] for row in sheet.rows} == {"WMDP"}
    assert [row[2] for row in sheet.rows if row[1].startswith("DRAGON")] == ["not noted"] * 3
    assert published.beside(made[3:]) is None


def test_they_are_under_a_heading_of_their_own_and_in_no_count(tmp_path: Path) -> None:
    made = [replace(RECORD, probe=f"rwku.{at}", concept=str(at)) for at in range(3)]
    records.write(tmp_path / "r.jsonl", made)
    parser = argparse.ArgumentParser()
    cli.register(parser)
    table, page = tmp_path / "r.md", tmp_path / "r.html"
    words = ["report", str(tmp_path / "r.jsonl"), "--markdown", str(table), "--html", str(page)]
    parsed = parser.parse_args(words)
    assert parsed.run(parsed) == 0
    ours, _, theirs = table.read_text("utf-8").partition(
        "## Published elsewhere, not measured here"
    )
    assert "arXiv" not in ours
    assert "| pretend prompt | Llama-3-8B | forget set | 12.8 | Jin et al. 2024, RWKU" in theirs
    assert "<h2>Published elsewhere, not measured here</h2>" in page.read_text("utf-8")
    assert "Published elsewhere" not in render(story([replace(r, probe="a") for r in made]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("arXiv 2406.10890", "string_pattern_mismatch"),
        ("metrics: [bio, cyber, MMLU]", "has not as many values"),
        ("setting: forget10", "Extra inputs"),
    ],
)
def test_a_number_without_source_or_of_another_form_is_an_error(
    tmp_path: Path, change: str, message: str
) -> None:
    new = {"arXiv": "a blog", "metrics": "metrics: [bio]", "setting": "n: 1\n  setting: forget10"}
    text = published.FILE.read_text("utf-8")
    path = tmp_path / "published.yaml"
    word = next(word for word in new if change.startswith(word))
    assert change in text
    path.write_text(text.replace(change, new[word]), "utf-8")
    with pytest.raises(ValueError, match=message):
        published.numbers(path)
