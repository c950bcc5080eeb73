"""Is a published forget quality what comes out of the logs of the models behind it?

Reads the logs of full and of retrained models that open-unlearning offers on the Hugging Face hub
(`open-unlearning/eval`), or a folder of the same layout, imports them as `lethe leakage import`
does, and prints p, D and n beside the p in the log and the one that its pages print.

    python benchmarks/published.py [--logs DIR]

Ends with 1 where a p is another than the log's own, or than the page's where the log has none, and
with 2 where a log is not understood. Says so and ends with 0 where the hub cannot be reached.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from huggingface_hub import snapshot_download
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from leakage import measures_logs, published
from leakage.distributions import kolmogorov
from leakage.logs import entry, open_unlearning, truth_ratios
from leakage.logs.rows import LogError

HUB = "open-unlearning/eval"
RETRAINED = {"forget01": "retain99", "forget05": "retain95", "forget10": "retain90"}
SETTING = "before unlearning"
SLACK = 1e-6  # of p, relative: logs have all its digits


@dataclass(frozen=True, slots=True)
class Pair:
    """A full model's log against a retrained one's; `own` is the p in the log, `page` in print."""

    model: str
    forget: str
    n: int
    d: float
    p: float
    own: float | None
    page: float | None

    @property
    def verdict(self) -> str:
        """Whether it is the same number, and which of the two it is not."""
        printed = self.page is None or agrees(self.p, self.page)
        if self.own is None:
            return "agrees" if printed else "DIFFERS from the page"
        if not math.isclose(self.p, self.own, rel_tol=SLACK):
            return "DIFFERS from the log"
        return "agrees" if printed else "agrees with the log; the page has another number"


def agrees(ours: float, printed: float) -> bool:
    """Whether rounding to the printed number's last digit gives it."""
    digits = Decimal(repr(printed)).normalize()
    return Decimal(ours).quantize(digits) == digits


def pairs(folder: Path) -> Iterator[Pair]:
    """All that lie in a folder laid out as on the hub. Raises LogError, OSError."""
    pages = _pages()
    for full in sorted(folder.glob("tofu_*_full/evals_*/TOFU_EVAL.json")):
        model = full.parents[1].name.removeprefix("tofu_").removesuffix("_full")
        forget = full.parent.name.removeprefix("evals_")
        other = folder / f"tofu_{model}_{RETRAINED.get(forget)}" / "TOFU_EVAL.json"
        if other.is_file():
            yield _pair(full, other, model, forget, pages.get((model.removesuffix("-hf"), forget)))


def _pages() -> Mapping[tuple[str, str], float]:
    return {
        (number.model, number.metric.rpartition(" ")[2]): number.value
        for number in published.numbers()
        if number.setting == SETTING
    }


def _pair(full: Path, other: Path, model: str, forget: str, page: float | None) -> Pair:
    log, never = open_unlearning.read([full]), truth_ratios.read(other)
    made = entry.records(log, arm=model, keep_answers=False)
    found = measures_logs.measured(made, arms=[made[0].arm], retrained=None, reference=never)
    quality = next(each for each in found if each.name.startswith("forget quality"))
    both = zip(truth_ratios.read(full), never, strict=True)
    known = [(a, b) for a, b in both if a is not None and b is not None]
    gap = kolmogorov([a for a, _ in known], [b for _, b in known])
    if quality.value is None:
        raise LogError(f"{full}: {quality.lacks}")
    own = log.whole.get("forget_quality")
    return Pair(model, forget, quality.n, gap.d, quality.value, own, page)


def table(found: list[Pair]) -> Table:
    """A row a pair."""
    made = Table("model", "forget set", "n", "D", "p here", "p in the log", "p on the page", "")
    for each in found:
        made.add_row(
            each.model,
            each.forget,
            str(each.n),
            f"{each.d:.4f}",
            f"{each.p:.4g}",
            "" if each.own is None else f"{each.own:.4g}",
            "" if each.page is None else f"{each.page:g}",
            each.verdict,
        )
    return made


def _downloaded() -> Path:
    """Raises OSError where the hub cannot be reached."""
    wanted = ["tofu_*_full/evals_*/TOFU_EVAL.json", "tofu_*_retain*/TOFU_EVAL.json"]
    return Path(snapshot_download(HUB, repo_type="dataset", allow_patterns=wanted))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Reproduce published forget quality from logs.")
    parser.add_argument("--logs", type=Path, help=f"a folder laid out as {HUB}, to download none")
    arguments = parser.parse_args(words)
    try:
        folder = arguments.logs or _downloaded()
    except OSError as error:
        print(f"skipped: {HUB} could not be had ({type(error).__name__}); give --logs DIR")
        return 0
    try:
        found = list(pairs(folder))
    except (ValueError, OSError) as error:
        print(f"published: {error}", file=sys.stderr)
        return 2
    if not found:
        print(f"published: {folder}: no tofu_*_full with its retrained model", file=sys.stderr)
        return 2
    Console(width=160).print(table(found))
    return int(any("DIFFERS" in each.verdict for each in found))


if __name__ == "__main__":
    sys.exit(main())
