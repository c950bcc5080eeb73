"""Evidence for every probe, and how many of which kind are stopped. Knows no way to print it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from benchmarks.detection_parts.texts import Author, Person, Probe, with_answers
from benchmarks.detection_parts.weighing import Numbers
from classifiers.encoder import Encoder
from classifiers.evidence import FEATURES, Known, joined
from classifiers.fingerprint_terms import read

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
class Seen:
    """Evidence of all probes: a row for each part of each question, whole questions first.

    exchange, question  shape (rows, features): with the answer, without it
    owner               the probe that a row belongs to
    """

    exchange: Numbers
    question: Numbers
    owner: NDArray[np.int64]

    @property
    def whole(self) -> NDArray[np.int64]:
        """The row of each probe's whole question."""
        return np.unique(self.owner, return_index=True)[1]

    def most(self, scores: Numbers) -> Numbers:
        """The highest of each probe's rows."""
        return np.maximum.reduceat(scores, self.whole)


def seen(people: Sequence[Person], probes: Sequence[Probe], encoder: Encoder) -> Seen:
    """Every probe against the person whom it is about, or whose neighbour it is."""
    encoder.encode([text for p in probes for text in (*p.parts(), *with_answers(p))])
    known = {p.key: Known([p.name], p.sentences, encoder.encode(p.sentences)) for p in people}
    nothing, exchange, question, owner = read(""), [], [], []
    for at, probe in enumerate(probes):
        concept, answer, parts = known[probe.subject], read(probe.answer), probe.parts()
        asked, both = encoder.encode(parts), encoder.encode(with_answers(probe))
        for part, one, other in zip(parts, asked, both, strict=True):
            words = read(part)
            exchange.append(concept.evidence(words, answer, asked=one, exchange=other).numbers())
            question.append(concept.evidence(words, nothing, asked=one, exchange=one).numbers())
            owner.append(at)
    return Seen(np.array(exchange), np.array(question), np.array(owner))


def counted(probes: Sequence[Probe], stopped: NDArray[np.bool_]) -> dict[str, Rate]:
    """For each of COLUMNS: what got through of the forbidden, what was stopped of the rest."""
    found = {}
    for column, belongs in COLUMNS.items():
        own = np.array([belongs(probe) for probe in probes])
        forbidden = np.array([probe.forbidden for probe in probes])
        wrong = np.where(forbidden, ~stopped, stopped)
        found[column] = Rate(int(wrong[own].sum()), int(own.sum()))
    return found


def named(all_seen: Seen) -> NDArray[np.bool_]:
    """Whether the whole name or the part that goes for it stands in question or answer."""
    columns = [FEATURES.index(f) for f in FEATURES if f.endswith(("_name", "_short"))]
    found = all_seen.exchange[all_seen.whole][:, columns].max(axis=1) > 0
    return np.asarray(found, dtype=np.bool_)


def at_most(scores: Numbers, share: float) -> float:
    """The lowest threshold that at most a share of the scores reach."""
    ordered = np.sort(scores)
    allowed = math.floor(share * len(ordered))
    return float(np.nextafter(ordered[len(ordered) - allowed - 1], np.inf))


@dataclass(frozen=True, slots=True)
class Told:
    """Evidence for texts of authors against every concept: shape (texts, concepts, features)."""

    questions: Numbers
    answers: Numbers
    exchanges: Numbers


def concepts(
    chosen: Sequence[Author], rows: range, encoder: Encoder, *, neighbours: range = range(0)
) -> list[Known]:
    """Each author by name and the answers of some of the rows, others as neighbours."""
    found = []
    for author in chosen:
        exemplars, kept = (
            [joined(author.facts[at].question, author.facts[at].answer) for at in which]
            for which in (rows, neighbours)
        )
        vectors = encoder.encode(exemplars)
        found.append(Known([author.name], exemplars, vectors, neighbours=encoder.encode(kept)))
    return found


def told(known: Sequence[Known], pairs: Sequence[tuple[str, str]], encoder: Encoder) -> Told:
    """Questions alone, answers alone, and both together, against every concept."""
    nothing = read("")
    found: tuple[list[Numbers], ...] = ([], [], [])
    both = [joined(*pair) for pair in pairs]
    encoder.encode([text for pair in pairs for text in pair] + both)
    for (question, answer), whole in zip(pairs, both, strict=True):
        asked, said, exchange = encoder.encode([question, answer, whole])
        for rows, words, reply, one, other in (
            (found[0], read(question), nothing, asked, asked),
            (found[1], read(answer), nothing, said, said),
            (found[2], read(question), read(answer), asked, exchange),
        ):
            seen_by = [k.evidence(words, reply, asked=one, exchange=other) for k in known]
            rows.append(np.array([evidence.numbers() for evidence in seen_by]))
    return Told(*(np.stack(rows) for rows in found))
