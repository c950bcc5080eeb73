"""The hash encoder: fit for plumbing, and no more."""

import numpy as np
import pytest

from classifiers.hashing import HashEncoder


def test_vectors_are_unit_vectors_of_the_promised_shape() -> None:
    vectors = HashEncoder(64).encode(["one text", "another", "…"])
    assert vectors.shape == (3, 64)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0, 0.0])
    assert HashEncoder(64).encode([]).shape == (0, 64)


def test_texts_are_near_when_they_share_words_or_parts_of_words() -> None:
    a, b, c, d = HashEncoder().encode(
        [
            "the castle in the north",
            "The CASTLE, in the north!",
            "castles of the north",
            "boil an egg",
        ]
    )
    assert a @ b == pytest.approx(1.0)
    assert a @ b > a @ c > a @ d


def test_the_same_text_has_the_same_vector_on_every_machine() -> None:
    [vector] = HashEncoder(8).encode(["Hogwarts"])
    assert vector.tolist() == pytest.approx([0, 0, 0.627, 0, 0, 0, 0.723, 0.289], abs=0.001)


def test_the_fingerprint_names_the_dimensions() -> None:
    assert HashEncoder(64).fingerprint != HashEncoder(32).fingerprint
    with pytest.raises(ValueError, match="dimensions: a vector holds at least one number"):
        HashEncoder(0)
