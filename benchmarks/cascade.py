"""Fits classifiers/cascade.json, and prints what it clears, and what of that it should not.

    python benchmarks/cascade.py [--data DIR] [--cache DIR] [--write]

Needs ../shared/data's layout (RWKU, TOFU); says so and ends where it is absent. Without --write
nothing is changed. Weights and limits are cross-validated over people; TOFU's authors were in none.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts import clearing, facts
from benchmarks.detection_parts.clearing import ALLOWED, ALLOWED_NEAR, LIMITS, Seen
from benchmarks.detection_parts.measured import Pair, Rate, concept
from benchmarks.detection_parts.texts import authors, digest, rwku
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import Numbers, folds
from classifiers import load
from classifiers.cascade import Clearing
from classifiers.cues import CUES

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OUT = Path(__file__).resolve().parents[1] / "classifiers" / "cascade.json"
FORGOTTEN = (1, 5, 10, 30)
DRAWS = 30  # of so many concepts
SHOWN = (0.5, 0.75, 0.9)


def crossed(found: Mapping[int, Seen], keys: Sequence[str]) -> dict[int, tuple[Numbers, Numbers]]:
    """Log-odds of each passage by weights fitted on other people, for each size."""
    fold = folds(keys)
    every = {
        size: (np.full(2 * len(one.named), -np.inf), np.zeros((int(one.of.max()) + 1, len(keys))))
        for size, one in found.items()
    }
    for number in np.unique(fold):
        own = fold == number
        fitted = clearing.weighed([*found.values()], own)
        for size, one in found.items():
            of, ordinary = clearing.odds(one, fitted)
            passages = np.unique(one.passage[own[one.owner]])
            every[size][0][passages] = of[passages]
            every[size][1][:, own] = ordinary[:, own]
    return every


def cleared(ordinary: Numbers, least: float, count: int, *, questions: bool = False) -> float:
    """The share of ordinary passages that are far from all of so many concepts, drawn at random.

    Answers behind their questions, or the questions, of those pairs that no weight was fitted on.
    """
    drawn = np.random.default_rng(0)
    each = ordinary[(2 if questions else 3) :: 4] >= least
    picks = [drawn.permutation(each.shape[1])[:count] for _ in range(DRAWS)]
    return float(np.mean([~each[:, pick].any(axis=1) for pick in picks]))


def tofu(folder: Path, ordinary: Sequence[Pair], encoder: Kept) -> dict[str, Seen]:
    """Authors forgotten whole, by half and by all of their facts, and half of the facts of each."""
    whom = authors(folder / "forget10_perturbed.jsonl")
    halves = facts.halves(whom)
    must = [pair for pair, stop in zip(halves.pairs, halves.forbidden, strict=True) if stop]
    found = {}
    for name, known, asked in (
        ("TOFU, other facts", range(10), range(10, 20)),
        ("TOFU, reworded", range(20), range(20)),
    ):
        concepts = [
            concept(a.name, [a.name], [facts.as_told(a.facts[at]) for at in known]) for a in whom
        ]
        found[name] = clearing.seen(concepts, facts.reworded(whom, asked), ordinary, encoder)
    found["TOFU, fact scope"] = clearing.seen(
        halves.concepts, must, ordinary, encoder, scope="fact"
    )
    return found


def shown(
    table: Table, name: str, one: Seen, odds: tuple[Numbers, Numbers], fitted: Clearing
) -> None:
    """A row for each limit, and one of questions that are near."""
    for limit in SHOWN:
        least = fitted.worth(limit)
        k, n = clearing.lost(one, odds[0], limit, least)
        shares = [cleared(odds[1], least, count) for count in FORGOTTEN]
        table.add_row(name, f"{limit}", str(Rate(k, n)), str(n), *(f"{s:.3f}" for s in shares))
    k, n = clearing.forgotten(one, odds[0], fitted.near)
    shares = [cleared(odds[1], fitted.near, count, questions=True) for count in FORGOTTEN]
    table.add_row(name, "near", str(Rate(k, n)), str(n), *(f"{s:.3f}" for s in shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name}")
    args = parser.parse_args()
    console = Console(width=130)
    if not (args.data / "rwku").is_dir() or not (args.data / "tofu").is_dir():
        console.print(f"skipped: no rwku/ and tofu/ in {args.data}; give --data DIR")
        return
    encoder = Kept(load(), args.cache)
    persons, probes = rwku(args.data / "rwku")
    pairs = [Pair(p.subject, p.question, p.answer) for p in probes if p.forbidden]
    ordinary = [Pair("", p.question, p.answer) for p in probes if p.kind == "trivia"]
    found = dict(clearing.people(persons, pairs, ordinary, encoder))
    odds = crossed(found, [person.key for person in persons])
    every = clearing.weighed([*found.values()], np.zeros(len(persons), dtype=np.bool_))
    least = [
        (limit, min(clearing.worth(found[size], odds[size][0], limit) for size in found))
        for limit in LIMITS
    ]
    # One who is held to more is never cleared later, whatever chance says.
    least = [
        (limit, round(min(odds for _, odds in least[at:]), 3))
        for at, (limit, _) in enumerate(least)
    ]
    near = min(clearing.worth_remembering(found[size], odds[size][0]) for size in found)
    fitted = Clearing(every.weights, every.size, tuple(least), round(near, 3))
    table = Table(title="of what is stopped, lost; of TriviaQA's answers, cleared")
    for column in ("forgotten", "held to", "lost (95 %)", "of"):
        table.add_column(column)
    for count in FORGOTTEN:
        table.add_column(f"cleared, {count}")
    for size, one in found.items():
        shown(table, f"RWKU, {one.sizes.mean():.0f} sentences", one, odds[size], fitted)
    for name, one in tofu(args.data / "tofu", ordinary, encoder).items():
        shown(table, name, one, clearing.odds(one, fitted), fitted)
    encoder.keep()
    console.print(table)
    known = {
        "about": "Weights and limits of classifiers/cascade.py: a passage is cleared where for "
        "each concept the sum of weight x cue, less size x ln(exemplars), is below the log-odds "
        "beside the highest score in `least` that the concept is held to, a question below "
        "`near`.",
        "fitted_on": f"RWKU, {len(persons)} people, {len(pairs)} probes with bare gold answers, "
        f"{', '.join(map(str, clearing.SIZES))} sentences of each; half of TriviaQA's questions",
        "allowed": {"stopped": ALLOWED, "near": ALLOWED_NEAR},
        "sha256": digest(args.data / "rwku"),
        "weights": dict(zip(CUES, fitted.weights, strict=True)),
        "size": fitted.size,
        "least": fitted.least,
        "near": fitted.near,
    }
    text = json.dumps(known, indent=2) + "\n"
    console.print(text, highlight=False, markup=False)
    if args.write:
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
