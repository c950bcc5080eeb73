"""An exported encoder: texts through the compiled kernel. Knows no torch and no concept.

A folder holds the kernel, weights, tokenizer, and a manifest with the digest of each, what shape
the model has, and the drift from the model itself that was measured when it was exported.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from classifiers.fast_kernel import Forward, KernelError, Shape, opened
from classifiers.vectors import EncoderError, Vectors, unit

MANIFEST = "fast.json"
KERNEL = "kernel.so"
WEIGHTS = "weights.safetensors"
TOKENIZER = "tokenizer.json"
PARTS = (KERNEL, WEIGHTS, TOKENIZER)
VERSION = 2
MOST_TOKENS = 256  # in one pass: more would leave the processor's cache


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands in a folder beside weights and kernel.

    reference  fingerprint of the encoder that it was exported from
    limit      tokens of a text that are read
    prompt     what stands before every text
    wide       matrices of a layer that are in 16 bits; the others are in 8
    drift      |cosine here - cosine there| over pairs of texts: p99, largest, and their number
    digests    file name → SHA-256
    """

    reference: str
    shape: Shape
    limit: int
    prompt: str
    wide: tuple[str, ...]
    drift_p99: float
    drift_most: float
    pairs: int
    digests: dict[str, str]
    version: int = VERSION

    def write(self, folder: Path) -> None:
        """Write it into its folder."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read it, and check every file against it. Raises EncoderError."""
        path = folder / MANIFEST
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.get("version") != VERSION:
                raise EncoderError(
                    f"{path}: version {found.get('version')}, not {VERSION}; export it again"
                )
            shape, wide = Shape(**found["shape"]), tuple(found["wide"])
            manifest = cls(**{**found, "shape": shape, "wide": wide})
            wrong = [name for name in PARTS if digest(folder / name) != manifest.digests.get(name)]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise EncoderError(f"{path}: not a whole export ({error}); export it again") from error
        if wrong:
            raise EncoderError(
                f"{folder}: {', '.join(wrong)} changed since export; export it again"
            )
        return manifest


class Fast:
    """An encoder faster than torch, equal to it within a measured tolerance.

    A text's vector has the same bits in any company, and on any processor that the folder's kernel
    runs on: nothing is padded, and sums are whole numbers. vnni: see Forward.
    Raises EncoderError for a folder that is not whole, or not what it was when it was exported.
    """

    def __init__(self, folder: Path, *, vnni: bool | None = None) -> None:
        manifest = Manifest.read(folder)
        self._prompt = manifest.prompt
        try:
            kernel = opened(folder / KERNEL)
            tensors = load_file(folder / WEIGHTS)
            self._forward = Forward(kernel, tensors, manifest.shape, vnni=vnni)
        except (KernelError, KeyError, ValueError) as error:
            raise EncoderError(f"{folder}: {error}") from error
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(manifest.limit, self._forward.longest))
        self.dimensions = self._forward.dimensions
        # What the kernel computes is part of the encoder: thresholds belong to one backend.
        made = hashlib.sha256(f"{manifest.digests[KERNEL]}{manifest.digests[WEIGHTS]}".encode())
        self.fingerprint = f"{manifest.reference}:whole:{made.hexdigest()[:8]}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions); text past the model's limit is not read."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        found = self._tokenizer.encode_batch_fast([f"{self._prompt}{text}" for text in texts])
        tokens = [one.ids for one in found]
        for rows in batches([len(ids) for ids in tokens]):
            vectors[rows] = self._forward.vectors([tokens[row] for row in rows])
        return unit(vectors)


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in runs of at most MOST_TOKENS tokens, where a single one is not longer."""
    runs: list[list[int]] = []
    room = 0
    for row, length in enumerate(lengths):
        if not runs or room < length:
            runs.append([])
            room = MOST_TOKENS
        runs[-1].append(row)
        room -= length
    return runs


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
