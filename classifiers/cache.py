"""Vectors of texts seen lately. Knows no concept, and keeps no text: only its digest."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np

from classifiers.encoder import Encoder, Vectors

MOST = 20_000  # vectors: 30 MB at 384 dimensions


class Cache:
    """An encoder that remembers what it said, the least lately asked forgotten first."""

    def __init__(self, encoder: Encoder, *, most: int = MOST) -> None:
        self._encoder = encoder
        self._most = most
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = Lock()

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions); what is new is encoded in one batch."""
        keys = [blake2b(text.encode(), digest_size=16).digest() for text in texts]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            known |= zip(missing, self._encoder.encode(list(missing.values())), strict=True)
        self._remember(known)
        found = np.zeros((len(texts), self._encoder.dimensions), dtype=np.float32)
        for row, key in enumerate(keys):
            found[row] = known[key]
        return found

    def _remember(self, known: dict[bytes, Vectors]) -> None:
        with self._lock:
            for key, vector in known.items():
                self._known[key] = vector
                self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
