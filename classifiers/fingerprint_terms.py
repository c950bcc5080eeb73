"""Which words of a text carry its meaning, and how rare each is. Knows no concept and no vector.

Rarity is read off the encoder package's vocabulary, which lists the commonest words of English
first: no corpus is shipped or needed.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from classifiers.encoder import PACKAGE
from classifiers.views import fold, reading

COMMON = 1_000  # places of the vocabulary before this one hold signs, letters and function words
RAREST = 60_000  # the place that a word which is not listed would have
LEAST_RARITY = 0.05
YEAR, NUMBER = 0.8, 0.4  # rarity of four digits, and of other numbers
TOKEN = re.compile(r"[^\W_][\w'\u2019.-]*")
POSSESSIVE = re.compile(r"['\u2019][sS]?\Z")

# Words of the frame that any question stands in: they say nothing about whom it is about.
_FRAME = """
a an the of and to in on at for with by from as is was were are be been being has have had do does
did his her hers their its he she it they him them this that these those who whom whose what which
when where why how many much year name named known also or not no into after before during than s t
re ll ve d m i you me my we us our your can could would will shall may might must there then so if
but about please tell answer question following between any some one most first film movie show
series album song role person individual actor actress pretend pretending imagine respond english
"""
FRAME = frozenset(_FRAME.split())

# What a person may be called instead of by name: "the creator of …", "which singer …".
_ROLES = """
person individual man woman star icon legend celebrity figure founder leader hero mastermind brain
performer personality talent husband wife spouse son daughter father mother brother sister child
politician statesman stateswoman president minister queen king prince princess duke duchess pope
athlete champion artist musician singer songwriter rapper vocalist drummer guitarist pianist
composer actor actress comedian entertainer host presenter director filmmaker producer screenwriter
author writer novelist poet playwright journalist philosopher scientist physicist chemist inventor
businessman businesswoman entrepreneur billionaire tycoon magnate model designer painter sculptor
architect diplomat strategist economist activist lawyer judge criminal killer murderer general
commander soldier explorer astronaut player boxer wrestler golfer footballer coach fighter dancer
creator duo band group thinker scholar professor doctor teacher preacher magician chef
"""
ROLES = frozenset(_ROLES.split())


@dataclass(frozen=True, slots=True)
class Words:
    """One text, as evidence is drawn from it.

    folded   folded words between single spaces, one at either end too
    words    the same, one by one
    terms    stem → rarity in [0, 1] of every word that carries meaning
    written  (word as written without its possessive, folded, ends in a possessive, stands directly
             behind the word before it) of each word: who is called by a name depends on the words
             on either side
    role     whether somebody is called by what they are
    """

    folded: str = field(repr=False)
    words: tuple[str, ...] = field(repr=False)
    terms: Mapping[str, float] = field(repr=False)
    written: tuple[tuple[str, str, bool, bool], ...] = field(repr=False)
    role: bool


def read(text: str) -> Words:
    """A text taken apart; look-alikes and invisible characters are undone."""
    seen = reading(text)
    folded = fold(seen)
    words = tuple(folded.split())
    written, end = [], -2
    for match in TOKEN.finditer(seen):
        whole = match[0].rstrip(".-")
        bare = POSSESSIVE.sub("", whole)
        # A stop behind an initial or a title goes on with the name, one behind a word does not.
        joined = seen[end : match.start()] == " " if end >= 0 else False
        written.append((bare, fold(bare), bare != whole, joined))
        end = match.end()
    return Words(
        folded=f" {folded} ",
        words=words,
        terms=terms(words),
        written=tuple(written),
        role=not ROLES.isdisjoint(words),
    )


def terms(words: tuple[str, ...]) -> dict[str, float]:
    """Stem → rarity of the words, folded ones, that carry meaning."""
    return {
        stem(word): rarity(word)
        for word in words
        if word not in FRAME and (len(word) > 1 or word.isdigit())
    }


def rarity(word: str) -> float:
    """How little a folded word is used, from near 0 to 1 for one that no vocabulary lists.

    The logarithm of its place in the vocabulary, as Zipf's law has it.
    """
    if word.isdigit():
        return YEAR if len(word) == 4 else NUMBER
    places = _places()
    place = places.get(word)
    if place is None and word.endswith("s"):
        place = places.get(word[:-1])
    if place is None:
        return 1.0
    share = math.log(max(place, COMMON) / COMMON) / math.log(RAREST / COMMON)
    return max(LEAST_RARITY, share)


def stem(word: str) -> str:
    """A word without the commonest English endings, so that "founded" is "founds"."""
    if word.isdigit() or len(word) < 4:
        return word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word


@cache
def _places() -> Mapping[str, int]:
    listed = (files(PACKAGE) / "model" / "vocab.txt").read_text(encoding="utf-8")
    return {word: place for place, word in enumerate(listed.splitlines()) if word.isalpha()}
