"""Sentences of documents as statements that stand on their own, and a bounded choice of them.

Knows no screen and no encoder. Who "he" is, is guessed by rule; who uses a draft reads the result.
"""
# ruff: noqa: RUF001 - typographic quotes and dashes are meant

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from classifiers import fold
from classifiers.fingerprint_terms import Words, read
from policies.draft.names import WORD, Called, base_of, words_of
from policies.texts import LONGEST

SUBJECTS = ("he", "she", "they", "it")
OWNERS = {"his": "he", "her": "she", "their": "they", "its": "it"}
PRONOUN = re.compile(r"\b(he|she|they|it|his|her|their|its)\b", re.IGNORECASE)
# A pronoun here has nobody else to mean: it opens the sentence, or its main clause.
_OPENER = (
    r"(?:In|On|At|By|From|Since|During|After|Before|Until|Throughout|Between|Over|As|When|While"
    r"|Although|Though|For|With|Later|Then|Today|Eventually|Initially|Originally|Following|Upon|Born"
    r"|Having|Despite|Once|Because|Around|Early|Prior|Under|Through|To|Also|Two|Three|Decades|Years)"
)
OPENS = re.compile(
    rf"\A(?:{_OPENER}\b[^;:.!?]{{0,90}},\s|{_OPENER}(?:\s(?:[a-z]+|\d{{4}})){{0,3}}\s)?\Z"
)
# "It was announced (that) he …" is about nothing that "it" means.
EMPTY = re.compile(
    r"\bit (?:is|was|has been) \w+(?:ed|own|aid|ear|ue)\b(?: that)?,? ?", re.IGNORECASE
)
JOINTS = re.compile(
    r"\A(?:However|Additionally|Moreover|Furthermore|In addition|As a result|Also|Consequently"
    r"|Therefore|Nevertheless|Nonetheless|Meanwhile|Instead|Similarly|Likewise|Thus|Indeed|In fact"
    r"|For example|For instance|Subsequently|Afterwards|Yes|No|Well),\s+|\A(?:And|But|So)\s+"
)
# What such a sentence is about stands in another one.
LEANS = re.compile(
    r"\A(?:He|She|They|It|Him|Them|This|These|That|Those|There|Such|His|Her|Their|Its|Both|Another"
    r"|Others?|Some|Neither|One|The (?:latter|former|same|two|couple|pair|three))\b"
)
SPOKEN = re.compile(r"\A[\"“‘']|\b(?:I|I'm|I've|I'd|my|me|you|your|we)\b")
DATED = re.compile(
    r"\A(?:In|On|From|Since|By|Between|During|At|Later)\b[^,;:.!?]{0,40}(?:\d{2}|year|age)"
)
OTHER = re.compile(rf"\A(?:The\s)?{WORD}\s(?:(?:and|of|de|van|von|the|&)\s)*{WORD}")
ENDED = re.compile(r"[.!…。！？][\"'”’)\]]*\Z")
LEAST_WORDS = 4
LEAST_UNENDED = 6  # words of a line without a full stop, below which it is a heading or a caption
LEAD = 3  # sentences that say who is meant: always chosen
FIRST = 0.4  # share of the choice that the beginning has
TWICE = 0.3  # what saying a word a second time is worth of the first


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence on its own; `named`: it names the concept.

    Where it does not stand (`stands`), what it is about is named in another one.
    """

    text: str = field(repr=False)
    named: bool
    stands: bool = True


def statements(blocks: Iterable[Sequence[str]], called: Called) -> list[Statement]:
    """Every sentence that stands, or can be made to stand, on its own; each once, in order.

    A pronoun or a part of the name becomes the name where nobody else can be meant.
    """
    return [one for one in _each(blocks, called) if one.stands]


def unclear(blocks: Iterable[Sequence[str]], called: Called) -> list[str]:
    """Every other sentence that says something, about whom nobody can tell from it alone."""
    return [one.text for one in _each(blocks, called) if not one.stands]


def _each(blocks: Iterable[Sequence[str]], called: Called) -> list[Statement]:
    blocks = list(blocks)
    pronoun = _pronoun(blocks, called)
    found: dict[str, Statement] = {}
    for block in blocks:
        for one in _alone(block, called, pronoun):
            found.setdefault(fold(one.text), one)
    return list(found.values())


def chosen(texts: Sequence[str], *, most: int) -> list[int]:
    """The numbers, in order, of at most `most` texts that together say the most.

    The first ones, FIRST of `most`: what opens a document is what it is asked about. Then greedy
    cover (Nemhauser, Wolsey and Fisher, Mathematical Programming 14, 1978): again and again the one
    that adds most by its rare words, names and numbers, for its length; a word that two have said
    already adds nothing. So names that occur once in a long document are kept, and what it repeats
    is not.
    """
    if len(texts) <= most:
        return list(range(len(texts)))
    words = [read(text) for text in texts]
    taken = list(range(max(LEAD, int(FIRST * most))))[:most]
    said: Counter[str] = Counter(term for at in taken for term in words[at].terms)
    left = list(range(len(taken), len(texts)))
    gains = {at: _gain(words[at], said) for at in left}
    while left and len(taken) < most:
        # Gains only shrink: the best by old gains, measured anew, is the best if it stays on top.
        left.sort(key=lambda at: (-gains[at], at))
        best = left[0]
        gains[best] = _gain(words[best], said)
        if len(left) == 1 or gains[best] >= gains[left[1]]:
            taken.append(left.pop(0))
            said.update(list(words[best].terms))
    return sorted(taken)


def _added(words: Words, said: Counter[str]) -> float:
    worth = (1.0, TWICE, 0.0)
    return sum(rarity * worth[min(said[term], 2)] for term, rarity in words.terms.items())


def _gain(words: Words, said: Counter[str]) -> float:
    # By the root of the length: a long sentence says more, and each of its facts less clearly.
    return _added(words, said) / math.sqrt(max(len(words.words), LEAST_WORDS))


def _pronoun(blocks: Sequence[Sequence[str]], called: Called) -> str:
    """The pronoun that goes for the concept: the one that opens most sentences behind its name."""
    counts: Counter[str] = Counter()
    for block in blocks:
        named = True  # what a paragraph opens with, it takes for known
        for sentence in block:
            match = PRONOUN.match(sentence)
            if match and named:
                counts[_subject(match[0])] += 1
            elif not match:
                found = called.first(sentence)
                named = found is not None and found.start() < 40
    return max(SUBJECTS, key=lambda one: counts[one]) if counts else ""


def _subject(pronoun: str) -> str:
    plain = pronoun.casefold()
    return OWNERS.get(plain, plain)


def _alone(block: Sequence[str], called: Called, pronoun: str) -> Iterator[Statement]:
    meant = True  # a paragraph begins with the concept in mind
    for sentence in block:
        plain = _begun(JOINTS.sub("", sentence.strip()))
        named = called.first(plain)
        if named:
            meant = meant or named.start() < 40
        else:
            # A year takes the thread of the story up again.
            meant = (meant and not OTHER.match(plain)) or bool(DATED.match(plain))
        text = _replaced(plain, called, pronoun) if meant else None
        if named and not (text and PRONOUN.match(plain)):
            text = _whole(plain, named, called)
        if _worth(text or plain, named=bool(text)):
            stands = bool(text) or not _leans(plain)
            yield Statement(" ".join((text or plain).split()), bool(text), stands)


def _leans(sentence: str) -> bool:
    """Whether a sentence, as it stands, is about something that another one names."""
    pronoun = PRONOUN.search(sentence)
    opens = pronoun is not None and OPENS.match(sentence[: pronoun.start()])
    return bool(LEANS.match(sentence) or opens)


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _whole(sentence: str, named: re.Match[str], called: Called) -> str:
    """The sentence with the whole name where only a part of it stood."""
    if named[0] not in called.short or named[0] in called.names:
        return sentence
    return sentence[: named.start()] + base_of(called.names[0]) + sentence[named.end() :]


def _replaced(sentence: str, called: Called, pronoun: str) -> str | None:
    """The sentence with the name for its first pronoun; None where that may be somebody else."""
    match = next(
        (m for m in PRONOUN.finditer(sentence) if not EMPTY.match(sentence, m.start())), None
    )
    if not match or _subject(match[0]) != pronoun:
        return None
    before, rest = sentence[: match.start()], sentence[match.end() :]
    if not OPENS.match(EMPTY.sub("", before)):
        return None
    owner = match[0].casefold() in OWNERS
    if owner and not re.match(r"\s[\w\"“]", rest):
        return None
    name = base_of(called.names[0])
    if pronoun == "they" and not owner:
        rest = re.sub(r"\A\s(are|were|have)\b", _singular, rest)
    own = f"{name}'" if name.endswith("s") else f"{name}'s"
    return before + (own if owner else name) + rest


def _singular(verb: re.Match[str]) -> str:
    return " " + {"are": "is", "were": "was", "have": "has"}[verb[1]]


def _worth(text: str, *, named: bool) -> bool:
    count = words_of(text)
    if count < LEAST_WORDS or len(text) > LONGEST or text.endswith(("?", ":")):
        return False
    if not ENDED.search(text) and count < LEAST_UNENDED and not named:
        return False
    if not named and SPOKEN.search(text):
        return False
    # A name or a number: where letters have no capitals, any of them may begin a name.
    return any(char.isalnum() and not char.islower() for char in text)
