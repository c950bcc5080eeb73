"""An encoder that keeps what it encoded, on disk too if asked. Knows no concept."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classifiers import Encoder
from classifiers.encoder import Vectors

BATCH = 1_000


class Kept:
    """Encodes each text once; with a folder, once for all runs with the same encoder."""

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self._encoder = encoder
        self.fingerprint, self.dimensions = encoder.fingerprint, encoder.dimensions
        self._rows: dict[bytes, Vectors] = {}
        name = hashlib.sha256(encoder.fingerprint.encode()).hexdigest()[:16]
        self._file = folder / f"vectors-{name}.npz" if folder else None
        if self._file and self._file.exists():
            with np.load(self._file) as kept:
                keys, vectors = kept["keys"], kept["vectors"]
            self._rows = {key.tobytes(): row for key, row in zip(keys, vectors, strict=True)}

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions)."""
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = {k: t for k, t in zip(keys, texts, strict=True) if k not in self._rows}
        waiting = list(new.items())
        for at in range(0, len(waiting), BATCH):
            batch = waiting[at : at + BATCH]
            vectors = self._encoder.encode([text for _, text in batch])
            self._rows |= zip((key for key, _ in batch), vectors, strict=True)
        empty = np.zeros((0, self.dimensions), dtype=np.float32)
        return np.stack([self._rows[key] for key in keys]) if keys else empty

    def keep(self) -> None:
        """Write down what was encoded, where there is a folder."""
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            keys = np.array([np.frombuffer(key, dtype=np.uint8) for key in self._rows])
            np.savez(self._file, keys=keys, vectors=np.stack(list(self._rows.values())))
