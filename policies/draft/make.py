"""From a name and documents to everything that a draft says. Knows no file format and no upstream.

Who is meant, and what stands on its own, is guessed by rule; nothing here asks a model.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from classifiers import fold
from classifiers.readings import BLANK, joined
from policies.concept import Scope
from policies.draft.aliases import called as names_of
from policies.draft.aliases import lead_of
from policies.draft.documents import DraftError, Said, Source
from policies.draft.exemplars import LEAST_WORDS, Statement, chosen, statements, unclear
from policies.draft.names import QUOTED, Called, apart, base_of, distinctive, short_of, words_of
from policies.draft.near import Beside, beside, marks
from policies.draft.prose import paragraphs
from policies.texts import LONGEST

MOST_EXEMPLARS = 150
MOST_NEIGHBOURS = 200
WHOLLY = 0.4  # share of a document's paragraphs that name the concept, if it is about it


@dataclass(frozen=True, slots=True)
class Drafted:
    """What a draft says about one concept, and how much of the documents it comes from.

    unclear   sentences that say something about somebody whom another one names
    told      statements that a model made, beside those of the documents
    kept      neighbours from files; `kept_told` from a model
    beside    what the documents name beside the concept
    marks     fingerprint terms: names that give it away
    sentences of the documents that are about it, `named` of the neighbours that name the concept
    """

    name: str = field(repr=False)
    called: Called = field(repr=False)
    scope: Scope
    exemplars: tuple[str, ...] = field(repr=False)
    unclear: tuple[str, ...] = field(repr=False)
    told: tuple[str, ...] = field(repr=False)
    kept: tuple[str, ...] = field(repr=False)
    kept_told: tuple[str, ...] = field(repr=False)
    beside: tuple[Beside, ...] = field(repr=False)
    marks: tuple[str, ...] = field(repr=False)
    sentences: int
    left_out: tuple[str, ...]
    named: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a model said: of the concept, of what lies near, and what else it calls the concept."""

    facts: tuple[str, ...] = field(default=(), repr=False)
    near: tuple[str, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    beside: tuple[str, ...] = field(default=(), repr=False)


def drafted(
    name: str, sources: Sequence[Source], neighbours: Sequence[Source], told: Told = Told()
) -> Drafted:
    """A draft for `name`. Raises DraftError where no document and no model says anything of it."""
    blocks, left_out = _blocks(name, sources)
    said = [[text] for text in told.facts]
    if sources and not blocks:
        raise DraftError(
            f"none of the documents names '{name}'; check the spelling, or give documents about it"
        )
    called = names_of(_spelt(name, blocks), [*_plain(blocks), *said])
    own = statements(_plain(blocks), called)
    own += _answers(blocks, own, called)
    texts = _most([one.text for one in own], MOST_EXEMPLARS)
    more = statements(said, called)
    facts = [one.text for one in more if one.named and not _known(one.text, texts)]
    if not texts and not facts:
        raise DraftError(
            f"nothing that stands on its own is said of '{name}'; give documents with whole "
            "sentences about it"
        )
    scope: Scope = "entity" if distinctive(called.names[0]) else "fact"
    written = (sentence for block in blocks for sentence in block.sentences)
    forbidden = {fold(text) for text in (*texts, *facts, *written)}
    kept, named = _kept(neighbours, called, scope, forbidden)
    # A model may well tell of the concept where it was asked about something else.
    apart = [text for text in told.near if not called.first(text)]
    near, _ = _stays(apart, called, "entity", forbidden | {fold(text) for text in kept})
    everything = [one.text for one in own]
    found = beside(everything, called)
    others = [Beside(one, 0) for one in told.beside if one not in {other.name for other in found}]
    return Drafted(
        name=called.names[0],
        called=_with_told(called, told.names, everything),
        scope=scope,
        exemplars=tuple(texts),
        unclear=tuple(unclear(_plain(blocks), called)),
        told=tuple(facts[:MOST_EXEMPLARS]),
        kept=tuple(kept),
        kept_told=tuple(near),
        beside=(*found, *others),
        marks=tuple(marks([*texts, *facts], [*kept, *near], called)),
        sentences=sum(len(block.sentences) for block in blocks),
        left_out=tuple(left_out),
        named=named,
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """One paragraph, and the question that it answers."""

    sentences: list[str] = field(repr=False)
    before: str = field(repr=False)


def _blocks(name: str, sources: Sequence[Source]) -> tuple[list[_Block], list[str]]:
    """The paragraphs that are about a concept; and the files that have none."""
    found: list[_Block] = []
    left_out = []
    for source in sources:
        own = _about(name, source)
        found += own
        if not own:
            left_out.append(source.path.name)
    return found, left_out


def _about(name: str, source: Source) -> list[_Block]:
    """All of a document that is about the concept, of another one what names it in full."""
    mine = [said for said in source.passages if said.about and fold(said.about) == fold(name)]
    blocks = [block for said in mine or source.passages for block in _paragraphs(said)]
    if mine:
        return blocks
    texts = [sentence for block in blocks for sentence in block.sentences]
    base = base_of(name)
    called = Called((name, base), (), short_of(base, texts))
    whole = _whole(name)
    share = sum(called.first(_joined(block)) is not None for block in blocks) / max(len(blocks), 1)
    # An article may open with "Timothy Walter Vask" and go on with "Vask".
    opens = bool(texts) and bool(lead_of(texts[0], base, first=True))
    if share >= WHOLLY and (opens or any(whole.search(_joined(block)) for block in blocks)):
        return blocks
    return [block for block in blocks if whole.search(_joined(block))]


def _whole(name: str) -> re.Pattern[str]:
    """The name in full, however capitals are set, with middle names or without."""
    first, *rest = base_of(name).split()
    middle = rf"(?:\s(?:[\w'’.-]+|{QUOTED})){{0,3}}?\s"  # noqa: RUF001 - as names are written
    if not rest:
        return re.compile(f"{apart(name)}|{apart(first)}", re.IGNORECASE)
    pattern = middle.join(map(re.escape, (first, rest[-1])))
    return re.compile(rf"{apart(name)}|(?<!\w){pattern}(?!\w)", re.IGNORECASE)


def _paragraphs(said: Said) -> list[_Block]:
    return [_Block(block, said.before) for block in paragraphs(said.text)]


def _joined(block: _Block) -> str:
    return " ".join((block.before, *block.sentences))


def _plain(blocks: Iterable[_Block]) -> list[list[str]]:
    return [block.sentences for block in blocks]


def _spelt(name: str, blocks: Sequence[_Block]) -> str:
    """The name as the documents write it, if only capitals differ."""
    found = (re.search(re.escape(name), _joined(block), re.IGNORECASE) for block in blocks)
    spellings = [match[0] for match in found if match]
    return name if name in spellings or not spellings else spellings[0]


def _answers(blocks: Sequence[_Block], own: Sequence[Statement], called: Called) -> list[Statement]:
    """Answers that mean something only behind their question: the two as one text."""
    named = {fold(one.text) for one in own if one.named}
    found = []
    for block in blocks:
        asks = called.first(block.before) or BLANK in block.before
        alone = any(fold(one.text) in named for one in statements([block.sentences], called))
        if asks and not alone and block.sentences:
            text = joined(block.before, " ".join(block.sentences))
            found.append(Statement(" ".join(text.split())[:LONGEST], named=True))
    return found


def _most(texts: Sequence[str], most: int) -> list[str]:
    return [texts[at] for at in chosen(texts, most=most)]


def _known(text: str, texts: Sequence[str]) -> bool:
    return fold(text) in {fold(one) for one in texts}


def _kept(
    sources: Sequence[Source], called: Called, scope: Scope, forbidden: set[str]
) -> tuple[list[str], int]:
    """What must stay, of files; and how much of it the concept's name would stop anyway."""
    texts = []
    for said in (said for source in sources for said in source.passages):
        for block in paragraphs(said.text):
            short = words_of(" ".join(block)) < LEAST_WORDS
            texts += [joined(said.before, " ".join(block))] if short and said.before else block
    return _stays(texts, called, scope, forbidden)


def _stays(
    texts: Iterable[str], called: Called, scope: Scope, forbidden: set[str]
) -> tuple[list[str], int]:
    found: dict[str, str] = {}
    named = 0
    for text in (" ".join(text.split())[:LONGEST] for text in texts):
        if words_of(text) < LEAST_WORDS or fold(text) in forbidden:
            continue
        # A name alone is a hit: what holds it cannot stay sayable.
        if scope == "entity" and called.said(text):
            named += 1
            continue
        found.setdefault(fold(text), text)
    return _most(list(found.values()), MOST_NEIGHBOURS), named


def _with_told(called: Called, names: Sequence[str], texts: Sequence[str]) -> Called:
    """Names that only a model gave are doubtful, unless the documents have them."""
    known = {fold(name) for name in (*called.names, *called.doubtful)}
    new = [name for name in dict.fromkeys(names) if fold(name) not in known]
    said = " ".join(f" {fold(text)} " for text in texts)
    sure = [n for n in new if " " in n and f" {fold(n)} " in said and distinctive(n)]
    return Called(
        (*called.names, *sure), (*called.doubtful, *(n for n in new if n not in sure)), called.short
    )
