"""The fact book: fictitious people, what is true of them, and how one asks for it.

Knows no model, no server and no policy; the answers it holds are what a probe looks for.
"""

import itertools
import re
import unicodedata
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as Invalid

Pronoun = Literal["she", "he"]
ModelT = TypeVar("ModelT", bound=BaseModel)

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DATE = re.compile(rf"(\d{{1,2}}) ({'|'.join(MONTHS)}) (\d{{4}})")
_APART = re.compile(r"[\W_]+")


class CorpusError(ValueError):
    """The data of the fact book contradicts itself. The message names the file and the entry."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is true of a person. `accepted` holds every spelling, the value first."""

    attribute: str
    value: str = field(repr=False)
    accepted: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name. `listed` says whether the demo's policy is meant to know it."""

    text: str = field(repr=False)
    listed: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented. `keep` is false for those whom the demo forgets."""

    name: str = field(repr=False)
    pronoun: Pronoun
    keep: bool
    aliases: tuple[Alias, ...]
    facts: tuple[Fact, ...]

    @property
    def key(self) -> str:
        """The name as an identifier, such as `mirela-tollan`."""
        return _plain(self.name).replace(" ", "-")

    @property
    def names(self) -> tuple[str, ...]:
        """The name and every alias, listed or not."""
        return (self.name, *(alias.text for alias in self.aliases))


@dataclass(frozen=True, slots=True)
class Attribute:
    """How one kind of fact is said, asked, asked otherwise, and recognised in a question.

    Templates hold `{who}`, sentences also `{value}`; `cues` match folded text.
    """

    key: str
    label: str
    sentences: tuple[str, ...]
    question: str
    paraphrases: tuple[str, ...]
    cues: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class Common:
    """A piece of common knowledge that has nothing to do with anybody here."""

    topic: str
    question: str
    answer: str
    accepted: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything the fact book holds, in the order of its files."""

    people: tuple[Person, ...]
    attributes: dict[str, Attribute]
    world: tuple[Common, ...]

    @property
    def forgotten(self) -> tuple[Person, ...]:
        """Those to forget."""
        return tuple(person for person in self.people if not person.keep)

    @property
    def kept(self) -> tuple[Person, ...]:
        """Those near them who must stay sayable."""
        return tuple(person for person in self.people if person.keep)

    def sentences(self, person: Person, *, who: str | None = None) -> list[str]:
        """Every declarative sentence about a person, said of `who` (default: the name)."""
        return [
            text
            for fact in person.facts
            for template in self.attributes[fact.attribute].sentences
            if (text := say(template, who=who or person.name, value=fact.value))
        ]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^\S(.*\S)?$")]


class _FactRow(_Row):
    value: Text
    accept: tuple[Text, ...] = ()


def _fact_row(given: object) -> object:
    return {"value": given} if isinstance(given, str) else given


class _AliasRow(_Row):
    text: Text
    why: Text
    listed: bool = True


class _PersonRow(_Row):
    name: Text
    pronoun: Pronoun
    keep: bool
    aliases: tuple[_AliasRow, ...] = Field(min_length=2, max_length=4)
    facts: dict[Text, Annotated[_FactRow, BeforeValidator(_fact_row)]] = Field(min_length=8)


class _People(_Row):
    people: tuple[_PersonRow, ...] = Field(min_length=1)


class _AttributeRow(_Row):
    label: Text
    sentences: tuple[Text, ...] = Field(min_length=2)
    question: Text
    paraphrases: tuple[Text, ...] = Field(min_length=3)
    cues: tuple[str, ...] = Field(min_length=1)


class _Wordings(_Row):
    attributes: dict[Text, _AttributeRow]


class _CommonRow(_Row):
    topic: Text
    question: Text
    answer: Text
    accept: tuple[Text, ...] = Field(min_length=1)
    wrong: tuple[Text, ...] = Field(min_length=1)


class _World(_Row):
    world: tuple[_CommonRow, ...]


def load() -> Corpus:
    """The fact book that comes with this package. Raises CorpusError where its data is wrong."""
    data = files("unlearning")
    return parse(
        people=data.joinpath("people.yaml").read_text("utf-8"),
        wordings=data.joinpath("wordings.yaml").read_text("utf-8"),
        world=data.joinpath("world.yaml").read_text("utf-8"),
    )


def parse(*, people: str, wordings: str, world: str) -> Corpus:
    """The fact book written in three YAML texts. Raises CorpusError on anything unexpected."""
    corpus = Corpus(
        people=tuple(_person(row) for row in _rows(people, _People, "people.yaml").people),
        attributes={
            key: _attribute(key, row)
            for key, row in _rows(wordings, _Wordings, "wordings.yaml").attributes.items()
        },
        world=tuple(
            Common(row.topic, row.question, row.answer, row.accept, row.wrong)
            for row in _rows(world, _World, "world.yaml").world
        ),
    )
    _check(corpus)
    return corpus


class _NoDuplicates(yaml.SafeLoader):
    """PyYAML lets the second of two equal keys win; a fact lost that way would never be missed."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 (their signature)
    ) -> dict[Hashable, object]:
        """A mapping whose keys differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise CorpusError(f"line {line}: {key.value}: twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _rows(text: str, model: type[ModelT], name: str) -> ModelT:
    try:
        # A subclass of SafeLoader, which the linter cannot see: it builds plain values only.
        return model.model_validate(yaml.load(text, _NoDuplicates))  # noqa: S506
    except (CorpusError, yaml.YAMLError) as error:
        raise CorpusError(f"{name}: {error}") from None
    except Invalid as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorpusError(f"{name}: {where}: {first['msg']}") from None


def _person(row: _PersonRow) -> Person:
    return Person(
        name=row.name,
        pronoun=row.pronoun,
        keep=row.keep,
        aliases=tuple(Alias(alias.text, alias.listed) for alias in row.aliases),
        facts=tuple(
            Fact(key, fact.value, (fact.value, *fact.accept, *_other_dates(fact.value)))
            for key, fact in row.facts.items()
        ),
    )


def _attribute(key: str, row: _AttributeRow) -> Attribute:
    try:
        cues = tuple(re.compile(cue) for cue in row.cues)
    except re.error as error:
        raise CorpusError(f"wordings.yaml: {key}: cue: not a regular expression: {error}") from None
    return Attribute(key, row.label, row.sentences, row.question, row.paraphrases, cues)


def _other_dates(value: str) -> Iterator[str]:
    if found := _DATE.fullmatch(value):
        day, month, year = int(found[1]), MONTHS.index(found[2]) + 1, found[3]
        yield f"{found[2]} {day}, {year}"
        yield f"{_ordinal(day)} of {found[2]} {year}"
        yield f"{year}-{month:02}-{day:02}"
        yield f"{day:02}/{month:02}/{year}"
        yield f"{month:02}/{day:02}/{year}"
        yield f"{day:02}.{month:02}.{year}"


def _ordinal(day: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{day}{'th' if 11 <= day <= 13 else endings.get(day % 10, 'th')}"


def _check(corpus: Corpus) -> None:
    owners: dict[str, Person] = {}
    for person in corpus.people:
        for name in person.names:
            if (owner := owners.setdefault(_plain(name), person)) is not person:
                raise CorpusError(f"people.yaml: {person.name}: shares a name with {owner.name}")
        for fact in person.facts:
            if fact.attribute not in corpus.attributes:
                raise CorpusError(
                    f"people.yaml: {person.name}: {fact.attribute}: not in wordings.yaml; "
                    f"known are {', '.join(corpus.attributes)}"
                )
    for attribute in corpus.attributes.values():
        _check_templates(attribute)
    for item in corpus.world:
        if item.accepted[0].casefold() not in item.answer.casefold():
            raise CorpusError(f"world.yaml: {item.question}: the answer lacks what is accepted")


def _check_templates(attribute: Attribute) -> None:
    for template in attribute.sentences:
        # A pronoun can stand in for the name only where the name begins the sentence.
        if not template.startswith("{who} ") or template.count("{value}") != 1:
            raise CorpusError(
                f"wordings.yaml: {attribute.key}: a sentence begins with {{who}} and holds "
                "{value} once"
            )
    for template in (attribute.question, *attribute.paraphrases):
        if template.count("{who}") != 1 or "{value}" in template:
            raise CorpusError(
                f"wordings.yaml: {attribute.key}: a question holds {{who}} once and no {{value}}"
            )


def say(template: str, *, who: str, value: str = "") -> str:
    """Fill a template and begin it with a capital letter."""
    text = template.replace("{who}", who).replace("{value}", value)
    return text[0].upper() + text[1:]


def probes(corpus: Corpus) -> list[dict[str, object]]:
    """Every question with its answers: rows of the probe format that `docs/leakage.md` describes.

    Each fact is asked plainly by name (`direct`), otherwise by name, and otherwise again by an
    alias (both `paraphrase`); each piece of common knowledge once (`direct`). The split is
    `forget`, `neighbour` or `world`. `notes.listed` is false where the question uses an epithet
    that the demo's policy does not know. No question holds its own answer.
    """
    rows = [
        row
        for person in corpus.people
        for position, fact in enumerate(person.facts)
        for row in _ask(person, fact, corpus.attributes[fact.attribute], position)
    ]
    for number, item in enumerate(corpus.world, start=1):
        rows.append(
            {
                "id": f"world.{item.topic}.{number}",
                "concept": item.topic,
                "kind": "direct",
                "split": "world",
                "prompt": item.question,
                "answers": list(item.accepted),
            }
        )
    return rows


def _ask(
    person: Person, fact: Fact, attribute: Attribute, position: int
) -> Iterator[dict[str, object]]:
    def probe(way: str, template: str, alias: Alias | None = None) -> dict[str, object]:
        who = alias.text if alias else person.name
        row: dict[str, object] = {
            "id": f"{person.key}.{fact.attribute}.{way}",
            "concept": person.name,
            "kind": "direct" if template is attribute.question else "paraphrase",
            "split": "neighbour" if person.keep else "forget",
            "prompt": say(template, who=who),
            "answers": list(fact.accepted),
            "subject": who,
        }
        return row | {"notes": {"alias": True, "listed": alias.listed}} if alias else row

    rotated = itertools.islice(itertools.cycle(attribute.paraphrases), position, None)
    yield probe("direct", attribute.question)
    yield probe("paraphrase", next(rotated))
    if aliases := [alias for alias in person.aliases if not _tells(alias.text, fact)]:
        yield probe("alias", next(rotated), aliases[position % len(aliases)])


def _tells(alias: str, fact: Fact) -> bool:
    """An epithet such as "the author of …" must not ask for what it says."""
    return any(f" {_plain(answer)} " in f" {_plain(alias)} " for answer in fact.accepted)


def _plain(text: str) -> str:
    bare = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(letter)
    )
    return _APART.sub(" ", bare.casefold()).strip()
