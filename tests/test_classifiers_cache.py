"""The cache: every text encoded once, while it is remembered."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from classifiers.cache import TURN, Cache
from classifiers.encoder import Vectors
from classifiers.hashing import HashEncoder


class Counting(HashEncoder):
    """The hash encoder, and what it was asked."""

    def __init__(self) -> None:
        super().__init__(16)
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        return super().encode(texts)


def test_a_text_is_encoded_once() -> None:
    encoder = Counting()
    cache = Cache(encoder)
    first = cache.vectors(["one", "two", "one"])
    again = cache.vectors(["two", "three"])
    assert encoder.asked == [["one", "two"], ["three"]]
    assert np.array_equal(first, HashEncoder(16).encode(["one", "two", "one"]))
    assert np.array_equal(again, HashEncoder(16).encode(["two", "three"]))
    assert cache.vectors(["one"]).shape == (1, 16)
    assert len(encoder.asked) == 2


def test_the_least_lately_asked_is_forgotten_first() -> None:
    encoder = Counting()
    cache = Cache(encoder, most=2)
    cache.vectors(["one", "two"])
    cache.vectors(["one"])
    cache.vectors(["three"])
    cache.vectors(["one", "three"])
    cache.vectors(["two"])
    assert encoder.asked == [["one", "two"], ["three"], ["two"]]


def test_more_texts_than_are_remembered_are_all_encoded() -> None:
    texts = [f"text {n}" for n in range(9)]
    assert np.array_equal(
        Cache(HashEncoder(16), most=2).vectors(texts), HashEncoder(16).encode(texts)
    )


def test_nothing_asked_is_nothing_encoded() -> None:
    encoder = Counting()
    assert Cache(encoder).vectors([]).shape == (0, 16)
    assert encoder.asked == []


def test_no_text_is_kept() -> None:
    cache = Cache(HashEncoder(16))
    cache.vectors(["a secret"])
    assert [len(key) for key in cache._known] == [16]
    assert not any(b"secret" in key for key in cache._known)


class Alone(HashEncoder):
    """Must never be asked by two threads at once; notes how many texts it is asked at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self._busy = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        assert self._busy.acquire(blocking=False), "two threads at once"
        try:
            self.sizes.append(len(texts))
            time.sleep(0.005)
            return super().encode(texts)
        finally:
            self._busy.release()


def test_whoever_cannot_wait_has_its_turn_between_those_of_whoever_can() -> None:
    encoder = Alone()
    cache = Cache(encoder)
    many = [f"text {n}" for n in range(40 * TURN)]
    with ThreadPoolExecutor(2) as threads:
        patient = threads.submit(cache.vectors, many, patient=True)
        while not encoder.sizes:
            time.sleep(0.001)
        found = threads.submit(cache.vectors, ["now", "at once"]).result(timeout=30)
        before = len(encoder.sizes)
        assert np.array_equal(patient.result(timeout=30), HashEncoder().encode(many))
    assert np.array_equal(found, HashEncoder().encode(["now", "at once"]))
    assert sorted(set(encoder.sizes)) == [2, TURN]
    assert before < len(encoder.sizes)
