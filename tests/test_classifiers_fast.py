"""The fast backend: as the model itself within a tolerance, the same bits in any company."""

import platform
import shutil
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from classifiers.fast import KERNEL, MANIFEST, MOST_TOKENS, WEIGHTS, Fast, Manifest, batches
from classifiers.fast_export import drift, export, run
from classifiers.fast_kernel import TARGETS, KernelError, opened

FEW = BACKGROUND[:24]
TOKENIZER = Path(str(files(PACKAGE))) / "model"
TEXTS = [*BACKGROUND[:20], "x", " ".join(BACKGROUND), ""]

pytestmark = [
    pytest.mark.encoder,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to export with"),
]


def random_model(
    folder: Path, *, kind: str, pooling: str, heads: int = 3, inner: int = 96, gelu: bool = True
) -> Path:
    """A small sentence-transformers model with random weights, saved as any other."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(
        kind, vocab_size=30522, hidden_size=48, num_hidden_layers=2, num_attention_heads=heads,
        intermediate_size=inner, pad_token_id=0, max_position_embeddings=530,
        initializer_range=0.2, hidden_act="gelu" if gelu else "relu",
    )  # fmt: skip
    model_of: Any = AutoModel  # its class methods have no types
    model_of.from_config(config).save_pretrained(folder / "parts")
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder / "parts")
    part = Transformer(str(folder / "parts"), max_seq_length=512)
    model = SentenceTransformer(modules=[part, Pooling(48, pooling_mode=pooling)], device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random model's path."""
    return str(random_model(tmp_path_factory.mktemp("source"), kind="bert", pooling="mean"))


@pytest.fixture(scope="module")
def small(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random model, exported."""
    folder = tmp_path_factory.mktemp("small") / "fast"
    export(source, folder, texts=FEW)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, exported."""
    folder = tmp_path_factory.mktemp("exported") / "fast"
    export("embedded", folder, texts=BACKGROUND[:40])
    return folder


def alone(encoder: Fast, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    return np.concatenate([encoder.encode([text]) for text in texts])


@pytest.mark.parametrize(
    ("kind", "pooling", "gelu"), [("bert", "mean", True), ("xlm-roberta", "cls", False)]
)
def test_any_model_of_berts_kind_is_exported_equal_and_batch_invariant(
    tmp_path: Path, *, kind: str, pooling: str, gelu: bool
) -> None:
    source = random_model(tmp_path, kind=kind, pooling=pooling, gelu=gelu)
    reference, manifest = load(str(source)), export(str(source), tmp_path / "fast", texts=FEW)
    fast = load(str(tmp_path / "fast"))
    assert isinstance(fast, Fast)
    assert fast.dimensions == reference.dimensions == 48
    assert manifest.drift_p99 < 0.005
    together = fast.encode(TEXTS)
    assert drift(together, reference.encode(TEXTS))[1] < 0.02
    assert np.array_equal(together, fast.encode(TEXTS[::-1])[::-1])
    assert np.array_equal(together, alone(fast, TEXTS))
    assert np.array_equal(together, Fast(tmp_path / "fast", vnni=False).encode(TEXTS))
    assert fast.encode([]).shape == (0, 48)
    # A threshold that was calibrated on one backend is not another's.
    assert fast.fingerprint.startswith(reference.fingerprint)
    assert fast.fingerprint != reference.fingerprint


@pytest.mark.parametrize(("tolerance", "wide"), [(1.0, "none"), (0.0015, "query, key, value, o")])
def test_the_precisions_chosen_are_the_fastest_that_keep_to_the_tolerance(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tolerance: float, wide: str
) -> None:
    assert run(Namespace(model=source, out=tmp_path / "fast", tolerance=tolerance)) == 0
    assert f" at most; matrices in 16 bits: {wide}" in capsys.readouterr().out
    assert run(Namespace(model=source, out=tmp_path / "fast", tolerance=tolerance)) == 2
    assert "is there already" in capsys.readouterr().err
    assert Manifest.read(tmp_path / "fast").drift_p99 <= tolerance
    fast = Fast(tmp_path / "fast")
    assert np.array_equal(fast.encode(TEXTS), alone(fast, TEXTS))
    assert np.array_equal(fast.encode(TEXTS), Fast(tmp_path / "fast", vnni=False).encode(TEXTS))


def test_with_and_without_vnni_any_number_of_tokens_has_the_same_bits(exported: Path) -> None:
    if not Fast(exported)._forward.vnni:
        pytest.skip("this processor has no AVX-512 VNNI")
    one, other = Fast(exported, vnni=True), Fast(exported, vnni=False)
    words = " ".join(BACKGROUND).split()
    texts = [" ".join(words[:n]) for n in (*range(1, 30), 200, 400)] + ["", " ", "x" * 3000]
    assert np.array_equal(one.encode(texts), other.encode(texts))
    assert np.array_equal(one.encode(texts), alone(other, texts))


def test_several_threads_find_what_one_does(exported: Path) -> None:
    fast = Fast(exported)
    parts = [BACKGROUND[at : at + 7] for at in range(0, 63, 7)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(fast.encode, parts))
    assert np.array_equal(np.concatenate(found), fast.encode(BACKGROUND[:63]))


def test_a_kernel_without_vectors_of_the_processor_computes_the_same_within_the_tolerance(
    source: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TARGETS, platform.machine(), ())
    export(source, tmp_path / "plain", texts=FEW)
    plain = Fast(tmp_path / "plain")
    assert not plain._forward.vnni
    assert drift(plain.encode(TEXTS), Fast(small).encode(TEXTS))[1] < 1e-3
    assert np.array_equal(plain.encode(TEXTS), alone(plain, TEXTS))


def test_a_processor_that_cannot_run_a_kernel_is_told_so(exported: Path, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: fpu sse2 fma avx\n")
    with pytest.raises(KernelError, match="no AVX2 and no BMI2; use the encoder that it was"):
        opened(exported / KERNEL, cpuinfo=cpuinfo)
    cpuinfo.write_text("flags\t\t: fpu sse2 fma avx2 bmi2\n")
    assert opened(exported / KERNEL, cpuinfo=cpuinfo).lethe_vnni() in (0, 1)
    other = tmp_path / "plain.so"
    shutil.copy(exported / WEIGHTS, other)
    with pytest.raises(KernelError, match=r"cannot be loaded .* export it again here"):
        opened(other)


def test_a_random_model_by_torch_is_batch_invariant_too(source: str) -> None:
    encoder = load(source)
    together = encoder.encode(TEXTS)
    assert np.array_equal(together, encoder.encode(TEXTS[::-1])[::-1])
    assert np.array_equal(together, np.concatenate([encoder.encode([text]) for text in TEXTS]))


def test_the_embedded_model_drifts_less_than_the_tolerance(exported: Path) -> None:
    fast, reference = Fast(exported), load("embedded", native=False)
    held = BACKGROUND[60:120]  # the export saw none of them
    assert drift(fast.encode(held), reference.encode(held))[0] < 0.005
    assert np.array_equal(fast.encode(held[:9]), alone(fast, held[:9]))


def test_what_drifts_too_far_or_is_of_another_kind_is_not_exported(
    source: str, tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match=r"cosines would move by .* use the model itself"):
        export(source, tmp_path / "fast", texts=FEW, tolerance=0.0)
    other = str(random_model(tmp_path / "other", kind="bert", pooling="max"))
    with pytest.raises(EncoderError, match="cannot be exported: pooling 'max'; known: mean, cls"):
        export(other, tmp_path / "fast", texts=FEW)
    narrow = str(random_model(tmp_path / "narrow", kind="bert", pooling="mean", heads=4))
    with pytest.raises(EncoderError, match="heads of 12 numbers; known: multiples of 8"):
        export(narrow, tmp_path / "fast", texts=FEW)
    odd = str(random_model(tmp_path / "odd", kind="bert", pooling="mean", inner=100))
    with pytest.raises(EncoderError, match="matrix of 100 inputs; known: multiples of 8"):
        export(odd, tmp_path / "fast", texts=FEW)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["narrow", "odd", "other"]


def test_an_export_that_was_changed_is_refused(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "fast")
    with pytest.raises(EncoderError, match="is there already"):
        export("embedded", tmp_path / "fast")
    with pytest.raises(EncoderError, match="is an export itself"):
        export(str(tmp_path / "fast"), tmp_path / "again")
    with (tmp_path / "fast" / WEIGHTS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(EncoderError, match=r"weights\.safetensors changed since export"):
        load(str(tmp_path / "fast"))
    for text, why in (('{"version": 1}', "version 1, not 2"), ("[]", "not a whole export")):
        (tmp_path / "fast" / MANIFEST).write_text(text)
        with pytest.raises(EncoderError, match=f"{why}.*; export it again"):
            load(str(tmp_path / "fast"))


def test_runs_hold_every_row_once_and_no_more_tokens_than_fit() -> None:
    lengths = [3, 250, 20, 600, 1, 1]
    runs = batches(lengths)
    assert [row for run in runs for row in run] == list(range(6))
    assert all(len(run) == 1 or sum(lengths[row] for row in run) <= MOST_TOKENS for run in runs)
