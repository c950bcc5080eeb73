"""One person, some facts to forget and some to keep: evidence for both. Knows no threshold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_parts.measured import concepts, told
from benchmarks.detection_parts.texts import FACTS, Author
from benchmarks.detection_parts.weighing import Numbers
from classifiers.encoder import Encoder
from classifiers.evidence import FEATURES

# Who is meant says nothing here: the facts to keep are the same person's.
CUES = [
    FEATURES.index(name)
    for name in ("exchange", "exchange_several", "told", "support", "overlap", "margin")
]


KEPT = 5  # facts to keep that the concept has as neighbours; the others are probes


def pairs(
    people: Sequence[Author], encoder: Encoder, *, neighbours: bool = True
) -> tuple[Numbers, NDArray[np.bool_], list[str]]:
    """Paraphrased exchanges about each author, whose odd facts are forgotten, then the even ones.

    Ten forgotten facts, and the five to keep that the concept does not know. Evidence, shape (n,
    len(CUES)); whether the fact is one of the forgotten; the author.
    """
    features, forbidden, owner = [], [], []
    for author in people:
        for half in (0, 1):
            forgotten, kept = range(half, FACTS, 2), range(1 - half, FACTS, 2)
            known = concepts(
                [author], forgotten, encoder, neighbours=kept[:KEPT] if neighbours else range(0)
            )
            for rows in (forgotten, kept[KEPT:]):
                probes = [author.facts[at] for at in rows]
                said = [(fact.other_question, fact.other_answer) for fact in probes]
                features.append(told(known, said, encoder).exchanges[:, 0, CUES])
                forbidden += [rows == forgotten] * len(rows)
                owner += [author.name] * len(rows)
    return np.concatenate(features), np.array(forbidden), owner
