"""Questions with something to choose from: shown by letters, and what was chosen. Knows no arm.

A reply that names several of them chose none: what it means would be a guess.
"""

import re
from collections.abc import Sequence

from leakage.scores import plainly, words

LETTERS = "ABCDEFGHIJ"

_LETTER = re.compile(r"(?<![^\W_])([A-J])(?![^\W_])")
_ALONE = re.compile(r"\W*([A-Ja-j])\W*$")
_OPENING = re.compile(r"\W*([A-J])\s*[.):\]*,-]")
_SPEAKS_OF_LETTERS = re.compile(r"\b(?:answer|option|choice|letter)\b", re.IGNORECASE)
# What comes before the options of a question that lists them in its own sentence.
_BEFORE = re.compile(
    r"[:,]\s+(?:was|is|were|are)\s+(?:it|they)\s+|:\s+|\boptions\s*,\s*", re.IGNORECASE
)
_OR = re.compile(r"\s*(?:,\s*(?:or|and)\s+|,\s*|;\s*|\s+or\s+)", re.IGNORECASE)


def choosing(question: str, shown: Sequence[str]) -> str:
    """The question with lettered options. Raises ValueError for more than there are letters."""
    if len(shown) > len(LETTERS):
        raise ValueError(f"at most {len(LETTERS)} options")
    return f"{question}{_lettered(shown)}"


def unlisted(prompt: str, shown: Sequence[str]) -> str:
    """The question alone, where `choosing` listed the options behind it."""
    return prompt.removesuffix(_lettered(shown))


def _lettered(shown: Sequence[str]) -> str:
    listed = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, shown, strict=False))
    return f"\n{listed}\nAnswer with one letter."


def chosen(said: str, shown: Sequence[str]) -> str:
    """The option that a reply names, by its letter or by its text; empty where it names none.

    A letter at the beginning ("B", "B. The dog") decides. Elsewhere A and I, which are words, count
    only where the reply speaks of an answer, an option, a choice or a letter.
    """
    opening = _ALONE.match(said) or _OPENING.match(said)
    if opening and (found := LETTERS.index(opening[1].upper())) < len(shown):
        return shown[found]
    letters = {LETTERS.index(letter) for letter in _LETTER.findall(said)}
    if not _SPEAKS_OF_LETTERS.search(said):
        letters -= {LETTERS.index("A"), LETTERS.index("I")}
    named = {shown[at] for at in letters if at < len(shown)} | set(_mentioned(said, shown))
    return named.pop() if len(named) == 1 else ""


def _mentioned(said: str, shown: Sequence[str]) -> list[str]:
    found = [text for text in shown if plainly(said, [text])]
    # "York" is mentioned wherever "New York" is.
    return [t for t in found if not any(o != t and plainly(o, [t]) for o in found)]


def listed(question: str, answer: str) -> list[str]:
    """The options that a question lists in its own sentence, as RWKU writes them.

    Empty where the answer is not one of them: then they were not read rightly.
    """
    for before in reversed(list(_BEFORE.finditer(question))):
        items = _OR.split(question[before.end() :].strip(" ?."))
        found = [text.strip(" '\"\u2018\u2019\u201c\u201d") for text in items]
        found = [text for text in dict.fromkeys(found) if words(text)]
        if len(found) > 1 and sum(words(text) == words(answer) for text in found) == 1:
            return found
    return []
