"""The fast backend: as the model itself within a tolerance, the same bits in any company."""

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import AutoConfig, AutoModel, AutoTokenizer

from classifiers.background import BACKGROUND
from classifiers.encoder import PACKAGE, EncoderError, load
from classifiers.fast import MANIFEST, WEIGHTS, Fast, batches
from classifiers.fast_export import drift, export
from classifiers.fast_kernel import Packed

TOKENIZER = Path(str(files(PACKAGE))) / "model"
TEXTS = [*BACKGROUND[:20], "x", " ".join(BACKGROUND[:12]), ""]

pytestmark = [
    pytest.mark.encoder,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to export with"),
]


def random_model(folder: Path, *, kind: str, pooling: str) -> Path:
    """A small sentence-transformers model with random weights, saved as any other."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(
        kind, vocab_size=30522, hidden_size=48, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=96, pad_token_id=0, max_position_embeddings=130,
        initializer_range=0.2,
    )  # fmt: skip
    model_of: Any = AutoModel  # its class methods have no types
    model_of.from_config(config).save_pretrained(folder / "parts")
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder / "parts")
    part = Transformer(str(folder / "parts"), max_seq_length=64)
    model = SentenceTransformer(modules=[part, Pooling(48, pooling_mode=pooling)], device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


@pytest.mark.parametrize(("kind", "pooling"), [("bert", "mean"), ("xlm-roberta", "cls")])
def test_any_model_of_berts_kind_is_exported_equal_and_batch_invariant(
    tmp_path: Path, kind: str, pooling: str
) -> None:
    source = random_model(tmp_path, kind=kind, pooling=pooling)
    reference, manifest = load(str(source)), export(str(source), tmp_path / "fast")
    fast = load(str(tmp_path / "fast"))
    assert isinstance(fast, Fast)
    assert fast.dimensions == reference.dimensions == 48
    assert manifest.drift_p99 < 0.005
    together = fast.encode(TEXTS)
    assert drift(together, reference.encode(TEXTS))[1] < 0.01
    assert np.array_equal(together, fast.encode(TEXTS[::-1])[::-1])
    assert np.array_equal(together, np.concatenate([fast.encode([text]) for text in TEXTS]))
    assert fast.encode([]).shape == (0, 48)
    # A threshold that was calibrated on one backend is not another's.
    assert fast.fingerprint.startswith(reference.fingerprint)
    assert fast.fingerprint != reference.fingerprint


def test_a_random_model_by_torch_is_batch_invariant_too(tmp_path: Path) -> None:
    encoder = load(str(random_model(tmp_path, kind="bert", pooling="mean")))
    together = encoder.encode(TEXTS)
    assert np.array_equal(together, encoder.encode(TEXTS[::-1])[::-1])
    assert np.array_equal(together, np.concatenate([encoder.encode([text]) for text in TEXTS]))


def test_the_embedded_model_drifts_less_than_the_tolerance(tmp_path: Path) -> None:
    manifest = export("embedded", tmp_path / "fast", texts=BACKGROUND[:40])
    assert manifest.drift_p99 < 0.005
    fast = load(str(tmp_path / "fast"))
    assert np.array_equal(
        fast.encode(BACKGROUND[:9]), np.concatenate([fast.encode([t]) for t in BACKGROUND[:9]])
    )


def test_what_drifts_too_far_or_is_of_another_kind_is_not_exported(tmp_path: Path) -> None:
    source = str(random_model(tmp_path, kind="bert", pooling="mean"))
    with pytest.raises(EncoderError, match=r"cosines would move by .* use the model itself"):
        export(source, tmp_path / "fast", tolerance=0.0)
    other = str(random_model(tmp_path / "other", kind="bert", pooling="max"))
    with pytest.raises(EncoderError, match="cannot be exported: pooling 'max'; known: mean, cls"):
        export(other, tmp_path / "fast")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "other", "parts"]


def test_an_export_that_was_changed_is_refused(tmp_path: Path) -> None:
    export(str(random_model(tmp_path, kind="bert", pooling="mean")), tmp_path / "fast")
    with pytest.raises(EncoderError, match="is there already"):
        export("embedded", tmp_path / "fast")
    with pytest.raises(EncoderError, match="is an export itself"):
        export(str(tmp_path / "fast"), tmp_path / "again")
    with (tmp_path / "fast" / WEIGHTS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(EncoderError, match=r"weights\.safetensors changed since export"):
        load(str(tmp_path / "fast"))
    (tmp_path / "fast" / MANIFEST).write_text(json.dumps({"version": 1}))
    with pytest.raises(EncoderError, match="not a whole export"):
        load(str(tmp_path / "fast"))


def test_no_sum_of_the_largest_numbers_overflows() -> None:
    for inputs in (2, 384, 1536, 4096):
        packed = Packed.of(np.ones((16, inputs), np.float32), np.zeros(16, np.float32))
        assert int(np.abs(packed.weights.astype(np.int64)).max()) * 2047 * inputs < 2**31


def test_runs_hold_every_row_once_and_no_more_tokens_than_fit() -> None:
    lengths = [3, 500, 20, 600, 1, 1]
    runs = batches(lengths)
    assert [row for run in runs for row in run] == list(range(6))
    assert all(len(run) == 1 or sum(lengths[row] for row in run) <= 512 for run in runs)
