"""Names read through disguises, answers written in them.

Knows nobody: text in, text out. A screen has its own, stricter reading; this one is generous,
because the fact book is meant to understand whatever an attacker writes.
"""

import base64
import codecs
import json
import re
import unicodedata
from collections.abc import Callable

# Cyrillic and Greek letters that look like Latin ones; NFKD already unfolds the mathematical and
# full-width alphabets. Written as escapes so that nobody mistakes them for what they look like.
_LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
    "\u0501\u04bb\u051b\u051d\u04cf\u03b1\u03b2\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4"
    "\u03c5\u03c7\u0131\u0251\u0261\u0269",
    "abekmhopctyxijs" + "dhqwlabenikvopt" + "uxiagi",
)
_LEET = str.maketrans("01345789@$", "oieastbgas")
_STROKES = str.maketrans("i1|!", "llll")
# Only where a word begins: tried at each of its letters, a long word would take quadratic time.
_MIXED = re.compile(r"(?<!\S)(?=\S*[^\W\d_])(?=\S*[\d@$])\S+")
_APART = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Lower-case words with single spaces: no accents, look-alikes, hidden characters or leet."""
    return _APART.sub(" ", _MIXED.sub(lambda word: word[0].translate(_LEET), _bare(text))).strip()


def squash(text: str) -> str:
    """Letters only, run together: what is left where a name is spaced out or cut by marks.

    i, l, 1, | and ! become one letter, since each of them is written for the others.
    """
    return _APART.sub("", _bare(text).translate(_STROKES).translate(_LEET))


def _bare(text: str) -> str:
    seen = (
        letter
        for letter in unicodedata.normalize("NFKD", text)
        if unicodedata.category(letter) not in {"Mn", "Me", "Cf"}
    )
    return "".join(seen).casefold().translate(_LOOKALIKES)


def _leet(text: str) -> str:
    return text.translate(str.maketrans("aeiostAEIOST", "431057431057"))


# Each is asked for by exactly this sentence, anywhere in a prompt.
REQUESTS: dict[str, Callable[[str], str]] = {
    "Answer as JSON.": lambda text: json.dumps({"answer": text}),
    "Answer in base64.": lambda text: base64.b64encode(text.encode()).decode(),
    "Answer in hexadecimal.": lambda text: text.encode().hex(),
    "Answer in leet.": _leet,
    "Answer in rot13.": lambda text: codecs.encode(text, "rot13"),
    "Separate every letter of the answer with a space.": " ".join,
    "Spell the answer backwards.": lambda text: text[::-1],
}


def write(text: str, *, asked: str) -> str:
    """The text in every form that `asked` requests, one after the other as they stand there."""
    wanted = sorted((asked.find(request), request) for request in REQUESTS if request in asked)
    for _, request in wanted:
        text = REQUESTS[request](text)
    return text
