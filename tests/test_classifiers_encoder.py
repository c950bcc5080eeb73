"""The encoder: trusted weights, unit vectors, and the same vector in any company."""

import subprocess
import sys
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from classifiers.background import BACKGROUND
from classifiers.encoder import DIGEST, PACKAGE, Encoder, EncoderError, load, verify

FOLDER = Path(str(files(PACKAGE))) / "model"


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load()


def test_importing_classifiers_does_not_import_torch() -> None:
    code = "import classifiers, sys; sys.exit('torch' in sys.modules)"
    subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1]
    )


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"other weights")
    with pytest.raises(EncoderError, match=r"not the published .*; reinstall") as caught:
        verify(weights)
    assert str(weights) in str(caught.value)
    verify(weights, digest=sha256(b"other weights").hexdigest())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"model\.safetensors: No such file.*; reinstall"):
        verify(tmp_path / "model.safetensors")


@pytest.mark.encoder
def test_a_model_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match=r"cannot be loaded .*; give a path, .* or 'embedded'"):
        load(str(tmp_path))


@pytest.mark.encoder
def test_vectors_are_unit_vectors_of_the_promised_shape(encoder: Encoder) -> None:
    vectors = encoder.encode(["one text", "", "another \U0001f600 text"])
    assert vectors.shape == (3, encoder.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 3, abs=1e-6)
    assert encoder.encode([]).shape == (0, encoder.dimensions)
    assert encoder.fingerprint.startswith(f"all-MiniLM-L6-v2:{DIGEST[:16]}:")


@pytest.mark.encoder
def test_a_text_has_the_same_vector_in_any_company(encoder: Encoder) -> None:
    texts = [*BACKGROUND[:40], " ".join(BACKGROUND[:30]), "x"]
    together = encoder.encode(texts)
    assert np.array_equal(together, encoder.encode(texts[::-1])[::-1])
    assert np.array_equal(together, np.concatenate([encoder.encode([text]) for text in texts]))


@pytest.mark.encoder
def test_what_means_the_same_is_nearer_than_what_does_not(encoder: Encoder) -> None:
    fact, paraphrase, other = encoder.encode(
        [
            "She was born in a fishing village.",
            "Her birthplace is a small town of fishermen.",
            "Boil the egg for eight minutes.",
        ]
    )
    assert fact @ paraphrase > 0.6
    assert fact @ other < 0.2


@pytest.mark.encoder
def test_any_sentence_transformers_model_loads_by_path(encoder: Encoder) -> None:
    other = load(str(FOLDER))
    texts = ["The castle lies in the north.", "Boil an egg."]
    assert other.dimensions == encoder.dimensions
    assert other.encode([]).shape == (0, other.dimensions)
    # Not in the embedded one's precision, and told apart from it.
    assert np.sum(other.encode(texts) * encoder.encode(texts), axis=1) == pytest.approx(
        [1.0, 1.0], abs=0.01
    )
    assert other.fingerprint == load(str(FOLDER)).fingerprint != encoder.fingerprint
    assert str(FOLDER.parent) not in other.fingerprint
