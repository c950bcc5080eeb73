"""What speaks for a question and its answer being about one concept, as a few numbers.

Knows no weight, no threshold and no encoder: vectors are handed in.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from classifiers.encoder import Vectors
from classifiers.fingerprint_terms import FRAME, Words, rarity, read
from classifiers.lexical import LEAST_MISSPELT, one_off
from classifiers.views import fold

# A concept that nothing names needs no evidence below this cosine of question and exchange: none of
# RWKU's probes is lost by it, and one in ninety of TriviaQA's reaches it (all-MiniLM-L6-v2).
CANDIDATE = 0.45
NEAREST = 10  # exemplars that may support an answer
LEAD = 3  # exemplars that say who is meant
SEVERAL = 5  # exemplars whose mean similarity counts
RARE = 3  # exemplars that a word may stand in and still point at one of them
RARE_SHARE = 0.05  # of the exemplars, where there are many
MOST = 3.0  # sum of rarities from which more words say nothing more
OTHERS = 5  # texts about anything, which keep a few of one concept from sharing all they say
NOTHING = 1e-3  # length of a vector that is rounding and no meaning
ENOUGH = 1.0  # the same from which a text without a question tells something: no lone word does
UNCOMMON = 0.5  # rarity of a name that need not be written with a capital
SUFFIXES = frozenset(
    ["jr", "sr", "ii", "iii", "iv", "v", "vi", "vii", "viii", "the", "of", "great"]
)
_TITLES = """
mr mrs ms miss dr sir lord lady dame president minister secretary senator governor king queen prince
princess director actor actress singer author host star rapper musician comedian artist writer
"""
TITLES = frozenset(_TITLES.split())


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is seen, each in [0, 1], cosines in [-1, 1]; more of anything speaks for the concept.

    asked_name, said_name    the whole name, or an alias, in the question, in the answer (0 or 1)
    asked_short, said_short  only the part of the name that goes for it ("King"), and not within
                             somebody else's name ("Billie Jean King") (0 or 1)
    asked                    cosine of the question to the nearest exemplar
    exchange                 the same for the question joined with its answer
    exchange_several         mean of the five highest of these
    lead                     cosine of the question to the exemplars that say who is meant
    told                     the answer stands, word for word, in any exemplar (0 or 1)
    support                  share of the answer that one of the nearest exemplars has; less, and
                             nothing told, where few words stand without a question
    overlap                  most of support times share of the question, over those exemplars
    margin                   how much nearer the exchange is to an exemplar than to any neighbour,
                             what must stay sayable, in [-1, 1]; 0 where no neighbour is known
    apart                    cosine of the exchange to the nearest exemplar, after what all texts of
                             the concept share, exemplars and neighbours, is taken from both: of
                             facts about one person it leaves what each says beside the person
    epithet                  somebody is called by what they are ("the creator of"), beside words
                             that point at a few exemplars: how rare those are together
    """

    asked_name: float
    said_name: float
    asked_short: float
    said_short: float
    asked: float
    exchange: float
    exchange_several: float
    lead: float
    told: float
    support: float
    overlap: float
    margin: float
    apart: float
    epithet: float

    def numbers(self) -> tuple[float, ...]:
        """The values in the order of FEATURES."""
        return tuple(getattr(self, name) for name in FEATURES)


FEATURES = tuple(part.name for part in fields(Evidence))


class Named(Enum):
    """How a text names the concept."""

    NOT = 0
    SHORT = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class _Exemplar:
    folded: str = field(repr=False)
    terms: Mapping[str, float] = field(repr=False)


class Known:
    """One concept: its names and what its exemplars say.

    `vectors` are the exemplars' unit vectors, shape (len(exemplars), dimensions), `neighbours`
    those of what must stay sayable. Raises ValueError where exemplars and vectors differ in
    number. What stands first among the exemplars should say who is meant.
    """

    def __init__(
        self,
        names: Iterable[str],
        exemplars: Sequence[str],
        vectors: Vectors,
        *,
        neighbours: Vectors | None = None,
    ) -> None:
        if len(exemplars) != len(vectors):
            raise ValueError(
                f"evidence: {len(exemplars)} exemplars and {len(vectors)} vectors; give one each"
            )
        texts = [read(text) for text in exemplars]
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._kept = self._vectors[:0] if neighbours is None else neighbours
        every = np.concatenate((self._vectors, self._kept))
        self._shared = every.sum(axis=0) / (len(every) + OTHERS)
        self._own_shared = self._vectors @ self._shared
        apart = np.linalg.norm(self._vectors - self._shared, axis=1)
        self._own_apart = np.maximum(apart, NOTHING)
        self._exemplars = [_Exemplar(text.folded, text.terms) for text in texts]
        self._everything = " ".join(text.folded for text in texts)
        self._counts = Counter(term for text in texts for term in text.terms)
        self._few = max(RARE, int(RARE_SHARE * len(texts)))
        folded = [fold(_without_title(name)) for name in names]
        self._wholes = tuple(f" {form} " for name in folded if name for form in _orders(name))
        self._long = tuple(
            (name.replace(" ", ""), name.count(" ") + 1)
            for name in folded
            if len(name.replace(" ", "")) >= LEAST_MISSPELT
        )
        self._parts = {word for name in folded for word in name.split() if len(word) > 1}
        self._shorts = self._called(folded[:1], texts)
        self._own = self._parts | self._before(texts[:LEAD])

    def evidence(
        self,
        question: Words,
        answer: Words,
        *,
        asked: NDArray[np.float32],
        exchange: NDArray[np.float32],
    ) -> Evidence:
        """What speaks for `question` and `answer` being about the concept.

        asked, exchange  unit vectors of the question alone and of the two `joined`, (dimensions,)
        A text by itself is both, its vector given twice.
        """
        near = self._vectors @ np.stack((asked, exchange), axis=1)
        best = _best(near)
        (asked_best, _), (exchange_best, exchange_several) = map(_top, best)
        told, support, overlap = self._support(
            question, answer, {at for column in best for at, _ in column}
        )
        of_question, of_answer = self._named(question), self._named(answer)
        return Evidence(
            asked_name=float(of_question is Named.WHOLE),
            said_name=float(of_answer is Named.WHOLE),
            asked_short=float(of_question is Named.SHORT),
            said_short=float(of_answer is Named.SHORT),
            asked=asked_best,
            exchange=exchange_best,
            exchange_several=exchange_several,
            lead=float(near[:LEAD, 0].max(initial=-1.0)),
            told=float(told),
            support=support,
            overlap=overlap,
            margin=self._margin(exchange, exchange_best),
            apart=self._apart_from(exchange, near[:, 1]),
            epithet=self._pointed(question) if question.role else 0.0,
        )

    def _support(
        self, question: Words, answer: Words, likely: Iterable[int]
    ) -> tuple[bool, float, float]:
        """Whether any exemplar tells the answer, and how much of it, and of both, a likely one."""
        terms = self._apart(question)
        weight, total = sum(terms.values()), sum(answer.terms.values())
        enough = min(total / ENOUGH, 1.0) if question.folded == answer.folded else 1.0
        told = len(answer.folded) > len("  ") and answer.folded in self._everything
        told = told and enough == 1.0
        support = overlap = 0.0
        for at in likely:
            exemplar = self._exemplars[at]
            whole = told and answer.folded in exemplar.folded
            share = 1.0 if whole else _share(answer.terms, exemplar.terms, total)
            if share:
                support = max(support, share)
                overlap = max(overlap, share * _share(terms, exemplar.terms, weight))
        return told, enough * support, enough * overlap

    def _margin(self, exchange: NDArray[np.float32], best: float) -> float:
        return best - float((self._kept @ exchange).max()) if len(self._kept) else 0.0

    def _apart_from(self, exchange: NDArray[np.float32], similar: NDArray[np.float32]) -> float:
        """The cosine of what is left of two vectors without what is shared, from their products."""
        if not len(similar):
            return -1.0
        with_shared, shared = float(self._shared @ exchange), float(self._shared @ self._shared)
        left = similar - self._own_shared - with_shared + shared
        # Rounding may leave less than nothing of a text that says what all of them say.
        length = math.sqrt(max(1 - 2 * with_shared + shared, NOTHING**2))
        return min(float((left / (self._own_apart * length)).max()), 1.0)

    def _pointed(self, question: Words) -> float:
        """Rarity of the words that point at a few exemplars."""
        found = [
            r * r for t, r in self._apart(question).items() if 0 < self._counts[t] <= self._few
        ]
        return min(sum(found) / MOST, 1.0)

    def _apart(self, text: Words) -> Mapping[str, float]:
        """What a text says apart from the name."""
        return {term: r for term, r in text.terms.items() if term not in self._parts}

    def _called(self, names: Sequence[str], texts: Sequence[Words]) -> frozenset[str]:
        """Parts of the name that go for it: the last, and the one used most by itself."""
        parts = [word for name in names for word in name.split()]
        parts = [word for word in parts if len(word) > 1 and word not in SUFFIXES] or parts
        if not parts:
            return frozenset()
        alone: Counter[str] = Counter()
        for text in texts:
            words = text.words
            for at, word in enumerate(words):
                around = (words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else "")
                if word in parts and not self._parts.intersection(around):
                    alone[word] += 1
        most = max(parts, key=lambda word: (alone[word], word == parts[-1]))
        return frozenset({most, parts[-1]} - FRAME)

    def _before(self, texts: Sequence[Words]) -> set[str]:
        """Given names that the exemplars which say who is meant put before the name."""
        found = set()
        for text in texts:
            folded = [folded for _, folded, _, _ in text.written]
            for at, word in enumerate(folded[1:], start=1):
                if word in self._shorts and text.written[at][3]:
                    found.add(folded[at - 1])
        return found

    def _named(self, text: Words) -> Named:
        if any(name in text.folded for name in self._wholes) or self._misspelt(text):
            return Named.WHOLE
        if self._shorts.isdisjoint(text.words):
            return Named.NOT
        short = any(
            folded in self._shorts and self._meant(text, at)
            for at, (_, folded, _, _) in enumerate(text.written)
        )
        return Named.SHORT if short else Named.NOT

    def _meant(self, text: Words, at: int) -> bool:
        """Whether the part of the name that stands there stands for it: "King", but not "king"."""
        bare, folded, _, _ = text.written[at]
        if rarity(folded) < UNCOMMON and not bare[:1].isupper():
            return False
        return not (_cased(text) and self._of_another(text.written, at))

    def _of_another(self, written: Sequence[tuple[str, str, bool, bool]], at: int) -> bool:
        """Whether the word before or behind makes it another name."""
        if at and written[at][3]:
            bare, folded, possessive, _ = written[at - 1]
            known = folded in self._own or folded in FRAME or folded in TITLES
            if bare[:1].isupper() and not possessive and not known:
                return True
        if at + 1 < len(written) and written[at + 1][3] and not written[at][2]:
            bare, folded, _, _ = written[at + 1]
            return bare[:1].isupper() and folded not in self._own and folded not in FRAME
        return False

    def _misspelt(self, text: Words) -> bool:
        """A long name with one mistake in it."""
        squashed = "".join(text.words)
        for whole, count in self._long:
            middle = len(whole) // 2
            # One mistake leaves the first or the second half as it was.
            if whole[:middle] not in squashed and whole[middle:] not in squashed:
                continue
            for at in range(len(text.words) - count + 1):
                said = "".join(text.words[at : at + count])
                if abs(len(said) - len(whole)) < 2 and one_off(said, whole):
                    return True
        return False


def _cased(text: Words) -> bool:
    """Whether capitals tell names from other words: not where all letters, or any, are capitals."""
    usual = [bare.islower() or bare.istitle() for bare, *_ in text.written if len(bare) > 1]
    return 2 * sum(usual) >= len(usual)


def _without_title(name: str) -> str:
    """The name before a title behind a comma: of "Ada, Duchess of Brede", not of "Vask, Ada"."""
    called, _, title = name.partition(",")
    return called if any(word[0].islower() for word in title.split()) else name


def _orders(folded: str) -> tuple[str, ...]:
    """A name as it is written, and with its last word first, as catalogues have it."""
    *first, last = folded.split()
    return (folded, " ".join((last, *first))) if first else (folded,)


def _best(near: NDArray[np.float32]) -> list[list[tuple[int, float]]]:
    """For each column the rows of its NEAREST highest values, with these, in no order."""
    count = min(NEAREST, len(near))
    if not count:
        return [[], []]
    rows = np.argpartition(near, -count, axis=0)[-count:]
    values = np.take_along_axis(near, rows, axis=0)
    columns = zip(rows.T.tolist(), values.T.tolist(), strict=True)
    return [list(zip(at, similar, strict=True)) for at, similar in columns]


def _top(column: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """The highest value and the mean of the SEVERAL highest."""
    highest = sorted((similar for _, similar in column), reverse=True)[:SEVERAL] or [-1.0]
    return highest[0], sum(highest) / len(highest)


def _share(terms: Mapping[str, float], of: Mapping[str, float], total: float) -> float:
    common = terms.keys() & of.keys()
    return sum([terms[term] for term in common]) / total if common else 0.0
