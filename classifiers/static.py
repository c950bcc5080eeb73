"""A static embedding: the mean of a model's own token vectors, a hundredth of an encoder's cost.

Knows no concept. Less exact than the encoder by far: it may only say what is not worth encoding.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from classifiers.encoder import PACKAGE, Vectors, verify
from classifiers.vectors import unit

COMMONEST = 30_000  # tokens before this place weigh less and less: nearly all
DIMENSIONS = 128  # the principal components that are kept, of 384
MOST_TOKENS = 256  # of a text: the encoder reads no more


class Static:
    """The embedded encoder's token vectors, the commoner the less they weigh (Zipf's law)."""

    def __init__(self) -> None:
        folder = Path(str(files(PACKAGE))) / "model"
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)
        verify(folder / "model.safetensors")
        stored = load_file(folder / "model.safetensors")
        tokens = stored["embeddings.word_embeddings.weight"].astype(np.float32)
        tokens -= tokens.mean(axis=0)
        tokens *= np.minimum(1.0, np.arange(len(tokens), dtype=np.float32) / COMMONEST)[:, None]
        # In double precision: which way a component points must not depend on the machine.
        _, components = np.linalg.eigh(tokens.T.astype(np.float64) @ tokens.astype(np.float64))
        self._vectors = tokens @ components[:, -DIMENSIONS:].astype(np.float32)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), DIMENSIONS); of a text without a token, nothing."""
        empty = np.zeros((0, DIMENSIONS), dtype=np.float32)
        # One by one: a batch wakes threads for what takes one of them less time.
        listed = [self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        sums = [self._vectors[ids].sum(axis=0) for ids in listed]
        return unit(np.stack(sums)) if sums else empty


@cache
def static() -> Static:
    """The one of this process: 16 MB, and half a second to make."""
    return Static()
