"""What every encoder and index agrees on: unit vectors as rows. Knows no model and no text."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class EncoderError(RuntimeError):
    """An encoder that cannot be trusted or found: which, and what to do."""


def unit(vectors: Vectors) -> Vectors:
    """Each row with length one; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
