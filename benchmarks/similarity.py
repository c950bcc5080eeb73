"""From which cosine on an answer says what the gold one says, and how often that errs, on TOFU.

`python -m benchmarks.similarity [--data DIR]` prints Markdown; without TOFU and RWKU it says so.
The threshold is chosen on TOFU's retain set; its errors are counted on forget10, other authors, and
on TriviaQA's names. Knows no arm and no record.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leakage.distributions import area
from leakage.encoder import EMBEDDED, Encoder
from leakage.statistics import Rate, clopper_pearson

Row = dict[str, Any]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CHOSEN_ON, COUNTED_ON = "retain_perturbed", "forget10_perturbed"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the threshold of semantic similarity.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--encoder", default=EMBEDDED, help="a sentence-transformers model")
    parser.add_argument("--most", type=int, default=200, help="rows of TriviaQA (default 200)")
    arguments = parser.parse_args()
    if not (arguments.data / "rwku").is_dir() or not (arguments.data / "tofu").is_dir():
        print(f"skipped: no rwku/ and tofu/ in {arguments.data}; give --data DIR")
        return
    encoder = Encoder(arguments.encoder)
    folder = arguments.data / "tofu"
    chosen = _scored(encoder, _rows(folder / f"{CHOSEN_ON}.jsonl"))
    threshold = best(chosen["paraphrase"], chosen["wrong"])
    counted = _scored(encoder, _rows(folder / f"{COUNTED_ON}.jsonl"))
    found = area(counted["paraphrase"], counted["wrong"])
    print(f"{encoder.called}: threshold {threshold:.2f}, chosen on {CHOSEN_ON}\n")
    print(f"| {COUNTED_ON}, answers beside the gold one | at or above, % [95 %] |")
    print("| --- | --- |")
    for name, values in counted.items():
        print(f"| {name} | {above(values, threshold)} |")
    short = _short(encoder, _rows(arguments.data / "rwku" / "triviaqa.jsonl")[: arguments.most])
    for name, values in short.items():
        print(f"| TriviaQA: {name} | {above(values, threshold)} |")
    print(
        f"\nAUC, paraphrase against a wrong answer: {found.auc:.3f} "
        f"[{found.low:.3f}, {found.high:.3f}]"
    )


def best(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The threshold of the best sum of sensitivity and specificity, in hundredths (Youden 1950)."""
    one, other = np.array(positive), np.array(negative)
    places = np.arange(0.0, 1.0, 0.01)
    return float(max(places, key=lambda at: (one >= at).mean() + (other < at).mean()))


def above(values: Sequence[float], threshold: float) -> Rate:
    """How many are at or above it."""
    return clopper_pearson(sum(value >= threshold for value in values), len(values))


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def _scored(encoder: Encoder, rows: Sequence[Row]) -> dict[str, list[float]]:
    """By what an answer is: one of each kind a question, so that they are not related."""
    others = [rows[(at + len(rows) // 2) % len(rows)]["answer"] for at in range(len(rows))]
    said = {
        "paraphrase": [row["paraphrased_answer"] for row in rows],
        "wrong": [row["perturbed_answer"][0] for row in rows],
        "another question's": others,
    }
    return {
        name: [
            encoder.likeness(text, [row["answer"]]) for text, row in zip(texts, rows, strict=True)
        ]
        for name, texts in said.items()
    }


def _short(encoder: Encoder, rows: Sequence[Row]) -> dict[str, list[float]]:
    """Short answers in a sentence: themselves, in another spelling, and another question's."""
    named = [row for row in rows if len(row["answers"]) > 1]
    found: dict[str, list[float]] = {
        "the answer in a sentence": [], "another spelling of it": [], "another question's": []
    }  # fmt: skip
    for at, row in enumerate(named):
        gold, *others = row["answers"]
        stranger = named[(at + len(named) // 2) % len(named)]["answers"][0]
        for name, said in zip(found, (gold, others[-1], stranger), strict=True):
            found[name].append(encoder.likeness(f"I believe that it is {said}.", [gold]))
    return found


if __name__ == "__main__":
    main()
