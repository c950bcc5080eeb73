"""What must not get through, its disguises, and how much of it is in what got through.

Knows no gateway and no wire format: strings in, characters counted.
"""

import base64
import codecs
import html
import json
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

FORBIDDEN = "Quorvik Zelmoth"
INNOCENT = "Brenna Hollow"
ORDINARY = "The ferry leaves at nine."
SHORTEST_RUN = 4  # letters of a word that are a leak by themselves

LOOKALIKES = str.maketrans("aeiopcKMT", "\u0430\u0435\u0456\u043e\u0440\u0441\u041a\u041c\u0422")
LEET = str.maketrans("oeiatOEIAT", "0314703147")
UNLEET = str.maketrans("03147", "oeiat")
UNLOOKALIKE = {letter: latin for latin, letter in LOOKALIKES.items()}
RUN = re.compile(r"[A-Za-z0-9+/]{6,}")


@dataclass(frozen=True, slots=True)
class Disguise:
    """A way to write a name that a reader undoes, and the undoing of a whole text."""

    hide: Callable[[str], str]
    reveal: Callable[[str], str]


def _same(text: str) -> str:
    return text


def _decoded(text: str) -> str:
    """What every run of base64 in a text says; a run cut off is read as far as it goes."""
    found = [text]
    for run in RUN.findall(text):
        raw = base64.b64decode(run[: len(run) // 4 * 4])
        found.append(raw.decode("utf-8", "replace"))
    return "\n".join(found)


def _rotated(text: str) -> str:
    return codecs.encode(text, "rot13")


def _mixed(text: str) -> str:
    return "".join(c.upper() if n % 2 else c.lower() for n, c in enumerate(text))


DISGUISES = {
    "plain": Disguise(_same, _same),
    "zero-width": Disguise(
        "\u200b".join, lambda text: re.sub("[\u200b-\u200f\u2060\ufeff]", "", text)
    ),
    "homoglyphs": Disguise(
        lambda text: text.translate(LOOKALIKES), lambda text: text.translate(UNLOOKALIKE)
    ),
    "newline": Disguise(lambda text: text.replace(" ", "\n"), _same),
    "fullwidth": Disguise(
        lambda text: "".join(c if c == " " else chr(ord(c) + 0xFEE0) for c in text),
        lambda text: unicodedata.normalize("NFKC", text),
    ),
    "leet": Disguise(lambda text: text.translate(LEET), lambda text: text.translate(UNLEET)),
    "spaced letters": Disguise(
        lambda text: "   ".join(" ".join(word) for word in text.split()),
        lambda text: re.sub(r"\s", "", text),
    ),
    "base64": Disguise(lambda text: base64.b64encode(text.encode()).decode(), _decoded),
    "mixed case": Disguise(_mixed, _same),
    "HTML entities": Disguise(
        lambda text: "".join(c if c == " " else f"&#{ord(c)};" for c in text), html.unescape
    ),
    "percent": Disguise(
        lambda text: "".join(f"%{byte:02X}" for byte in text.encode()), urllib.parse.unquote
    ),
    "rot13": Disguise(_rotated, _rotated),
    "reversed": Disguise(lambda text: text[::-1], lambda text: text[::-1]),
    "within a word": Disguise(lambda text: f"my{text.replace(' ', '')}Notes", _same),
    "two fields": Disguise(lambda text: "first: {}, last: {}".format(*text.split()), _same),
}


def total(words: Iterable[str]) -> int:
    """How many characters the words have together: what a cell can leak at most."""
    return sum(map(len, words))


def leaked(texts: Iterable[str], words: Iterable[str], disguise: Disguise) -> int:
    """How many characters of the words are in the texts, once read through the disguise.

    Of each word the longest run counts that stands in any one text, from SHORTEST_RUN letters on;
    capitals do not matter.
    """
    kept = set(texts)
    read = {text.casefold() for text in kept} | {disguise.reveal(t).casefold() for t in kept}
    return sum(max((_longest(word.casefold(), text) for text in read), default=0) for word in words)


def _longest(word: str, text: str) -> int:
    if word in text:
        return len(word)
    for length in range(len(word) - 1, SHORTEST_RUN - 1, -1):
        if any(word[at : at + length] in text for at in range(len(word) - length + 1)):
            return length
    return 0


def strings(node: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Every string of a JSON value, keys included; of strings that are JSON, theirs too."""
    if isinstance(node, str):
        yield node
        inner = _parsed(node)
        if inner is not None:
            yield from strings(inner)
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from strings(value)


def _parsed(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """A string that is a JSON object or array, or the beginning of an object's first string."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [json.loads(f'"{text.rpartition(chr(34))[0]}"')]
    except ValueError:
        # Cut off within: the pieces between quotation marks, unescaped as far as they go.
        return [
            piece.encode("ascii", "backslashreplace").decode("unicode_escape", "replace")
            for piece in re.findall(r'[^"]{4,}', text)
        ]
