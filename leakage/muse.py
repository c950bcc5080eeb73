"""MUSE's measures of privacy and of scale: numbers in, numbers out. Knows no record.

Shi et al. 2024, arXiv 2407.06460. Of its six criteria, four are of one run: verbatim memorisation
(VerbMem) and knowledge (KnowMem) on what is forgotten and knowledge on what is kept, each a mean
ROUGE-L F1, and privacy leakage (PrivLeak). Two are curves over several: scalability over how much
is to be forgotten, sustainability over requests to forget, one after the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """An arm on a curve: where it stands, what it still knows and what it keeps; None unknown."""

    arm: str
    at: float
    forget: float | None
    retain: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in order, and how much was kept at the last beside the first (1: all of it)."""

    points: tuple[Point, ...]
    kept: float | None


def privacy_leakage(member: float, retrained: float) -> float:
    """PrivLeak in per cent: 0 as if never seen, below where membership shows, above the other way.

    Both are areas under the curve of Min-K% that tells forgotten texts, likelier, from texts never
    seen; MUSE takes one minus these. -100 is a model that tells all of them apart where the
    retrained one tells none. Raises ValueError where the retrained model tells all of them.
    """
    if retrained >= 1:
        raise ValueError("the retrained model tells all forgotten texts from those never seen")
    return 100 * (retrained - member) / (1 - retrained)


def curve(points: Iterable[Point]) -> Curve:
    """Points by where they stand. Raises ValueError where two stand at one place."""
    ordered = sorted(points, key=lambda point: point.at)
    if len({point.at for point in ordered}) < len(ordered):
        raise ValueError("two arms at one place of a curve; give each its own")
    ends = [point.retain for point in (ordered[0], ordered[-1])] if len(ordered) > 1 else []
    known = [end for end in ends if end is not None]
    kept = known[1] / known[0] if len(known) == 2 and known[0] > 0 else None
    return Curve(tuple(ordered), kept)
