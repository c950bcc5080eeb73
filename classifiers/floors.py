"""From which cosine similarity each concept is looked at. Knows no text, no vector and no index."""

from collections.abc import Mapping
from dataclasses import dataclass

# Below it stand only those of concepts that name a threshold. While they are few each is looked for
# by itself: for its sake a text would be compared with all others, however far they are.
USUAL = 0.4
FEW = 16


@dataclass(frozen=True, slots=True)
class Floors:
    """What the similarity of a concept's nearest exemplar must exceed.

    each    concept → its own floor
    apart   concepts with a lower floor than `common`
    common  no floor of the others is lower
    """

    each: Mapping[str, float]
    apart: frozenset[str]
    common: float


def floors(each: Mapping[str, float]) -> Floors:
    """Which concepts are looked for together, and which apart."""
    low = frozenset(key for key, floor in each.items() if floor < USUAL)
    apart = low if len(low) <= FEW else frozenset()
    common = min((floor for key, floor in each.items() if key not in apart), default=1.0)
    return Floors(dict(each), apart, common)
