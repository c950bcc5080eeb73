"""Bytes and numbers that say a text: base64 and other bases, codes of characters, unseen selectors.

Knows no offsets and no concept: some patterns, and what a match of one says (None: it was none).
"""

import base64
import binascii
import re

MOST_CODED = 2000  # characters of one number: to read it takes their square
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
UNSEEN = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
SELECTORS = r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,}"
BASE32 = r"(?<![A-Za-z0-9])(?:[A-Z2-7]{8,}|[a-z2-7]{16,})={0,6}(?![A-Za-z0-9=])"
BASE58 = rf"(?<![A-Za-z0-9])[1-9A-HJ-NP-Za-km-z]{{11,{MOST_CODED}}}(?![A-Za-z0-9])"
BASE85 = r"(?<!\S)(?=\S*[^\w\s])[!-~]{12,}(?!\S)"
OCTAL = r"(?<![\w.])[0-7]{2,3}(?!\w)(?:[^\w]{1,3}[0-7]{2,3}(?!\w)){3,}"
LEAST_MIXED = 16  # characters of base64 that may be all small letters
LEAST_UNALIGNED = 24  # characters of base64 that may be the middle of a longer text
LEAST_SHOWN = 10  # characters that hardly all show by chance
_NO_BASE64 = re.compile(r"[/_+-]+")
_WORD = re.compile(r"[^\W\d_]{3,}")
_HEX = "0123456789abcdefABCDEF"


def text_of(raw: bytes, *, least: float = 1.0) -> str | None:
    """Bytes as text, if at least that part of them is text; of a long one letters may be few."""
    zeros = 3 * raw.count(0)
    size = 4 if zeros > 2 * len(raw) else 2 if zeros > len(raw) else 1  # bytes a character
    order = "be" if raw[:1] == b"\0" else "le"
    name = f"utf-{8 * size}-{order}" if size > 1 else "utf-8"
    raw = raw[: len(raw) // size * size].removeprefix("\ufeff".encode(name))
    text = raw.decode(name, errors="ignore")
    if len(text.encode(name)) < len(raw) * least:
        return None
    shown = [char for char in text if char.isprintable() or char.isspace()]
    letters = sum(char.isalpha() for char in shown)
    clean = len(shown) == len(text)
    likely = letters * 2 >= len(text) or (clean and len(text) >= LEAST_SHOWN and letters >= 3)
    return "".join(shown) if likely and len(shown) * 8 >= len(text) * 7 else None


def from_base64(token: str) -> str | None:
    """The whole token, or what stands between the slashes of a path or the marks around a word."""
    whole = from_base64_core(token)
    if whole:
        return whole
    parts = _NO_BASE64.split(token)
    said = [(from_base64_core(part) if len(part) > 6 else None) for part in parts]
    return (
        " ".join(one or part for one, part in zip(said, parts, strict=True)) if any(said) else None
    )


def from_base64_core(token: str) -> str | None:
    """Base64 with either alphabet, padded or not, broken by white space or not, or cut anywhere."""
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
        return text_of(base64.b64decode(core + "=" * (-len(core) % 4), validate=True))
    except binascii.Error:
        return None


def from_hex(token: str) -> str | None:
    """Pairs of hexadecimal digits, whatever stands between them."""
    token = re.sub(r"\\x|0x", "", token)
    digits = "".join(char for char in token if char in _HEX)
    # The next word may begin like one more byte: "73 fade"; a letter may stand before the first.
    ends = ((shift, shift + (len(digits) - shift) // 2 * 2) for shift in (0, 1))
    whole = (text_of(bytes.fromhex(digits[start:end]), least=0.75) for start, end in ends)
    said = next(filter(None, whole), None)
    # Among other bytes, as a dump shows them, each group by itself: one may not be of pairs.
    groups = re.findall(r"[0-9a-fA-F]+", token)
    within = _within(b"".join(_bytes(g) for g in groups)) if len(groups) > 1 else None
    told = said and within and _letters(within) in _letters(said)
    return said if told else " ".join(filter(None, (said, within))) or None


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _bytes(group: str) -> bytes:
    return b" " if len(group) % 2 else bytes.fromhex(group)


def _within(raw: bytes) -> str | None:
    """What of any bytes is text, the rest as spaces; None where no three letters stand in a row."""
    text = raw.decode("utf-8", errors="replace").replace("\ufffd", " ")
    shown = "".join(char if char.isprintable() else " " for char in text)
    said = " ".join(shown.split())
    return said if _WORD.search(said) else None


def from_binary(token: str) -> str | None:
    """Seven or eight binary digits a character."""
    return _from_codes(
        [int(bits, 2) for bits in re.findall(r"[01]{7,8}", token.replace("0b", " "))]
    )


def from_decimal(token: str) -> str | None:
    """Codes of characters by ten."""
    return _from_codes([int(number) for number in re.findall(r"[0-9]+", token)])


def from_octal(token: str) -> str | None:
    """Codes of characters by eight."""
    return _from_codes([int(number, 8) for number in re.findall(r"[0-7]+", token)])


def _from_codes(codes: list[int]) -> str | None:
    """Characters by their codes; among numbers that are none, such as the zero at a text's end."""
    if all(31 < code < 127 for code in codes):
        return "".join(map(chr, codes))
    return _within(bytes(code if code < 256 else 0 for code in codes))


def from_css(token: str) -> str | None:
    """Codes of characters by sixteen, each behind a backslash, as style sheets write them."""
    return _from_codes([int(number, 16) for number in token.replace(" ", "").split("\\")[1:]])


def from_selectors(token: str) -> str | None:
    """Bytes as variation selectors, which nobody sees: the first sixteen, then the others."""
    codes = [ord(char) for char in token]
    return _within(bytes(c - 0xFE00 if c < 0xFE10 else c - 0xE0100 + 16 for c in codes))


def from_base32(token: str) -> str | None:
    """Base32 of RFC 4648, in capitals or small letters, padded or not."""
    core = token.rstrip("=").upper()
    try:
        return text_of(base64.b32decode(core + "=" * (-len(core) % 8)))
    except binascii.Error:
        return None


def from_base58(token: str) -> str | None:
    """The alphabet of Bitcoin: a number, most significant digit first."""
    if token.isalpha() and token[1:].islower():
        return None  # a word
    number = 0
    for digit in token:
        number = number * 58 + _BASE58.index(digit)
    return text_of(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def from_base85(token: str) -> str | None:
    """RFC 1924's alphabet or Ascii85's, in Adobe's brackets or without."""
    token = token.removeprefix("<~").removesuffix("~>")
    for decode in (base64.b85decode, base64.a85decode):
        try:
            if text := text_of(decode(token)):
                return text
        except (ValueError, binascii.Error):
            continue
    return None
