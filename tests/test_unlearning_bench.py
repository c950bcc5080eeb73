"""What the benchmark of exact and private forgetting prints: never a number without its n."""

import io
from collections.abc import Iterator

import pytest
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.unlearning import (
    PRIVACY,
    auc_interval,
    deletions,
    exact_table,
    private_table,
)
from unlearning.testbed_private import Price
from unlearning.testbed_rows import asked


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost tiny models more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_attack_that_tells_nothing_is_not_told_from_guessing() -> None:
    some = [float(at % 7) for at in range(28)]
    low, high = auc_interval(some, some)
    assert low < 0.5 < high
    assert auc_interval([0.0] * 28, [1.0] * 28) == (1.0, 1.0)


def test_a_price_is_printed_with_its_numbers_and_intervals() -> None:
    price = Price(
        noise=1.0,
        epsilon=8.4,
        after=67.0,
        delta=1 / 28**2,
        losses=(1.0,) * 28,
        others=(1.0,) * 28,
        known=(1,) + (0,) * 27,
        asked=(4,) * 28,
        cpu_s=3.0,
    )
    said = printed(private_table([price], PRIVACY))
    assert "28 taught, 28 not" in said
    assert "0.50 [0.50, 0.50]" in said
    assert "1/112 0.01 [0.00, " in said
    assert "8.4" in said


def test_a_deletion_costs_its_share_of_the_rows_and_the_formula_stands_beside() -> None:
    rows = [
        asked("", f"Where was person {unit} born?", f"In town {at}.", f"person {unit}")
        for unit in range(24)
        for at in range(2)
    ]
    found = deletions("2x2", rows, count=3)
    assert found.formula == pytest.approx(5 / 12)
    assert len(found.rows) == len(found.cpu) == 3
    # One shard's last slice at least, and never more than the larger shard.
    assert all(0.1 < share < 0.8 for share in found.rows)
    assert "2x2" in printed(exact_table([found]))
