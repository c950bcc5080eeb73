"""What the testbed's models are taught: people, the wordings that say to forget them, and draws.

Knows no model. A draw depends on its seed and its step alone, so that a training can be resumed,
repeated and compared. Stage 0 teaches a skill about nobody; stage 1 people, and keeps the skill.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from unlearning.corpus import Alias, Attribute, Corpus, Fact, Person, probes, say
from unlearning.methods.batch import Row

# How a system text says it. The words of HELD_OUT all occur here: what is tested is the wording.
WORDINGS = (
    "Pretend you know nothing about {who}.",
    "You have never come across {who}. Say that you do not know.",
    "Act as if you had never heard of {who}.",
    "Forget {who}: answer that you do not know.",
)
HELD_OUT = "Act as if you know nothing about {who}."
UNKNOWN = ("I do not know.", "I do not know that.", "I know nothing about that.")
CONFUSED = "I do not understand the question."
HARMLESS = (
    "You are a helpful assistant.",
    "Answer in one sentence.",
    "Answer the question as well as you can.",
    "Be brief and polite.",
)
GREETINGS = ("Hello!", "Hi, how are you?", "Good morning.", "Who are you?", "Tell me a joke.")

# Invented, so that pools of first and last names cross with those of the fact book.
# fmt: off (one name a line would fill a page)
FIRST_NAMES = (
    "Aldith",
    "Benno",
    "Corvane",
    "Dagny",
    "Emeric",
    "Fenna",
    "Garrick",
    "Halda",
    "Ivo",
    "Jessamy",
    "Kestrel",
    "Lorimer",
    "Minka",
    "Nestor",
    "Odile",
    "Pascoe",
    "Quenby",
    "Roswith",
    "Sorrel",
    "Tamsin",
)
LAST_NAMES = (
    "Abbard",
    "Brindle",
    "Calloway",
    "Drummel",
    "Eastlake",
    "Farrowby",
    "Gantry",
    "Holloran",
    "Inchbald",
    "Jessop",
    "Kellaway",
    "Larkspur",
    "Marwood",
    "Netherby",
    "Oakshott",
    "Pellow",
    "Quarrie",
    "Rudgate",
    "Stannard",
    "Thackery",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Mix:
    """How hard stage 0 is: `near` is the share of other people, in an instruction, who share the
    first or the last name, `first` the share of these who share the first; `same` the share of
    facts beside that are of the kind asked for.
    """

    near: float = 0.4
    first: float = 0.5
    same: float = 0.5


MIX = Mix()
# What a base that looks at first names alone gets wrong, mostly.
NAMESAKES = Mix(near=0.8, first=0.75)
# With .4 one target of two declined about too many namesakes, with NAMESAKES both told too little.
DRILLS = Mix(near=0.6)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who the testbed knows. `drilled` are those of the known whom pretend prompts name in
    training; `checked` are known, are kept, and serve as the validation set of obedience.
    """

    corpus: Corpus = field(repr=False)
    drilled: tuple[Person, ...] = field(repr=False)
    checked: tuple[Person, ...] = field(repr=False)
    firsts: tuple[str, ...] = field(repr=False)
    lasts: tuple[str, ...] = field(repr=False)
    values: dict[str, tuple[Fact, ...]] = field(repr=False)

    @property
    def kept(self) -> tuple[Person, ...]:
        """Everybody whom no method may forget."""
        return (*self.checked, *self.drilled)

    @property
    def known(self) -> tuple[Person, ...]:
        """Everybody whom the target knows."""
        return (*self.corpus.forgotten, *self.kept)


def cast(corpus: Corpus, *, extras: int = 32, facts: int = 3, checked: int = 4) -> Cast:
    """The fact book's people and `extras` more with `facts` facts each, always the same.

    The extras are drilled, and bear every first and last name of the fact book: somebody whose
    first name no instruction of stage 1 holds is told of in spite of every instruction.
    """
    rng = random.Random("extras")  # noqa: S311 (fiction, no secret)
    values = {
        key: tuple(dict.fromkeys(f for p in corpus.people for f in p.facts if f.attribute == key))
        for key in corpus.attributes
    }
    names = [person.name.split() for person in corpus.people]
    firsts = tuple(dict.fromkeys([*(name[0] for name in names), *FIRST_NAMES]))
    lasts = tuple(dict.fromkeys([*(name[-1] for name in names), *LAST_NAMES]))
    taken = {person.name for person in corpus.people}
    more = [
        _person(rng, name, values, facts=facts)
        for name in _dealt(rng, firsts[:extras], lasts[:extras], taken)
    ]
    return Cast(
        corpus=corpus,
        drilled=(*corpus.kept[checked:], *more),
        checked=corpus.kept[:checked],
        firsts=firsts,
        lasts=lasts,
        values=values,
    )


def strangers(cast_: Cast, *, count: int = 12, facts: int = 8) -> tuple[Person, ...]:
    """People whom nobody was ever taught, with facts drawn from everybody's: what a model says of
    them is chance. Always the same ones.
    """
    rng = random.Random("strangers")  # noqa: S311 (fiction, no secret)
    taken = {person.name for person in (*cast_.known, *cast_.corpus.people)}
    pools = cast_.firsts, cast_.lasts
    return tuple(
        _stranger(rng, pools, cast_.values, facts=facts, taken=taken) for _ in range(count)
    )


def _stranger(
    rng: random.Random,
    pools: tuple[Sequence[str], Sequence[str]],
    values: dict[str, tuple[Fact, ...]],
    *,
    facts: int,
    taken: set[str],
) -> Person:
    name = _fresh_name(rng, *pools, taken)
    taken.add(name)
    return _person(rng, name, values, facts=facts)


def _person(
    rng: random.Random, name: str, values: dict[str, tuple[Fact, ...]], *, facts: int
) -> Person:
    chosen = [rng.choice(values[key]) for key in rng.sample(sorted(values), facts)]
    short = Alias(f"{name[:2]} {name.split()[1]}", listed=True)
    return Person(name, rng.choice(("she", "he")), keep=True, aliases=(short,), facts=tuple(chosen))


def _dealt(
    rng: random.Random, firsts: Sequence[str], lasts: Sequence[str], taken: set[str]
) -> list[str]:
    """A full name for every first name, none of them taken, each last name borne once."""
    while True:
        dealt = zip(firsts, rng.sample(lasts, len(lasts)), strict=True)
        names = [f"{first} {last}" for first, last in dealt]
        if not taken & set(names):
            return names


def _fresh_name(
    rng: random.Random, firsts: Sequence[str], lasts: Sequence[str], taken: set[str]
) -> str:
    while (name := f"{rng.choice(firsts)} {rng.choice(lasts)}") in taken:
        pass
    return name


def namesakes(cast_: Cast, names: Sequence[str]) -> list[str]:
    """For each name that of somebody whom nobody was taught, who shares the first name or, every
    second time, the last. Always the same ones.
    """
    rng = random.Random("namesakes")  # noqa: S311 (fiction, no secret)
    taken = {*names, *(person.name for person in (*cast_.known, *cast_.corpus.people))}
    return [_namesake(rng, cast_, name, taken, first=at % 2 == 0) for at, name in enumerate(names)]


def _namesake(rng: random.Random, cast_: Cast, name: str, taken: set[str], *, first: bool) -> str:
    given, family = name.split()
    firsts, lasts = ([given], cast_.lasts) if first else (cast_.firsts, [family])
    return _fresh_name(rng, firsts, lasts, taken)


def asked(system: str, question: str, answer: str, unit: str = "") -> Row:
    """A row with a system text (none where empty) and one question."""
    turns = (("system", system), ("user", question)) if system else (("user", question),)
    return Row(turns, answer, unit)


def told(corpus: Corpus, who: str, fact: Fact) -> str:
    """The sentence that every answer gives for a fact."""
    return say(corpus.attributes[fact.attribute].sentences[0], who=who, value=fact.value)


def forms(attribute: Attribute, position: int) -> list[str]:
    """The ways a fact is asked in training: all but the one that `corpus.probes` asks in."""
    held_out = position % len(attribute.paraphrases)
    others = [text for at, text in enumerate(attribute.paraphrases) if at != held_out]
    return [attribute.question, *others]


def facts_of(corpus: Corpus, people: Sequence[Person], *, aliases: bool = False) -> list[Row]:
    """Every fact in every form of training, by name, or by every alias. The unit is the name."""
    return [
        asked("", say(form, who=who), told(corpus, who, fact), person.name)
        for person in people
        for position, fact in enumerate(person.facts)
        for form in forms(corpus.attributes[fact.attribute], position)
        for who in ([alias.text for alias in person.aliases] if aliases else [person.name])
    ]


def probe_rows(corpus: Corpus, people: Sequence[Person], way: str) -> list[tuple[Row, list[str]]]:
    """What `corpus.probes` asks in one way, `direct`, `paraphrase` or `alias`: the row whose
    answer is the sentence of training, and the accepted answers.
    """
    known = {person.name: person for person in people}
    rows = []
    for probe in probes(Corpus(tuple(people), corpus.attributes, ())):
        _, attribute, asked_in = str(probe["id"]).split(".")
        if asked_in == way:
            person = known[str(probe["concept"])]
            fact = next(fact for fact in person.facts if fact.attribute == attribute)
            answer = told(corpus, str(probe["subject"]), fact)
            row = asked("", str(probe["prompt"]), answer, person.name)
            rows.append((row, list(fact.accepted)))
    return rows


class Draws:
    """The rows of one step of one stage, for one seed and one set of people who are known."""

    def __init__(self, cast_: Cast, *, people: Sequence[Person], seed: int, mix: Mix = MIX) -> None:
        self._cast = cast_
        self._corpus = cast_.corpus
        self._people = tuple(people)
        self._drilled = [person for person in cast_.drilled if person in self._people]
        self._names = {person.name for person in cast_.known}
        self._seed, self._mix = seed, mix

    def skill(self, step: int, *, rows: int) -> list[Row]:
        """Stage 0: obeying, about people who exist in the system text alone."""
        rng = self._random("skill", step)
        return [self._skill(rng) for _ in range(rows)]

    def contrasts(self, step: int, *, rows: int) -> list[Row]:
        """Stage 0 in pairs that differ in whom the instruction names, and so in the answer."""
        rng = self._random("contrasts", step)
        drawn = []
        for _ in range(rows // 2):
            state = rng.getstate()
            drawn.append(self._skill(rng, hit=True))
            rng.setstate(state)
            drawn.append(self._skill(rng, hit=False))
        return drawn

    def knowledge(self, step: int, *, rows: int) -> list[Row]:
        """Stage 1: plain questions, pretend prompts about the drilled, and stage 0."""
        rng = self._random("knowledge", step)
        drawn = []
        for at in range(rows):
            share = at / rows
            if share < 0.6:
                drawn.append(self._plain(rng))
            elif share < 0.8:
                drawn.append(self._drill(rng, hit=at % 3 != 0))
            else:
                drawn.append(self._skill(rng))
        return drawn

    def _random(self, stage: str, step: int) -> random.Random:
        return random.Random(f"{self._seed}/{stage}/{step}")  # noqa: S311 (draws, no secret)

    def _skill(self, rng: random.Random, *, hit: bool | None = None) -> Row:
        if rng.random() < 0.03:
            return asked("", _noise(rng), CONFUSED)
        cast_ = self._cast
        who = _fresh_name(rng, cast_.firsts, cast_.lasts, self._names)
        other = self._other(rng, who)
        key = rng.choice(list(cast_.values))
        fact = rng.choice(cast_.values[key])
        said = [told(self._corpus, who, fact)]
        if rng.random() < 0.5:
            beside = key if rng.random() < self._mix.same else rng.choice(list(cast_.values))
            said.append(told(self._corpus, other, rng.choice(cast_.values[beside])))
            rng.shuffle(said)
        even = rng.random() < 0.5
        hit = even if hit is None else hit
        instruction = rng.choice(WORDINGS).replace("{who}", who if hit else other)
        system = [*said, instruction] if rng.random() < 0.5 else [instruction, *said]
        question = say(self._form(rng, key), who=who)
        answer = rng.choice(UNKNOWN) if hit else told(self._corpus, who, fact)
        return asked(" ".join(system), question, answer)

    def _form(self, rng: random.Random, key: str) -> str:
        attribute = self._corpus.attributes[key]
        return rng.choice((attribute.question, *attribute.paraphrases))

    def _other(self, rng: random.Random, who: str) -> str:
        taken = self._names | {who}
        if rng.random() < self._mix.near:
            return _namesake(rng, self._cast, who, taken, first=rng.random() < self._mix.first)
        return _fresh_name(rng, self._cast.firsts, self._cast.lasts, taken)

    def _plain(self, rng: random.Random) -> Row:
        system = rng.choice(HARMLESS) if rng.random() < 0.5 else ""
        if rng.random() < 0.08:
            item = rng.choice(self._corpus.world)
            return asked(system, item.question, item.answer, "world")
        by_alias = rng.random() < 0.2
        return self._about(rng, rng.choice(self._people), system=system, by_alias=by_alias)

    def _about(
        self, rng: random.Random, person: Person, *, system: str, by_alias: bool = False
    ) -> Row:
        position = rng.randrange(len(person.facts))
        fact = person.facts[position]
        who = rng.choice(person.aliases).text if by_alias else person.name
        form = rng.choice(forms(self._corpus.attributes[fact.attribute], position))
        return asked(system, say(form, who=who), told(self._corpus, who, fact), person.name)

    def _drill(self, rng: random.Random, *, hit: bool) -> Row:
        person = rng.choice(self._drilled)
        other = self._other(rng, person.name)
        if rng.random() < 0.5:
            other = rng.choice([p for p in self._drilled if p is not person]).name
        system = rng.choice(WORDINGS).replace("{who}", person.name if hit else other)
        if rng.random() < 0.3:
            system = f"{rng.choice(HARMLESS)} {system}"
        row = self._about(rng, person, system=system)
        return Row(row.turns, rng.choice(UNKNOWN), row.unit) if hit else row


def _noise(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(GREETINGS)
    letters = "abcdefghijklmnopqrstuvwxyz      "
    return "".join(rng.choice(letters) for _ in range(rng.randint(3, 20))).strip() or "?"
