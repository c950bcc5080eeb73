"""An encoder without a model, for tests of the plumbing; never to be used as a screen.

Knows nothing of meaning: texts are near when they share words and parts of words.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from classifiers.encoder import Vectors
from classifiers.views import fold


class HashEncoder:
    """Words and trigrams of characters, hashed into a unit vector.

    Fast, the same on every machine, and blind to paraphrase. A text without letters or digits is
    all zeros, near nothing.
    """

    def __init__(self, dimensions: int = 256) -> None:
        if dimensions < 1:
            raise ValueError("dimensions: a vector holds at least one number")
        self.dimensions = dimensions
        self.fingerprint = f"hash:{dimensions}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions), float32."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for feature, weight in _features(text):
                vectors[row, zlib.crc32(feature.encode()) % self.dimensions] += weight
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in fold(text).split():
        yield word, 1.0
        framed = f"<{word}>"
        for at in range(len(framed) - 2):
            # A word's trigrams together weigh about as much as the word.
            yield f"#{framed[at : at + 3]}", 0.3
