"""What is known of every concept, read when it is first asked for. Knows no text and no score."""

from collections.abc import Sequence

from classifiers.encoder import Vectors
from classifiers.evidence import Known
from classifiers.verdict import Concept


class Knowledge:
    """One Known a concept, made from rows of two matrices that are not copied.

    vectors  unit vectors of all exemplars of all concepts, in order
    kept     the same of their neighbours
    """

    def __init__(self, concepts: Sequence[Concept], vectors: Vectors, kept: Vectors) -> None:
        self._concepts = {concept.key: concept for concept in concepts}
        self._vectors, self._kept = vectors, kept
        self._rows: dict[str, tuple[slice, slice]] = {}
        own = other = 0
        for concept in concepts:
            behind = own + len(concept.exemplars), other + len(concept.neighbours)
            self._rows[concept.key] = slice(own, behind[0]), slice(other, behind[1])
            own, other = behind
        self._read: dict[str, Known] = {}

    def of(self, key: str) -> Known:
        """What is known of a concept. Raises KeyError."""
        if key not in self._read:
            concept, (own, other) = self._concepts[key], self._rows[key]
            self._read[key] = Known(
                concept.aliases,
                concept.exemplars,
                self._vectors[own],
                neighbours=self._kept[other],
            )
        return self._read[key]
