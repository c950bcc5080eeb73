"""What peers are asked, and what an answer of theirs costs. Knows no peer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection_parts.measured import Rate, at_most, counted
from benchmarks.detection_parts.texts import Probe
from classifiers.readings import joined

SHARES = (0.2, 0.1)  # of neighbours that may be stopped

Rows = dict[str, dict[str, Rate]]
Texts = Sequence[Sequence[str]]  # for each probe, what is asked
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program, made of the same people.

    ask   decides on one text as a request makes it do
    rows  way to decide → columns of `detection.py` → rate
    """

    name: str
    ask: Callable[[str], object]
    rows: Callable[[Sequence[Probe]], Rows]


def asked(probes: Sequence[Probe]) -> dict[str, Texts]:
    """Question and answer each by itself, and the answer behind its question."""
    return {
        "question, answer": [[p.question, p.answer] for p in probes],
        "question, exchange": [[p.question, joined(p.question, p.answer)] for p in probes],
    }


def at_shares(name: str, values: Values, probes: Sequence[Probe]) -> Rows:
    """What leaks at each of SHARES, where the highest value of a probe decides."""
    kept = values[np.array([probe.kind == "neighbour" for probe in probes])]
    return {
        f"{name}, neighbours at most {share:.0%}": counted(probes, values >= at_most(kept, share))
        for share in SHARES
    }


def seconds(ask: Callable[[str], object], texts: Sequence[str]) -> float:
    """CPU time a text, one by one: the machine's other work does not count."""
    ask(texts[0])
    start = time.process_time()
    for text in texts:
        ask(text)
    return (time.process_time() - start) / len(texts)
