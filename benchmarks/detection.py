"""How much is found and how much is stopped in vain: RWKU and TOFU, by several ways to decide.

The upstream is the worst there is: it answers every probe with the bare gold answer. A probe leaks
where neither the question nor the exchange is stopped, and is over-blocked where either is.

    python benchmarks/detection.py [--data DIR] [--cache DIR] [--screen] [--json FILE]

Each screen is built from name and article alone. "cross-validated" weights never saw the person
whom they judge; "as shipped" are those of classifiers/combine.json, which says what they were
fitted on. A folder that lacks rwku/ or tofu/ is measured on what it has.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts.facts import pairs
from benchmarks.detection_parts.measured import (
    COLUMNS,
    Rate,
    Seen,
    Told,
    at_most,
    concepts,
    counted,
    named,
    seen,
    told,
)
from benchmarks.detection_parts.texts import FACTS, Person, Probe, authors, digest, rwku
from benchmarks.detection_parts.today import stopped_today
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import Numbers, crossed, folds
from classifiers import load
from classifiers.combine import FILE, Weights, shipped
from classifiers.evidence import FEATURES, Known
from classifiers.fingerprint_terms import read
from classifiers.threshold import threshold

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
SHARES = (0.3, 0.2, 0.1, 0.05)
Rows = dict[str, dict[str, Rate]]


def on_rwku(
    people: Sequence[Person], probes: Sequence[Probe], encoder: Kept, *, fitted: bool = False
) -> Rows:
    """Each way to decide → COLUMNS → rate; `fitted`: the weights have seen these people."""
    found = seen(people, probes, encoder)
    forbidden = np.array([probe.forbidden for probe in probes])
    kept = np.array([probe.kind == "neighbour" for probe in probes])
    asked = found.most(found.question[:, FEATURES.index("asked")])
    rows = {
        "names alone": counted(probes, named(found)),
        "cosine of the question .80": counted(probes, asked >= 0.8),
    }
    fold = folds([probe.subject for probe in probes])
    exchange, question = _scores(found, forbidden, fold)
    rows |= dict(_combined("cross-validated", probes, exchange, question))
    either = np.maximum(exchange, question)
    for share in (0.2, 0.1):
        others = [threshold(either[kept & (fold != n)].tolist(), alpha=share) for n in set(fold)]
        limit = np.array([dict(zip(set(fold), others, strict=True))[n] for n in fold])
        name = f"cross-validated, threshold from other people's neighbours, {share:.0%}"
        rows[name] = counted(probes, either >= limit)
    weights = shipped()["entity"]
    scores = [found.most(_weighed(weights, part)) for part in (found.exchange, found.question)]
    name = "as shipped (FITTED ON THESE)" if fitted else "as shipped"
    return rows | dict(_combined(name, probes, *scores))


def _scores(
    found: Seen, forbidden: NDArray[np.bool_], fold: NDArray[np.int64]
) -> tuple[Numbers, Numbers]:
    """The highest score of each probe's exchange and of its question, cross-validated."""
    # Fitted on whole questions: their parts would count a wordy probe more often.
    whole = found.exchange[found.whole]
    exchange, question = (
        found.most(crossed(whole, forbidden, fold, judged=rows, judged_fold=fold[found.owner]))
        for rows in (found.exchange, found.question)
    )
    return exchange, question


def _combined(
    name: str, probes: Sequence[Probe], exchange: Numbers, question: Numbers
) -> Iterator[tuple[str, dict[str, Rate]]]:
    """At each share of neighbours stopped, what leaks; and what the question alone had stopped."""
    kept = np.array([probe.kind == "neighbour" for probe in probes])
    either = np.maximum(exchange, question)
    for share in SHARES:
        limit = at_most(either[kept], share)
        yield f"{name}, neighbours {share:.0%}", counted(probes, either >= limit)
        yield f"{name}, neighbours {share:.0%}, question alone", counted(probes, question >= limit)


def _weighed(weights: Weights, features: Numbers) -> Numbers:
    return np.asarray(features @ np.array(weights.each) + weights.bias)


def on_tofu(folder: Path, encoder: Kept) -> dict[str, Rate]:
    """True positives at fixed shares of false ones, by the weights as shipped (never TOFU's)."""
    forgotten = authors(folder / "forget10_perturbed.jsonl")
    kept = [(f.question, f.answer) for a in authors(folder / "retain90.jsonl") for f in a.facts]
    found: dict[str, Rate] = {}
    every, first, last = range(FACTS), range(FACTS // 2), range(FACTS // 2, FACTS)
    for known_rows, asked_rows, share, name in (
        (first, last, 0.01, "unseen half"),
        (last, first, 0.01, "unseen half"),
        (every, every, 0.001, "paraphrases"),
    ):
        known = concepts(forgotten, known_rows, encoder)
        facts = [author.facts[at] for author in forgotten for at in asked_rows]
        asked = [(fact.other_question, fact.other_answer) for fact in facts]
        probes, harmless = told(known, asked, encoder), told(known, kept, encoder)
        for what, rate in _caught(probes, harmless, share).items():
            place = f"{name}, {what}, TPR at {share:.1%} FPR"
            before = found.get(place, Rate(0, 0))
            found[place] = Rate(before.k + rate.k, before.n + rate.n)
    return found


def _caught(probes: Told, harmless: Told, share: float) -> dict[str, Rate]:
    """Per kind of text, how many reach what at most a share of the harmless reach."""
    weights, rates = shipped()["entity"], {}
    for what in ("questions", "answers", "exchanges"):
        benign, forbidden = (
            _weighed(weights, getattr(texts, what)).max(axis=1) for texts in (harmless, probes)
        )
        caught = forbidden >= at_most(benign, share)
        rates[what] = Rate(int(caught.sum()), len(caught))
    return rates


def on_facts(folder: Path, encoder: Kept) -> dict[str, Rate]:
    """Fact scope: ten facts of an author forgotten, ten kept, weights cross-validated."""
    people = authors(folder / "forget10_perturbed.jsonl")
    people += authors(folder / "retain_perturbed.jsonl")
    features, forbidden, owner = pairs(people, encoder)
    fold = folds(owner)
    ways = {
        "cosine of the exchange": features[:, 0],
        "combination": crossed(features, forbidden, fold, judged=features, judged_fold=fold),
    }
    found = {}
    for name, scores in ways.items():
        for share in (0.1, 0.05, 0.01):
            caught = scores[forbidden] >= at_most(scores[~forbidden], share)
            rate = Rate(int(caught.sum()), len(caught))
            found[f"fact scope, {name}, TPR, other facts stopped {share:.0%}"] = rate
    return found


def cost(people: Sequence[Person], probes: Sequence[Probe], encoder: Kept) -> dict[str, float]:
    """Microseconds: one text taken apart; evidence and score of one near concept. Least of runs."""
    person = people[0]
    known = Known([person.name], person.sentences, encoder.encode(person.sentences))
    own = [probe for probe in probes if probe.subject == person.key][:100]
    vectors = encoder.encode([probe.question for probe in own])
    weights, words, best = shipped()["entity"], [], {"read": np.inf, "evidence": np.inf}
    for _ in range(10):
        start = time.perf_counter()
        words = [(read(probe.question), read(probe.answer)) for probe in own]
        middle = time.perf_counter()
        for (question, answer), one in zip(words, vectors, strict=True):
            weights.log_odds(known.evidence(question, answer, asked=one, exchange=one))
        end = time.perf_counter()
        best["read"] = min(best["read"], (middle - start) / len(own) / 2 * 1e6)
        best["evidence"] = min(best["evidence"], (end - middle) / len(own) * 1e6)
    return {"exemplars": float(len(person.sentences)), **best}


def printed(title: str, rows: Rows, console: Console) -> None:
    """One table: a row a way to decide."""
    table = Table("screen", *COLUMNS, title=title)
    for name, rates in rows.items():
        table.add_row(name, *(str(rate) for rate in rates.values()))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--screen", action="store_true", help="today's Screen too: minutes")
    parser.add_argument("--json", type=Path, help="file to write all rates to")
    args = parser.parse_args()
    console = Console(width=190)
    if not any((args.data / name).is_dir() for name in ("rwku", "tofu")):
        console.print(f"skipped: neither rwku/ nor tofu/ in {args.data}; give --data DIR")
        return
    encoder, results = Kept(load(), args.cache), {}
    if (args.data / "rwku").is_dir():
        people, probes = rwku(args.data / "rwku")
        same = digest(args.data / "rwku") in (ROOT / "classifiers" / FILE).read_text()
        rows = on_rwku(people, probes, encoder, fitted=same)
        if args.screen:
            rows["Screen of today"] = counted(probes, stopped_today(people, probes, encoder))
        sizes = ", ".join(f"{name} {rate.n}" for name, rate in next(iter(rows.values())).items())
        printed(f"RWKU, {len(people)} people; n: {sizes}; 95 % intervals", rows, console)
        console.print(cost(people, probes, encoder))
        results["rwku"] = {n: {c: (r.k, r.n) for c, r in row.items()} for n, row in rows.items()}
    if (args.data / "tofu").is_dir():
        rates = on_tofu(args.data / "tofu", encoder) | on_facts(args.data / "tofu", encoder)
        for name, rate in rates.items():
            console.print(f"TOFU, {name}: {rate}, n {rate.n}", highlight=False)
        results["tofu"] = {name: {"rate": (r.k, r.n)} for name, r in rates.items()}
    encoder.keep()
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
