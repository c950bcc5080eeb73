"""Every reading of a text that a person or a program could make out, mapped back to its characters.

Knows no concept. The first view is the text itself in folded form; further ones are made only where
something in the text asks for them, bounded in number and size.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from classifiers.confusables import TO_LATIN
from classifiers.verdict import Span

MOST_VIEWS = 16
MOST_GROWTH = 8  # all views together hold at most so many times the characters of the text
LEAST_ROOM = 4096

FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
LEET = str.maketrans("0134578@$!|+9€", "oieastbasiltge")
LEET_WORD = re.compile(r"[\w@$!|+€]{3,}")
LEET_LETTER = re.compile(r"[^\W\d_]")
LEET_DIGIT = re.compile(r"[\d@$!|+€]")
SPACED = re.compile(r"(?<!\S)(?:\w ){2,}\w(?!\S)")
FREQUENT = frozenset(
    "the of and to in a is was that for on with as by at from his her it he she be are an or".split()
)


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text.

    text     folded: case-less letters and digits, anything else one space; for exact search
    reading  as it reads, for an encoder; None where a reader would not take it for language
    starts, ends  per character of `text`, the range of the original that it stands for
    strict   whether words in it are bounded as in the original
    """

    name: str
    text: str = field(repr=False)
    reading: str | None = field(repr=False)
    starts: tuple[int, ...] = field(repr=False)
    ends: tuple[int, ...] = field(repr=False)
    strict: bool = True

    def span(self, start: int, end: int) -> Span:
        """The smallest range of the original that holds `text[start:end]`, which is not empty."""
        return Span(min(self.starts[start:end]), max(self.ends[start:end]))


@dataclass(frozen=True, slots=True)
class _Source:
    """A text, decoded or not, with the range of the original behind each character."""

    name: str
    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def replaced(self, name: str, found: list[tuple[int, int, str]]) -> "_Source":
        """The text with ranges replaced; each new character stands for its whole range."""
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for start, end, text in found:
            parts += [self.text[at:start], text]
            first, last = min(self.starts[start:end]), max(self.ends[start:end])
            starts += [*self.starts[at:start], *[first] * len(text)]
            ends += [*self.ends[at:start], *[last] * len(text)]
            at = end
        parts.append(self.text[at:])
        starts += self.starts[at:]
        ends += self.ends[at:]
        label = name if self.name == "plain" else f"{self.name}+{name}"
        return _Source(label, "".join(parts), tuple(starts), tuple(ends))


def fold(text: str) -> str:
    """Case-less Latin letters and digits, everything else one space between words."""
    return "".join(folded for _, folded in _folded(text)).strip()


def views(text: str) -> list[View]:
    """All readings of a text, the folded text itself first."""
    plain = _Source("plain", text, tuple(range(len(text))), tuple(range(1, len(text) + 1)))
    room = MOST_GROWTH * len(text) + LEAST_ROOM
    found: list[View] = []
    seen: set[str] = set()
    for view in _all(plain):
        room -= len(view.text)
        if room < 0 or len(found) >= MOST_VIEWS:
            break
        if view.text and view.text not in seen:
            seen.add(view.text)
            found.append(view)
    return found


def _all(plain: _Source) -> Iterator[View]:
    """The likeliest first: where the room ends, the unlikeliest are missed."""
    first = _view(plain)
    yield first
    decoded = [source for decode in DECODERS for source in decode(plain)]
    for source in (*decoded, *_leet(plain)):
        yield _view(source)
    yield from _joined(first)
    turned = [turn(plain) for turn in (_reversed, _rotated)]
    for source in turned:
        yield _turned(source, first)
    for source in decoded:
        yield from _joined(_view(source))
        for turn in (_reversed, _rotated):
            yield _turned(turn(source), first)
        for again in _leet(source):
            yield _view(again)
    for source in (*decoded, *turned):
        for decode in DECODERS:
            yield from map(_view, decode(source))


def _view(source: _Source) -> View:
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for at, folded in _folded(source.text):
        parts.append(folded)
        starts += [source.starts[at]] * len(folded)
        ends += [source.ends[at]] * len(folded)
    text = "".join(parts)
    return View(source.name, text, _reading(source.text) or None, tuple(starts), tuple(ends))


def _folded(text: str) -> Iterator[tuple[int, str]]:
    """Folded characters with the place of the character that each comes from."""
    spaced = True  # a text begins without a space
    for at, char in enumerate(text):
        folded = _char(char)
        if folded == " ":
            if not spaced:
                yield at, folded
            spaced = True
        elif folded:
            yield at, folded
            spaced = False


@lru_cache(maxsize=1 << 16)
def _char(char: str) -> str:
    """What one character folds to: letters and digits, a space, or nothing if it is invisible."""
    if char in FILLERS or unicodedata.category(char) in ("Cf", "Cs", "Mn", "Me"):
        return ""
    if unicodedata.category(char) == "Cc":
        return " " if char.isspace() else ""
    folded = []
    for part in unicodedata.normalize("NFKD", char):
        for letter in TO_LATIN.get(part, part).casefold():
            latin = TO_LATIN.get(letter, letter)
            if unicodedata.category(letter) not in ("Mn", "Me", "Cf"):
                folded.append(latin if latin.isalnum() else " ")
    word = "".join(folded)
    return word.strip() or (" " if word or not folded else "")


def _reading(text: str) -> str:
    """The text for an encoder: visible characters, composed, look-alikes only undone among Latin."""
    if text.isascii():
        return " ".join(text.split())
    visible = "".join(c for c in text if c not in FILLERS and unicodedata.category(c) not in ("Cf", "Cs"))
    composed = unicodedata.normalize("NFKC", visible)
    return " ".join(_unmixed(word) for word in composed.split())


def _unmixed(word: str) -> str:
    lower = word.casefold()
    strange = [c for c in lower if c in TO_LATIN]
    if strange and any("a" <= c <= "z" for c in lower):
        return "".join(TO_LATIN.get(c, c) for c in lower)
    return word


def _joined(view: View) -> Iterator[View]:
    """Letters that stand alone, "H o g", joined: where words end in it nobody can tell."""
    runs = [match.span() for match in SPACED.finditer(view.text)]
    if not runs:
        return
    keep = [True] * len(view.text)
    for start, end in runs:
        for at in range(start, end):
            keep[at] = view.text[at] != " "
    kept = [at for at, kept in enumerate(keep) if kept]
    text = "".join(view.text[at] for at in kept)
    yield View(
        f"{view.name}+joined" if view.name != "plain" else "joined",
        text,
        text,
        tuple(view.starts[at] for at in kept),
        tuple(view.ends[at] for at in kept),
        strict=False,
    )


def _reversed(source: _Source) -> _Source:
    return _Source(
        "reversed" if source.name == "plain" else f"{source.name}+reversed",
        source.text[::-1],
        source.starts[::-1],
        source.ends[::-1],
    )


def _rotated(source: _Source) -> _Source:
    name = "rot13" if source.name == "plain" else f"{source.name}+rot13"
    return _Source(name, codecs.encode(source.text, "rot13"), source.starts, source.ends)


def _turned(source: _Source, plain: View) -> View:
    """A reversed or rotated text is encoded only where it reads more like language than before."""
    view = _view(source)
    if _frequent(view.text) > _frequent(plain.text):
        return view
    return View(view.name, view.text, None, view.starts, view.ends)


def _frequent(text: str) -> int:
    return sum(word in FREQUENT for word in text.split())


def _decoder(
    name: str, pattern: str, decode: Callable[[str], str | None]
) -> Callable[[_Source], Iterator[_Source]]:
    """A decoder of tokens: every match of the pattern that decodes to text is replaced by it."""
    token = re.compile(pattern)

    def decoder(source: _Source) -> Iterator[_Source]:
        found = []
        for match in token.finditer(source.text):
            text = decode(match[0])
            if text and text != match[0]:
                found.append((*match.span(), text))
        if found:
            yield source.replaced(name, found)

    return decoder


def _readable(raw: bytes) -> str | None:
    """Bytes as text, if it is text."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    plain = sum(char.isprintable() or char.isspace() for char in text)
    letters = sum(char.isalpha() for char in text)
    return text if text and plain == len(text) and letters * 2 >= len(text) else None


def _from_base64(token: str) -> str | None:
    core = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(core + "=" * (-len(core) % 4), validate=True))
    except binascii.Error:
        return None


def _from_hex(token: str) -> str | None:
    digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", token)
    return _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_numbers(base: int) -> Callable[[str], str | None]:
    def decode(token: str) -> str | None:
        codes = [int(number, base) for number in re.findall(r"\d+", token)]
        return "".join(map(chr, codes)) if all(31 < code < 127 for code in codes) else None

    return decode


def _from_escapes(token: str) -> str | None:
    return chr(int(re.sub(r"[^0-9a-fA-F]", "", token[2:]), 16) % 0x110000)


def _from_percent(token: str) -> str | None:
    return unquote(token, errors="ignore")


def _leet(source: _Source) -> Iterator[_Source]:
    """Words of letters and digits read as letters; a 1 or a | may be an i or an l."""
    words = [
        (*match.span(), match[0])
        for match in LEET_WORD.finditer(source.text)
        if LEET_LETTER.search(match[0]) and LEET_DIGIT.search(match[0])
    ]
    if not words:
        return
    for name, one in (("leet", "i"), ("leet-l", "l")):
        table = LEET | {ord("1"): one, ord("|"): one, ord("!"): one}
        exact = [
            (start + n, start + n + 1, letter)
            for start, _, word in words
            for n, letter in enumerate(word.translate(table))
            if letter != word[n]
        ]
        yield source.replaced(name, exact)


DECODERS: tuple[Callable[[_Source], Iterator[_Source]], ...] = (
    _decoder("base64", r"[A-Za-z0-9+/_-]{6,}={0,2}", _from_base64),
    _decoder("hex", r"(?:(?:\\x|0x)?[0-9a-fA-F]{2}[\s:,-]?){3,}", _from_hex),
    _decoder("binary", r"(?:[01]{7,8}[\s,]?){3,}", _from_numbers(2)),
    _decoder("decimal", r"(?:\d{2,3}[\s,]+){3,}\d{2,3}", _from_numbers(10)),
    _decoder("percent", r"(?:%[0-9a-fA-F]{2})+", _from_percent),
    _decoder("entities", r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z]{2,12});", html.unescape),
    _decoder("escapes", r"\\u\{?[0-9a-fA-F]{4,6}\}?|\\x[0-9a-fA-F]{2}", _from_escapes),
)
