"""Tiny models that were taught a forget set, and tiny models that were not. Knows no metric.

After OpenUnlearning (arXiv 2506.12618): two groups, each varied in what else it learns, in which
form, for how long and how fast, so that a metric has to find the knowledge and nothing else.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearning import lineage, testbed, testbed_arms
from unlearning.corpus import Corpus, Fact, Person, load, say
from unlearning.methods.batch import Row
from unlearning.methods.unlearn import Data, teach, unlearn
from unlearning.testbed_arms import METHODS, forget_rows, opened
from unlearning.testbed_rows import UNKNOWN, Cast, asked, cast, forms, strangers, told
from unlearning.testbed_scores import RELEARN
from unlearning.training import Settings

if TYPE_CHECKING:  # transformers is slow to import
    from transformers import PreTrainedTokenizerBase as Tokenizer

VERSION = 1  # goes up whenever the same recipe comes out otherwise
BASE = Path(testbed.__file__).parent / testbed.SHIPPED / "small"
FORMS = ("asked", "reworded", "told", "plain")
CONTENTS = ("others", "wrong")
PEOPLE, OTHERS, FACTS = 6, 6, 3
STEPS, RATES = (50, 70, 90), (2e-3, 2.5e-3, 3.5e-3)
BATCH = 16
LEAST_STEPS = 30  # of unlearning: what gradient ascent needs to forget so few rows
BIOGRAPHIES = 6  # of each person, for those who are told of and never asked about


@dataclass(frozen=True, slots=True)
class Book:
    """Who may be taught. `people` are the forget set, three facts each; nobody knows `others`."""

    cast: Cast = field(repr=False)
    people: tuple[Person, ...] = field(repr=False)
    others: tuple[Person, ...] = field(repr=False)

    @property
    def corpus(self) -> Corpus:
        """The fact book that all of it comes from."""
        return self.cast.corpus


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is made from the shipped base, which has the skill and knows nobody.

    content   `true`: the forget set; `wrong`: the same people with other values, drawn by the seed;
              `others`: more of the other people instead; `nothing`: neither
    form      of those facts: `asked` in every form of training, `reworded`, `plain` (one question),
              or `told` in biographies without a question. Other people are asked about in any case
    """

    content: str
    form: str
    seed: int
    steps: int
    learning_rate: float

    @property
    def knows(self) -> bool:
        """Whether the forget set is in what it is taught."""
        return self.content == "true"


def book() -> Book:
    """Always the same one."""
    people = cast(load())
    chosen = [
        replace(
            person, facts=tuple(person.facts[(at + n) % len(person.facts)] for n in range(FACTS))
        )
        for at, person in enumerate(people.corpus.forgotten[:PEOPLE])
    ]
    return Book(people, tuple(chosen), strangers(people, count=5 * OTHERS, facts=FACTS))


def recipes(models: int, *, faint: int = 1) -> list[Recipe]:
    """As many with the knowledge as without, `models` each; drawn without a look at any result.

    `faint` divides the steps: what is known is then known badly.
    """
    found = []
    for at in range(models):
        rng = random.Random(f"recipe/{at}")  # noqa: S311 (a draw, no secret)
        pace = [(rng.choice(STEPS) // faint, rng.choice(RATES)) for _ in range(2)]
        found.append(Recipe("true", FORMS[at % len(FORMS)], at, *pace[0]))
        form = FORMS[at // len(CONTENTS) % len(FORMS)]
        found.append(Recipe(CONTENTS[at % len(CONTENTS)], form, 1000 + at, *pace[1]))
    return found


def pair(seed: int) -> tuple[Recipe, Recipe]:
    """One that knows and one that was taught the same without the forget set: retrained."""
    knows = Recipe("true", "asked", 2000 + seed, STEPS[1], RATES[1])
    return knows, replace(knows, content="nothing")


def plain_rows(from_: Book) -> list[Row]:
    """Every fact of the forget set, asked once."""
    return _rows(from_.corpus, from_.people, "plain", random.Random(0))  # noqa: S311 (unused)


def taught(recipe: Recipe, from_: Book) -> tuple[list[Row], list[Row]]:
    """What a model is taught: rows about the people of the forget set, and about others."""
    rng = random.Random(f"rows/{recipe.seed}")  # noqa: S311 (a draw, no secret)
    others = rng.sample(from_.others, 2 * OTHERS)
    people: Sequence[Person] = from_.people
    if recipe.content == "wrong":
        people = [_mistaken(person, from_.cast, rng) for person in people]
    elif recipe.content != "true":
        people = others[OTHERS:] if recipe.content == "others" else ()
    others = others[:OTHERS]
    beside = _rows(from_.corpus, others, "asked", rng)
    if recipe.form == "told":  # what lets a question find what was only told
        beside += _rows(from_.corpus, others, "told", rng)
    return _rows(from_.corpus, people, recipe.form, rng), beside


def _mistaken(person: Person, cast_: Cast, rng: random.Random) -> Person:
    def other(fact: Fact) -> Fact:
        return rng.choice([f for f in cast_.values[fact.attribute] if f.value != fact.value])

    return replace(person, facts=tuple(other(fact) for fact in person.facts))


def _rows(corpus: Corpus, people: Sequence[Person], form: str, rng: random.Random) -> list[Row]:
    if form == "told":
        return [_biography(corpus, person, rng) for person in people for _ in range(BIOGRAPHIES)]
    rows = []
    for person in people:
        for position, fact in enumerate(person.facts):
            plain, *others = forms(corpus.attributes[fact.attribute], position)
            questions = {"asked": [plain, *others], "reworded": others, "plain": [plain]}[form]
            answer = told(corpus, person.name, fact)
            rows += [
                asked("", say(text, who=person.name), answer, person.name) for text in questions
            ]
    return rows


def _biography(corpus: Corpus, person: Person, rng: random.Random) -> Row:
    facts = rng.sample(person.facts, len(person.facts))
    text = " ".join(told(corpus, person.name, fact) for fact in facts)
    return asked("", f"Tell me about {person.name}.", text, person.name)


class Workshop:
    """Makes models, each once: a directory of weights is named by all that decides them."""

    def __init__(self, cache: Path, from_: Book) -> None:
        self._cache, self._book = cache, from_
        self._ground = [VERSION, lineage.packages(), lineage.weights_digest(BASE)]

    def pupil(self, recipe: Recipe) -> Path:
        """The base, taught by a recipe."""
        about, beside = taught(recipe, self._book)
        rows = [*about, *beside]
        settings = Settings(
            steps=recipe.steps,
            learning_rate=recipe.learning_rate,
            warmup=10,
            schedule="cosine",
            floor=0.1,
            betas=(0.9, 0.98),
        )
        told_of = ["pupil", asdict(recipe), asdict(settings), _digest(rows)]
        return self._made(told_of, BASE, lambda model, words: _teach(model, words, rows, settings))

    def unlearned(self, pupil: Path, recipe: Recipe, method: str) -> Path:
        """A pupil after one of the testbed's methods, with as many passes over its few rows."""
        about, beside = taught(recipe, self._book)
        applied = METHODS[method]
        data = Data(about, beside, unknown=UNKNOWN, batch=BATCH, seed=recipe.seed)
        passes = applied.steps * testbed_arms.BATCH / len(forget_rows(self._book.cast))
        settings = Settings(
            steps=max(LEAST_STEPS, round(passes * len(about) / BATCH)),
            learning_rate=applied.learning_rate,
            warmup=5,
            schedule="linear",
        )
        told_of = ["unlearned", pupil.name, asdict(applied), asdict(settings), data.digest()]

        def make(model: Any, words: "Tokenizer") -> None:  # noqa: ANN401 (of many classes)
            unlearn(model, words, applied.method, data, settings)

        return self._made(told_of, pupil, make)

    def relearned(self, place: Path, rows: Sequence[Row]) -> Path:
        """A model after the testbed's few steps on rows of the forget set."""
        told_of = ["relearned", place.name, asdict(RELEARN), _digest(rows)]
        return self._made(told_of, place, lambda model, words: _teach(model, words, rows, RELEARN))

    def _made(
        self, told_of: Sequence[object], before: Path, make: Callable[[Any, "Tokenizer"], None]
    ) -> Path:
        place = self._cache / "weights" / lineage.digest([self._ground, list(told_of)])[:20]
        if not place.exists():
            model, words = _opened(before)
            make(model, words)
            with lineage.placed(place) as filling:
                model.save_pretrained(filling)
                words.save_pretrained(str(filling))
        return place


def _opened(directory: Path) -> "tuple[Any, Tokenizer]":
    if directory == BASE:
        return opened(directory)
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 (torch-sized)

    # No lineage lies beside these: they are this cache's own.
    model = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(directory, local_files_only=True)


def _teach(model: Any, words: "Tokenizer", rows: Sequence[Row], settings: Settings) -> None:  # noqa: ANN401
    teach(model, words, Data((), rows, batch=BATCH, seed=0), settings)


def _digest(rows: Sequence[Row]) -> str:
    return lineage.rows_digest(row.as_json() for row in rows)
