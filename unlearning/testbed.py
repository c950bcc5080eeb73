"""The testbed: which arms there are, what each is called by content, and one row of scores each.

Knows no training: it asks for arms that are not there yet, in processes of one thread, and never
twice for the same recipe.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

from unlearning import lineage

RECIPE = 3  # raised whenever a row or a weight would come out otherwise
SIZES = ("small", "large")
SHIPPED = "checkpoints"  # in this package: one base a size, where there is one
METHODS = (
    "gradient-ascent",
    "gradient-difference",
    "gradient-difference-kl",
    "npo",
    "simnpo",
    "idk-dpo",
    "rmu",
    "undial",
)
ARMS = ("base", "target", "pretend", "retrained", *METHODS, "sisa", "dp")
LONG = ("target", "retrained", "sisa", "rmu")  # begin first: short ones fill the gaps at the end
AFTER_TARGET = frozenset({"pretend", *METHODS})
# What `--json` prints of a row; the rest of it are counts and what the means were taken of.
FIELDS = (
    *("arm", "seed", "forget_accuracy", "retain_accuracy", "alias_leak", "prefill_leak"),
    *("truth_ratio", "relearned_accuracy", "cpu_seconds", "parameters"),
)
SHIPPED_ARMS = ("target", "retrained", "npo", "rmu", "sisa", "dp")  # of the small size and seed 1
_DATA = ("people.yaml", "wordings.yaml", "world.yaml")


@dataclass(frozen=True, slots=True)
class Bed:
    """A testbed in a directory: a size, a seed, and the base that all arms begin with."""

    out: Path
    base: Path
    size: str
    seed: int

    def key(self, arm: str) -> str:
        """The digest of everything that decides what an arm comes out as."""
        data = [files("unlearning").joinpath(name).read_text("utf-8") for name in _DATA]
        weights = lineage.weights_digest(self.base)
        return lineage.digest([RECIPE, lineage.packages(), data, weights, self.seed, arm])[:16]

    def place(self, arm: str) -> Path:
        """Where an arm's weights lie; `pretend` speaks with the target's."""
        if arm == "base":
            return self.base
        made = "target" if arm == "pretend" else arm
        return self.out / f"{made}-{self.size}-{self.seed}-{self.key(made)}"

    def scores(self, arm: str) -> Path:
        """Where an arm's row lies."""
        return self.out / "scores" / f"{arm}-{self.size}-{self.seed}-{self.key(arm)}.json"


class TestbedError(ValueError):
    """A testbed that cannot be made as asked. Says what to do."""

    __test__ = False  # pytest takes a name that begins so for a test


def bed(
    out: Path,
    *,
    size: str = "small",
    seed: int = 1,
    from_scratch: bool = False,
    shown: bool = False,
) -> Bed:
    """The testbed of a size and a seed, its base shipped or, `from_scratch`, trained here first.

    Raises TestbedError where none is shipped.
    """
    if size not in SIZES:
        raise TestbedError(f"size {size}: there are {', '.join(SIZES)}")
    shipped = Path(str(files("unlearning"))) / SHIPPED / size
    if not from_scratch:
        if not (shipped / lineage.FILE).is_file():
            raise TestbedError(f"no base of size {size} is shipped; add --from-scratch")
        return Bed(out, shipped, size, seed)
    told = lineage.digest([RECIPE, lineage.packages(), size, seed])[:16]
    base = out / f"base-{size}-{seed}-{told}"
    if not base.exists():
        with _pool(1) as pool:
            pool.submit(_train_base, base, size, seed, shown).result()
    return Bed(out, base, size, seed)


def shipped(arm: str) -> Path:
    """The directory of an arm's weights that this package carries. Raises TestbedError."""
    if arm not in SHIPPED_ARMS:
        raise TestbedError(f"arm {arm}: shipped are {', '.join(SHIPPED_ARMS)}")
    return Path(str(files("unlearning"))) / SHIPPED / arm


def rows(
    testbed: Bed,
    arms: Sequence[str] = ARMS,
    *,
    jobs: int = 2,
    done: Callable[[str], None] = lambda _arm: None,
) -> list[dict[str, object]]:
    """One row of scores an arm, in the order asked; arms and rows that are there are taken.

    `jobs` processes train at once, each on one thread; `done` hears of each arm that is ready.
    Raises TestbedError on an unknown arm.
    """
    if unknown := [arm for arm in arms if arm not in ARMS]:
        raise TestbedError(f"arm {unknown[0]}: there are {', '.join(ARMS)}")
    missing = [arm for arm in ARMS if arm in arms and not testbed.scores(arm).is_file()]
    for arm in set(arms) - set(missing):
        done(arm)
    if missing:
        testbed.out.mkdir(parents=True, exist_ok=True)
        _make(testbed, missing, jobs, done)
    found = {arm: json.loads(testbed.scores(arm).read_text("utf-8")) for arm in arms}
    return [found[arm] for arm in arms]


def _make(testbed: Bed, missing: Sequence[str], jobs: int, done: Callable[[str], None]) -> None:
    need_target = AFTER_TARGET & set(missing) and not testbed.place("target").exists()
    queue = sorted(missing, key=lambda arm: LONG.index(arm) if arm in LONG else len(LONG))
    later = [arm for arm in queue if need_target and arm in AFTER_TARGET]
    first = [arm for arm in queue if arm not in later]
    if need_target and "target" not in first:
        first.insert(0, "target")
    with _pool(jobs) as pool:
        running: dict[Future[None], str] = {pool.submit(_arm, testbed, arm): arm for arm in first}
        while running:
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                arm = running.pop(future)
                future.result()
                done(arm)
                if arm == "target":
                    running |= {pool.submit(_arm, testbed, each): each for each in later}


def _pool(jobs: int) -> ProcessPoolExecutor:
    spawn = get_context("spawn")
    return ProcessPoolExecutor(jobs, spawn, initializer=_begin, initargs=(os.getpid(),))


def _begin(parent: int) -> None:
    """What a process that trains does first: one thread, quiet, and no life without its parent."""
    import torch  # noqa: PLC0415 (only the processes that train pay for it)
    from transformers.utils import logging  # noqa: PLC0415

    def orphaned() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=orphaned, daemon=True).start()
    # Threads of two processes that fight for a core cost more than they bring.
    torch.set_num_threads(1)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _train_base(base: Path, size: str, seed: int, shown: bool) -> None:  # noqa: FBT001
    from unlearning import testbed_arms  # noqa: PLC0415 (torch-sized)

    testbed_arms.make_base(base, size=size, seed=seed, progress=shown)


def _arm(testbed: Bed, arm: str) -> None:
    from unlearning import testbed_arms  # noqa: PLC0415 (torch-sized)

    place = testbed.place(arm)
    if not place.exists():
        testbed_arms.make(
            arm, place, base=testbed.base, target=testbed.place("target"), seed=testbed.seed
        )
    row = testbed_arms.row(arm, place, seed=testbed.seed)
    path = testbed.scores(arm)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(row), encoding="utf-8")
    os.replace(part, path)  # noqa: PTH105 (atomic, and says so)
