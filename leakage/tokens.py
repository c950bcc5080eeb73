"""What the log-probabilities of one text's tokens say of it. Pure; knows no record and no arm.

Every formula names its source. Logarithms are natural.
"""

import math
from collections.abc import Sequence

TOLD = (
    0.99  # of the probability at a position that must be told, for its mean and spread to be known
)


def probability(logprobs: Sequence[float]) -> float:
    """The text's probability, to the power of 1 / tokens: what TOFU calls probability.

    Maini et al. 2024, arXiv 2401.06121, section 2.2.2. Raises ValueError for no tokens.
    """
    return math.exp(_mean(logprobs))


def min_k(values: Sequence[float], share: float = 0.4) -> float:
    """The mean of the lowest `share` of values, at least one: Min-K% Prob, of log-probabilities.

    Shi et al. 2023, arXiv 2310.16789; MUSE (arXiv 2407.06460) takes 40 %. Of `standard` scores it
    is Min-K%++ (Zhang et al. 2024, arXiv 2404.02936). Raises ValueError for no values.
    """
    lowest = sorted(values)[: max(1, int(len(values) * share))]
    return _mean(lowest)


def standard(logprob: float, told: Sequence[float]) -> float | None:
    """By how many standard deviations a token's log-probability lies above the mean at its place.

    Mean and deviation under the model's own distribution, of which `told` are the likeliest
    log-probabilities (Zhang et al. 2024, arXiv 2404.02936, equation 3). None where these hold less
    than `TOLD` of it: the rest is unknown, and is left out where it is less.
    """
    weights = [math.exp(each) for each in told]
    total = math.fsum(weights)
    if total < TOLD:
        return None
    mean = math.fsum(w * each for w, each in zip(weights, told, strict=True)) / total
    square = math.fsum(w * each * each for w, each in zip(weights, told, strict=True)) / total
    # As open-unlearning bounds it, where one token has all of the probability.
    return (logprob - mean) / math.sqrt(max(square - mean * mean, 1e-6))


def extraction_strength(ranks: Sequence[int]) -> float:
    """1 - k / tokens, with the shortest prefix of k tokens after which the rest is the likeliest.

    Carlini et al. 2021, arXiv 2012.07805, as OpenUnlearning (arXiv 2506.12618) defines it: greedy,
    with the true tokens before each. 0 where the last token is not the likeliest; that project's
    code gives 1 / tokens there. Raises ValueError for no tokens.
    """
    if not ranks:
        raise ValueError("no tokens")
    needed = next((at for at in range(len(ranks), 0, -1) if ranks[at - 1] != 1), 0)
    return 1 - needed / len(ranks)


def exact_memorisation(ranks: Sequence[int]) -> float:
    """The share of tokens that are the likeliest at their place.

    Tirumala et al. 2022, arXiv 2205.10770. Raises ValueError for no tokens.
    """
    return _mean([rank == 1 for rank in ranks])


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("no tokens")
    return math.fsum(values) / len(values)
