"""Where a text names a concept, by a whole name or by the part that goes for it.

Knows no document and no screen. Capitals tell names here, as English writes them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from classifiers import fold
from classifiers.background import BACKGROUND
from classifiers.fingerprint_terms import FRAME, rarity

_PLANE = map(chr, range(0x10000))
CAPITAL = f"[{''.join(c for c in _PLANE if unicodedata.category(c) in ('Lu', 'Lt'))}]"
# Thai, Lao, Burmese and Khmer letters, kana and Han: no space stands between words.
SPACELESS = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
WORD = rf"{CAPITAL}[\w'’.-]*"  # noqa: RUF001 - a typographic apostrophe is meant
QUOTED = r"[\"“]([^\"“”]{2,60})[\"”]"
PARTICLE = (
    r"(?:(?:de|da|di|du|del|della|der|den|van|von|bin|ibn|al|el|la|le|of the|of|the|and|&)\s)*"
)
PHRASE = rf"{WORD}(?:\s{PARTICLE}{WORD})*"
SUFFIX = re.compile(r"(?:,?\s(?:Jr|Sr)\.?|\s[IVX]{1,4})\Z")
TITLE = re.compile(
    r"\A(?:Sir|Dame|Lord|Lady|Dr|Prof(?:essor)?|Saint|St|Mr|Mrs|Ms|President|King|Queen|Prince"
    r"|Princess|Pope)\.?\s(?=\S)"
)
RARE = 0.95  # rarity of a word that may stand as a name by itself
LEAST_ALONE = 5  # letters of such a word
BESIDE = 200  # characters that hold the word before a name
GOES_ON = re.compile(rf"\s(?:&|of\s{CAPITAL}|{CAPITAL}[\w’'])|-\w")  # noqa: RUF001
COMMON = 0.5  # rarity of a word that begins a sentence with a capital and is no name


@dataclass(frozen=True, slots=True)
class Called:
    """What a concept is called.

    names     such as mean it alone, the given one first
    doubtful  such as may mean others too: for a person to decide about
    short     parts of the name that go for it in its own documents: "King"
    """

    names: tuple[str, ...] = field(repr=False)
    doubtful: tuple[str, ...] = field(repr=False)
    short: frozenset[str] = field(repr=False)

    def first(self, text: str) -> re.Match[str] | None:
        """The first place that names the concept, by a whole name or a part of it."""
        found = [match for match in (self.whole(text), self._shortly(text)) if match]
        return min(found, key=lambda match: (match.start(), -match.end()), default=None)

    def whole(self, text: str) -> re.Match[str] | None:
        """The first whole name in a text."""
        names = sorted(self.names, key=len, reverse=True)
        return re.search("|".join(map(apart, names)), text)

    def said(self, text: str) -> bool:
        """Whether a whole name stands in a text, however either is written."""
        folded = fold(text)
        return any(re.search(apart(fold(name)), folded) for name in self.names)

    def _shortly(self, text: str) -> re.Match[str] | None:
        # A part of the given name before one of a further name, which a spouse may have, too.
        own = self.names[0].split()
        for part in sorted(self.short, key=lambda part: (part not in own, part)):
            for match in re.finditer(apart(part), text):
                if alone(text, match):
                    return match
        return None


def apart(name: str) -> str:
    """A pattern of the name as words of their own, where its script sets words apart."""
    before = "" if re.match(SPACELESS, name) else r"(?<!\w)"
    behind = "" if re.match(SPACELESS, name[-1:]) else r"(?!\w)"
    return f"{before}{re.escape(name)}{behind}"


def words_of(text: str) -> int:
    """How many words a text has; without spaces two letters are taken for one."""
    return len(text.split()) + len(re.findall(SPACELESS, text)) // 2


def base_of(name: str) -> str:
    """A name without a title behind or before it: "Ada, Duchess of Brede" is called Ada."""
    base = name.partition(",")[0].strip()
    return SUFFIX.sub("", TITLE.sub("", base)) or name


def short_of(base: str, sentences: Sequence[str]) -> frozenset[str]:
    """The last word of a name, and the one that is used most by itself."""
    parts = [word for word in base.split() if len(word) > 2 and word[:1].isupper()]
    if len(base.split()) < 2 or not parts:
        return frozenset({base})
    counts: Counter[str] = Counter()
    for word in parts:
        pattern = re.compile(rf"\b{re.escape(word)}\b")
        counts[word] = sum(alone(s, m) for s in sentences for m in pattern.finditer(s))
    most = max(parts, key=lambda word: (counts[word], word == parts[-1]))
    return frozenset({most, parts[-1]})


def alone(text: str, match: re.Match[str]) -> bool:
    """Whether no capitalised word beside it makes a part of a name somebody else's."""
    before = text[max(0, match.start() - BESIDE) : match.start()]
    if before[-1:] in ("-", "&", "–"):  # noqa: RUF001 - a dash between two names is meant
        return False
    words = before.split()
    if before.endswith(" ") and words:
        bare = words[-1].strip("\"“'(")
        opens = len(words) == 1 and rarity(fold(bare)) < COMMON
        plain = fold(bare) in FRAME or opens or TITLE.match(f"{bare} x")
        if bare[:1].isupper() and bare[-1:].isalpha() and not plain:
            return False
    # "King of Horror" is a name of its own.
    return not GOES_ON.match(text, match.end())


def distinctive(name: str) -> bool:
    """Whether a name hardly means anything else: a rare word, or several, not all everyday's."""
    words = [word for word in fold(name).split() if word not in FRAME]
    if not name.isascii() and len(fold(name).replace(" ", "")) > 1 and not _latin(name):
        return True
    if len(words) == 1:
        return len(words[0]) >= LEAST_ALONE and rarity(words[0]) >= RARE
    said = f" {fold(name)} "
    return len(words) > 1 and not any(said in f" {fold(text)} " for text in BACKGROUND)


def _latin(text: str) -> bool:
    return any(char.isalpha() and char < "\u0250" for char in text)
