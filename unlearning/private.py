"""DP-SGD with the person as the unit, its accountant, and what deletion requests leave of it.

Knows no corpus: units are lists of rows, and a guarantee is about adding or removing one of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaln, logsumexp
from torch import Tensor
from torch.nn import Module

from unlearning.lineage import Cost
from unlearning.methods.batch import Encoded, collate, logits, mean_nll
from unlearning.training import Meter, TrainingError, bar

# The orders at which Renyi divergence is tracked; the best of them gives epsilon.
ORDERS = (*(1 + tenth / 10 for tenth in range(1, 100)), *(float(n) for n in range(12, 64)))
_POINTS = 40_001


@dataclass(frozen=True, slots=True)
class Privacy:
    """How a private training is done.

    Each step takes each unit with probability `rate`, clips its gradient to norm `clip`, and adds
    Gaussian noise of standard deviation `noise` times `clip` to the sum; Adam does the rest, which
    costs no privacy. `rows` bounds how many rows of a unit one step looks at.
    """

    noise: float
    rate: float
    steps: int
    clip: float = 0.5
    rows: int = 16
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.noise <= 0 or not 0 < self.rate <= 1 or self.steps < 1 or self.clip <= 0:
            raise TrainingError("noise, clip and steps are above 0, and rate in (0, 1]")

    def epsilon(self, delta: float) -> float:
        """The epsilon that this training guarantees to every unit at `delta`."""
        return epsilon(divergences(self.rate, self.noise, self.steps), delta)


def fit(
    model: Module,
    units: Sequence[Sequence[Encoded]],
    privacy: Privacy,
    *,
    pad: int,
    progress: bool = False,
) -> Cost:
    """Train in place by DP-SGD (arXiv 1607.00133), a unit's rows together counting as one.

    Raises TrainingError where a unit is empty or a gradient is not finite.
    """
    if not units or not all(units):
        raise TrainingError("a unit has no rows; leave it out")
    weights = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.Adam(weights, lr=privacy.learning_rate, betas=(0.9, 0.99))
    # A secret seed would be needed against an attacker who knows it; here runs are to be repeated.
    chance = torch.Generator().manual_seed(privacy.seed)
    meter = Meter(weights[0].device)
    model.train()
    with bar("private training", total=privacy.steps, shown=progress) as advance:
        for _ in range(privacy.steps):
            total = [torch.zeros_like(each) for each in weights]
            for at in _sampled(len(units), privacy.rate, chance):
                batch = collate(_some(units[at], privacy.rows, chance), pad=pad)
                batch = batch.to(weights[0].device)
                optimiser.zero_grad()
                mean_nll(logits(model, batch), batch.labels).backward()  # type: ignore[no-untyped-call]
                _add(total, [each.grad for each in weights], privacy.clip)
                meter.tokens += int(batch.mask.sum())
            expected = privacy.rate * len(units)
            for each, summed in zip(weights, total, strict=True):
                noise = torch.randn(each.shape, generator=chance).to(each.device)
                each.grad = (summed + privacy.noise * privacy.clip * noise) / expected
            optimiser.step()
            advance(1)
    return meter.read(privacy.steps)


def _sampled(count: int, rate: float, chance: torch.Generator) -> list[int]:
    """Poisson sampling: the accountant's assumption, so batches differ in size."""
    return (torch.rand(count, generator=chance) < rate).nonzero().flatten().tolist()


def _some(rows: Sequence[Encoded], count: int, chance: torch.Generator) -> list[Encoded]:
    return [rows[at] for at in torch.randperm(len(rows), generator=chance)[:count].tolist()]


def _add(total: list[Tensor], gradient: Sequence[Tensor | None], clip: float) -> None:
    present = [each for each in gradient if each is not None]
    norm = torch.stack([each.norm() for each in present]).norm()
    if not torch.isfinite(norm):
        raise TrainingError("a gradient is not finite; lower the learning rate")
    scale = min(1.0, clip / (float(norm) + 1e-12))
    for sum_, each in zip(total, gradient, strict=True):
        if each is not None:
            sum_.add_(each, alpha=scale)


def divergences(rate: float, noise: float, steps: int) -> list[float]:
    """Renyi divergence of the sampled Gaussian mechanism after `steps`, for each of ORDERS.

    Mironov, Talwar, Zhang, arXiv 1908.10530: a whole order by the binomial sum of their section
    3.3, others by integrating the definition.
    """
    if rate == 1:
        return [steps * order / (2 * noise**2) for order in ORDERS]
    return [steps * _log_moment(rate, noise, order) / (order - 1) for order in ORDERS]


def _log_moment(rate: float, noise: float, order: float) -> float:
    if order.is_integer():
        k = np.arange(int(order) + 1)
        binomial = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        each = binomial + k * math.log(rate) + (order - k) * math.log1p(-rate)
        return float(logsumexp(each + (k * k - k) / (2 * noise**2)))
    # log E over z ~ N(0, noise^2) of ((1 - rate) + rate exp((2 z - 1) / (2 noise^2)))^order.
    z = np.linspace(-15 * noise, order + 15 * noise, _POINTS)
    ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * z - 1) / (2 * noise**2))
    density = -(z**2) / (2 * noise**2) - math.log(noise * math.sqrt(2 * math.pi))
    return float(logsumexp(order * ratio + density) + math.log(z[1] - z[0]))


def epsilon(divergence: Sequence[float], delta: float) -> float:
    """The smallest epsilon at `delta` over ORDERS: Balle et al., arXiv 1905.09982, theorem 21."""
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}; it lies between 0 and 1")
    return _epsilon_at(divergence, math.log(delta))


def after_deletions(privacy: Privacy, delta: float, requests: int) -> float:
    """The epsilon left at `delta` between the model and one trained without `requests` units.

    Group privacy: an (e, d) guarantee for one is (k e, d (exp(k e) - 1) / (exp(e) - 1)) for k
    (Vadhan, The Complexity of Differential Privacy, lemma 2.2), the best d taken. Infinite where
    none fits.
    """
    if requests < 1:
        raise ValueError("requests is at least 1")
    divergence = divergences(privacy.rate, privacy.noise, privacy.steps)
    found = math.inf
    for exponent in np.linspace(math.log(delta), math.log(delta) - 600, 2401):
        one = _epsilon_at(divergence, float(exponent))
        if exponent + _log_growth(one, requests) <= math.log(delta) + 1e-12:
            found = min(found, requests * one)
    return found


def _epsilon_at(divergence: Sequence[float], log_delta: float) -> float:
    found = [
        each + math.log1p(-1 / order) - (log_delta + math.log(order)) / (order - 1)
        for order, each in zip(ORDERS, divergence, strict=True)
    ]
    return max(0.0, min(found))


def _log_growth(one: float, requests: int) -> float:
    """log of (exp(k e) - 1) / (exp(e) - 1), that is of the sum of exp(i e) for i below k."""
    return float(logsumexp(one * np.arange(requests)))


def membership_auc(members: Sequence[float], others: Sequence[float]) -> float:
    """How well a loss tells members from others: the chance that a member's loss is the lower.

    Yeom et al., arXiv 1709.01604; ties count half. 0.5 is blind guessing.
    """
    if not members or not others:
        raise ValueError("both sides need a loss")
    wins = sum((a < b) + (a == b) / 2 for a in members for b in others)
    return wins / (len(members) * len(others))
