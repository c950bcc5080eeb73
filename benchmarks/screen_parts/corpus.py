"""Sentences of the data sets, and vectors like those of many more. Knows no screen."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from classifiers import segment
from classifiers.encoder import Encoder, Vectors
from classifiers.vectors import unit

FIELDS = ("query", "question", "text", "answer", "paraphrased_question", "paraphrased_answer")
LEAST = 5  # words of a sentence
NOISE = 0.015  # in each dimension: about .28 of a vector's length at 384


def sentences(folder: Path, *, most: int, seed: int = 0) -> list[str]:
    """Different sentences of RWKU and TOFU, `most` of them, drawn at random; none of TriviaQA's."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*/*.jsonl")):
        if path.stem == "triviaqa":
            continue
        for text in _texts(path):
            parts = (text[s.start : s.end].strip() for s in segment(text))
            found |= dict.fromkeys(part for part in parts if len(part.split()) >= LEAST)
    drawn = np.random.default_rng(seed).permutation(len(found))[:most]
    listed = list(found)
    return [listed[at] for at in sorted(drawn.tolist())]


def encoded(encoder: Encoder, texts: list[str]) -> Vectors:
    """Their vectors, in no order that a neighbour in the list would show in."""
    drawn = np.random.default_rng(0).permutation(len(texts))
    return encoder.encode([texts[at] for at in drawn])


def exemplars(of: Vectors, count: int, *, each: int = 50) -> Vectors:
    """Vectors of `each` exemplars a concept: one sentence's, mixed with another's, and noise.

    Between .5 and .9 of the first, the rest of a second drawn anew for every exemplar.
    """
    drawn = np.random.default_rng(1)
    made = np.empty((count, of.shape[1]), dtype=np.float32)
    for at in range(0, count, 1000 * each):
        size = min(1000 * each, count - at)
        centres = np.repeat(of[drawn.integers(0, len(of), -(-size // each))], each, axis=0)[:size]
        others = of[drawn.integers(0, len(of), size)]
        share = drawn.uniform(0.5, 0.9, (size, 1)).astype(np.float32)
        noise = drawn.standard_normal((size, of.shape[1]), dtype=np.float32)
        made[at : at + size] = unit(share * centres + (1 - share) * others + NOISE * noise)
    return made


def told_again(exemplars: Vectors, others: Vectors, count: int) -> Vectors:
    """Vectors as far from one exemplar each as another wording of it: mixed with other sentences'.

    A cosine of .8 in the median.
    """
    drawn = np.random.default_rng(2)
    own = exemplars[drawn.integers(0, len(exemplars), count)]
    other = others[drawn.integers(0, len(others), count)]
    return unit(np.float32(0.55) * own + np.float32(0.45) * other)


def _texts(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            yield from (row[field] for field in FIELDS if isinstance(row.get(field), str))
