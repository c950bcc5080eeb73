"""Disguises that texts hide in, and what each piece of one says undone. Knows no offsets beyond it.

A decoder that is too eager costs a little time; one that is too shy lets a name through.
"""

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote

from classifiers.confusables import CAPITALS
from classifiers.fields import FIELDS, Record, records, rows

LEAST_READABLE = 8  # characters that a piece must hide for an encoder to be asked about it
LEAST_MIXED = 16  # characters of base64 that may be all small letters
LEAST_UNALIGNED = 24  # characters of base64 that may be the middle of a longer text
LEAST_SHOWN = 10  # characters that hardly all show by chance

_LEET = str.maketrans("0134578@$!|+9€", "oieastbasiltge")
# Digits between letters: "H0gwarts" and not "1990s", "mp3" or "5th".
_DIGITS_INSIDE = re.compile(r"[^\W\d_][\d@$!|+€]+[^\W\d_]")
_LINK = re.compile(r"\[([^\[\]\n]{1,100})\]\([^()\n]{0,300}\)")
_LETTER = re.compile(r"[^\W\d_]")
_NO_BASE64 = re.compile(r"[/_+-]+")
_HUMP = re.compile(r"(?<=[a-zà-öø-ÿ0-9])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])")
_LATIN = re.compile(r"[A-Za-z]")
_HEX = "0123456789abcdefABCDEF"
_CAPITALS = str.maketrans(CAPITALS)


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` is what the range from `start` to `end` says undone.

    `readable` is false where it is too short or too common to be worth an encoder's time.
    """

    start: int
    end: int
    text: str = field(repr=False)
    readable: bool


class Disguise(Protocol):
    """One way to hide: where it shows in a text, and what it says there."""

    @property
    def name(self) -> str:
        """The disguise, as audit records call it."""
        ...

    @property
    def innermost(self) -> bool:
        """Whether nothing else hides beneath it."""
        ...

    def find(self, text: str) -> Iterator[Piece]:
        """Every piece of a text that is in this disguise, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Decoder:
    """One disguise: where it shows in a text, and how it is undone (None: it was none)."""

    name: str
    pattern: re.Pattern[str]
    decode: Callable[[str], str | None]
    readable: Callable[[str, str], bool]  # of the disguise and of what it says
    innermost: bool = False  # nothing else hides beneath it

    def find(self, text: str) -> Iterator[Piece]:
        """Every piece of a text that is in this disguise, in order."""
        for match in self.pattern.finditer(text):
            token = match[0]
            said = self.decode(token)
            if said and said != token:
                yield Piece(*match.span(), said, self.readable(token, said))


@dataclass(frozen=True, slots=True)
class _Together:
    """Values of one record, read in other orders than they stand in."""

    name: str
    read: Callable[[str], Iterator[Record]]
    innermost: bool = True

    def find(self, text: str) -> Iterator[Piece]:
        for record in self.read(text):
            yield Piece(record.start, record.end, record.said, readable=False)


def _always(_token: str, _said: str) -> bool:
    return True


def _never(_token: str, _said: str) -> bool:
    return False


def _long(_token: str, said: str) -> bool:
    return len(said) >= LEAST_READABLE


def _of_json(token: str, _said: str) -> bool:
    return '"' in token and ":" in token


def _mixed(token: str, _said: str) -> bool:
    return len(token) > 3 and _DIGITS_INSIDE.search(token) is not None


def _text(raw: bytes, *, least: float = 1.0) -> str | None:
    """Bytes as text, if at least that part of them is text; of a long one letters may be few."""
    wide = raw.count(0) * 3 > len(raw)  # two bytes a character
    text = raw.decode(
        "utf-16-be" if wide and raw[:1] == b"\0" else "utf-16-le" if wide else "utf-8",
        errors="ignore",
    )
    if (
        len(text.encode("utf-16-le" if wide else "utf-8"))
        < (len(raw) & ~1 if wide else len(raw)) * least
    ):
        return None
    shown = [char for char in text if char.isprintable() or char.isspace()]
    letters = sum(char.isalpha() for char in shown)
    clean = len(shown) == len(text)
    likely = letters * 2 >= len(text) or (clean and len(text) >= LEAST_SHOWN and letters >= 3)
    return "".join(shown) if likely and len(shown) * 8 >= len(text) * 7 else None


def _from_base64(token: str) -> str | None:
    """The whole token, or what stands between the slashes of a path or the marks around a word."""
    whole = _from_base64_core(token)
    if whole:
        return whole
    parts = _NO_BASE64.split(token)
    said = [(_from_base64_core(part) if len(part) > 6 else None) for part in parts]
    return (
        " ".join(one or part for one, part in zip(said, parts, strict=True)) if any(said) else None
    )


def _from_base64_core(token: str) -> str | None:
    core = re.sub(r"\s", "", token).rstrip("=").replace("-", "+").replace("_", "/")
    if len(core) < LEAST_MIXED and core.isalpha() and core[1:].islower():
        return None  # a word
    whole = _base64(core)
    if whole or len(core) < LEAST_UNALIGNED:
        return whole
    # A long token may have been cut anywhere: one of four alignments is its own.
    cuts = (core[skip : skip + (len(core) - skip) // 4 * 4] for skip in range(4))
    return next(filter(None, map(_base64, cuts)), None)


def _base64(core: str) -> str | None:
    try:
        return _text(base64.b64decode(core + "=" * (-len(core) % 4), validate=True))
    except binascii.Error:
        return None


def _from_hex(token: str) -> str | None:
    digits = "".join(char for char in re.sub(r"\\x|0x", "", token) if char in _HEX)
    # The next word may begin like one more byte: "73 fade"; a letter may stand before the first.
    for shift in (0, 1):
        end = shift + (len(digits) - shift) // 2 * 2
        said = _text(bytes.fromhex(digits[shift:end]), least=0.75)
        if said:
            return said
    return None


def _from_binary(token: str) -> str | None:
    return _from_codes(
        [int(bits, 2) for bits in re.findall(r"[01]{7,8}", token.replace("0b", " "))]
    )


def _from_decimal(token: str) -> str | None:
    return _from_codes([int(number) for number in re.findall(r"[0-9]+", token)])


def _from_codes(codes: list[int]) -> str | None:
    return "".join(map(chr, codes)) if all(31 < code < 127 for code in codes) else None


def _from_escape(token: str) -> str | None:
    """`\\u0041`, `\\x41`, `\\U00000041`, `U+0041`, `=41` by sixteen, `\\101` by eight."""
    octal = token[0] == "\\" and token[1].isdigit()
    digits = token[1:] if octal or token[0] == "=" else token[2:].strip("{}")
    code = int(digits, 8 if octal else 16)
    return chr(code) if code < 0x110000 else None


def _from_tags(token: str) -> str | None:
    """Unicode's tag characters, which nobody sees, as the ASCII that they copy."""
    return "".join(chr(ord(char) - 0xE0000) for char in token)


def _from_percent(token: str) -> str | None:
    return unquote(token, errors="ignore")


def _from_spaced(token: str) -> str | None:
    """Letters that stand alone, joined; a wider gap than the narrowest is one between words."""
    letters = re.findall(r"[^\W_]", token)
    gaps = [gap for gap in re.split(r"[^\W_]", token) if gap]
    narrow = min(map(len, gaps))
    if sum(map(str.isalpha, letters)) < 3:
        return None
    between = ["" if len(gap) == narrow else " " for gap in gaps]
    return "".join(map("".join, zip(letters, [*between, ""], strict=True)))


def _from_leet(one: str) -> Callable[[str], str | None]:
    """Letters for digits; a 1, a | and a ! may each be an i or an l."""
    table = _LEET | {ord(char): one for char in "1|!"}

    def decode(token: str) -> str | None:
        return token.translate(table) if _LETTER.search(token) else None

    return decode


def _from_capitals(token: str) -> str | None:
    return token.translate(_CAPITALS) if _LATIN.search(token) else None


def _from_camel(token: str) -> str | None:
    return _HUMP.sub(" ", token)


def _from_markup(between: str) -> Callable[[str], str | None]:
    """Words with markup between or inside them as they are shown: apart, or as one."""

    def decode(token: str) -> str | None:
        link = _LINK.fullmatch(token)
        return link[1] if link else between

    return decode


def _decoder(
    name: str,
    pattern: str,
    decode: Callable[[str], str | None],
    readable: Callable[[str, str], bool] = _always,
    *,
    innermost: bool = False,
) -> Decoder:
    return Decoder(name, re.compile(pattern), decode, readable, innermost)


# Words are looked for from their beginning only, or a long one would be read once a character. An
# exclamation mark ends more words than it hides letters.
_LEET_WORD = r"(?<![\w@$!|+€])(?=[\w@$!|+€]*[\d@$|+€]|[\w@$|+€]*![!]*[\w@$|+€])[\w@$!|+€]{2,}(?<!!)"
_BYTE = r"(?:\\x|0x)?[0-9a-fA-F]{2}"
# HTML tags and comments, Markdown emphasis inside a word, links and footnotes, LaTeX commands,
# terminal colours, and the hyphen at the end of a line.
_MARKUP = (
    r"</?[A-Za-z][^<>]{0,200}>|<!--[^<>]{0,200}-->|/\*[^*]{0,200}\*/|\[[^\[\]\n]{1,100}\]\([^()\n]{0,300}\)"
    r"|\[\^?\w{1,8}\]|\\[A-Za-z]{2,12}\{|(?<=\w)\}|\x1b\[[0-9;]{0,12}m"
    r"|(?<=\w)(?:[*_~`]{1,3}|\\)(?=\w)|(?<=\w)[*_~`]{1,3}(?=\s|$)|-[ \t]*\n\s*"
)
# What numbers or marks the lines of a list or the rows of a table.
_NUMBERING = r"(?m)^[ \t|>]*(?:[0-9]{1,4}[ \t]*[.):|]?|[-*•+])[ \t|]+"
_GAP = r"[ \t.,\-_*/|~·]{1,4}"

# Lines that are one token each, and groups of four: base64 as mail programs and people break it.
_BASE64_LINES = (
    r"(?m)^[ \t>]*[A-Za-z0-9+/]{2,100}[ \t]*(?:\r?\n\s*[A-Za-z0-9+/]{2,100}[ \t]*)+={0,2}$"
    r"|(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4}\s){2,}[A-Za-z0-9+/]{2,4}={0,2}(?![A-Za-z0-9+/])"
)
# As programs name things: "lookUpVask". A word that begins with a capital is one as it is, whatever
# capital stands within: "JavaScript", "McDonald".
_IDENTIFIER = r"(?<!\w)[a-zà-öø-ÿ]{2,}[A-ZÀ-ÖØ-Þ]\w*"
_BETWEEN = r"[^\w]{1,3}(?:(?:chr|char|Chr|CHAR)\$?[^\w]{1,2})?"  # two codes
_ENTITY = r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z]{2,12};)"
_ESCAPE = (
    r"\\u(?:[0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\})|\\x[0-9a-fA-F]{2}|\\U[0-9a-fA-F]{8}|[Uu]\+[0-9a-fA-F]{4,6}"
    r"|\\[0-7]{2,3}|=[0-9A-F]{2}"
)

DECODERS: tuple[Disguise, ...] = (
    # A piece is never empty: an invisible character will do.
    _decoder("markup", _MARKUP, _from_markup("\u200b")),
    _decoder("markup-apart", _MARKUP, _from_markup(" ")),
    _decoder("numbering", _NUMBERING, _from_markup("\u200b"), _never),
    _decoder("fields", FIELDS, _from_markup(" "), _of_json, innermost=True),
    _Together("records", records),
    _Together("rows", rows),
    _decoder("camel", _IDENTIFIER, _from_camel, _never, innermost=True),
    _decoder("base64", r"[A-Za-z0-9+/_-]{6,}={0,2}", _from_base64, _long),
    _decoder("base64-lines", _BASE64_LINES, _from_base64_core, _long),
    _decoder("hex", rf"{_BYTE}(?:[^\w\\]{{0,4}}{_BYTE}){{2,}}[0-9a-fA-F]?", _from_hex, _long),
    _decoder("binary", r"(?:0b)?[01]{7,8}(?:[^\w]{0,3}(?:0b)?[01]{7,8}){2,}", _from_binary, _long),
    _decoder("decimal", rf"(?:[0-9]{{2,3}}{_BETWEEN}){{3,}}[0-9]{{2,3}}", _from_decimal, _long),
    _decoder("tags", r"[\U000E0020-\U000E007E]+", _from_tags),
    _decoder("percent", r"(?:%[0-9a-fA-F]{2})+", _from_percent),
    _decoder("entities", _ENTITY, html.unescape),
    _decoder("escapes", _ESCAPE, _from_escape),
    _decoder(
        "spaced",
        rf"(?<![^\W_])[^\W_](?:{_GAP}[^\W_](?![^\W_])){{2,}}",
        _from_spaced,
        lambda _token, said: len(said) > 4,
    ),
    _decoder("capitals", rf"(?<!\w)\w*[{''.join(CAPITALS)}]\w*", _from_capitals, innermost=True),
    _decoder("leet", _LEET_WORD, _from_leet("i"), _mixed, innermost=True),
    _decoder("leet-l", _LEET_WORD, _from_leet("l"), _never, innermost=True),
)
