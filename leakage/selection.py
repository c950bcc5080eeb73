"""Which of many probes are used: as many of each split as wanted, spread over concepts.

Knows no data set. The same probes and seed give the same choice.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from leakage.probes import Probe, Split


def chosen(probes: Iterable[Probe], most: Mapping[Split, int], *, seed: int) -> list[Probe]:
    """Up to so many of each split, in their order; all of a split that is not named.

    One of each concept before a second of any: few concepts would say little about others.
    """
    given = list(probes)
    kept: set[int] = set()
    for split in dict.fromkeys(probe.split for probe in given):
        at = [n for n, probe in enumerate(given) if probe.split == split]
        spread = _spread(at, given, random.Random(f"{seed}/{split}"))  # noqa: S311 (draws)
        kept.update(spread[: most.get(split, len(spread))])
    return [probe for n, probe in enumerate(given) if n in kept]


def _spread(places: Sequence[int], probes: Sequence[Probe], rng: random.Random) -> list[int]:
    by_concept: dict[str, list[int]] = {}
    for at in places:
        by_concept.setdefault(probes[at].concept, []).append(at)
    for found in by_concept.values():
        rng.shuffle(found)
    piles = list(by_concept.values())
    rng.shuffle(piles)
    return [at for turn in zip_longest(*piles) for at in turn if at is not None]
