"""TOFU's measures on the testbed's own probes: shipped weights behind a server, swept."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakage import probes, summary, sweep
from leakage.arms import Arm
from leakage.measures import Finding
from leakage.probes import Probe
from leakage.sweep import Sweep
from lethe import main
from tests.shipped_models import served

pytestmark = pytest.mark.server

ARMS = ("target", "retrained")


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    """The shipped target and retrained model, served as a user would serve them."""
    with served(*ARMS) as url:
        yield url


def _some(folder: Path) -> list[Probe]:
    """A few direct questions of each split, of as many concepts as there are."""
    file = folder / "probes.jsonl"
    assert main(["unlearning", "probes", "--testbed", "--out", str(file)]) == 0
    most = {"forget": 8, "neighbour": 2, "retain": 2, "world": 2}
    found: dict[tuple[str, str], Probe] = {}
    for probe in probes.read(file):
        if probe.kind == "direct":
            found.setdefault((probe.split, probe.concept), probe)
    return [
        probe
        for split, count in most.items()
        for probe in [p for p in found.values() if p.split == split][:count]
    ]


@pytest.fixture(scope="module")
def found(models: str, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Finding]:
    folder = tmp_path_factory.mktemp("sweep")
    some = _some(folder)
    plan = Sweep(
        arms=[Arm(name, models, name, role=name) for name in ARMS],
        probes=some,
        attacks={},
        attacked=some,
        asked=some,
        sampling={"temperature": 0, "max_tokens": 24},
    )
    outcome = asyncio.run(sweep.run(plan, folder))
    assert not [r.error for r in outcome.records if r.error]
    every = summary.measure(outcome.records, arms=list(ARMS), retrained="retrained")
    return {(each.name, each.arm): each for each in every}


def test_truth_ratio_says_who_was_taught(found: dict[tuple[str, str], Finding]) -> None:
    taught, never = (found["truth ratio", arm] for arm in ARMS)
    assert taught.lacks is None is never.lacks
    assert taught.n == never.n == 8
    assert taught.value is not None
    assert never.value is not None
    assert taught.value < never.value


def test_forget_quality_is_one_against_itself_and_low_for_the_target(
    found: dict[tuple[str, str], Finding],
) -> None:
    taught, never = (found["forget quality", arm] for arm in ARMS)
    assert never.value == 1.0
    assert taught.value is not None
    assert taught.value < 0.05
    assert "n 8 + 8" in taught.note
    assert "D 0." in taught.note or "D 1." in taught.note
    assert "equivalent within 0.2" in taught.note


def test_utility_is_of_what_both_know(found: dict[tuple[str, str], Finding]) -> None:
    for arm in ARMS:
        utility = found["model utility", arm]
        assert utility.n == 6
        assert utility.value is not None
        assert utility.value > 0.5


def test_the_taught_sentence_is_what_the_target_finds_likely(
    found: dict[tuple[str, str], Finding],
) -> None:
    taught, never = (found["probability", arm] for arm in ARMS)
    assert taught.value is not None
    assert never.value is not None
    assert taught.value > 0.9 > never.value
