"""Fits the weights of classifiers/combine.json, once, and prints what they are and how they do.

    python benchmarks/detection_fit.py [--data DIR] [--cache DIR] [--write]

Needs ../shared/data's layout (RWKU, TOFU); says so and ends where it is absent. Without --write
nothing is changed.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts.facts import CUES, pairs
from benchmarks.detection_parts.measured import at_most, counted, seen
from benchmarks.detection_parts.texts import authors, digest, rwku
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import Numbers, crossed, fitted, folds
from classifiers import load
from classifiers.evidence import FEATURES

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OUT = Path(__file__).resolve().parents[1] / "classifiers" / "combine.json"


def entity(data: Path, encoder: Kept) -> dict[str, object]:
    people, probes = rwku(data / "rwku")
    all_seen = seen(people, probes, encoder)
    forbidden = np.array([probe.forbidden for probe in probes])
    features = all_seen.exchange[all_seen.whole]
    fold = folds([probe.subject for probe in probes])
    scores = crossed(features, forbidden, fold, judged=features, judged_fold=fold)
    kept = np.array([probe.kind == "neighbour" for probe in probes])
    figures = {}
    for share in (0.2, 0.1):
        rates = counted(probes, scores >= at_most(scores[kept], share))
        figures[f"neighbours stopped at most {share}"] = {c: str(r) for c, r in rates.items()}
    return {
        **_weights(*fitted(features, forbidden)),
        "fitted_on": f"RWKU, {len(people)} people, {len(probes)} probes with bare gold answers",
        "sha256": digest(data / "rwku"),
        "cross_validated": figures,
    }


def fact(data: Path, encoder: Kept) -> dict[str, object]:
    people = authors(data / "tofu" / "forget10_perturbed.jsonl")
    people += authors(data / "tofu" / "retain_perturbed.jsonl")
    features, forbidden, owner = pairs(people, encoder)
    fold = folds(owner)
    scores = crossed(features, forbidden, fold, judged=features, judged_fold=fold)
    figures = {}
    for share in (0.1, 0.05, 0.01):
        caught = scores[forbidden] >= at_most(scores[~forbidden], share)
        figures[f"other facts stopped at most {share}"] = round(float(caught.mean()), 4)
    weights, bias = fitted(features, forbidden)
    every = np.zeros(len(FEATURES))
    every[CUES] = weights
    return {
        **_weights(every, bias),
        "fitted_on": f"TOFU, {len(people)} authors: ten facts of each forgotten, ten kept",
        "sha256": digest(data / "tofu"),
        "cross_validated": figures,
    }


def _weights(weights: Numbers, bias: float) -> dict[str, object]:
    each = dict(zip(FEATURES, (round(w, 4) for w in weights.tolist()), strict=True))
    return {"bias": round(bias, 4), "weights": each}


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
        "about": "Weights of classifiers/combine.py: log-odds = bias + sum of weight x feature.",
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
