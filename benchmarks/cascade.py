"""Fits classifiers/cascade.json, and prints what it clears, and what of that it should not.

    python benchmarks/cascade.py [--data DIR] [--cache DIR] [--write]

Needs ../shared/data's layout (RWKU, TOFU); says so and ends where it is absent. Without --write
nothing is changed. Weights and limits are cross-validated over people; TOFU's authors were in none.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts import clearing, facts
from benchmarks.detection_parts.clearing import ALLOWED, ALLOWED_NEAR, Flags, Seen
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


def cleared(ordinary: Numbers, least: Numbers, count: int, *, questions: bool = False) -> float:
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
    name: str,
    one: Seen,
    odds: tuple[Numbers, Numbers],
    fitted: Clearing,
    judged: Sequence[tuple[Clearing, Flags]],
) -> Iterator[tuple[str, ...]]:
    """A row for each limit, and one of questions that are near.

    judged  by which limits, and whose passages are judged by them
    """
    for limit in SHOWN:
        rate = added(clearing.lost(one, odds[0], limit, by, among) for by, among in judged)
        least = fitted.worth(limit, one.sizes)
        shares = [cleared(odds[1], least, count) for count in FORGOTTEN]
        yield name, f"{limit}", str(rate), str(rate.n), *(f"{s:.3f}" for s in shares)
    rate = added(clearing.forgotten(one, odds[0], by, among) for by, among in judged)
    least = fitted.remembered(one.sizes)
    shares = [cleared(odds[1], least, count, questions=True) for count in FORGOTTEN]
    yield name, "near", str(rate), str(rate.n), *(f"{s:.3f}" for s in shares)


def named(size: int, one: Seen) -> str:
    """People with so many exemplars."""
    between = ", no limits of its own" if size in clearing.BETWEEN else ""
    return f"RWKU, {one.sizes.mean():.0f} sentences{between}"


def added(counts: Iterable[tuple[int, int]]) -> Rate:
    """What was lost, and of how many, in all."""
    return Rate(*np.sum([*counts], axis=0).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name}")
    args = parser.parse_args()
    console = Console(width=150)
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
    of = {size: by_passage for size, (by_passage, _) in odds.items()}
    fitted = clearing.limited(every, found, of, np.ones(len(persons), dtype=np.bool_))
    # No person is judged by limits that they helped to find.
    fold = folds([person.key for person in persons])
    judged = [(clearing.limited(every, found, of, fold != n), fold == n) for n in np.unique(fold)]
    table = Table(title="of what is stopped, lost; of TriviaQA's answers, cleared")
    for column in ("forgotten", "held to", "lost (95 %)", "of"):
        table.add_column(column)
    for count in FORGOTTEN:
        table.add_column(f"cleared, {count}")
    rows = [
        row
        for size, one in found.items()
        for row in shown(named(size, one), one, odds[size], fitted, judged)
    ]
    for name, one in tofu(args.data / "tofu", ordinary, encoder).items():
        everybody = (fitted, np.ones(len(one.sizes), dtype=np.bool_))
        rows += shown(name, one, clearing.odds(one, fitted), fitted, [everybody])
    for row in rows:
        table.add_row(*row)
    encoder.keep()
    console.print(table)
    known = {
        "about": "Weights and limits of classifiers/cascade.py: a passage is cleared where for "
        "each concept the sum of weight x cue, less size x ln(exemplars), is below the log-odds "
        "for so many exemplars beside the highest score in `least` that the concept is held to, a "
        "question below `near`.",
        "fitted_on": f"RWKU, {len(persons)} people, {len(pairs)} probes with bare gold answers, "
        f"{', '.join(map(str, clearing.SIZES))} sentences of each; half of TriviaQA's questions",
        "allowed": {"stopped": ALLOWED, "near": ALLOWED_NEAR},
        "sha256": digest(args.data / "rwku"),
        "weights": dict(zip(CUES, fitted.weights, strict=True)),
        "size": fitted.size,
        "sizes": fitted.sizes,
        "least": fitted.least,
        "near": fitted.near,
    }
    text = json.dumps(known, indent=2) + "\n"
    console.print(text, highlight=False, markup=False)
    if args.write:
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
