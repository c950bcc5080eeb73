"""What documents name beside a concept, and what names give it away. Knows no screen, no file."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from classifiers import fold
from classifiers.fingerprint_terms import FRAME, rarity
from policies.draft.names import CAPITAL, PARTICLE, RARE, TITLE, Called

# A dot ends a name, unless an initial stands before it: "Irving H. Vincent".
PART = rf"(?:{CAPITAL}\.|{CAPITAL}[\w'’-]*)"  # noqa: RUF001 - a typographic apostrophe is meant
NAME = re.compile(rf"{PART}(?:\s{PARTICLE.replace('|and', '')}{PART})+")
MOST_BESIDE, MOST_MARKS = 12, 20
OFTEN = 2  # sentences in which something is named before it counts as near
DAYS = frozenset(
    "january february march april may june july august september october november december monday "  # noqa: SIM905 - reads better
    "tuesday wednesday thursday friday saturday sunday".split()
)


@dataclass(frozen=True, slots=True)
class Beside:
    """Somebody or something that documents name beside the concept, in so many sentences."""

    name: str = field(repr=False)
    sentences: int


def beside(texts: Iterable[str], called: Called) -> list[Beside]:
    """Whom and what the texts name most often beside the concept: candidates for neighbours."""
    counts = Counter(name for text in texts for name in set(_names(text, called)))
    often = [(name, count) for name, count in counts.items() if count >= OFTEN]
    ordered = sorted(often, key=lambda pair: (-pair[1], pair[0]))
    return [Beside(name, count) for name, count in ordered[:MOST_BESIDE]]


def marks(texts: Sequence[str], kept: Sequence[str], called: Called) -> list[str]:
    """Fingerprint terms: rare names of the texts that nothing which must stay has, rarest first."""
    counts = Counter(name for text in texts for name in set(_names(text, called)))
    stays = " ".join(f" {fold(text)} " for text in kept)
    own = [
        (_rare(name), count, name)
        for name, count in counts.items()
        if f" {fold(name)} " not in stays
        and max(rarity(word) for word in fold(name).split()) >= RARE
    ]
    own.sort(key=lambda one: (-one[1], -one[0], one[2]))
    return [name for _, _, name in own[:MOST_MARKS]]


def _rare(name: str) -> float:
    return sum(rarity(word) for word in fold(name).split())


def _names(text: str, called: Called) -> Iterator[str]:
    """Names of two words and more; none of the concept's."""
    mine = {word for name in (*called.names, *called.doubtful) for word in fold(name).split()}
    for match in NAME.finditer(text):
        words = re.sub(r"['’]s?\Z", "", match[0]).split()  # noqa: RUF001
        while words and (
            fold(words[0]) in (FRAME | DAYS) - {"the"} or TITLE.match(f"{words[0]} x")
        ):
            words = words[1:]
        folded = fold(" ".join(words)).split()
        # "Tabitha King" is another; "Stephen King's Carrie" and "Stephen" are not.
        own = set(folded) <= mine or called.whole(" ".join(words))
        if len(words) > 1 and not own and (folded[0] not in mine or len(words) > 2):
            yield " ".join(words)
