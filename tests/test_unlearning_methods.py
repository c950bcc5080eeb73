"""Each method's loss beside its formula, written out by hand in plain Python."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module, Parameter

from unlearning.methods import METHODS
from unlearning.methods.batch import UNSEEN, Batch
from unlearning.methods.gradient_ascent import GradientAscent
from unlearning.methods.gradient_difference import GradientDifference
from unlearning.methods.idk_dpo import IdkDpo
from unlearning.methods.npo import Npo
from unlearning.methods.rmu import Rmu
from unlearning.methods.simnpo import SimNpo
from unlearning.methods.step import Reference, Step
from unlearning.methods.undial import Undial

# Probabilities of three words, at each of the two places of an answer, before and now.
BEFORE = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1]]
NOW = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]


@dataclass
class Said:
    logits: Tensor
    hidden_states: tuple[Tensor, ...]


class Table(Module):
    """Says the same whatever it is told: p of three words at two places; width 2, two layers."""

    def __init__(self, chances: list[list[float]], state: float) -> None:
        super().__init__()
        self.scores = Parameter(torch.tensor(chances).log())
        self.state = Parameter(torch.full((2,), state))

    def forward(self, input_ids: Tensor, **_: Any) -> Said:
        rows = input_ids.shape[0]
        scores = torch.cat([self.scores, torch.zeros(1, 3)]).expand(rows, 3, 3)
        states = self.state.expand(rows, 3, 2)
        return Said(scores, (torch.zeros(rows, 3, 2), states, states))


def batch(first: int, second: int) -> Batch:
    ids = torch.tensor([[0, first, second]])
    return Batch(ids, torch.tensor([[UNSEEN, first, second]]), torch.ones_like(ids))


FORGET, RETAIN, UNKNOWN = batch(0, 0), batch(1, 1), batch(2, 2)


def loss(method: Any) -> float:
    before = Reference(Table(BEFORE, 1.0))
    found = method.loss(Table(NOW, 3.0), before, Step(FORGET, RETAIN, UNKNOWN))
    return float(found.detach())


def log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value))


NLL_FORGET = -(math.log(0.5) + math.log(0.4))
NLL_FORGET_BEFORE = -(math.log(0.7) + math.log(0.6))
NLL_UNKNOWN = -(math.log(0.2) + math.log(0.2))
NLL_UNKNOWN_BEFORE = -(math.log(0.1) + math.log(0.1))
CE_RETAIN = -(math.log(0.3) + math.log(0.4)) / 2


def test_gradient_ascent_is_the_negative_mean_cross_entropy() -> None:
    assert loss(GradientAscent()) == pytest.approx(-NLL_FORGET / 2)


def test_gradient_difference_adds_the_retain_loss() -> None:
    expected = -2 * NLL_FORGET / 2 + 3 * CE_RETAIN
    assert loss(GradientDifference(gamma=2, alpha=3)) == pytest.approx(expected)


def test_gradient_difference_can_keep_by_divergence_from_before() -> None:
    divergence = sum(
        p * math.log(p / q)
        for before, now in zip(BEFORE, NOW, strict=True)
        for p, q in zip(before, now, strict=True)
    )
    expected = -NLL_FORGET / 2 + divergence / 2
    assert loss(GradientDifference(retain="kl")) == pytest.approx(expected, rel=1e-5)


def test_npo_compares_sums_with_before() -> None:
    beta = 0.1
    margin = beta * (NLL_FORGET - NLL_FORGET_BEFORE)
    expected = -2 / beta * log_sigmoid(margin) + CE_RETAIN
    assert loss(Npo(beta=beta)) == pytest.approx(expected, rel=1e-5)


def test_npo_falls_back_to_gradient_ascent_for_a_small_beta() -> None:
    model, before = Table(NOW, 0.0), Reference(Table(BEFORE, 0.0))
    Npo(beta=1e-4, alpha=0).loss(model, before, Step(FORGET, RETAIN, UNKNOWN)).backward()  # type: ignore[no-untyped-call]
    other = Table(NOW, 0.0)
    GradientAscent().loss(other, before, Step(FORGET, RETAIN, UNKNOWN)).backward()  # type: ignore[no-untyped-call]
    assert model.scores.grad is not None
    assert other.scores.grad is not None
    # NPO sums over the answer's two tokens where gradient ascent takes the mean.
    torch.testing.assert_close(model.scores.grad, 2 * other.scores.grad, rtol=1e-3, atol=1e-4)


def test_simnpo_needs_no_before_and_counts_a_token() -> None:
    beta, delta, gamma = 4.5, 0.1, 0.125
    margin = beta * (NLL_FORGET / 2 - delta)
    expected = gamma * -2 / beta * log_sigmoid(margin) + CE_RETAIN
    assert loss(SimNpo(beta=beta, delta=delta, gamma=gamma)) == pytest.approx(expected, rel=1e-5)


def test_idk_dpo_prefers_not_to_know() -> None:
    beta = 0.1
    winner = NLL_UNKNOWN_BEFORE - NLL_UNKNOWN
    loser = NLL_FORGET_BEFORE - NLL_FORGET
    expected = -2 / beta * log_sigmoid(beta * (winner - loser)) + CE_RETAIN
    assert loss(IdkDpo(beta=beta)) == pytest.approx(expected, rel=1e-5)


def test_undial_distils_the_lowered_logits() -> None:
    expected = 0.0
    for before, now in zip(BEFORE, NOW, strict=True):
        lowered = [before[0] * math.exp(-10), before[1], before[2]]
        expected -= sum(p / sum(lowered) * math.log(q) for p, q in zip(lowered, now, strict=True))
    assert loss(Undial()) == pytest.approx(expected / 2, rel=1e-5)


def test_undial_leaves_tokens_alone_that_no_answer_holds() -> None:
    model = Table(NOW, 0.0)
    only_last = Batch(FORGET.ids, torch.tensor([[UNSEEN, UNSEEN, 0]]), FORGET.mask)
    found = Undial().loss(model, Reference(Table(BEFORE, 0.0)), Step(only_last, RETAIN, UNKNOWN))
    found.backward()  # type: ignore[no-untyped-call]
    assert model.scores.grad is not None
    assert not model.scores.grad[0].any()
    assert model.scores.grad[1].any()


def test_rmu_pushes_one_layer_to_a_direction_and_holds_the_rest() -> None:
    method = Rmu(layer=0, scale=6, alpha=2)
    unit = method.direction(2).tolist()
    assert math.hypot(*unit) == pytest.approx(1)
    length = math.sqrt(2)  # of the activations before: (1, 1)
    forgetting = sum((3 - 6 * length * each) ** 2 for each in unit) / 2
    assert loss(method) == pytest.approx(forgetting + 2 * 4.0, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("model.layers.1.mlp.down_proj.weight", True),
        ("model.layers.3.mlp.down_proj.weight", True),
        ("model.layers.0.mlp.down_proj.weight", False),
        ("model.layers.4.mlp.down_proj.weight", False),
        ("model.layers.3.mlp.up_proj.weight", False),
        ("transformer.h.2.mlp.c_proj.bias", True),
        ("base_model.model.model.layers.2.mlp.down_proj.lora_A.default.weight", True),
        ("lm_head.weight", False),
    ],
)
def test_rmu_changes_three_projections_only(name: str, trained: bool) -> None:
    assert Rmu(layer=3).trains(name) is trained


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_its_formula_and_its_paper(name: str) -> None:
    text = METHODS[name].__doc__ or ""
    assert text.startswith("L = ")
    assert "arXiv" in text
