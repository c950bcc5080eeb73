"""What a Screen sees in questions and answers, and how many of which kind are stopped.

Knows no way to print it and no weights.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata

from benchmarks.detection_parts.texts import Probe
from benchmarks.detection_parts.weighing import Numbers
from classifiers import Concept, Passage, Screen, segment, windows
from classifiers.evidence import FEATURES

SOME = 50  # pairs that are judged at once
DRAWS = 400  # of people, for an interval
SIMILAR = FEATURES.index("exchange")

COLUMNS: dict[str, Callable[[Probe], bool]] = {
    "leak L1": lambda p: p.kind == "L1",
    "leak L2": lambda p: p.kind == "L2",
    "leak L3": lambda p: p.kind == "L3",
    "synonym": lambda p: p.type == "synonym manipulation",
    "cross-lingual": lambda p: p.type.startswith("cross lingual"),
    "neighbours": lambda p: p.kind == "neighbour",
    "TriviaQA": lambda p: p.kind == "trivia",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """k of n, with the 95 % interval of Clopper and Pearson."""

    k: int
    n: int

    def __str__(self) -> str:
        if not self.n:
            return "-"
        bounds = binomtest(self.k, self.n).proportion_ci(method="exact")
        return f"{self.k / self.n:.3f} [{bounds.low:.3f}-{bounds.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with its answer, and the concept that it is about, or is not."""

    concept: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Evidence of every reading that is near the concept of its pair: a row each.

    numbers   shape (rows, features)
    pair      the pair that a row belongs to
    exchange  whether the answer is read behind the question
    said      whether it is what the answer says alone
    """

    numbers: Numbers
    pair: NDArray[np.int64]
    exchange: NDArray[np.bool_]
    said: NDArray[np.bool_]

    @property
    def whole(self) -> NDArray[np.int64]:
        """The first row of each pair that has one, whose question is whole: what weights fit."""
        rows = np.flatnonzero(self.exchange)
        return np.asarray(rows[np.unique(self.pair[rows], return_index=True)[1]], dtype=np.int64)

    def most(self, values: Numbers, among: NDArray[np.bool_], *, pairs: int) -> Numbers:
        """The highest value of each pair's rows, of those among; -inf without one."""
        found = np.full(pairs, -np.inf)
        np.maximum.at(found, self.pair[among], values[among])
        return found


@dataclass(frozen=True, slots=True)
class Scores:
    """What a Screen scores each pair: the question as a prompt, the answer behind it."""

    question: Numbers
    answer: Numbers

    @property
    def either(self) -> Numbers:
        """A pair is stopped where either is."""
        return np.maximum(self.question, self.answer)


def concept(key: str, names: Sequence[str], exemplars: Sequence[str]) -> Concept:
    """Something to forget as a whole."""
    return Concept(key=key, aliases=tuple(names), exemplars=tuple(exemplars))


def passages(pairs: Iterable[Pair]) -> list[Passage]:
    """Question and answer of each pair as the proxy has them judged."""
    found = []
    for pair in pairs:
        found.append(Passage(pair.question, windows(segment(pair.question))))
        found.append(Passage(pair.answer, windows(segment(pair.answer)), pair.question))
    return found


def seen(screen: Screen, pairs: Sequence[Pair]) -> Seen:
    """Every pair beside its own concept."""
    numbers, owner, exchange, said = [], [], [], []
    for at, part in _parts(pairs):
        for one in screen.compared(passages(part)):
            number = one.reading.passage // 2
            if one.concept == part[number].concept and one.evidence is not None:
                numbers.append(one.evidence.numbers())
                owner.append(at + number)
                exchange.append(one.reading.exchange)
                said.append(one.reading.answer and not one.reading.exchange)
    return Seen(
        np.array(numbers, dtype=np.float64).reshape(-1, len(FEATURES)),
        np.array(owner, dtype=np.int64),
        np.array(exchange, dtype=np.bool_),
        np.array(said, dtype=np.bool_),
    )


def scored(screen: Screen, pairs: Sequence[Pair], *, any_concept: bool = False) -> Scores:
    """What the Screen scores each pair for its own concept, or for whichever is highest."""
    found = np.zeros((len(pairs), 2))
    for at, part in _parts(pairs):
        for number, scores in enumerate(screen.scores(passages(part))):
            own = part[number // 2].concept
            score = max(scores.values(), default=0.0) if any_concept else scores.get(own, 0.0)
            found[at + number // 2, number % 2] = score
    return Scores(found[:, 0], found[:, 1])


def named(screen: Screen, pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    """Whether a name of its concept stands in question or answer."""
    return np.array(
        [
            any(
                v.concept == p.concept for text in (p.question, p.answer) for v in screen.find(text)
            )
            for p in pairs
        ]
    )


def _parts(pairs: Sequence[Pair]) -> Iterator[tuple[int, Sequence[Pair]]]:
    for at in range(0, len(pairs), SOME):
        yield at, pairs[at : at + SOME]


def counted(probes: Sequence[Probe], stopped: NDArray[np.bool_]) -> dict[str, Rate]:
    """For each of COLUMNS: what got through of the forbidden, what was stopped of the rest."""
    found = {}
    for column, belongs in COLUMNS.items():
        own = np.array([belongs(probe) for probe in probes])
        forbidden = np.array([probe.forbidden for probe in probes])
        wrong = np.where(forbidden, ~stopped, stopped)
        found[column] = Rate(int(wrong[own].sum()), int(own.sum()))
    return found


@dataclass(frozen=True, slots=True)
class Gain:
    """How much larger one area under the ROC curve is than another, with a 95 % interval."""

    area: float
    more: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.area:.3f}, {self.more:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def gained(
    values: Numbers, over: Numbers, forbidden: NDArray[np.bool_], groups: Sequence[str]
) -> Gain:
    """Of `values` over others for the same pairs; whole groups, people, are drawn again."""
    names, owner = np.unique(np.array(groups), return_inverse=True)
    own = [np.flatnonzero(owner == at) for at in range(len(names))]
    drawn = np.random.default_rng(0)

    def more(rows: NDArray[np.int64]) -> float:
        return area(values[rows], forbidden[rows]) - area(over[rows], forbidden[rows])

    every = [
        more(np.concatenate([own[at] for at in drawn.integers(0, len(own), len(own))]))
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(every, (0.025, 0.975)).tolist()
    return Gain(area(values, forbidden), more(np.arange(len(values))), low, high)


def area(values: Numbers, forbidden: NDArray[np.bool_]) -> float:
    """How often what must stop is higher than what must pass (Mann and Whitney 1947); ties half."""
    some, rest = int(forbidden.sum()), int((~forbidden).sum())
    ranks = rankdata(values)[forbidden].sum()
    return float((ranks - some * (some + 1) / 2) / (some * rest))


def at_most(scores: Numbers, share: float) -> float:
    """The lowest threshold that at most a share of the scores reach."""
    ordered = np.sort(scores)
    allowed = math.floor(share * len(ordered))
    return float(np.nextafter(ordered[len(ordered) - allowed - 1], np.inf))
