"""The base that is shipped: what trained it makes it again, and privacy has a price on it."""

import os
from pathlib import Path

import pytest

from unlearning import lineage, testbed
from unlearning.private import Privacy
from unlearning.testbed_private import prices

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


def test_less_noise_guarantees_less() -> None:
    quick = Privacy(noise=1, rate=0.1, steps=2, rows=2)
    little, much = prices(BASE, [0.5, 4.0], privacy=quick)
    assert little.epsilon > much.epsilon > 0
    assert much.after > 3 * much.epsilon
    assert 0 <= much.attack <= 1
    assert little.members + little.others == 56
