"""A choice of probes is spread over concepts, and the same every time."""

from leakage.probes import Probe
from leakage.selection import chosen

PROBES = [
    Probe(f"{split}{n}", f"c{n // 5}", "direct", split, "Why?", ("x",))
    for split in ("forget", "world")
    for n in range(20)
]


def test_each_concept_comes_once_before_any_comes_twice() -> None:
    found = chosen(PROBES, {"forget": 6, "world": 0}, seed=1)
    counts = [sum(p.concept == f"c{n}" for p in found) for n in range(4)]
    assert sorted(counts) == [1, 1, 2, 2]
    assert found == [p for p in PROBES if p in found]
    assert found == chosen(PROBES, {"forget": 6, "world": 0}, seed=1)
    assert found != chosen(PROBES, {"forget": 6, "world": 0}, seed=2)


def test_a_split_that_is_not_named_is_used_whole() -> None:
    assert chosen(PROBES, {}, seed=0) == PROBES
