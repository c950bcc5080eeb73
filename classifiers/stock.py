"""All concepts of a screen, in parts that the next screen shares where they have not changed.

Knows no weight, no verdict and no text but that of concepts.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np

from classifiers.background import BACKGROUND
from classifiers.cache import Cache
from classifiers.encoder import Encoder, Vectors
from classifiers.evidence import Known
from classifiers.floors import Floors
from classifiers.index import Nearest
from classifiers.part import Part, kept
from classifiers.quotation import AHEAD
from classifiers.spacing import Spacing
from classifiers.verdict import Concept
from classifiers.views import fold, reading

T = TypeVar("T")


class Stock:
    """Concepts with all that is computed once for each of them.

    like     another stock that may go on being used: what has not changed since is shared with it,
             and no text of it is encoded again by the same encoder
    parts    each with the keys of those of its concepts that count: others are gone or have changed
    similar  concept → the cosine similarity that it is held to where it is not weighed
    longest  folded characters of the longest name

    Raises ValueError for two concepts with one key, one without names and exemplars, and one with
    a name too short to be recognised.
    """

    def __init__(
        self, concepts: Sequence[Concept], encoder: Encoder, *, like: "Stock | None" = None
    ) -> None:
        self.concepts = {concept.key: concept for concept in concepts}
        if len(self.concepts) < len(concepts):
            raise ValueError("screen: two concepts have the same key; rename one")
        for concept in concepts:
            if not concept.aliases and not concept.exemplars and not concept.protected:
                raise ValueError(f"{concept.key}: nothing to recognise; add a name or an exemplar")
        self.encoded_by = encoder.fingerprint
        if like and like.encoded_by != self.encoded_by:
            like = None
        self.cache: Cache = like.cache if like else Cache(encoder)
        self.parts = self._shared(like)
        self._part = {key: part for part, keys in self.parts.items() for key in keys}
        new = [c for key, c in self.concepts.items() if key not in self._part]
        gone = [c for key, c in like.concepts.items() if key not in self._part] if like else []
        self.spacing: Spacing = (
            like.spacing.changed(_told(new), gone=_told(gone))
            if like
            else Spacing([*BACKGROUND, *_told(new)])
        )
        similar: dict[str, float] = {}
        if new or not self.parts:
            part = self._made(new, like)
            self.parts[part] = frozenset(part.concepts)
            self._part |= dict.fromkeys(part.concepts, part)
            similar = dict(part.derived(self._encoded(BACKGROUND)))
        aliases = {c.key: [(name, f" {fold(name)} ") for name in c.aliases] for c in new}
        digests = {c.key: hashed([getattr(c, part.name) for part in fields(c)]) for c in new}
        self.similar: dict[str, float] = self._carried(like.similar if like else {}) | similar
        self.aliases: dict[str, list[tuple[str, str]]] = (
            self._carried(like.aliases if like else {}) | aliases
        )
        self.digests: dict[str, str] = self._carried(like.digests if like else {}) | digests
        quoted = any(len(part.quotations) for part in self.parts)
        names = max(part.lexicon.longest for part in self.parts)
        self.longest = max(names, AHEAD if quoted else 0)
        self.recall = min(part.forbidden.recall for part in self.parts)

    def nearest(self, vectors: Vectors, *, floors: Floors) -> list[dict[str, Nearest]]:
        """For each vector, concept → its nearest exemplar, where it exceeds the concept's floor."""
        merged: list[dict[str, Nearest]] = [{} for _ in vectors]
        for part, keys in self.parts.items():
            near = part.forbidden.nearest(vectors, floor=floors.common)
            apart = sorted(floors.apart & keys)
            for vector, found, one in zip(vectors, merged, near, strict=True):
                rows = one | part.forbidden.best(vector, apart)
                found |= {
                    key: nearest
                    for key, nearest in rows.items()
                    if key in keys and nearest.score > floors.each[key]
                }
        return merged

    def neighbour(self, key: str, vector: Vectors) -> float | None:
        """How near the nearest neighbour of a concept is, if it has any."""
        found = self._part[key].kept.best(vector, [key])
        return found[key].score if found else None

    def known(self, key: str) -> Known:
        """What is known of a concept. Raises KeyError."""
        return self._part[key].knowledge.of(key)

    def _shared(self, like: "Stock | None") -> dict[Part, frozenset[str]]:
        parts = list(like.parts.items()) if like else []
        living = [
            frozenset(key for key in keys if _same(part.concepts[key], self.concepts.get(key)))
            for part, keys in parts
        ]
        return {parts[at][0]: living[at] for at in kept([part for part, _ in parts], living)}

    def _made(self, concepts: Sequence[Concept], like: "Stock | None") -> Part:
        known: dict[str, Vectors] = {}
        for concept in concepts:
            if like and concept.key in like.concepts:
                known |= like.told(concept.key)
        exemplars = [text for c in concepts for text in c.exemplars]
        neighbours = [text for c in concepts for text in c.neighbours]
        new = [text for text in dict.fromkeys((*exemplars, *neighbours)) if text not in known]
        known |= zip(new, self._encoded(new), strict=True)
        empty = np.zeros((0, self.cache.dimensions), dtype=np.float32)
        vectors, staying = (
            np.stack([known[text] for text in texts]) if texts else empty
            for texts in (exemplars, neighbours)
        )
        return Part(concepts, vectors=vectors, kept=staying)

    def told(self, key: str) -> dict[str, Vectors]:
        """The vectors of what a concept says, and of its neighbours. Raises KeyError."""
        return self._part[key].told(key)

    def exemplar(self, key: str, row: int) -> str:
        """What a concept says that was found near. Raises KeyError."""
        return self._part[key].exemplar(key, row)

    def _encoded(self, texts: Sequence[str]) -> Vectors:
        return self.cache.vectors([reading(text) for text in texts], patient=True)

    def _carried(self, before: Mapping[str, T]) -> dict[str, T]:
        return {key: value for key, value in before.items() if key in self.concepts}


def hashed(content: object) -> str:
    """The SHA-256 (hex) of what JSON can say."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _same(one: Concept, other: Concept | None) -> bool:
    return one is other or one == other


def _told(concepts: Iterable[Concept]) -> Iterator[str]:
    """Everything that concepts say of what is forbidden."""
    return (text for c in concepts for text in (*c.aliases, *c.exemplars))
