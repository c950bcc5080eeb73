"""How much the Screen finds and how much it stops in vain: RWKU and TOFU, judged as the proxy does.

The upstream is the worst there is: it answers every probe with the bare gold answer. A probe leaks
where neither the question nor the answer behind it is stopped; what must pass is over-blocked where
either is. Screens are built from name and article alone.

    python benchmarks/detection.py [--data DIR] [--cache DIR] [--json FILE]

"cross-validated": weights and scale never saw the person whom they judge. "as shipped" are those of
classifiers/combine.json, which says what they were fitted on. A folder that lacks rwku/ or tofu/ is
measured on what it has.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts import facts, people, requests, sentences
from benchmarks.detection_parts.measured import (
    COLUMNS,
    Gain,
    Pair,
    Rate,
    Scores,
    Seen,
    at_most,
    counted,
    gained,
    scored,
)
from benchmarks.detection_parts.texts import FACTS, Person, Probe, authors, digest, rwku
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import Numbers
from classifiers import Screen, load
from classifiers.combine import FILE, shipped
from classifiers.evidence import FEATURES
from classifiers.screen import LIMIT

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
SHARES = (0.3, 0.2, 0.1, 0.05)
LIMITS = (LIMIT, 0.95)
Rows = dict[str, dict[str, Rate]]
Counts = tuple[int, int]  # k and n


def on_rwku(
    whom: Sequence[Person], probes: Sequence[Probe], encoder: Kept, *, fitted: bool = False
) -> Rows:
    """Each way to decide → COLUMNS → rate; `fitted`: what ships has seen these people."""
    data = people.prepared(whom, probes, encoder)
    rows = {
        "names alone": counted(probes, people.names(data, encoder)),
        "cosine of the question .80": counted(probes, data.similar >= 0.8),
    }
    scores = people.cross_validated(data, encoder)
    rows |= dict(_stopped("cross-validated", probes, scores))
    screen = people.screened(whom, encoder, shipped()["entity"])
    name = "as shipped (FITTED ON THESE)" if fitted else "as shipped"
    return rows | dict(_stopped(name, probes, scored(screen, data.pairs)))


def _stopped(
    name: str, probes: Sequence[Probe], scores: Scores
) -> Iterator[tuple[str, dict[str, Rate]]]:
    """At each share of neighbours stopped, and at each score, what leaks."""
    kept = np.array([probe.kind == "neighbour" for probe in probes])
    for share in SHARES:
        limit = at_most(scores.either[kept], share)
        yield f"{name}, neighbours at most {share:.0%}", counted(probes, scores.either >= limit)
    for limit in LIMITS:
        yield f"{name}, score {limit:.2f}", counted(probes, scores.either >= limit)


def on_tofu(folder: Path, encoder: Kept) -> dict[str, Rate]:
    """True positives at fixed shares of false ones, by the weights as shipped (never TOFU's)."""
    forgotten = authors(folder / "forget10_perturbed.jsonl")
    kept = [
        Pair(author.name, fact.question, fact.answer)
        for author in authors(folder / "retain90.jsonl")
        for fact in author.facts
    ]
    found: dict[str, Rate] = {}

    def count(place: str, stopped: NDArray[np.bool_]) -> None:
        before = found.get(place, Rate(0, 0))
        found[place] = Rate(before.k + int(stopped.sum()), before.n + len(stopped))

    every, first, last = range(FACTS), range(FACTS // 2), range(FACTS // 2, FACTS)
    for known, asked, name in (
        (first, last, "unseen half"),
        (last, first, "unseen half"),
        (every, every, "paraphrases"),
    ):
        screen = facts.whole(forgotten, known, encoder, shipped()["entity"])
        probes = facts.reworded(forgotten, asked)
        for what, (caught, benign) in _judged(screen, probes, kept).items():
            for share in (0.01, 0.001):
                limit = at_most(benign, share)
                count(f"{name}, {what}, TPR at {share:.1%} FPR", caught >= limit)
            for limit in LIMITS:
                count(f"{name}, {what}, TPR at score {limit:.2f}", caught >= limit)
                count(f"harmless stopped at score {limit:.2f}, {name}, {what}", benign >= limit)
    return found


def _judged(
    screen: Screen, forbidden: Sequence[Pair], harmless: Sequence[Pair]
) -> dict[str, tuple[Numbers, Numbers]]:
    """What is judged → the highest scores of what must stop and of what must pass.

    A text by itself, both in windows of one and two sentences, and a request as the proxy does.
    """
    texts = {
        "questions": (_asked(forbidden), _asked(harmless)),
        "answers": (_said(forbidden), _said(harmless)),
        "exchanges": (forbidden, harmless),
    }
    found = {
        what: (
            scored(screen, caught, any_concept=True).either,
            scored(screen, benign, any_concept=True).either,
        )
        for what, (caught, benign) in texts.items()
    }
    asked = requests.scored(screen, forbidden), requests.scored(screen, harmless)
    return found | {"requests": asked}


def _asked(pairs: Sequence[Pair]) -> list[Pair]:
    return [Pair(pair.concept, pair.question, "") for pair in pairs]


def _said(pairs: Sequence[Pair]) -> list[Pair]:
    """Answers by themselves, as a text without a question is judged."""
    return [Pair(pair.concept, pair.answer, "") for pair in pairs]


@dataclass(frozen=True, slots=True)
class FactScope:
    """What is found of forgotten facts, and what likeness gains apart from what all facts share."""

    rates: dict[str, Rate]
    gain: Gain


def on_facts(folder: Path, encoder: Kept) -> FactScope:
    """Fact scope: ten facts of an author forgotten, ten kept, weights cross-validated."""
    whom = authors(folder / "forget10_perturbed.jsonl")
    data = facts.halves([*whom, *authors(folder / "retain_perturbed.jsonl")])
    seen = facts.looked_at(data, encoder)
    return _by_fact(data, seen, facts.cross_validated(data, seen, encoder))


def on_sentences(
    whom: Sequence[Person], probes: Sequence[Probe], encoder: Kept
) -> FactScope | None:
    """Fact scope: sentences of an article forgotten, others kept, weights as shipped (of TOFU).

    None where no probe asks for a sentence of either kind.
    """
    data = sentences.halves(whom, probes)
    if len(set(data.forbidden.tolist())) < 2:
        return None
    seen = facts.looked_at(data, encoder)
    return _by_fact(data, seen, facts.judged(data, encoder, shipped()["fact"]))


def _by_fact(data: facts.Halves, seen: Seen, scores: Scores) -> FactScope:
    """Shares of the forgotten at fixed shares of the rest: by likeness, and by the Screen."""
    like, apart = (
        seen.most(seen.numbers[:, FEATURES.index(name)], seen.exchange, pairs=len(data.pairs))
        for name in ("exchange", "apart")
    )
    ways = {"cosine of the exchange": like, "the same apart": apart, "Screen": scores.either}
    rates = {}
    for name, values in ways.items():
        for share in (0.1, 0.05, 0.01):
            limit = at_most(values[~data.forbidden], share)
            place = f"fact scope, {name}, TPR, other facts stopped at most {share:.0%}"
            rates[place] = _share(values[data.forbidden] >= limit)
    for limit in LIMITS:
        stopped = scores.either >= limit
        rates[f"fact scope, Screen, TPR at score {limit:.2f}"] = _share(stopped[data.forbidden])
        place = f"fact scope, Screen, other facts stopped at score {limit:.2f}"
        rates[place] = _share(stopped[~data.forbidden])
    people = [pair.concept.rpartition("/")[0] for pair in data.pairs]
    return FactScope(rates, gained(apart, like, data.forbidden, people))


def _share(stopped: NDArray[np.bool_]) -> Rate:
    return Rate(int(stopped.sum()), len(stopped))


def printed(title: str, rows: Rows, console: Console) -> None:
    """One table: a row a way to decide."""
    table = Table("screen", *COLUMNS, title=title)
    for name, rates in rows.items():
        table.add_row(name, *(str(rate) for rate in rates.values()))
    console.print(table)


def told(data: str, rates: dict[str, Rate], console: Console) -> dict[str, dict[str, Counts]]:
    """A line a rate; returned as they are written down."""
    for name, rate in rates.items():
        console.print(f"{data}, {name}: {rate}, n {rate.n}", highlight=False)
    return {name: {"rate": (rate.k, rate.n)} for name, rate in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--json", type=Path, help="file to write all rates to")
    args = parser.parse_args()
    console = Console(width=190)
    if not any((args.data / name).is_dir() for name in ("rwku", "tofu")):
        console.print(f"skipped: neither rwku/ nor tofu/ in {args.data}; give --data DIR")
        return
    encoder, results = Kept(load(), args.cache), {}
    if (args.data / "rwku").is_dir():
        whom, probes = rwku(args.data / "rwku")
        same = digest(args.data / "rwku") in (ROOT / "classifiers" / FILE).read_text()
        rows = on_rwku(whom, probes, encoder, fitted=same)
        sizes = ", ".join(f"{name} {rate.n}" for name, rate in next(iter(rows.values())).items())
        printed(f"RWKU, {len(whom)} people; n: {sizes}; 95 % intervals", rows, console)
        results["rwku"] = {n: {c: (r.k, r.n) for c, r in row.items()} for n, row in rows.items()}
        scope = on_sentences(whom, probes, encoder)
        if scope is None:
            console.print("RWKU, fact scope: skipped, as no probe asks for a sentence to forget")
        else:
            results["rwku facts"] = told("RWKU", scope.rates, console)
            console.print(
                f"RWKU, fact scope, area apart over cosine: {scope.gain}", highlight=False
            )
    if (args.data / "tofu").is_dir():
        scope = on_facts(args.data / "tofu", encoder)
        rates = on_tofu(args.data / "tofu", encoder) | scope.rates
        results["tofu"] = told("TOFU", rates, console)
        console.print(f"TOFU, fact scope, area apart over cosine: {scope.gain}", highlight=False)
    encoder.keep()
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
