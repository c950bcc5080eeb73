"""Does a metric find knowledge where it is, and only there? Each metric of leakage on tiny models.

Trains models with and without the knowledge of a forget set from the shipped base, asks them over
HTTP as `lethe leakage run` does, and prints how well each metric tells the two apart; then what
another wording does to it, and a few steps of relearning. Models and values are kept by content.

    python benchmarks/faithfulness.py [--models N] [--attacks families|all|NAME,...] [--json FILE]
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.faithfulness_parts import pupils
from benchmarks.faithfulness_parts.asking import WAYS, Questions, ask, fact_of, questions
from benchmarks.faithfulness_parts.metrics import METRICS, OURS, values
from benchmarks.faithfulness_parts.pupils import Recipe, Workshop
from benchmarks.faithfulness_parts.robustness import Relearned, Robust, robust
from leakage.attacks import AttackError
from leakage.distributions import Area, area
from unlearning import lineage, testbed

CACHE = Path(__file__).resolve().parents[1] / "build" / "faithfulness"
MODELS = 20
SETS = 1  # of one model that knows, one that never knew, and every method on the first
WANTED = 0.95  # the least AUC of ours
METHODS = tuple(name for name in testbed.METHODS if name != "gradient-difference-kl")
HALVES = ("taught", "rest")
Values = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Pupil:
    """A model and what every metric says of it, by part: `asked` plainly, and `reworded` into a
    form that no model was trained in.
    """

    recipe: Recipe
    values: Values


class Desk:
    """Asks models, each once: values are kept under all that decides them."""

    def __init__(self, cache: Path, given: Questions) -> None:
        self._cache, self._given = cache, given
        facts = list(dict.fromkeys(fact_of(probe.id) for probe in given.answers))
        self._half = set(facts[::2])
        self._golds = {probe.id: probe.answers[0] for probe in given.sentences}

    def values(self, place: Path, parts: Sequence[str]) -> Values:
        """Each metric of a model, by part."""
        key = lineage.digest([pupils.VERSION, place.name, self._given.digest, list(parts)])[:20]
        path = self._cache / "values" / f"{key}.json"
        if not path.is_file():
            said = ask(place, self._given)
            found = {part: values(said, self._golds, partial(self._in, part)) for part in parts}
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".part").write_text(json.dumps(found), encoding="utf-8")
            path.with_suffix(".part").replace(path)
        kept: Values = json.loads(path.read_text("utf-8"))
        return kept

    def _in(self, part: str, probe: str) -> bool:
        if part == "reworded":
            return probe.endswith(".paraphrase")
        if not probe.endswith(".direct"):
            return False
        return part == "asked" or (fact_of(probe) in self._half) == (part == "taught")


def main(given: Sequence[str] | None = None) -> int:
    """Measure all of it, print three tables. Returns 1 where ours is less faithful than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", type=int, default=MODELS, help="with the knowledge, and as many without"
    )
    parser.add_argument(
        "--faint",
        type=int,
        default=1,
        metavar="D",
        help="divide the steps of training (%(default)s)",
    )
    parser.add_argument("--sets", type=int, default=SETS, help="of unlearned models (%(default)s)")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, help="of unlearning (all)"
    )
    parser.add_argument(
        "--attacks",
        default="families",
        help="the first of each `families`, `all`, or some by name, with commas (%(default)s)",
    )
    parser.add_argument(
        "--whole", action="store_true", help="attack every fact, not one of each of a few people"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR", help="what is kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all of it, for whoever counts")
    arguments = parser.parse_args(given)
    if arguments.models < 2 or arguments.sets < 0 or not 1 <= arguments.faint <= pupils.STEPS[0]:
        parser.error("--models takes 2 or more, --sets 0 or more, --faint 1 or a little more")
    torch.set_num_threads(1)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        found = measured(arguments)
    except AttackError as error:
        parser.error(f"--attacks: {error}")
    console = Console(width=140)
    for table in (faithful_table, taught_table, reworded_table):
        console.print(table(found))
    if found.unlearned:
        console.print(relearned_table(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found.as_json(), indent=1) + "\n", "utf-8")
    return 0 if found.areas("asked")[OURS].auc >= WANTED else 1


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured."""

    questions: Questions
    pupils: Sequence[Pupil]
    unlearned: Sequence[Relearned]
    retrained: Sequence[Relearned]

    def areas(self, part: str) -> dict[str, Area]:
        """By metric, how well it tells those who know from those who do not."""
        groups = {
            metric.name: [self.group(metric.name, part, knows=knows) for knows in (True, False)]
            for metric in METRICS
        }
        return {name: area(*both) for name, both in groups.items()}

    def group(self, metric: str, part: str, *, knows: bool) -> list[float]:
        """A metric's values of one of the two groups."""
        return [each.values[part][metric] for each in self.pupils if each.recipe.knows == knows]

    def robust(self, part: str) -> list[Robust]:
        """By metric, what relearning does. Raises ValueError where no model was unlearned."""
        return [
            robust(self.unlearned, self.retrained, metric=metric.name, part=part)
            for metric in METRICS
        ]

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "format": "lethe-faithfulness",
            "version": 1,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "questions": self.questions.digest,
            "attacks": sorted(self.questions.attacks),
            "facts": len(self.questions.answers) // 2,
            "attacked": len(self.questions.attacked) // 2,
            "metrics": [asdict(metric) for metric in METRICS],
            "faithfulness": {
                part: {name: asdict(each) for name, each in self.areas(part).items()}
                for part in WAYS
            },
            "relearning": {part: [asdict(each) for each in self.robust(part)] for part in HALVES}
            if self.unlearned
            else None,
            "models": [asdict(each) for each in self.pupils],
            "unlearned": [asdict(each) for each in self.unlearned],
            "retrained": [asdict(each) for each in self.retrained],
        }


def measured(arguments: argparse.Namespace) -> Found:
    """Make and ask every model."""
    book, told = pupils.book(), Console(stderr=True)
    given = questions(book, arguments.attacks, whole=arguments.whole)
    workshop, desk = Workshop(arguments.cache, book), Desk(arguments.cache, given)
    recipes = pupils.recipes(arguments.models, faint=arguments.faint)
    found = [
        Pupil(recipe, desk.values(workshop.pupil(recipe), tuple(WAYS)))
        for recipe in track(recipes, "models", console=told)
    ]
    # Half of a forget set is little: every fact of it is attacked.
    plainly = Desk(arguments.cache, questions(book, arguments.attacks, ["asked"], whole=True))
    half = pupils.plain_rows(book)[::2]

    def relearned(name: str, seed: int, place: Path) -> Relearned:
        before, after = (
            plainly.values(each, HALVES) for each in (place, workshop.relearned(place, half))
        )
        return Relearned(name, seed, before, after)

    unlearned, retrained = [], []
    todo = [(s, name) for s in range(arguments.sets) for name in ("retrained", *arguments.methods)]
    for seed, name in track(todo, "relearning", console=told):
        knows, never = pupils.pair(seed)
        if name == "retrained":
            retrained.append(relearned(name, seed, workshop.pupil(never)))
        else:
            place = workshop.unlearned(workshop.pupil(knows), knows, name)
            unlearned.append(relearned(name, seed, place))
    return Found(given, found, unlearned, retrained)


def faithful_table(found: Found) -> Table:
    """A line a metric: the area under the curve, both ways to ask, and the published one."""
    size = len(found.pupils) // 2
    table = Table(
        title=f"Faithfulness: AUC [95 %, DeLong over models] between {size} models that know the "
        f"forget set and {size} that do not; {len(found.questions.attacks)} attacks on "
        f"{len(found.questions.attacked) // 2} of {len(found.questions.answers) // 2} facts"
    )
    for head in ("metric", "needs", "asked", "reworded", "with / without", "published"):
        table.add_column(head, justify="left" if head in {"metric", "needs"} else "right")
    asked, reworded = found.areas("asked"), found.areas("reworded")
    for metric in METRICS:
        means = (_mean(found.group(metric.name, "asked", knows=knows)) for knows in (True, False))
        table.add_row(
            metric.name,
            "text" if metric.text else "logprobs",
            _ranged(asked[metric.name]),
            _ranged(reworded[metric.name]),
            " / ".join(f"{mean:.2f}" for mean in means),
            f"{metric.published:.3f}" if metric.published else "",
        )
    return table


def taught_table(found: Found) -> Table:
    """A line a kind of model: how much comes out of it, asked plainly."""
    table = Table(title="What they were taught of the forget set, and what comes out: means")
    for head in ("taught", "in the form", "models", OURS, "answer match"):
        table.add_column(head, justify="left" if head in {"taught", "in the form"} else "right")
    kinds: dict[tuple[str, str], list[Values]] = {}
    for each in sorted(found.pupils, key=lambda each: not each.recipe.knows):
        kinds.setdefault((each.recipe.content, each.recipe.form), []).append(each.values)
    for (content, form), group in kinds.items():
        means = (_mean([each["asked"][name] for each in group]) for name in (OURS, "answer match"))
        table.add_row(content, form, str(len(group)), *(f"{mean:.2f}" for mean in means))
    return table


def reworded_table(found: Found) -> Table:
    """A line a metric: the same models, asked plainly and in a form that none was trained in."""
    table = Table(title="Paraphrase: mean over models, asked plainly -> in a held-out form")
    for head in ("metric", "with the knowledge", "without"):
        table.add_column(head, justify="left" if head == "metric" else "right")
    for metric in METRICS:
        cells = []
        for knows in (True, False):
            before, after = (_mean(found.group(metric.name, way, knows=knows)) for way in WAYS)
            cells.append(_moved(before, after))
        table.add_row(metric.name, *cells)
    return table


def relearned_table(found: Found) -> Table:
    """A line a metric: before and after, unlearned and retrained, and R on both halves."""
    table = Table(
        title=f"Relearning every second fact: {len(found.unlearned)} unlearned models, "
        f"{len(found.retrained)} that never knew; R [95 %, bootstrap over unlearned models]"
    )
    table.add_column("metric")
    for part in HALVES:
        for head in ("unlearned", "retrained", "R"):
            table.add_column(f"{head}, {part}", justify="right")
    for metric, *halves in zip(METRICS, *(found.robust(part) for part in HALVES), strict=True):
        cells: list[str] = []
        for each in halves:
            spread = f"{each.r:.2f} [{each.low:.2f}, {each.high:.2f}]"
            cells += [_moved(*each.unlearned), _moved(*each.retrained), spread]
        table.add_row(metric.name, *cells)
    return table


def _ranged(each: Area) -> str:
    return f"{each.auc:.3f} [{each.low:.2f}, {each.high:.2f}]"


def _moved(before: float, after: float) -> str:
    return f"{before:.2f} -> {after:.2f}"


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


if __name__ == "__main__":
    sys.exit(main())
