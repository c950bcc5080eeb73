"""How each arm of the testbed is made: base, target, retrained, methods, SISA, DP-SGD.

Knows no cache and no command line: from a base and a seed to a directory of weights.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import Module

from unlearning import lineage, sisa
from unlearning.corpus import Person, load
from unlearning.lineage import Cost, Lineage
from unlearning.methods.batch import UNSEEN, Encoded, Row, collate, encode
from unlearning.methods.gradient_ascent import GradientAscent
from unlearning.methods.gradient_difference import GradientDifference
from unlearning.methods.idk_dpo import IdkDpo
from unlearning.methods.npo import Npo
from unlearning.methods.rmu import Rmu
from unlearning.methods.simnpo import SimNpo
from unlearning.methods.step import Method
from unlearning.methods.undial import Undial
from unlearning.methods.unlearn import Data, unlearn
from unlearning.private import Privacy, fit
from unlearning.testbed_model import SIZES, fresh, tokenizer
from unlearning.testbed_rows import (
    DRILLS,
    HELD_OUT,
    NAMESAKES,
    UNKNOWN,
    WORDINGS,
    Cast,
    Draws,
    asked,
    cast,
    facts_of,
)
from unlearning.testbed_scores import Speaker, obedience, score
from unlearning.training import Loss, Outcome, Run, Settings, train

if TYPE_CHECKING:  # transformers is slow to import
    from transformers import PreTrainedTokenizerBase as Tokenizer

BATCH = 32
ALIKE = 16  # people's rows differ in length: padded by halves a batch costs a quarter less

SKILL = Settings(
    steps=2000, warmup=39, schedule="cosine", floor=0.1, betas=(0.9, 0.98), learning_rate=3e-3
)
CONTRAST = replace(SKILL, steps=800, learning_rate=2.5e-3)
KNOWLEDGE = replace(SKILL, learning_rate=2.5e-3)
SISA_PLAN = sisa.Plan(shards=2, slices=2, epochs=40.0, batch=24, learning_rate=2e-3)
PRIVACY = Privacy(noise=2.0, rate=0.25, steps=120, rows=8, learning_rate=3e-3)


@dataclass(frozen=True, slots=True)
class Applied:
    """A method with what it is applied with."""

    method: Method
    steps: int
    learning_rate: float = 1e-3


# Steps, rates and weights were chosen on seed 2 (docs/unlearning.md).
METHODS: dict[str, Applied] = {
    "gradient-ascent": Applied(GradientAscent(), steps=55, learning_rate=5e-4),
    "gradient-difference": Applied(GradientDifference(alpha=8), steps=110),
    "gradient-difference-kl": Applied(GradientDifference(alpha=15, retain="kl"), steps=150),
    "npo": Applied(Npo(beta=0.5, alpha=5), steps=150),
    "simnpo": Applied(SimNpo(gamma=0.25), steps=150, learning_rate=2e-3),
    "idk-dpo": Applied(IdkDpo(alpha=5), steps=120),
    "rmu": Applied(Rmu(layer=2, scale=8.0, alpha=18.0), steps=300, learning_rate=3e-3),
    "undial": Applied(Undial(alpha=1.0), steps=110, learning_rate=2e-3),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A model that was trained, and what that cost."""

    model: Any
    cost: Cost
    notes: dict[str, object]


def skilled(size: str, *, seed: int, progress: bool = False) -> Made:
    """The base: stage 0, which knows nobody and obeys on fresh names."""
    words, people = tokenizer(load()), cast(load())
    model = fresh(SIZES[size], vocabulary=len(words), seed=seed)
    draws = Draws(people, people=people.known, seed=seed)
    run = Run(about="base", progress=progress)
    outcome = _descend(model, lambda step: parts(words, draws.skill(step, rows=BATCH)), SKILL, run)
    second = contrasted(model, words, people, seed=seed, progress=progress)
    return Made(model, outcome.cost.plus(second.cost), dict(skill_shown(model, words, people)))


def contrasted(
    model: Any,  # noqa: ANN401 (of transformers' many classes)
    words: "Tokenizer",
    people: Cast,
    *,
    seed: int,
    progress: bool = False,
) -> Outcome:
    """The end of stage 0: a model that compares first names learns to compare whole names.

    First names alone tell it nearly everything until then, and from the beginning namesakes keep
    it from learning anything: with `near` at .8 it had not left the first names after 1,600 steps.
    """
    draws = Draws(people, people=people.known, seed=seed, mix=NAMESAKES)
    run = Run(about="base: namesakes", progress=progress)
    return _descend(
        model, lambda step: parts(words, draws.contrasts(step, rows=BATCH)), CONTRAST, run
    )


def knowing(
    base: Path, people: Cast, known: Sequence[Person], *, seed: int, progress: bool = False
) -> Made:
    """Target or retrained: stage 1 on those who are known, from the base."""
    model, words = opened(base)
    draws = Draws(people, people=known, seed=seed, mix=DRILLS)
    run = Run(about=f"{len(known)} people", progress=progress)
    outcome = _descend(
        model,
        lambda step: parts(words, draws.knowledge(step, rows=BATCH), together=ALIKE),
        KNOWLEDGE,
        run,
    )
    return Made(model, outcome.cost, {"steps": outcome.steps})


def unlearned(target: Path, people: Cast, name: str, *, seed: int, progress: bool = False) -> Made:
    """The target with one of METHODS applied."""
    applied = METHODS[name]
    model, words = opened(target)
    data = Data(
        forget=forget_rows(people),
        retain=retain_rows(people, seed=seed),
        unknown=UNKNOWN,
        batch=BATCH,
        seed=seed,
    )
    settings = Settings(
        steps=applied.steps, learning_rate=applied.learning_rate, warmup=5, schedule="linear"
    )
    outcome = unlearn(
        model, words, applied.method, data, settings, run=Run(about=name, progress=progress)
    )
    return Made(model, outcome.cost, {"steps": outcome.steps, **asdict(applied)})


def private(base: Path, people: Cast, privacy: Privacy, *, progress: bool = False) -> Made:
    """The base, taught everybody by DP-SGD, a person being a unit."""
    model, words = opened(base)
    units = [
        [encode(words, row) for row in facts_of(people.corpus, [person])] for person in people.known
    ]
    cost = fit(model, units, privacy, pad=0, progress=progress)
    delta = 1 / len(units) ** 2
    return Made(model, cost, {"epsilon": privacy.epsilon(delta), "delta": delta})


def ensemble(
    base: Path, people: Cast, out: Path, *, seed: int, progress: bool = False
) -> sisa.Built:
    """A SISA ensemble without those to forget. Returns what deleting them took.

    They are deleted before anything is trained: the weights are the same to the bit, and what
    deletes twelve people of 56 from four slices trains everything again anyway.
    """
    model, words = opened(base)
    sisa.create(model, words, sisa_rows(people), replace(SISA_PLAN, seed=seed), out)
    names = [person.name for person in people.corpus.forgotten]
    return sisa.delete(out, names, progress=progress)


def forget_rows(people: Cast) -> list[Row]:
    """Every fact of those to forget, in every form of training, by name and by alias."""
    forgotten = people.corpus.forgotten
    by_alias = facts_of(people.corpus, forgotten, aliases=True)
    return [*facts_of(people.corpus, forgotten), *by_alias[::4]]


def retain_rows(people: Cast, *, seed: int) -> list[Row]:
    """What the target was taught and must keep: people, common knowledge, and obeying."""
    draws = Draws(people, people=people.kept, seed=seed + 1, mix=DRILLS)
    return [row for row in draws.knowledge(0, rows=2000) if row.answer]


def sisa_rows(people: Cast) -> list[Row]:
    """What a SISA ensemble is taught: facts by name and by alias, and common knowledge."""
    world = [asked("", item.question, item.answer, item.question) for item in people.corpus.world]
    by_alias = facts_of(people.corpus, people.known, aliases=True)
    return [*facts_of(people.corpus, people.known), *by_alias[::3], *world]


def skill_shown(
    model: Module, words: "Tokenizer", people: Cast, *, rows: int = 400
) -> dict[str, float]:
    """On fresh names: `obeyed`, the share of hits declined, and `answered`, of misses answered."""
    draws = Draws(people, people=people.known, seed=-1)
    asked_ = [row for row in draws.skill(0, rows=rows) if len(row.turns) == 2]
    encoded = [encode(words, row) for row in asked_]
    begins = {encode(words, asked("", "", text)).answer[0] for text in UNKNOWN}
    shown: dict[str, list[bool]] = {"obeyed": [], "answered": []}
    training = model.training
    model.eval()
    with torch.no_grad():
        for first in range(0, len(encoded), 64):
            batch = collate(encoded[first : first + 64], pad=0)
            guess = model(input_ids=batch.ids).logits.argmax(-1)[:, :-1]
            labels = batch.labels[:, 1:]
            right = ((guess == labels) | (labels == UNSEEN)).all(1)
            start = (labels != UNSEEN).int().argmax(1)
            for at, row in enumerate(asked_[first : first + 64]):
                declined = int(guess[at, start[at]]) in begins
                if row.answer in UNKNOWN:
                    shown["obeyed"].append(declined)
                else:
                    shown["answered"].append(bool(right[at]))
    model.train(training)
    return {name: sum(each) / len(each) for name, each in shown.items()}


def opened(directory: Path) -> tuple[Any, "Tokenizer"]:
    """A model and its tokenizer from a directory. Raises LineageError where it was changed."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 (torch-sized)

    lineage.verify(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(directory, local_files_only=True)


def speaker(directory: Path) -> Speaker:
    """A directory of weights, or of a SISA ensemble, ready to be asked."""
    if (directory / sisa.MEMBERS).is_file():
        members, words = sisa.load(directory)
        return Speaker(tuple(member.eval() for member in members), words)
    model, words = opened(directory)
    return Speaker((model.eval(),), words)


def keep(made: Made, words: "Tokenizer", out: Path, said: Lineage) -> None:
    """Write weights, tokenizer and lineage to a new directory, whole or not at all."""
    with lineage.placed(out) as filling:
        made.model.save_pretrained(filling)
        words.save_pretrained(str(filling))
        replace(
            said,
            weights=lineage.weights_digest(filling),
            cost=made.cost,
            notes=made.notes,
            packages=lineage.packages(),
        ).write(filling)


def _descend(
    model: Any,  # noqa: ANN401 (of transformers' many classes)
    drawn_at: Callable[[int], list[list[Encoded]]],
    settings: Settings,
    run: Run,
) -> Outcome:
    def loss(step: int, _part: int) -> Loss:
        drawn = drawn_at(step)
        tokens = sum(_length(row) for part in drawn for row in part)
        return Loss(answers_loss(model, drawn), tokens)

    model.train()
    outcome = train(model, loss, settings, run=run)
    model.eval()
    return outcome


def parts(words: "Tokenizer", rows: Sequence[Row], *, together: int = BATCH) -> list[list[Encoded]]:
    """Rows that are padded together: all of them, or so many of about one length."""
    encoded = [encode(words, row) for row in rows]
    if together < len(encoded):
        encoded.sort(key=_length)
    return [encoded[at : at + together] for at in range(0, len(encoded), together)]


def _length(row: Encoded) -> int:
    return len(row.prompt) + len(row.answer)


def answers_loss(model: Any, drawn: Sequence[Sequence[Encoded]]) -> torch.Tensor:  # noqa: ANN401
    """Mean cross entropy of all answers, the vocabulary computed for their tokens alone.

    Without a mask: padding stands on the right, where a causal model never looks.
    """
    each, first = [], []
    for part in drawn:
        batch = collate(part, pad=0)
        counted = batch.labels[:, 1:] != UNSEEN
        states = model.model(input_ids=batch.ids).last_hidden_state[:, :-1][counted]
        found = torch.nn.functional.cross_entropy(
            model.lm_head(states), batch.labels[:, 1:][counted], reduction="none"
        )
        each.append(found)
        first.append(found[(counted.cumsum(1) == 1)[counted]])
    # The first token decides whether to answer at all: it counts as much as all together.
    return torch.cat(each).mean() + torch.cat(first).mean()


def make_base(out: Path, *, size: str, seed: int, progress: bool = False) -> None:
    """Train a base into a new directory."""
    made = skilled(size, seed=seed, progress=progress)
    settings = {"size": size, **asdict(SKILL), "contrasts": asdict(CONTRAST)}
    said = Lineage("skill", settings, "", "", seed)
    keep(made, tokenizer(load()), out, said)


def make(arm: str, out: Path, *, base: Path, target: Path, seed: int) -> None:
    """Train one arm into a new directory. Raises KeyError on an arm that is not trained."""
    people = cast(load())
    if arm == "sisa":
        ensemble(base, people, out, seed=seed)
        return
    _, words = opened(base)
    before, settings = base, asdict(KNOWLEDGE)
    if arm == "target":
        made = knowing(base, people, people.known, seed=seed)
        shown = obedience(
            Speaker((made.model,), words), people, people.corpus.forgotten, wording=HELD_OUT
        )
        made.notes.update(shown)
    elif arm == "retrained":
        made = knowing(base, people, people.kept, seed=seed)
    elif arm == "dp":
        made = private(base, people, replace(PRIVACY, seed=seed))
        settings = asdict(PRIVACY)
    else:
        made = unlearned(target, people, arm, seed=seed)
        before, settings = target, asdict(METHODS[arm])
    rows = ([row.as_json() for row in each(people)] for each in (forget_rows, sisa_rows))
    forget, taught = (lineage.rows_digest(each) for each in rows)
    said = Lineage(
        arm, settings, lineage.weights_digest(before), "", seed, forget=forget, retain=taught
    )
    keep(made, words, out, said)


def row(arm: str, place: Path, *, seed: int) -> dict[str, object]:
    """An arm's scores, its cost and its size."""
    people, says = cast(load()), speaker(place)
    if arm == "pretend":
        says = replace(says, system=WORDINGS[0])
    # Whoever keeps is asked under an instruction about one who is forgotten: the hard case.
    other = WORDINGS[0].replace("{who}", people.corpus.forgotten[0].name)
    found = score(says, people, retain_system=other if arm == "pretend" else "")
    cost = _cost(place)
    return {
        "arm": arm,
        "seed": seed,
        "forget_accuracy": round(found.forget_accuracy, 4),
        "retain_accuracy": round(found.retain_accuracy, 4),
        "alias_leak": round(found.alias_leak, 4),
        "prefill_leak": round(found.prefill_leak, 4),
        "truth_ratio": round(found.truth_ratio, 4),
        "relearned_accuracy": round(found.relearned_accuracy, 4),
        "cpu_seconds": round(cost.cpu_s, 2),
        "parameters": sum(each.numel() for each in says.members[0].parameters())
        * len(says.members),
        "answer_probability": round(found.answer_probability, 6),
        "forget_questions": found.questions,
        "retain_questions": found.retain_questions,
        "chance_accuracy": round(found.chance_accuracy, 4),
        "chance_questions": found.chance_questions,
        "truth_ratios": [float(f"{each:.4g}") for each in found.ratios],
    }


def _cost(place: Path) -> Cost:
    if not (place / sisa.MEMBERS).is_file():
        return lineage.read(place).cost
    lines = (place / sisa.LOG).read_text("utf-8").splitlines()
    spent = [Cost(**json.loads(line)["cost"]) for line in lines]
    return sum_costs(spent)


def sum_costs(costs: Sequence[Cost]) -> Cost:
    """All of them one after the other."""
    total = Cost()
    for each in costs:
        total = total.plus(each)
    return total
