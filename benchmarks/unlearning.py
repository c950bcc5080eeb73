"""What exact and private forgetting cost on the testbed, beside what the formulas promise.

Trains from the shipped base, on this machine, on one thread. Knows no method that approximates.

    python benchmarks/unlearning.py [--noise S ...] [--plan SHARDSxSLICES ...] [--json FILE]
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from leakage.statistics import Count, clustered, quantile
from unlearning import sisa, testbed
from unlearning.corpus import load
from unlearning.methods.batch import Row
from unlearning.private import Privacy, membership_auc
from unlearning.testbed_arms import opened, sisa_rows
from unlearning.testbed_private import Price, prices
from unlearning.testbed_rows import cast

BASE = Path(testbed.__file__).parent / testbed.SHIPPED / "small"
# Short, so that it takes minutes: without noise these steps teach all there is.
PRIVACY = Privacy(noise=1.0, rate=0.25, steps=120, rows=8, learning_rate=3e-3)
NOISES = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
PLANS = ("2x2", "4x3")
EPOCHS = 2.0  # what a deletion costs is a share, whatever the whole costs
DELETIONS = 6
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Deletions:
    """Single deletions from copies of one ensemble; each cost as a share of building it."""

    plan: str
    formula: float
    rows: tuple[float, ...]
    cpu: tuple[float, ...]


def main() -> int:
    """Measure both, print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=float, nargs="*", default=NOISES, help="of DP-SGD")
    parser.add_argument("--plan", nargs="*", default=PLANS, help="of SISA, such as 4x3")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all of it, for whoever counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    console, privacy = Console(width=110), replace(PRIVACY, seed=arguments.seed)
    told = Console(stderr=True)
    found = [
        prices(BASE, [noise], privacy=privacy)[0]
        for noise in track(arguments.noise, "DP-SGD", console=told)
    ]
    if found:
        console.print(private_table(found, privacy))
    rows = sisa_rows(cast(load()))
    exact = [deletions(plan, rows) for plan in track(arguments.plan, "SISA", console=told)]
    if exact:
        console.print(exact_table(exact))
    if arguments.json:
        told_all = {
            "private": [asdict(each) for each in found],
            "exact": [asdict(e) for e in exact],
        }
        arguments.json.write_text(json.dumps(told_all, indent=1), "utf-8")
    return 0


def private_table(found: Sequence[Price], privacy: Privacy) -> Table:
    """A line a noise: what is guaranteed, what an attacker tells, what is learned."""
    first = found[0]
    table = Table(
        title=f"DP-SGD, the unit is a person: {len(first.losses)} taught, {len(first.others)} not, "
        f"{privacy.steps} steps at rate {privacy.rate:g}, delta {first.delta:.2g}, "
        f"seed {privacy.seed}; 95 % intervals over persons"
    )
    heads = ("noise", "epsilon", "after 3 deletions", "membership AUC", "utility", "CPU s")
    for head in heads:
        table.add_column(head, justify="right")
    for each in found:
        low, high = auc_interval(each.losses, each.others)
        right = clustered(Count(k, n) for k, n in zip(each.known, each.asked, strict=True))
        table.add_row(
            f"{each.noise:g}",
            f"{each.epsilon:.4g}",
            f"{each.after:.4g}",
            f"{each.attack:.2f} [{low:.2f}, {high:.2f}]",
            f"{right.k}/{right.n} {each.utility:.2f} [{right.low:.2f}, {right.high:.2f}]",
            f"{each.cpu_s:.0f}",
        )
    return table


def auc_interval(members: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """The percentile bootstrap over persons, Efron 1979, each side drawn by itself."""
    rng = random.Random(0)  # noqa: S311 (a sample, no secret)
    drawn = [
        membership_auc(rng.choices(members, k=len(members)), rng.choices(others, k=len(others)))
        for _ in range(RESAMPLES)
    ]
    return quantile(drawn, 0.025), quantile(drawn, 0.975)


def deletions(written: str, rows: Sequence[Row], *, count: int = DELETIONS) -> Deletions:
    """Build an ensemble; from copies of it, delete single units, the same for every plan."""
    shards, slices = (int(number) for number in written.split("x"))
    plan = sisa.Plan(shards=shards, slices=slices, epochs=EPOCHS)
    model, words = opened(BASE)
    units = sorted({row.unit for row in rows})
    chosen = random.Random(0).sample(units, count)  # noqa: S311 (a sample, no secret)
    seen, cpu = [], []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        sisa.create(model, words, rows, plan, whole)
        built = sisa.build(whole)
        for at, name in enumerate(chosen):
            copy = Path(folder) / str(at)
            shutil.copytree(whole, copy)
            gone = sisa.delete(copy, [name])
            seen.append(gone.rows_seen / built.rows_seen)
            cpu.append(gone.cost.cpu_s / built.cost.cpu_s)
            shutil.rmtree(copy)
    return Deletions(written, plan.expected_cost(), tuple(seen), tuple(cpu))


def exact_table(found: Sequence[Deletions]) -> Table:
    """A line a plan: the formula's share of a retraining, and the measured ones."""
    table = Table(
        title=f"SISA: one deletion as a share of training it all; {len(found[0].rows)} persons, "
        "each deleted from a fresh copy; mean, in brackets the least and the most"
    )
    for head in ("shards x slices", "formula", "rows seen", "CPU seconds"):
        table.add_column(head, justify="right")
    for each in found:
        table.add_row(each.plan, f"{each.formula:.3f}", _spread(each.rows), _spread(each.cpu))
    return table


def _spread(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


if __name__ == "__main__":
    sys.exit(main())
