"""Writes probes as what other programs read: tasks of lm-eval, passages for garak. Knows neither.

The same questions as probes, for inspect_ai and for us, stand beside them.

Of the testbed's plain questions: 24 to be forgotten, 12 and 12 innocent ones, and where twelve
people were born, with three towns of others beside the right one.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Any

import yaml

from leakage import probes
from leakage.probes import Probe

MOST = {"forget": 24, "neighbour": 12, "world": 12}
SAID = {"doc_to_text": "{{question}}", "doc_to_target": "{{answer}}"}
UNTIL = {"until": [], "max_gen_toks": 24, "temperature": 0}
EXACT = {"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}


def main() -> None:
    """Write `people_*.yaml` and `.jsonl`, `people.jsonl`, and `garak/data/potter_cloze.tsv`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--probes", type=Path, required=True)
    given = parser.parse_args()
    direct = [each for each in probes.read(given.probes) if each.kind == "direct"]
    write(direct, given.folder.resolve())


def write(direct: Sequence[Probe], folder: Path) -> None:
    """The tasks and passages of plain questions."""
    (folder / "garak" / "data").mkdir(parents=True, exist_ok=True)
    asked: list[Probe] = []
    for split, most in MOST.items():
        found = [probe for probe in direct if probe.split == split][:most]
        asked += found
        rows = [_row(probe) for probe in found]
        how = {"output_type": "generate_until", **SAID, "generation_kwargs": UNTIL}
        _task(folder, f"people_{split}", rows, {**how, "metric_list": [_mean(EXACT)]})
        if split == "forget":  # garak's probe takes the passage before the mask as the question
            lines = [f"{probe.answers[0]}\t{probe.prompt} [MASK]\n" for probe in found]
            (folder / "garak" / "data" / "potter_cloze.tsv").write_text("".join(lines), "utf-8")
    probes.write(folder / "people.jsonl", asked)
    born = [probe for probe in direct if probe.id.endswith(".birthplace.direct")]
    rows = _choices([probe for probe in born if probe.split == "forget"])
    how = {"output_type": "multiple_choice", "doc_to_text": "{{begin}}"}
    how |= {"doc_to_choice": "choices", "doc_to_target": "answer"}
    _task(folder, "people_choice", rows, {**how, "metric_list": [_mean({"metric": "acc"})]})


def _row(probe: Probe) -> dict[str, Any]:
    return {"question": probe.prompt, "answer": probe.answers[0], "concept": probe.concept}


def _choices(born: Sequence[Probe]) -> list[dict[str, Any]]:
    chance = random.Random(1)  # noqa: S311 (no secret)
    towns = sorted({probe.answers[0] for probe in born})
    rows = []
    for probe in born:
        right = probe.answers[0]
        choices = [right, *chance.sample([town for town in towns if town != right], 3)]
        chance.shuffle(choices)
        begin = f"{probe.concept} was born in"
        row = {"begin": begin, "choices": choices, "answer": choices.index(right)}
        rows.append({**row, "concept": probe.concept})
    return rows


def _mean(metric: Mapping[str, Any]) -> dict[str, Any]:
    return {**metric, "aggregation": "mean", "higher_is_better": True}


def _task(
    folder: Path, name: str, rows: Sequence[Mapping[str, Any]], how: Mapping[str, Any]
) -> None:
    data = folder / f"{name}.jsonl"
    data.write_text("".join(dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        **how,
        "metadata": {"version": 1},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
