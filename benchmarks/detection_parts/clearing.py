"""What a cascade's first stage sees of what must stop and of ordinary traffic. Knows no table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_parts.measured import SOME, Pair, concept, named, passages
from benchmarks.detection_parts.texts import Person
from benchmarks.detection_parts.weighing import Numbers, fitted
from classifiers import Concept, Screen
from classifiers.cascade import Clearing
from classifiers.combine import shipped
from classifiers.cues import CUES, Cues, folded
from classifiers.encoder import Encoder
from classifiers.evidence import LEAD
from classifiers.fingerprint_terms import terms
from classifiers.readings import Reading, readings

FITTED = 0.75  # score from which a reading is one to be found
LIMITS = (0.25, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95)  # scores that concepts may be held to
ALLOWED = 0.001  # share of what is stopped that may be cleared, at each limit
ALLOWED_NEAR = 0.005  # the same of questions that only come near
# Sentences of an article, those that say who first, and then some others.
SIZES = (1, 3, 10, 30, 100, 10_000)
BETWEEN = (5, 20, 60)  # limits were not found with, and hold for, too
OTHERS = 20_000  # ordinary readings beside a concept, of each size
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Seen:
    """Pairs about concepts beside their own, and ordinary ones beside every concept.

    cues, score, near, passage, owner
                                 of each reading: what is seen, what the screen scores it, whether
                                 it comes near enough to be remembered, the passage that it belongs
                                 to (two of a pair, the question first), its concept's column
    named                        pairs that are stopped by a name whatever is cleared
    ordinary, of                 cues of ordinary readings, shape (readings, concepts, CUES), and
                                 the passage of each
    sizes                        exemplars of each concept
    """

    cues: NDArray[np.float32]
    score: Numbers
    near: Flags
    passage: NDArray[np.int64]
    owner: NDArray[np.int64]
    named: Flags
    ordinary: NDArray[np.float32]
    of: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def whose(self) -> NDArray[np.int64]:
        """The column of each pair's concept, shape (pairs,)."""
        found = np.zeros(len(self.named), dtype=np.int64)
        found[self.passage // 2] = self.owner
        return found

    @property
    def close(self) -> Flags:
        """Pairs whose question comes near."""
        return np.asarray(self.highest(self.near.astype(np.float64))[::2] > 0)

    def highest(self, values: Numbers) -> Numbers:
        """Of each passage's readings, shape (passages,)."""
        found = np.full(2 * len(self.named), -np.inf)
        np.maximum.at(found, self.passage, values)
        return found

    def stopped(self, limit: float) -> tuple[Flags, Flags]:
        """Passages whose score reaches a limit, and pairs that have one."""
        passages = self.highest(self.score) >= limit
        return passages, np.asarray(passages.reshape(-1, 2).any(axis=1))

    def ordinary_odds(self, odds: Numbers) -> Numbers:
        """The highest of each ordinary passage, shape (passages, concepts)."""
        found = np.full((int(self.of.max()) + 1, odds.shape[1]), -np.inf)
        np.maximum.at(found, self.of, odds)
        return found


def seen(
    concepts: Sequence[Concept],
    pairs: Sequence[Pair],
    ordinary: Sequence[Pair],
    encoder: Encoder,
    *,
    scope: str = "entity",
) -> Seen:
    """Look at every pair by cues, and by the screen that has no cascade."""
    limits = {c.key: FITTED for c in concepts} if scope == "fact" else None
    screen = Screen(concepts, encoder, combinations={scope: shipped()[scope]}, limits=limits)
    cues = Cues(concepts)
    columns = {key: at for at, key in enumerate(cues.keys)}
    parts = [_beside(screen, cues, columns, pairs[at : at + SOME], at) for at in _steps(pairs)]
    rest = [_read(screen, ordinary[at : at + SOME], at) for at in _steps(ordinary)]
    beside, scores, near, of, owners = zip(*parts, strict=True)
    return Seen(
        cues=np.concatenate(beside),
        score=np.concatenate(scores),
        near=np.concatenate(near),
        passage=np.concatenate(of),
        owner=np.concatenate(owners),
        named=named(screen, pairs),
        ordinary=np.concatenate([_cues(cues, asked) for asked, _ in rest]),
        of=np.concatenate([of for _, of in rest]),
        sizes=cues.sizes,
    )


def people(
    persons: Sequence[Person],
    pairs: Sequence[Pair],
    ordinary: Sequence[Pair],
    encoder: Encoder,
) -> Iterator[tuple[int, Seen]]:
    """RWKU's people with each number of exemplars, drawn from their articles."""
    for size in sorted((*SIZES, *BETWEEN)):
        drawn = np.random.default_rng(size)
        concepts = []
        for person in persons:
            rest = drawn.permutation(len(person.sentences) - LEAD)[: max(size - LEAD, 0)] + LEAD
            kept = (*range(min(size, LEAD)), *sorted(rest.tolist()))
            told = [person.sentences[at] for at in kept]
            concepts.append(concept(person.key, [person.name], told))
        yield size, seen(concepts, pairs, ordinary, encoder)


def weighed(some: Sequence[Seen], out: Flags) -> Clearing:
    """Weights by all concepts that are not `out` and every other ordinary pair; no limits.

    No reading of a pair that a name stops is looked at: names are found without an encoder.
    """
    rows, near = [], []
    drawn = np.random.default_rng(0)
    for one in some:
        found = (one.score >= FITTED) & ~one.named[one.passage // 2] & ~out[one.owner]
        others = one.ordinary[one.of // 2 % 2 == 0][:, ~out]
        beside = _sized(others, one.sizes[~out]).reshape(-1, len(CUES) + 1)
        beside = beside[drawn.permutation(len(beside))[:OTHERS]]
        rows += [_sized(one.cues[found], one.sizes[one.owner[found]]), beside]
        near += [np.ones(int(found.sum()), dtype=np.bool_), np.zeros(len(beside), dtype=np.bool_)]
    weights, _ = fitted(np.concatenate(rows).astype(np.float64), np.concatenate(near))
    few = [round(weight, 4) for weight in weights.tolist()]
    return Clearing(weights=tuple(few[:-1]), size=few[-1], sizes=(), least=(), near=())


def odds(one: Seen, clearing: Clearing) -> tuple[Numbers, Numbers]:
    """Of each passage beside its concept, and of each ordinary one beside each."""
    own = clearing.odds(one.cues, one.sizes[one.owner])
    return one.highest(own), one.ordinary_odds(clearing.odds(one.ordinary, one.sizes))


def limited(
    weights: Clearing, found: Mapping[int, Seen], of: Mapping[int, Numbers], among: Flags
) -> Clearing:
    """With the limits that some of the people allow; `of` are the odds of passages, by size."""
    each = [(found[size], of[size]) for size in SIZES]
    sizes = [math.exp(float(np.log(one.sizes).mean())) for one, _ in each]
    rows = [[_worth(one, odds, limit, among) for one, odds in each] for limit in LIMITS]
    # One who is held to more is never cleared later, whatever chance says.
    rows = np.minimum.accumulate(np.array(rows)[::-1])[::-1].round(3).tolist()
    near = [round(_worth_remembering(one, odds, among), 3) for one, odds in each]
    return replace(
        weights,
        sizes=tuple(round(size, 1) for size in sizes),
        least=tuple((limit, tuple(row)) for limit, row in zip(LIMITS, rows, strict=True)),
        near=tuple(near),
    )


def _worth(one: Seen, of: Numbers, limit: float, among: Flags) -> float:
    """The highest log-odds below which at most a share of what is stopped is cleared."""
    passages, pairs = one.stopped(limit)
    best = np.where(passages, of, -np.inf).reshape(-1, 2).max(axis=1)
    pairs = (pairs | one.named) & among[one.whose]
    free = np.sort(best[pairs & ~one.named])
    return float(free[math.floor(ALLOWED * pairs.sum())])


def _worth_remembering(one: Seen, of: Numbers, among: Flags) -> float:
    """The highest log-odds below which at most a share of the questions that are near is cleared.

    What comes near is told of in an instruction, and later answers are judged behind it.
    """
    near = (one.close | one.named) & among[one.whose]
    found = np.sort(of[::2][near & ~one.named])
    return float(found[math.floor(ALLOWED_NEAR * near.sum())])


def lost(one: Seen, of: Numbers, limit: float, fitted: Clearing, among: Flags) -> tuple[int, int]:
    """How many pairs that are stopped are not where passages are cleared, and of how many."""
    passages, pairs = one.stopped(limit)
    least = np.repeat(fitted.worth(limit, one.sizes)[one.whose], 2)
    still = (passages & (of >= least)).reshape(-1, 2).any(axis=1)
    pairs = (pairs | one.named) & among[one.whose]
    return int((pairs & ~one.named & ~still).sum()), int(pairs.sum())


def forgotten(one: Seen, of: Numbers, fitted: Clearing, among: Flags) -> tuple[int, int]:
    """How many questions that are near are cleared, and of how many."""
    least = fitted.remembered(one.sizes)[one.whose]
    near = (one.close | one.named) & among[one.whose]
    return int((near & ~one.named & (of[::2] < least)).sum()), int(near.sum())


def _steps(pairs: Sequence[Pair]) -> range:
    return range(0, len(pairs), SOME)


def _read(
    screen: Screen, pairs: Sequence[Pair], first: int
) -> tuple[list[Reading], NDArray[np.int64]]:
    asked = [
        one
        for at, passage in enumerate(passages(pairs))
        for one in readings(at, passage, screen.stock.spacing)
    ]
    return asked, np.array([2 * first + one.passage for one in asked], dtype=np.int64)


def _cues(cues: Cues, asked: Sequence[Reading]) -> NDArray[np.float32]:
    texts = {text for one in asked for text in (one.said, one.before)}
    return cues.seen(asked, {text: terms(folded(text)) for text in texts})


def _beside(
    screen: Screen,
    cues: Cues,
    columns: Mapping[str, int],
    pairs: Sequence[Pair],
    first: int,
) -> tuple[NDArray[np.float32], Numbers, Flags, NDArray[np.int64], NDArray[np.int64]]:
    """Each reading beside its own concept: cues, score, near, passage and column."""
    asked, passage = _read(screen, pairs, first)
    owner = np.array([columns[pairs[one.passage // 2].concept] for one in asked], dtype=np.int64)
    scores: dict[Reading, float] = {}
    near: set[Reading] = set()
    for one in screen.compared(passages(pairs)):
        if one.concept == pairs[one.reading.passage // 2].concept:
            verdict = screen.verdict(one)
            if verdict.margin is None or verdict.margin > 0:
                scores[one.reading] = verdict.score
            if verdict.near:
                near.add(one.reading)
    score = np.array([scores.get(one, 0.0) for one in asked])
    close = np.array([one in near for one in asked])
    return _cues(cues, asked)[np.arange(len(asked)), owner], score, close, passage, owner


def _sized(cues: NDArray[np.float32], sizes: NDArray[np.int64]) -> NDArray[np.float32]:
    """With one more cue: how few exemplars a concept has; its weight must not be negative."""
    few = np.broadcast_to(-np.log(sizes), cues.shape[:-1])[..., np.newaxis]
    return np.concatenate((cues, few), axis=-1, dtype=np.float32)
