"""Text that others wrote, made safe to look at: what is not seen is spelled out. Knows no page.

Names of arms and kinds, and what a model said, come from outside: escape sequences drive a
terminal, bidirectional controls turn a line around, and half a surrogate pair is in no file.
"""

import re
import unicodedata
from html import escape

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# What makes code, HTML, a link or its target, a cell or an address of words.
_MARKUP = re.compile(r"[\\`|]|<(?=[a-zA-Z/!?])|\](?=[(\[:])|(?<=[a-zA-Z]):(?=//)")
_LONGEST = 2_000  # characters of a name or a note on a page
_BLOCK = ("#", "+", "-", ">")  # what a heading, a list or a quotation begins with


def plain(text: str, *, lines: bool = False, most: int | None = None) -> str:
    r"""The text with every character that is not seen as `\x1b`, `\u202e` or `\U000e0041`.

    `lines` keeps ends of lines and tabs; `most` cuts what is longer and says how long it was.
    """
    cut = text if most is None else text[:most]
    shown = cut if cut.isascii() and cut.isprintable() else "".join(_seen(c, lines) for c in cut)
    return shown if len(cut) == len(text) else f"{shown} … ({len(text):,} characters)"


def told(error: Exception) -> str:
    """What went wrong: of a file that cannot be read or written its name and the reason."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return plain(f"{error.filename}: {error.strerror}", lines=True)
    return plain(str(error), lines=True)


def written(text: str, *, lines: bool = False, most: int = _LONGEST) -> str:
    """The text as words of a page: nothing in it is markup, inside an attribute neither."""
    return escape(plain(text, lines=lines, most=most))


def markdown(text: str) -> str:
    """The text as words of one cell of Markdown: no other cell, no link, no HTML comes of it."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", plain(text))


def paragraph(text: str) -> str:
    """The same as a paragraph of its own, and no other block."""
    said = markdown(text.strip())
    return f"\\{said}" if said.startswith(_BLOCK) else said


def _seen(character: str, lines: bool) -> str:  # noqa: FBT001 (for every character of a text)
    if lines and character in "\n\t":
        return character
    if unicodedata.category(character) not in _UNSEEN:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
