"""From scores of harmless texts to a threshold. Pure arithmetic: knows no text.

Split conformal prediction: the threshold is the ⌈(n+1)(1−α)⌉-th smallest of n harmless scores; a new
harmless text from the same source exceeds it with probability at most α (Vovk et al., Algorithmic
Learning in a Random World, 2005, section 2; Lei et al., JASA 113, 2018).
"""

import math
from collections.abc import Sequence

ALPHA = 0.05
# Below FLOOR unrelated sentences of one frame ("She was born in …") meet; above CEILING paraphrases
# of a listed fact are missed. Both for all-MiniLM-L6-v2; a calibrated lock replaces them.
FLOOR = 0.60
CEILING = 0.75


def conformal(scores: Sequence[float], *, alpha: float) -> float:
    """The conformal threshold of harmless scores; infinite where they are too few for `alpha`.

    Raises ValueError unless 0 < alpha < 1.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha: a rate between 0 and 1")
    rank = math.ceil((len(scores) + 1) * (1 - alpha))
    return math.inf if rank > len(scores) else sorted(scores)[rank - 1]


def automatic(neighbours: Sequence[float]) -> float:
    """The threshold of a concept that names none, from its neighbours' similarity to it.

    With too few neighbours for the rate the most similar one decides; without any, the floor.
    """
    if not neighbours:
        return FLOOR
    bound = conformal(neighbours, alpha=ALPHA)
    return min(CEILING, max(FLOOR, max(neighbours) if math.isinf(bound) else bound))
