"""An encoder without a model, for tests of the plumbing; never to be used as a screen.

Knows nothing of meaning: texts are near when they share words.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from classifiers.encoder import Vectors
from classifiers.views import fold


class HashEncoder:
    """A bag of hashed words as a unit vector: fast, the same everywhere, blind to paraphrase."""

    def __init__(self, dimensions: int = 256) -> None:
        self.dimensions = dimensions
        self.fingerprint = f"hash:{dimensions}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions); a text without words is all zeros."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in fold(text).split():
                vectors[row, zlib.crc32(word.encode()) % self.dimensions] += 1.0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
