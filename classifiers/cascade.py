"""Which passages are worth an encoder: the first stage of a cascade, which may only clear.

A passage that shares too few words with what is known of every concept, and is too far from it for
a static embedding, is near none. Weights and limits, and what they were fitted on, stand in
cascade.json, which `benchmarks/cascade.py --write` writes. Knows no encoder and no verdict.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from classifiers.cues import CUES, Cues, Terms, folded
from classifiers.fingerprint_terms import FRAME, rarity, terms
from classifiers.language import noise
from classifiers.readings import Reading

FILE = "cascade.json"
MOST = 20_000  # exemplars: with more, hardly a passage is far from all, and words cost too much
SEVERAL = 6  # words that show which language they are
LEAST_FRAME = 0.2  # share of words of the frame in English; one in 200 of TriviaQA's texts has less
MARKS = "{}[]()<>=;_/\\|`$#@^*+&%~"  # of programs, paths and tables
LEAST_MARKS = 0.06  # of the characters of such a text
MOST_UNLISTED = 0.15  # and more than this share of words that no English vocabulary lists


@dataclass(frozen=True, slots=True)
class Clearing:
    """How cues are weighed, and from where a passage is worth encoding.

    weights  of CUES, none negative: what is nearer is never cleared sooner
    size     of the logarithm of a concept's exemplars, which is taken off: more of them are shared
             with by chance
    sizes    how many exemplars concepts had that limits were found for, ascending; for a number
             between two, limits lie between theirs
    least    (score that a concept is held to, for each of sizes the log-odds from which a passage
             is worth encoding), scores ascending: by whoever is held to less, less is cleared
    near     for each of sizes the log-odds from which a question is: what only comes near is
             remembered, too
    """

    weights: tuple[float, ...]
    size: float
    sizes: tuple[float, ...]
    least: tuple[tuple[float, tuple[float, ...]], ...]
    near: tuple[float, ...]

    def odds(self, cues: NDArray[np.float32], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-odds but for a constant, shape (readings, concepts), of cues with one axis more."""
        weighed = cues.astype(np.float64) @ np.array(self.weights)
        return np.asarray(weighed - self.size * np.log(sizes))

    def worth(self, limit: float, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The log-odds for concepts held to a score; -inf below all that were fitted."""
        at = bisect_right(self.least, limit, key=itemgetter(0))
        return self._between(self.least[at - 1][1], sizes) if at else np.full(len(sizes), -np.inf)

    def remembered(self, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same for a question that only comes near."""
        return self._between(self.near, sizes)

    def _between(self, limits: tuple[float, ...], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(np.log(sizes), np.log(self.sizes), limits))


class Cascade:
    """The first stage, for the concepts of a screen.

    parts   the cues of each part of the screen, with the concepts of it that count
    limits  concept → the score that it is held to
    """

    def __init__(
        self, parts: Sequence[tuple[Cues, Collection[str]]], limits: Mapping[str, float]
    ) -> None:
        self._fitted = shipped()
        self._stages = [
            (cues, self._least(cues, keys, limits)) for cues, keys in parts if cues.keys
        ]

    def worth(self, asked: Sequence[Reading]) -> set[int]:
        """The readings that any concept may be near, by their place."""
        said = {text: folded(text) for one in asked for text in (one.said, one.before)}
        words = {text: terms(of) for text, of in said.items()}
        found = {
            at
            for at, one in enumerate(asked)
            if _strange(one.said, said[one.said]) and (one.view == "plain" or not noise(one.said))
        }
        for cues, least in self._stages:
            places = [at for at in range(len(asked)) if at not in found]
            if places:
                left = [asked[at] for at in places]
                near = self._near(cues, least[[int(one.answer) for one in left]], left, words)
                near |= np.array([cues.named(said[o.said] + said[o.before]) for o in left])
                found |= {places[at] for at in np.flatnonzero(near.any(axis=1)).tolist()}
        return found

    def _near(
        self,
        cues: Cues,
        least: NDArray[np.float64],
        asked: Sequence[Reading],
        words: Mapping[str, Terms],
    ) -> NDArray[np.bool_]:
        """Which readings are worth it by which concepts; a cue is seen where it may decide."""

        def near(seen: NDArray[np.float32]) -> NDArray[np.bool_]:
            return self._fitted.odds(seen, cues.sizes) >= least

        return near(cues.seen(asked, words, near))

    def _least(
        self, cues: Cues, keys: Collection[str], limits: Mapping[str, float]
    ) -> NDArray[np.float64]:
        """From where a question, and an answer, is worth it, shape (2, concepts)."""
        held = np.array([limits[key] if key in keys else np.inf for key in cues.keys])
        answer = np.full(len(held), np.inf)
        for limit in np.unique(held[held < np.inf]).tolist():
            these = held == limit
            answer[these] = self._fitted.worth(limit, cues.sizes[these])
        question = np.minimum(answer, self._fitted.remembered(cues.sizes))
        return np.array([np.where(answer < np.inf, question, np.inf), answer])


def _strange(said: str, words: Sequence[str]) -> bool:
    """Whether a text is in another language than English: what its words say is not what it says.

    Programs, paths and tables are in none, and what holds digits is a number or an identifier.
    """
    if not all(map(str.isascii, words)):
        return True
    frame = sum(word in FRAME for word in words) < LEAST_FRAME * len(words)
    listed = [word for word in words if word.isalpha()]
    unlisted = sum(rarity(word) == 1 for word in listed) > MOST_UNLISTED * len(words)
    marks = sum(map(said.count, MARKS)) >= LEAST_MARKS * len(said)
    return len(words) >= SEVERAL and frame and unlisted and not marks


@cache
def shipped() -> Clearing:
    """What this package was fitted with."""
    known = json.loads(_content())
    return Clearing(
        weights=tuple(known["weights"][name] for name in CUES),
        size=known["size"],
        sizes=tuple(known["sizes"]),
        least=tuple((limit, tuple(odds)) for limit, odds in known["least"]),
        near=tuple(known["near"]),
    )


def digest() -> str:
    """SHA-256 (hex) of it: what is cleared belongs to it."""
    return hashlib.sha256(_content().encode()).hexdigest()


@cache
def _content() -> str:
    return (files("classifiers") / FILE).read_text(encoding="utf-8")
