"""What every model is asked, over HTTP, and the records that come of it. Knows no training."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.faithfulness_parts.pupils import Book
from leakage import probes as probing
from leakage import sweep
from leakage.arms import Arm
from leakage.attacks import CATALOGUE, named
from leakage.attacks.turns import Attack
from leakage.calls import client_of
from leakage.draws import Asked, Manner
from leakage.likelihoods import draw
from leakage.probes import Probe
from leakage.records import Record
from leakage.scores import SCORER
from leakage.sweep import WORDING, Sweep
from unlearning import checkpoint, lineage
from unlearning.corpus import Corpus, Fact, Person, probes, say
from unlearning.model_server import serving
from unlearning.serve import running
from unlearning.testbed_rows import told

WAYS = {"asked": "direct", "reworded": "paraphrase"}  # as `unlearning.corpus.probes` ends its ids
WRONG, ATTACKED, TURNS = 2, 4, 2
SAMPLING: Mapping[str, Any] = {"temperature": 0, "max_tokens": 24, "seed": 1}
SAMPLED: Mapping[str, Any] = {**SAMPLING, "temperature": 1}
DRAWS = 10  # of each of `answers`, so sampled
CONCURRENCY = 64


@dataclass(frozen=True, slots=True)
class Questions:
    """All of it. Every fact is asked plainly and in a form that no model was trained in.

    answers     the accepted answers are values, as everywhere in the testbed
    sentences   the accepted answer is the whole sentence, as in TOFU, with its paraphrase and false
                ones beside it, for ROUGE and likelihoods; in the order of `answers`
    attacked    of `answers`: one fact of each of ATTACKED people, or all
    world       innocent questions that attacks put beside
    """

    answers: tuple[Probe, ...] = field(repr=False)
    sentences: tuple[Probe, ...] = field(repr=False)
    attacked: tuple[Probe, ...] = field(repr=False)
    world: tuple[Probe, ...] = field(repr=False)
    attacks: Mapping[str, Attack]

    @property
    def digest(self) -> str:
        """Of everything that decides what a model's records come out as."""
        asked_ = [probing.digest(each) for each in (self.answers, self.sentences, self.attacked)]
        scored = [SCORER, WORDING, sorted(self.attacks), dict(SAMPLING), dict(SAMPLED), DRAWS]
        return lineage.digest([asked_, probing.digest(self.world), scored])


def attacks_of(name: str) -> dict[str, Attack]:
    """`families`: the first of each family that takes at most TURNS; `all`: all; or some names.

    Left out are those that read log-probabilities, offer the answer among others to choose from,
    ask a helper, or are longer than the models' context. Raises AttackError on any other name.
    """
    fit = [
        attack
        for attack in CATALOGUE.values()
        if not (attack.helper or attack.chooses or "logprobs" in attack.needs)
        and attack.family not in {"many-shot", "cross-lingual"}
    ]
    if name not in {"families", "all"}:
        return named(name, among={attack.name: attack for attack in fit})
    if name == "families":
        short = [attack for attack in fit if attack.turns <= TURNS]
        fit = list({attack.family: attack for attack in reversed(short)}.values())[::-1]
    return {attack.name: attack for attack in fit}


def questions(
    book: Book, attacks: str, ways: Sequence[str] = tuple(WAYS), *, whole: bool = False
) -> Questions:
    """What is asked about the forget set of a book, in which of WAYS.

    `whole` attacks every fact. Raises AttackError.
    """
    people = Corpus(book.people, book.corpus.attributes, ())
    endings = tuple(WAYS[way] for way in ways)
    rows = [row for row in probes(people) if str(row["id"]).endswith(endings)]
    # Attacks carry direct questions alone; which way it is stands in the id.
    answers = [replace(probe, kind="direct") for probe in probing.from_rows(rows)]
    facts = {f"{p.key}.{fact.attribute}": (p, fact) for p in book.people for fact in p.facts}
    some = {
        f"{p.key}.{p.facts[at % len(p.facts)].attribute}"
        for at, p in enumerate(book.people[:ATTACKED])
    }
    attacked = set(facts) if whole else some
    world = probing.from_rows(probes(Corpus((), {}, book.corpus.world)))
    return Questions(
        answers=tuple(answers),
        sentences=tuple(_sentence(book, probe, *facts[fact_of(probe.id)]) for probe in answers),
        attacked=tuple(probe for probe in answers if fact_of(probe.id) in attacked),
        world=tuple(world),
        attacks=attacks_of(attacks),
    )


def fact_of(probe: str) -> str:
    """The part of a probe's id that says what fact it asks for."""
    return probe.rpartition(".")[0]


def _sentence(book: Book, probe: Probe, person: Person, fact: Fact) -> Probe:
    otherwise = book.corpus.attributes[fact.attribute].sentences[1]
    others = [each for each in book.cast.values[fact.attribute] if each.value != fact.value]
    return replace(
        probe,
        answers=(told(book.corpus, person.name, fact),),
        # TOFU's false answers are in the words of its paraphrase.
        wrong=tuple(say(otherwise, who=person.name, value=each.value) for each in others[:WRONG]),
        paraphrase=say(otherwise, who=person.name, value=fact.value),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What came of asking one model: records of `answers` and of attacks, with their texts; DRAWS
    records of each of `answers` at a temperature; records of kind `likelihood` of `sentences`.
    """

    spoken: Sequence[Record] = field(repr=False)
    drawn: Sequence[Record] = field(repr=False)
    likely: Sequence[Record] = field(repr=False)


def ask(place: Path, given: Questions) -> Said:
    """Serve a directory of weights on loopback and ask it as `lethe leakage run` does.

    Raises RuntimeError where a draw failed: a metric of what is left would be another's.
    """
    served = {"pupil": checkpoint.load(place, name="pupil")}
    with serving(served) as app, running(app) as url, tempfile.TemporaryDirectory() as folder:
        arm = Arm("pupil", url, model="pupil")
        plan = Sweep(
            arms=[arm],
            probes=(*given.answers, *given.world),
            attacks=given.attacks,
            attacked=given.attacked,
            asked=given.answers,
            likelihoods=False,
            concurrency=CONCURRENCY,
            sampling=SAMPLING,
            stream="never",
            keep_answers=True,  # everybody in them is invented
        )
        often = replace(plan, attacks={}, draws=DRAWS, sampling=SAMPLED)
        spoken = asyncio.run(sweep.run(plan, Path(folder))).records
        drawn = asyncio.run(sweep.run(often, Path(folder))).records
        likely = asyncio.run(_likelihoods(arm, given.sentences))
    failed = [record for record in (*spoken, *drawn, *likely) if record.error]
    if failed:
        raise RuntimeError(f"{len(failed)} draws failed, the first: {failed[0].error}")
    return Said(spoken, drawn, likely)


async def _likelihoods(arm: Arm, given: Sequence[Probe]) -> list[Record]:
    """As a run draws them. Not asked whether it goes on with what was begun: this server does,
    even where the model then says nothing at all.
    """
    few = asyncio.Semaphore(CONCURRENCY)
    async with client_of(arm) as client:
        asked = Asked(arm, client, frozenset({"prompt_logprobs", "prefill"}))

        async def one(probe: Probe) -> Record:
            async with few:
                return await draw(probe, asked, Manner("likelihood"), shard="")

        return list(await asyncio.gather(*map(one, given)))
