"""The shards of a run on a Ray cluster, one attack a task, into a folder that all of them share.

Knows neither how to ask nor how to count. What is drawn is the same as in one process: keys and
chance know no machine.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from leakage import sweep
from leakage.attacks import CATALOGUE
from leakage.sweep import Outcome, Sweep


def run(plan: Sweep, folder: Path, *, address: str) -> Outcome:
    """Draw what is missing on the cluster at `address` (`local` starts one here), then gather it.

    Arms must be reachable from its machines, and the folder must lie where all of them write.
    Raises ArmError, OSError.
    """
    # Once here: what arms allow is found out, and every machine then asks the same.
    names = asyncio.run(sweep.names(plan, folder))
    ray.init(address=address, log_to_driver=False, configure_logging=False)
    try:
        _drawn(replace(plan, attacks={}), list(plan.attacks), folder, names)
    finally:
        ray.shutdown()
    return asyncio.run(sweep.run(plan, folder))


def _drawn(plan: Sweep, attacks: Sequence[str], folder: Path, names: Sequence[str]) -> None:
    remote: Any = ray.remote(_part)
    given = ray.put(plan)
    waiting = [remote.remote(given, list(attacks), str(folder), name) for name in names]
    try:
        while waiting:
            done, waiting = ray.wait(waiting)
            ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    finally:
        for each in waiting:
            ray.cancel(each)


def _part(plan: Sweep, attacks: Sequence[str], folder: str, name: str) -> int:
    """All arms' draws of one attack; how many requests they took. Runs on a worker."""
    whole = replace(plan, attacks={each: CATALOGUE[each] for each in attacks})
    return asyncio.run(sweep.part(whole, Path(folder), name))
