"""Fits classifiers/combine.json, once, and prints what it holds and how well that does.

    python benchmarks/detection_fit.py [--data DIR] [--cache DIR] [--write]

Needs ../shared/data's layout (RWKU, TOFU); says so and ends where it is absent. Without --write
nothing is changed. What is seen of a text does not depend on the weights, so a second run changes
nothing.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts import facts, people
from benchmarks.detection_parts.measured import at_most, counted
from benchmarks.detection_parts.texts import authors, digest, rwku
from benchmarks.detection_parts.vectors import Kept
from classifiers import load
from classifiers.combine import Combination
from classifiers.evidence import FEATURES

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OUT = Path(__file__).resolve().parents[1] / "classifiers" / "combine.json"


def entity(data: Path, encoder: Kept) -> dict[str, object]:
    """Weights and scale of a concept that is forgotten as a whole."""
    whom, probes = rwku(data / "rwku")
    found = people.prepared(whom, probes, encoder)
    scores = people.cross_validated(found, encoder).either
    figures = {}
    for share in (0.2, 0.1):
        rates = counted(probes, scores >= at_most(scores[found.kept], share))
        figures[f"neighbours stopped at most {share}"] = {c: str(r) for c, r in rates.items()}
    return {
        **_written(people.entity(found, np.ones(len(probes), dtype=np.bool_))),
        "fitted_on": f"RWKU, {len(whom)} people, {len(probes)} probes with bare gold answers",
        "sha256": digest(data / "rwku"),
        "cross_validated": figures,
    }


def fact(data: Path, encoder: Kept) -> dict[str, object]:
    """Weights and scale of facts, others about the same person being kept."""
    whom = authors(data / "tofu" / "forget10_perturbed.jsonl")
    whom += authors(data / "tofu" / "retain_perturbed.jsonl")
    halves = facts.halves(whom)
    seen = facts.looked_at(halves, encoder)
    scores = facts.cross_validated(halves, seen, encoder).either
    figures = {}
    for share in (0.1, 0.05, 0.01):
        limit = at_most(scores[~halves.forbidden], share)
        caught = float((scores[halves.forbidden] >= limit).mean())
        figures[f"other facts stopped at most {share}"] = round(caught, 4)
    return {
        **_written(facts.fact(halves, seen, np.ones(len(halves.pairs), dtype=np.bool_))),
        "fitted_on": f"TOFU, {len(whom)} authors: ten facts of each forgotten, ten kept",
        "sha256": digest(data / "tofu"),
        "cross_validated": figures,
    }


def _written(found: Combination) -> dict[str, object]:
    return {
        "bias": found.weights.bias,
        "weights": dict(zip(FEATURES, found.weights.each, strict=True)),
        "odds": found.odds.knots,
        "likeness": {"asked": found.asked.knots, "said": found.said.knots},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name}")
    args = parser.parse_args()
    if not (args.data / "rwku").is_dir() or not (args.data / "tofu").is_dir():
        Console().print(f"skipped: no rwku/ and tofu/ in {args.data}; give --data DIR")
        return
    encoder = Kept(load(), args.cache)
    known = {
        "about": "Weights and scales of classifiers/combine.py: a score is where log-odds, bias + "
        "what each feature raises them by over equal parts of [0, 1], stand on the scale of odds, "
        "or likeness where that is higher.",
        "encoder": encoder.fingerprint,
        "scopes": {"entity": entity(args.data, encoder), "fact": fact(args.data, encoder)},
    }
    encoder.keep()
    text = json.dumps(known, indent=2) + "\n"
    Console().print(text, highlight=False, markup=False)
    if args.write:
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
