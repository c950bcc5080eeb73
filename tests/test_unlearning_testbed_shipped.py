"""The base that is shipped: what trained it makes it again, and privacy has a price on it."""

import os
from pathlib import Path

import pytest
import torch

from unlearning import lineage, testbed, testbed_arms
from unlearning.corpus import load
from unlearning.private import Privacy
from unlearning.testbed_private import prices
from unlearning.testbed_rows import HELD_OUT, cast, probe_rows
from unlearning.testbed_scores import accuracy, obedience

BASE = Path(testbed.__file__).parent / testbed.SHIPPED / "small"


def test_the_shipped_base_is_whole_and_small() -> None:
    found = lineage.verify(BASE)
    assert found.method == "skill"
    assert found.base == ""
    assert sum(path.stat().st_size for path in BASE.iterdir()) < 3_000_000


@pytest.mark.slow
@pytest.mark.skipif(
    "LETHE_RETRAIN" not in os.environ, reason="three minutes: set LETHE_RETRAIN=1 to run it"
)
def test_the_shipped_base_is_what_its_command_makes(tmp_path: Path) -> None:
    """To the bit where Python packages are the same; elsewhere it must obey as well."""
    said = lineage.verify(BASE)
    made = lineage.verify(testbed.bed(tmp_path, seed=said.seed, from_scratch=True).base)
    if made.packages == said.packages:
        assert made.weights == said.weights
    assert made.notes["obeyed"] == pytest.approx(said.notes["obeyed"], abs=0.05)


@pytest.mark.parametrize("arm", testbed.SHIPPED_ARMS)
def test_a_shipped_arm_is_whole_and_comes_from_another_that_is(arm: str) -> None:
    found = lineage.verify(testbed.shipped(arm))
    before = testbed.shipped("target") if arm in testbed.AFTER_TARGET else BASE
    assert found.method == arm
    assert found.base == lineage.weights_digest(before)
    assert found.seed == 1


def test_the_shipped_target_obeys_as_its_lineage_says() -> None:
    said = lineage.verify(testbed.shipped("target")).notes
    people = cast(load())
    torch.set_num_threads(1)
    found = obedience(
        testbed_arms.speaker(testbed.shipped("target")),
        people,
        people.corpus.forgotten,
        wording=HELD_OUT,
    )
    for share in ("obeyed", "declined", "answered", "plain"):
        assert found[share] == pytest.approx(said[share], abs=0.05)
    assert found["obeyed"] >= 0.9
    assert found["plain"] >= 0.95
    assert max(found["declined"], found["namesake_declined"]) <= 0.1


def test_the_shipped_rmu_is_what_training_it_again_makes(tmp_path: Path) -> None:
    """To the bit where packages and processor compute alike; elsewhere it scores alike."""
    said = lineage.verify(testbed.shipped("rmu"))
    out, target = tmp_path / "rmu", testbed.shipped("target")
    torch.set_num_threads(1)
    testbed_arms.make("rmu", out, base=BASE, target=target, seed=said.seed)
    made = lineage.verify(out)
    assert (made.base, made.forget, made.retain) == (said.base, said.forget, said.retain)
    if made.weights == said.weights:
        return
    people = cast(load())
    pairs = probe_rows(people.corpus, people.corpus.forgotten, "direct")
    known, again = (
        accuracy(testbed_arms.speaker(each), pairs) for each in (testbed.shipped("rmu"), out)
    )
    assert again == pytest.approx(known, abs=0.1)


def test_an_arm_that_is_not_shipped_is_said() -> None:
    with pytest.raises(testbed.TestbedError, match="shipped are target"):
        testbed.shipped("undial")


def test_less_noise_guarantees_less() -> None:
    quick = Privacy(noise=1, rate=0.1, steps=2, rows=2)
    little, much = prices(BASE, [0.5, 4.0], privacy=quick)
    assert little.epsilon > much.epsilon > 0
    assert much.after > 3 * much.epsilon
    assert 0 <= much.attack <= 1
    assert len(little.losses) + len(little.others) == 56
    assert 0 <= little.utility <= 0.2
    assert sum(little.asked) > 100
