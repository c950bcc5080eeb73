"""RWKU's people, each judged by a Screen that was fitted on others. Knows no file and no table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_parts.measured import (
    SIMILAR,
    Pair,
    Scores,
    Seen,
    concept,
    named,
    scored,
    seen,
)
from benchmarks.detection_parts.texts import Person, Probe
from benchmarks.detection_parts.weighing import (
    ASKED,
    SAID,
    combined,
    crossed,
    fitted,
    folds,
    parted,
    scaled,
)
from classifiers import Screen
from classifiers.combine import Combination, Scale, shipped
from classifiers.encoder import Encoder
from classifiers.evidence import FEATURES

Flags = NDArray[np.bool_]

# Weighed by quarters: of words that are shared the first tells more than the rest.
QUARTERS = frozenset(["support", "epithet", "lead"])
# What is said beside the person says little where the person is what must not be spoken of.
PARTS = [0 if name == "apart" else 4 if name in QUARTERS else 1 for name in FEATURES]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Probes of people, and what a Screen sees in them.

    fold  of each probe; all probes of a person are in one
    """

    people: Sequence[Person]
    pairs: Sequence[Pair]
    forbidden: Flags
    kept: Flags
    fold: NDArray[np.int64]
    seen: Seen

    @property
    def similar(self) -> NDArray[np.float64]:
        """The cosine similarity of each question, 0 where it is far from everything."""
        asked = ~self.seen.exchange & ~self.seen.said
        values = self.seen.numbers[:, SIMILAR]
        return np.maximum(self.seen.most(values, asked, pairs=len(self.pairs)), 0.0)


def prepared(people: Sequence[Person], probes: Sequence[Probe], encoder: Encoder) -> Prepared:
    """Look at every probe beside the person whom it is about, or whose neighbour it is."""
    pairs = [Pair(probe.subject, probe.question, probe.answer) for probe in probes]
    fold = folds([probe.subject for probe in probes])
    screen = screened(people, encoder, shipped()["entity"])
    return Prepared(
        people=people,
        pairs=pairs,
        forbidden=np.array([probe.forbidden for probe in probes]),
        kept=np.array([probe.kind == "neighbour" for probe in probes]),
        fold=fold,
        seen=seen(screen, pairs),
    )


def screened(people: Sequence[Person], encoder: Encoder, combination: Combination) -> Screen:
    """A Screen of people by name and article alone."""
    concepts = [concept(person.key, [person.name], person.sentences) for person in people]
    return Screen(concepts, encoder, combinations={"entity": combination})


def entity(data: Prepared, among: Flags) -> Combination:
    """What a Screen would ship with, had it been fitted on some of the probes."""
    rows = data.seen.whole
    rows = rows[among[data.seen.pair[rows]]]
    numbers, pair = parted(data.seen.numbers, PARTS), data.seen.pair
    weights, bias = fitted(numbers[rows], data.forbidden[pair[rows]])
    # The scale is of people whom the weights never saw, as all will be who are judged by it.
    odds = crossed(
        numbers[rows], data.forbidden[pair[rows]], data.fold[pair[rows]],
        judged=numbers, judged_fold=data.fold[pair],
    )  # fmt: skip
    every, count = np.ones(len(numbers), dtype=np.bool_), len(data.pairs)
    asked, said = Scale(ASKED), Scale(SAID)
    likeness = np.array(
        [
            (said if alone else asked).score(similar)
            for alone, similar in zip(
                data.seen.said, data.seen.numbers[:, SIMILAR].tolist(), strict=True
            )
        ]
    )
    scale = scaled(
        data.seen.most(odds, every, pairs=count),
        data.seen.most(likeness, every, pairs=count),
        data.kept & among,
    )
    return combined(weights, bias, PARTS, scale, (ASKED, SAID))


def cross_validated(data: Prepared, encoder: Encoder) -> Scores:
    """Every probe scored by a Screen whose weights and scale are from people of other folds."""
    question, answer = np.zeros(len(data.pairs)), np.zeros(len(data.pairs))
    for number in np.unique(data.fold):
        own = np.flatnonzero(data.fold == number)
        pairs = [data.pairs[at] for at in own.tolist()]
        judged = {pair.concept for pair in pairs}
        people = [person for person in data.people if person.key in judged]
        screen = screened(people, encoder, entity(data, data.fold != number))
        scores = scored(screen, pairs)
        question[own], answer[own] = scores.question, scores.answer
    return Scores(question, answer)


def names(data: Prepared, encoder: Encoder) -> Flags:
    """Whether a probe, or its answer, holds its person's name."""
    return named(screened(data.people, encoder, shipped()["entity"]), data.pairs)
