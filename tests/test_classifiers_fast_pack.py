"""Matrices as whole numbers: turned without loss, bounded, and rounded where it hurts least."""

import numpy as np
import pytest

from classifiers.fast_kernel import Packed
from classifiers.fast_pack import LEVELS, pack, spread, turned

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("inputs", [8, 24, 96, 312, 384, 1536])
def test_rows_that_are_turned_keep_their_products(inputs: int) -> None:
    rows = RANDOM.normal(size=(5, inputs))
    assert np.allclose(turned(rows) @ turned(rows).T, rows @ rows.T)
    assert np.prod(spread(inputs)) * 8 == inputs


def test_a_number_that_stands_out_is_shared_among_many() -> None:
    row = RANDOM.normal(size=(1, 384))
    row[0, 17] = 40
    assert np.abs(turned(row)).max() < 15


@pytest.mark.parametrize("bits", [8, 16])
def test_no_sum_of_the_largest_numbers_overflows(bits: int) -> None:
    for inputs in (8, 384, 1536, 4096):
        ones = np.ones((16, inputs), np.float32)
        numbers = pack(ones, np.zeros(16, np.float32), bits=bits).numbers.astype(np.int64)
        # With VNNI a byte is up to 255, as 128 is added.
        largest = 255 if bits == 8 else LEVELS[bits]
        assert np.abs(numbers).max() * largest * inputs < 2**31
        assert numbers.any()


def test_a_matrix_says_what_it_said_before() -> None:
    weight = RANDOM.normal(size=(32, 384)).astype(np.float32)
    for bits, least in ((8, 1e-2), (16, 1e-3)):
        whole = pack(weight, np.zeros(32, np.float32), bits=bits)
        unscaled = turned(weight) * np.sqrt(spread(384)[1])  # as the kernel turns: not scaled back
        found = whole.numbers @ unscaled.T * whole.scales[:, None]
        assert np.allclose(found, weight @ weight.T, atol=least * 384)


def test_rounding_that_knows_what_is_multiplied_loses_less() -> None:
    random = np.random.default_rng(4)
    mixed = random.normal(size=(400, 9)) @ random.normal(size=(9, 48))
    rows = turned(mixed + random.normal(size=(400, 48)) * 0.1)
    weight = random.normal(size=(16, 48)).astype(np.float32)
    factor = np.linalg.cholesky(np.linalg.inv(rows.T @ rows)).T
    lost = []
    for known in (None, factor):
        whole = pack(weight, np.zeros(16, np.float32), bits=8, factor=known)
        scales = whole.scales * np.sqrt(spread(48)[1])
        moved = (whole.numbers * scales[:, None] - turned(weight)) @ rows.T
        lost.append(float(np.square(moved).mean()))
    assert lost[1] < lost[0] / 2


def test_shapes_that_the_kernel_does_not_take_are_told() -> None:
    with pytest.raises(ValueError, match="a matrix of 12 inputs; known: multiples of 8"):
        pack(np.ones((16, 12), np.float32), np.zeros(16, np.float32), bits=8)
    whole = pack(np.ones((24, 8), np.float32), np.zeros(24, np.float32), bits=8)
    with pytest.raises(ValueError, match="a matrix of 24 outputs; known: multiples of 16"):
        Packed.of(whole, vnni=False)
