"""From scores of harmless texts to a threshold. Pure arithmetic: knows no text and no encoder.

Split conformal prediction: the threshold is the ceil((n+1)(1-alpha))-th smallest of n harmless
scores; a new harmless text from the same source exceeds it with probability at most alpha (Vovk,
Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, section 2; Lei et al., JASA 113,
2018).
"""

import math
from collections.abc import Sequence

# Rates that a derived threshold aims at. Neighbours may exceed it more often: they are also held
# against the exemplars by the margin, text that is merely everyday is not.
BACKGROUND_ALPHA = 0.01
NEIGHBOUR_ALPHA = 0.2
# For all-MiniLM-L6-v2, chosen on the data that these numbers are from: starting points, not a
# calibration. With twenty of TOFU's authors forgotten by exemplars alone, 9 % of single texts about
# others are stopped at .60 and 18 % at .55 (whole answers behind their questions: 17 % at .60, 8 %
# at .65). Of RWKU's questions about twelve forgotten people 88 % are found at .65 and 67 % at .70.
FLOOR = 0.60
CEILING = 0.70


def threshold(scores: Sequence[float], *, alpha: float) -> float:
    """The conformal threshold of harmless scores; infinite where they are too few for `alpha`.

    Raises ValueError unless 0 < alpha < 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha} is no rate; give one between 0 and 1, such as 0.01")
    rank = math.ceil((len(scores) + 1) * (1 - alpha))
    return math.inf if rank > len(scores) else sorted(scores)[rank - 1]


def automatic(neighbours: Sequence[float], background: Sequence[float]) -> float:
    """The threshold of a concept that names none, between FLOOR and CEILING.

    Of neighbours and of background texts: the cosine similarity of each to the nearest of the
    concept's exemplars. Where they are too few for their rate, the most similar one decides.
    """
    bounds = (
        _bound(neighbours, alpha=NEIGHBOUR_ALPHA),
        _bound(background, alpha=BACKGROUND_ALPHA),
    )
    return min(CEILING, max(FLOOR, *bounds))


def _bound(scores: Sequence[float], *, alpha: float) -> float:
    return min(threshold(scores, alpha=alpha), max(scores, default=0.0))
