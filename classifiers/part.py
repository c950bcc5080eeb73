"""Concepts that came into a screen together, each way they are looked for. Never changed.

Knows no weight and no verdict.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from classifiers.cues import Cues
from classifiers.encoder import Vectors
from classifiers.index import Index
from classifiers.knowledge import Knowledge
from classifiers.lexical import Lexicon
from classifiers.quotation import Quotations
from classifiers.threshold import automatic
from classifiers.verdict import Concept


class Part:
    """Names in one automaton, exemplars and neighbours in an index each.

    vectors, kept  unit vectors of all exemplars and of all neighbours, concept by concept
    """

    def __init__(self, concepts: Sequence[Concept], *, vectors: Vectors, kept: Vectors) -> None:
        self.concepts = {concept.key: concept for concept in concepts}
        self.quotations = Quotations((c.key, text) for c in concepts for text in c.protected)
        self.lexicon = Lexicon((name, c.key) for c in concepts for name in c.aliases)
        self.forbidden = Index(vectors, [c.key for c in concepts for _ in c.exemplars])
        self.kept = Index(kept, [c.key for c in concepts for _ in c.neighbours])
        self.knowledge = Knowledge(concepts, self.forbidden.vectors, self.kept.vectors)

    @cached_property
    def cues(self) -> Cues:
        """How its concepts are told without an encoder: made when a cascade first asks."""
        return Cues([*self.concepts.values()])

    def derived(self, harmless: Vectors) -> Iterator[tuple[str, float]]:
        """The cosine similarity that each concept is held to where it is not weighed."""
        near = self.knowledge.nearest(harmless)
        for key, concept in self.concepts.items():
            if concept.threshold is not None:
                yield key, concept.threshold
            elif not concept.exemplars:
                yield key, automatic([], [])
            else:
                exemplars, neighbours = self.knowledge.vectors(key)
                staying = [float(row.max()) for row in neighbours @ exemplars.T]
                yield key, automatic(staying, near[key])

    def exemplar(self, key: str, row: int) -> str:
        """What the exemplar in a row of the index says."""
        return self.concepts[key].exemplars[row - self.knowledge.first(key)]

    def told(self, key: str) -> dict[str, Vectors]:
        """The vectors of what a concept says, and of its neighbours. Raises KeyError."""
        concept, vectors = self.concepts[key], self.knowledge.vectors(key)
        texts = (concept.exemplars, concept.neighbours)
        return {
            text: row
            for some, rows in zip(texts, vectors, strict=True)
            for text, row in zip(some, rows, strict=True)
        }


MOST_PARTS = 8  # of a screen: each is looked through by itself
STALE = 0.25  # share of a part's concepts that may be gone before it is made anew


def kept(parts: Sequence[Part], living: Sequence[Collection[str]]) -> list[int]:
    """Which parts of a screen serve the next one, where only some of their concepts live on."""
    found = [
        at
        for at, (part, keys) in enumerate(zip(parts, living, strict=True))
        if len(keys) >= max(1, (1 - STALE) * len(part.concepts))
    ]
    if len(found) < MOST_PARTS:
        return found
    # Small ones are made anew together: the largest holds nearly everything.
    return [max(found, key=lambda at: len(living[at]))]
