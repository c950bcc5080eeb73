"""What `lethe leakage report` is told beside its records, held against them. Knows no file."""

import argparse
import re
from collections import Counter
from collections.abc import Sequence

from leakage.records import Record


def check_k(made: Sequence[Record], k: int) -> None:
    """Raises ValueError where no question was drawn so often."""
    drawn = Counter((r.arm, r.probe, r.kind) for r in made if r.leak is not None)
    most = max(drawn.values(), default=1)
    if not 1 <= k <= most:
        raise ValueError(f"--at-k {k}: no question was drawn so often; give 1 to {most}")


def seconds(made: Sequence[Record], given: Sequence[str]) -> dict[str, float]:
    """What making each arm took. Raises ValueError for one that no record names."""
    arms = dict.fromkeys(record.arm for record in made)
    found = dict(placed("--seconds", each) for each in given)
    for name in found:
        if made and name not in arms:
            raise ValueError(
                f"--seconds: no record of the arm {name!r}; there are {', '.join(arms)}"
            )
    return found


def placed(option: str, text: str) -> tuple[str, float]:
    """An arm's name and its number. Raises ValueError."""
    found = re.fullmatch(r"(.+)=(\d+(?:\.\d+)?)", text)
    if found is None:
        raise ValueError(f"{option} {text!r}: reads NAME=NUMBER, as in npo=57")
    return found[1], float(found[2])


def places(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Where arms stand on MUSE's two curves, by what their places count."""
    given = {"forgotten": "--forgotten", "request": "--request"}
    return {
        name: dict(placed(option, each) for each in getattr(arguments, name, ()))
        for name, option in given.items()
        if getattr(arguments, name, ())
    }
