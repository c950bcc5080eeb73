"""Vectors of texts seen lately. Knows no concept, and keeps no text: only its digest."""

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from threading import Lock

import numpy as np

from classifiers.encoder import Encoder, Vectors

MOST = 20_000  # vectors: 30 MB at 384 dimensions
TURN = 16  # texts that whoever can wait has encoded at a time
PAUSE_S = 0.0005


class Cache:
    """An encoder that remembers what it said, the least lately asked forgotten first."""

    def __init__(self, encoder: Encoder, *, most: int = MOST) -> None:
        self._encoder = encoder
        self._most = most
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = Lock()
        self._encoding = Lock()  # an encoder is not for two threads at once

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self._encoder.dimensions

    def vectors(self, texts: Sequence[str], *, patient: bool = False) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions); what is new is encoded in one batch.

        `patient`: a few at a time, so that another thread need not wait for all of them.
        """
        keys = [blake2b(text.encode(), digest_size=16).digest() for text in texts]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            known |= zip(missing, self._encoded(list(missing.values()), patient), strict=True)
        self._remember(known)
        found = np.zeros((len(texts), self._encoder.dimensions), dtype=np.float32)
        for row, key in enumerate(keys):
            found[row] = known[key]
        return found

    def _encoded(self, texts: list[str], patient: bool) -> Iterator[Vectors]:  # noqa: FBT001
        size = TURN if patient else len(texts)
        for at in range(0, len(texts), size):
            with self._encoding:
                found = self._encoder.encode(texts[at : at + size])
            yield from found
            if patient:
                time.sleep(PAUSE_S)  # whoever waits would else not get its turn

    def _remember(self, known: dict[bytes, Vectors]) -> None:
        with self._lock:
            for key, vector in known.items():
                self._known[key] = vector
                self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
