"""The accountant beside Opacus' numbers, and a private training that does what it promises."""

import math
from collections.abc import Iterator

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from unlearning.methods.batch import Encoded
from unlearning.private import (
    ORDERS,
    Privacy,
    after_deletions,
    divergences,
    epsilon,
    fit,
    membership_auc,
)
from unlearning.training import TrainingError


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost tiny models more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# compute_rdp and get_privacy_spent of opacus 1.6.0 on the same orders.
OPACUS = [
    (0.2, 1.0, 300, 1e-5, 29.777033743464557),
    (0.2, 2.0, 300, 1e-5, 10.077291731607108),
    (0.2, 4.0, 300, 1e-5, 4.17769707707806),
    (0.2, 1.0, 300, 0.025, 18.659369238315897),
    (0.2, 2.0, 300, 0.025, 5.573923796256481),
    (0.2, 4.0, 300, 0.025, 2.0121124283613985),
    (0.01, 1.1, 10000, 1e-5, 5.63199236854841),
    (1.0, 4.0, 50, 1e-5, 9.234958991683898),
    (0.1, 0.7, 100, 1e-5, 16.419708820204084),
]


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "expected"), OPACUS)
def test_the_accountant_agrees_with_opacus(
    rate: float, noise: float, steps: int, delta: float, expected: float
) -> None:
    assert epsilon(divergences(rate, noise, steps), delta) == pytest.approx(expected, rel=1e-6)


def test_whole_orders_agree_with_the_orders_beside_them() -> None:
    found = dict(zip(ORDERS, divergences(0.1, 1.5, 1), strict=True))
    assert found[2.9] < found[3.0] < found[3.1]
    assert found[3.0] == pytest.approx((found[2.9] + found[3.1]) / 2, rel=1e-2)


def test_a_deletion_request_costs_guarantee_and_more_requests_more() -> None:
    privacy = Privacy(noise=4, rate=0.2, steps=300)
    left = [after_deletions(privacy, 1e-5, requests) for requests in (1, 2, 4)]
    assert left[0] == pytest.approx(privacy.epsilon(1e-5), rel=1e-3)
    assert left[1] > 2 * left[0]
    assert left[2] > 2 * left[1]


def units(count: int) -> list[list[Encoded]]:
    return [[Encoded((at + 2, 3), (at + 2, 1)) for _ in range(2)] for at in range(count)]


def tiny() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=16,
            n_embd=8,
            n_layer=1,
            n_head=1,
            n_positions=8,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=1,
            eos_token_id=1,
        )
    )


def weights(noise: float, *, clip: float = 0.5, seed: int = 0) -> torch.Tensor:
    model = tiny()
    privacy = Privacy(noise=noise, rate=0.5, steps=3, clip=clip, seed=seed)
    fit(model, units(6), privacy, pad=0)
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def test_a_private_training_is_the_same_twice_and_differs_by_seed() -> None:
    assert torch.equal(weights(1.0), weights(1.0))
    assert not torch.equal(weights(1.0), weights(1.0, seed=1))


def test_one_unit_moves_the_sum_by_the_clip_at_most() -> None:
    """Without noise, and with a step that keeps lengths, one more unit moves the sum by <= C."""
    clip = 0.01
    sums = []
    for count in (5, 6):
        model = tiny()
        privacy = Privacy(noise=1e-9, rate=1.0, steps=1, clip=clip)
        fit(model, units(count), privacy, pad=0)
        gradients = [each.grad for each in model.parameters() if each.grad is not None]
        sums.append(torch.cat([each.flatten() for each in gradients]) * count)
    assert 0 < float((sums[1] - sums[0]).norm()) <= clip * 1.001


def test_training_without_much_noise_learns() -> None:
    model = tiny()
    rows = units(6)
    cost = fit(model, rows, Privacy(noise=0.01, rate=1.0, steps=150, learning_rate=0.02), pad=0)
    right = [
        int(model(torch.tensor([row[0].prompt])).logits[0, -1].argmax()) == row[0].answer[0]
        for row in rows
    ]
    assert sum(right) >= 5
    assert cost.steps == 150
    assert cost.tokens == 150 * 6 * 2 * 4


def test_a_unit_without_rows_and_impossible_settings_are_refused() -> None:
    with pytest.raises(TrainingError, match="no rows"):
        fit(tiny(), [[]], Privacy(noise=1, rate=0.5, steps=1), pad=0)
    with pytest.raises(TrainingError, match="rate"):
        Privacy(noise=1, rate=0, steps=1)
    with pytest.raises(ValueError, match="delta"):
        epsilon([0.1] * len(ORDERS), 0)


def test_blind_guessing_has_an_area_of_a_half() -> None:
    assert membership_auc([1.0, 2.0], [1.0, 2.0]) == 0.5
    assert membership_auc([0.1, 0.2], [1.0, math.inf]) == 1.0
