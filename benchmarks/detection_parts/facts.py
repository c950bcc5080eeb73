"""TOFU's authors through a Screen: forgotten whole, or some facts of each. Knows no file.

Fact scope: ten facts of each author are forgotten and ten are kept, five of which the concept knows
as neighbours; the other five and the ten forgotten ones are asked for in other words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_parts.measured import Pair, Scores, Seen, concept, scored, seen
from benchmarks.detection_parts.texts import FACTS, Author, Fact
from benchmarks.detection_parts.weighing import (
    Knots,
    combined,
    crossed,
    fitted,
    folds,
    parted,
    scaled,
)
from classifiers import Concept, Screen
from classifiers.combine import Combination, Scale, shipped
from classifiers.encoder import Encoder
from classifiers.evidence import FEATURES
from classifiers.readings import joined

# Who is meant says nothing here: the facts to keep are the same person's.
CUES = frozenset(["exchange", "exchange_several", "told", "support", "overlap", "margin", "apart"])
PARTS = [int(name in CUES) for name in FEATURES]
KEPT = 5  # facts to keep that the concept has as neighbours; the others are probes
# In fact scope only an exemplar said word for word is one without weighing.
LIKENESS: Knots = ((0.9, 0.5), (0.99, 0.9), (1.0, 0.999))


def whole(
    authors: Sequence[Author], known: range, encoder: Encoder, combination: Combination
) -> Screen:
    """A Screen of authors to forget, each by name and some of the facts."""
    concepts = [
        concept(author.name, [author.name], [as_told(author.facts[at]) for at in known])
        for author in authors
    ]
    return Screen(concepts, encoder, combinations={"entity": combination})


def reworded(authors: Sequence[Author], asked: range) -> list[Pair]:
    """Paraphrases of the authors' facts."""
    facts = [(author.name, author.facts[at]) for author in authors for at in asked]
    return [Pair(name, fact.other_question, fact.other_answer) for name, fact in facts]


@dataclass(frozen=True, slots=True)
class Halves:
    """Every author's facts forgotten by halves: concepts, what is asked, and whether it must stop.

    fold  of each pair; all pairs of an author are in one
    """

    concepts: Sequence[Concept]
    pairs: Sequence[Pair]
    forbidden: NDArray[np.bool_]
    fold: NDArray[np.int64]


def halves(authors: Sequence[Author]) -> Halves:
    """The even facts forgotten and the odd ones kept, and the other way round."""
    concepts, pairs, forbidden, owner = [], [], [], []
    for author in authors:
        for half in (0, 1):
            key = f"{author.name}/{half}"
            told, kept = range(half, FACTS, 2), range(1 - half, FACTS, 2)
            concepts.append(
                Concept(
                    key=key,
                    aliases=(author.name,),
                    exemplars=tuple(as_told(author.facts[at]) for at in told),
                    neighbours=tuple(as_told(author.facts[at]) for at in kept[:KEPT]),
                    names_suffice=False,
                )
            )
            for rows in (told, kept[KEPT:]):
                facts = [author.facts[at] for at in rows]
                pairs += [Pair(key, fact.other_question, fact.other_answer) for fact in facts]
                forbidden += [rows == told] * len(rows)
                owner += [author.name] * len(rows)
    return Halves(concepts, pairs, np.array(forbidden), folds(owner))


def screened(data: Halves, encoder: Encoder, combination: Combination) -> Iterator[Screen]:
    """A Screen a concept: facts of others would only find more."""
    for one in data.concepts:
        yield Screen([one], encoder, combinations={"fact": combination}, limits={one.key: 0.9})


def looked_at(data: Halves, encoder: Encoder) -> Seen:
    """What a Screen sees in every pair."""
    found, at = [], 0
    for screen, pairs in _each(data, encoder, shipped()["fact"]):
        part = seen(screen, pairs)
        found.append(Seen(part.numbers, part.pair + at, part.exchange, part.said))
        at += len(pairs)
    columns = [
        [getattr(part, name) for part in found] for name in ("numbers", "pair", "exchange", "said")
    ]
    return Seen(*map(np.concatenate, columns))


def fact(data: Halves, found: Seen, among: NDArray[np.bool_]) -> Combination:
    """What a Screen would ship with for facts, had it been fitted on some of the pairs."""
    rows = found.whole
    rows = rows[among[found.pair[rows]]]
    cues = parted(found.numbers, PARTS)
    weights, bias = fitted(cues[rows], data.forbidden[found.pair[rows]])
    odds = crossed(
        cues[rows], data.forbidden[found.pair[rows]], data.fold[found.pair[rows]],
        judged=cues, judged_fold=data.fold[found.pair],
    )  # fmt: skip
    # Nearer to what must stay is no hit, whatever it scores.
    nearer = found.numbers[:, FEATURES.index("margin")] > 0
    likeness = Scale(LIKENESS)
    like = np.array([likeness.score(s) for s in found.numbers[:, FEATURES.index("exchange")]])
    scale = scaled(
        found.most(odds, nearer, pairs=len(data.pairs)),
        found.most(like, nearer, pairs=len(data.pairs)),
        ~data.forbidden & among,
    )
    return combined(weights, bias, PARTS, scale, (LIKENESS, LIKENESS))


def cross_validated(data: Halves, found: Seen, encoder: Encoder) -> Scores:
    """Every pair scored by a Screen whose weights and scale are from authors of other folds."""
    by_fold = {n: fact(data, found, data.fold != n) for n in np.unique(data.fold).tolist()}
    parts, at = [], 0
    for one in data.concepts:
        pairs = [pair for pair in data.pairs if pair.concept == one.key]
        combination = by_fold[int(data.fold[at])]
        screen = Screen([one], encoder, combinations={"fact": combination}, limits={one.key: 0.9})
        parts.append(scored(screen, pairs))
        at += len(pairs)
    return Scores(
        np.concatenate([part.question for part in parts]),
        np.concatenate([part.answer for part in parts]),
    )


def judged(data: Halves, encoder: Encoder, combination: Combination) -> Scores:
    """Every pair scored by a Screen of its own concept, whose weights never saw any of them."""
    parts = [scored(screen, pairs) for screen, pairs in _each(data, encoder, combination)]
    return Scores(
        np.concatenate([part.question for part in parts]),
        np.concatenate([part.answer for part in parts]),
    )


def _each(
    data: Halves, encoder: Encoder, combination: Combination
) -> Iterator[tuple[Screen, list[Pair]]]:
    for one, screen in zip(data.concepts, screened(data, encoder, combination), strict=True):
        yield screen, [pair for pair in data.pairs if pair.concept == one.key]


def as_told(fact: Fact) -> str:
    """A fact as an exemplar says it."""
    return joined(fact.question, fact.answer)
