"""What it costs to add a concept to a screen that is in use."""

import time
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.screen_parts.concepts import Known, made, named
from benchmarks.screen_parts.corpus import sentences
from classifiers import Concept, Screen
from classifiers.encoder import Encoder

EXEMPLARS = 50
TIMES = 9
FEW = 100


def measure(folder: Path, encoder: Encoder, *, count: int) -> tuple[Table, dict[str, object]]:
    """CPU milliseconds to add a concept of fifty exemplars: encoding them, and all the rest."""
    knowing = Known(encoder)
    concepts = made(folder, knowing, count)
    texts = sentences(folder, most=EXEMPLARS * (TIMES + 1), seed=9)
    names = named(count + TIMES)[count:]
    table = Table(title=f"adding a concept of {EXEMPLARS} exemplars, n {TIMES}")
    for column in ("to concepts", "ms of its own", "most", "ms of encoding"):
        table.add_column(column)
    results: dict[str, object] = {}
    for size in (FEW, count):
        now = concepts[:size]
        screen = Screen(now, knowing)
        own, encoding = [], []
        for at, name in enumerate(names):
            new = tuple(f"{name}: {text}" for text in texts[at * EXEMPLARS : (at + 1) * EXEMPLARS])
            began = time.thread_time()
            vectors = encoder.encode(new)
            encoding.append((time.thread_time() - began) * 1000)
            knowing.told |= zip(new, vectors, strict=True)
            now = [*now, Concept(name, aliases=(name,), exemplars=new)]
            began = time.thread_time()
            screen = Screen(now, knowing, like=screen)
            own.append((time.thread_time() - began) * 1000)
        results[str(size)] = {"own_ms": own, "encoding_ms": encoding}
        table.add_row(
            str(size), f"{np.median(own):.0f}", f"{max(own):.0f}", f"{np.median(encoding):.0f}"
        )
    return table, results
