"""Disguises that texts hide in, and what each piece of one says undone. Knows no offsets beyond it.

A decoder that is too eager costs a little time; one that is too shy lets a name through.
"""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote, unquote_plus

from classifiers import alphabets, codes
from classifiers.confusables import CAPITALS
from classifiers.fields import FIELDS, Record, records, rows
from classifiers.language import noise

LEAST_READABLE = 8  # characters that a piece must hide for an encoder to be asked about it
LEAST_WORDS = 4  # of a link or a tag, below which they are no sentence

_LEET = str.maketrans("0134578@$!|+9€", "oieastbasiltge")
# Digits between letters: "H0gwarts" and not "1990s", "mp3" or "5th".
_DIGITS_INSIDE = re.compile(r"[^\W\d_][\d@$!|+€]+[^\W\d_]")
_LINK = re.compile(r"\[([^\[\]\n]{1,100})\]\([^()\n]{0,300}\)")
_QUOTED = re.compile(r"=\s*[\"']([^\"'<>]{2,})[\"']")
_LETTER = re.compile(r"[^\W\d_]")
_HUMP = re.compile(r"(?<=[a-zà-öø-ÿ0-9])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-Z])(?=[A-Z][a-z])")
_LATIN = re.compile(r"[A-Za-z]")
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

    @property
    def needs(self) -> frozenset[str]:
        """Characters without any of which a text cannot be in it; none: there is no telling."""
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
    needs: frozenset[str] = frozenset()  # one of these, or it is not there

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
    needs: frozenset[str]
    innermost: bool = True

    def find(self, text: str) -> Iterator[Piece]:
        for record in self.read(text):
            yield Piece(record.start, record.end, record.said, readable=False)


def _always(_token: str, _said: str) -> bool:
    return True


def _never(_token: str, _said: str) -> bool:
    return False


def _long(_token: str, said: str) -> bool:
    """Whether it is worth an encoder's time: most bytes and numbers decode to something."""
    return len(said) >= LEAST_READABLE and not noise(said)


def _joins(token: str, _said: str) -> bool:
    """Whether strings are put together by a sign; side by side they may be two words."""
    return not token.strip("\"'").isspace() and len(token) > 2


def _several(_token: str, said: str) -> bool:
    return len(said.split()) > LEAST_WORDS


def _of_json(token: str, _said: str) -> bool:
    return '"' in token and ":" in token


def _mixed(token: str, _said: str) -> bool:
    return len(token) > 3 and _DIGITS_INSIDE.search(token) is not None


def _from_escape(token: str) -> str | None:
    """`\\u0041`, `\\x41`, `\\U00000041`, `U+0041`, `=41` by sixteen, `\\101` by eight."""
    octal = token[0] == "\\" and token[1].isdigit()
    digits = token[1:] if octal or token[0] == "=" else token[2:].strip("{}")
    code = int(digits, 8 if octal else 16)
    return chr(code) if code < 0x110000 else None


def _from_address(token: str) -> str:
    """The words of a link's path and query, as sentences of their own."""
    _, _, behind = token.partition("://")
    parts = re.split(r"[/?&;#]", unquote_plus(behind, errors="ignore"))[1:]
    said = [re.sub(r"[\W_]+", " ", part.partition("=")[2] or part).strip() for part in parts]
    return f". {'. '.join(filter(None, said))}. "


def _from_attributes(token: str) -> str:
    """What stands in quotes within a tag, as sentences of their own."""
    return f". {'. '.join(_QUOTED.findall(token))}. "


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
    """Letters for digits; a 1, a | and a ! may each be an i or an l.

    Of words with hyphens between them (`743-h0`) one at least must hold a letter among digits.
    """
    table = _LEET | {ord(char): one for char in "1|!"}

    def decode(token: str) -> str | None:
        parts = token.split("-")
        found = any(_LETTER.search(part) and part.translate(table) != part for part in parts)
        return token.translate(table) if found or _LETTER.search(parts[0]) else None

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


def _decoder(  # noqa: PLR0913 - a row of the table
    name: str,
    pattern: str,
    decode: Callable[[str], str | None],
    readable: Callable[[str, str], bool] = _always,
    *,
    innermost: bool = False,
    needs: Iterable[str] = "",
) -> Decoder:
    return Decoder(name, re.compile(pattern), decode, readable, innermost, frozenset(needs))


# Words are looked for from their beginning only, or a long one would be read once a character. An
# exclamation mark ends more words than it hides letters.
_LEET_WORD = r"(?<![\w@$!|+€])(?=[\w@$!|+€]*[\d@$|+€]|[\w@$|+€]*![!]*[\w@$|+€])[\w@$!|+€]{2,}(?<!!)"
_LEET_WORDS = rf"{_LEET_WORD}(?:-[\w@$!|+€]+(?<!!))*"
_BYTE = r"(?:\\x|0x)?[0-9a-fA-F]{2}h?"
# HTML tags and comments, Markdown emphasis inside a word, links and footnotes, LaTeX commands,
# terminal colours, and the hyphen at the end of a line.
_MARKUP = (
    r"<!\[CDATA\[|\]\]>|</?[A-Za-z][^<>]{0,2000}>|<!--[^<>]{0,200}-->|<[?!][^<>]{0,200}>"
    r"|/\*[^*]{0,200}\*/|\[[^\[\]\n]{1,100}\]\([^()\n]{0,300}\)|\[/?[a-z]{1,9}=[^\[\]\n]{1,60}\]"
    r"|\[\^?\w{1,8}\]|\\[hv]space\*?\{[^{}\n]{0,20}\}|\\[A-Za-z]{2,12}\{|\{\\[A-Za-z]{1,12} "
    r"|(?<=[\w .,])\}|(?<=\w)(?:\{\}|\\[-/,])(?=\w)"
    r"|\x1b\[[0-9;]{0,12}m"
    r"|(?<=\w)(?:[*_~`]{1,3}|\\)(?=\w)|(?<=\w)[*_~`]{1,3}(?=\s|$)|-[ \t]*\n\s*"
)
_MARKS = "<[\\}\x1b*_~`-/"  # without one of these there is no markup
_DIGITS = "0123456789"
# What numbers or marks the lines of a list or the rows of a table.
_NUMBERING = r"(?m)^[ \t|>]*(?:[0-9]{1,4}[ \t]*[.):|]?|[-*•+])[ \t|]+"
_GAP = r"[ \t.,\-_*/|~·]{1,4}"

# Strings that a program puts together, and a letter that is struck out again.
_PUT_TOGETHER = r"(?<=[\w ])([\"'])\s{0,3}(?:\+|\.{1,2}|\|\||&)?\s{0,3}[\"'](?=[\w ])|[^\n]\x08"
_ADDRESS = r"\b[a-z][a-z+.-]{1,9}://[^\s<>\"')\]]{1,1000}"
_ATTRIBUTES = r"<[A-Za-z][^<>=]{0,100}=\s{0,3}[\"'][^<>]{2,1000}>"
# Lines that are one token each, and groups of four: base64 as mail programs and people break it.
_BASE64_LINES = (
    r"(?m)^[ \t>]*[A-Za-z0-9+/]{2,100}[ \t]*(?:\r?\n\s*[A-Za-z0-9+/]{2,100}[ \t]*)+={0,2}$"
    r"|(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4}\s){2,}[A-Za-z0-9+/]{2,4}={0,2}(?![A-Za-z0-9+/])"
)
# As programs name things: "lookUpVask". A word that begins with a capital is one as it is, whatever
# capital stands within: "JavaScript", "McDonald".
_IDENTIFIER = r"(?<!\w)[a-zà-öø-ÿ]{2,}[A-ZÀ-ÖØ-Þ]\w*"
_BETWEEN = r"[^\w]{1,12}(?:(?:chr|char|Chr|CHAR)\$?[^\w]{1,2})?"  # two codes
_ENTITY = r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z]{2,12};)"
_ESCAPE = (
    r"\\u(?:[0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\})|\\x[0-9a-fA-F]{2}|\\U[0-9a-fA-F]{8}|[Uu]\+[0-9a-fA-F]{4,6}"
    r"|\\[0-7]{2,3}|=[0-9A-F]{2}|%u[0-9a-fA-F]{4}"
)

DECODERS: tuple[Disguise, ...] = (
    # A piece is never empty: an invisible character will do.
    _decoder("markup", _MARKUP, _from_markup("\u200b"), needs=_MARKS),
    _decoder("markup-apart", _MARKUP, _from_markup(" "), needs=_MARKS),
    _decoder("numbering", _NUMBERING, _from_markup("\u200b"), _never, needs=f"{_DIGITS}-*•+"),
    _decoder("fields", FIELDS, _from_markup(" "), _of_json, innermost=True),
    _Together("records", records, frozenset(":=,<|\t")),
    _Together("rows", rows, frozenset("|")),
    _decoder("camel", _IDENTIFIER, _from_camel, _never, innermost=True),
    _decoder("base64", r"[A-Za-z0-9+/_-]{6,}={0,2}", codes.from_base64, _long),
    _decoder("base64-lines", _BASE64_LINES, codes.from_base64_core, _long),
    _decoder(
        "hex",
        rf"{_BYTE}(?:[^\w\\]{{0,12}}{_BYTE}){{2,}}[0-9a-fA-F]?",
        codes.from_hex,
        _long,
        needs=_DIGITS,
    ),
    _decoder(
        "binary",
        r"(?:0b)?[01]{7,8}(?:[^\w]{0,12}(?:0b)?[01]{7,8}){2,}",
        codes.from_binary,
        _long,
        needs="01",
    ),
    _decoder(
        "decimal",
        rf"(?<!\d)(?:[0-9]{{2,3}}{_BETWEEN}){{3,}}[0-9]{{2,3}}(?!\d)",
        codes.from_decimal,
        _long,
        needs=_DIGITS,
    ),
    _decoder("octal", codes.OCTAL, codes.from_octal, _long, needs=_DIGITS),
    _decoder("base32", codes.BASE32, codes.from_base32, _long),
    _decoder("base58", codes.BASE58, codes.from_base58, _long),
    _decoder(
        "base85",
        codes.BASE85,
        codes.from_base85,
        _long,
        needs="#$%&*+<=>@^`{|}~\\[]",
    ),
    _decoder("morse", alphabets.MORSE, alphabets.from_morse, _long, innermost=True),
    _decoder("spelling alphabet", alphabets.SPELT, alphabets.from_spelt, _long, innermost=True),
    _decoder(
        "braille",
        alphabets.BRAILLE,
        alphabets.from_braille,
        _long,
        innermost=True,
        needs=alphabets.CELLS,
    ),
    _decoder(
        "places", alphabets.PLACES, alphabets.from_places, _long, innermost=True, needs=_DIGITS
    ),
    _decoder(
        "flipped", alphabets.FLIPPED, alphabets.from_flipped, _long, needs=alphabets.UPSIDE_DOWN
    ),
    _decoder(
        "styled",
        alphabets.STYLED,
        alphabets.from_styled,
        _long,
        innermost=True,
        needs=alphabets.STYLED_LETTERS,
    ),
    _decoder("latex", alphabets.LATEX, alphabets.from_latex, innermost=True, needs="\\"),
    _decoder(
        "selectors",
        codes.SELECTORS,
        codes.from_selectors,
        needs=codes.UNSEEN,
    ),
    _decoder("stretched", r"([^\W\d_])\1{2,}", lambda token: token[0], _never, innermost=True),
    _decoder("letter names", alphabets.NAMED, alphabets.from_named, _never, innermost=True),
    _decoder("address", _ADDRESS, _from_address, _several, innermost=True, needs=":"),
    _decoder("attributes", _ATTRIBUTES, _from_attributes, _several, innermost=True, needs="<"),
    _decoder("put together", _PUT_TOGETHER, _from_markup("\u200b"), _joins, needs="\"'\x08"),
    _decoder(
        "tags", r"[\U000E0020-\U000E007E]+", _from_tags, needs=map(chr, range(0xE0020, 0xE007F))
    ),
    _decoder("percent", r"(?:%[0-9a-fA-F]{2})+", _from_percent, needs="%"),
    _decoder("entities", _ENTITY, html.unescape, needs="&"),
    _decoder("escapes", _ESCAPE, _from_escape, needs="\\=+%"),
    _decoder("css", r"(?:\\[0-9a-fA-F]{2,6} ?){4,}", codes.from_css, needs="\\"),
    _decoder(
        "spaced",
        rf"(?<![^\W_])[^\W_](?:{_GAP}[^\W_](?![^\W_])){{2,}}",
        _from_spaced,
        lambda _token, said: len(said) > 4,
    ),
    _decoder(
        "capitals",
        rf"(?<!\w)\w*[{''.join(CAPITALS)}]\w*",
        _from_capitals,
        innermost=True,
        needs=CAPITALS,
    ),
    _decoder(
        "leet", _LEET_WORDS, _from_leet("i"), _mixed, innermost=True, needs=f"{_DIGITS}@$|+€!"
    ),
    _decoder(
        "leet-l", _LEET_WORDS, _from_leet("l"), _never, innermost=True, needs=f"{_DIGITS}@$|+€!"
    ),
)
