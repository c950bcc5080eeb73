"""Matrices as whole numbers that lose little. Knows no file, no model and no processor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANES = 8  # numbers that stay beside each other when a row is turned, as in the kernel
LEVELS = {8: 127, 16: 2047}  # largest integer of an activation beside a weight of so many bits
MOST = 2**31 - 1  # of a sum
BLOCK = 128  # inputs rounded before those behind are put right

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Whole:
    """A matrix, shape (outputs, inputs), over turned rows; `scales`: what a unit is worth, a row.

    The kernel does not scale a turned row back to its length: `scales` does.
    """

    numbers: Integers
    scales: Floats
    bias: Floats


def spread(inputs: int) -> tuple[int, int]:
    """Of how many rows of LANES numbers an input consists: the odd part and the power of two.

    Raises ValueError for a number of inputs that is no multiple of LANES.
    """
    if inputs % LANES:
        raise ValueError(f"a matrix of {inputs} inputs; known: multiples of {LANES}")
    power = (inputs // LANES) & -(inputs // LANES)
    return inputs // LANES // power, power


def turned(rows: Floats | Doubles) -> Doubles:
    """Rows in other coordinates, as long as before: what the kernel does, in its `turn`.

    Householder's matrix over the odd part times Hadamard's over the power of two (Ashkboos et al.,
    QuaRot, NeurIPS 2024): no number stays much larger than the others. Sums only, no library's
    product, so that every machine finds the same bits.
    """
    odd, power = spread(rows.shape[-1])
    found = np.asarray(rows, dtype=np.float64).reshape(-1, odd, power, LANES)
    half = 1
    while half < power:
        pairs = found.reshape(-1, odd, power // (2 * half), 2, half, LANES)
        first, second = pairs[:, :, :, 0], pairs[:, :, :, 1]
        found = np.stack([first + second, first - second], axis=3).reshape(found.shape)
        half *= 2
    if odd > 1:
        found = found - 2 / odd * found.sum(axis=1, keepdims=True)
    return np.asarray(found.reshape(rows.shape) / np.sqrt(power))


def pack(weight: Floats, bias: Floats, *, bits: int, factor: Doubles | None = None) -> Whole:
    """A matrix, shape (outputs, inputs), in so many bits that no sum can overflow, 8 or 16 at most.

    factor  Cholesky's, upper, of the inverse of X.T @ X, X the turned rows that it usually
            multiplies: given, an error of rounding is made good by the numbers rounded after it

    Raises ValueError for a number of inputs that is no multiple of 8.
    """
    inputs = weight.shape[1]
    largest = min(2 ** (bits - 1) - 1, MOST // (LEVELS[bits] * inputs))
    exact = turned(weight)
    scales = np.maximum(np.abs(exact).max(axis=1) / largest, 1e-30)
    units = exact / scales[:, None]
    whole = np.rint(units) if factor is None else _compensated(units, largest, factor)
    return Whole(
        whole.astype(np.int8) if bits == 8 else whole.astype(np.int16),
        (scales / np.sqrt(spread(inputs)[1])).astype(np.float32),
        bias.astype(np.float32),
    )


def _compensated(units: Doubles, largest: int, upper: Doubles) -> Doubles:
    """Rounded column by column (Frantar et al., GPTQ, ICLR 2023)."""
    inputs = len(upper)
    left = np.ascontiguousarray(units.T)
    for start in range(0, inputs, BLOCK):
        end = min(start + BLOCK, inputs)
        errors = np.empty((end - start, len(units)))
        for at in range(start, end):
            rounded = np.clip(np.rint(left[at]), -largest, largest)
            errors[at - start] = (left[at] - rounded) / upper[at, at]
            left[at + 1 : end] -= np.outer(upper[at, at + 1 : end], errors[at - start])
            left[at] = rounded
        left[end:] -= upper[start:end, end:].T @ errors
    return np.ascontiguousarray(left.T)
