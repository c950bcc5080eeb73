"""Letters written as something else: strokes, words, dots, places, names.

Knows no offsets and no concept: patterns, and what a match of one says (None: it was none).
"""
# ruff: noqa: RUF001 - look-alikes are meant

import re

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MORSE_CODES = """
.- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..-
-.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.
"""
_MORSE = dict(zip(_MORSE_CODES.split(), f"{_LETTERS}0123456789", strict=True))
_STROKES = str.maketrans("·•∙*−–—_", "....----")
# The spelling alphabet of the ICAO, and the spellings of it that are as common.
_SPELLING_WORDS = """
alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november
oscar papa quebec romeo sierra tango uniform victor whiskey xray x-ray yankee zulu
"""
# Dots 1 to 6 of a cell are its lowest six bits (Unicode, chapter 21.1).
_BRAILLE = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵⠀", f"{_LETTERS} ", strict=True))
_NUMBER_SIGN = "⠼"
_CELLS_OF_DIGITS = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚", "1234567890", strict=True))
_UPRIGHT = str.maketrans("ɐqɔpǝɟƃɥᴉɾʞɯuodbɹsʇnʌʍʎ", "abcdefghijkmnopqrstuvwy")
# Alphabets of sites that "style" letters: look-alikes out of scripts that have their own sounds.
_STYLES = """
ᗩᗷᑕᗪEᖴGᕼIᒍKᒪᗰᑎOᑭᑫᖇᔕTᑌᐯᗯ᙭YZ 卂乃匚ᗪ乇千Ꮆ卄丨ﾌҜㄥ爪几ㄖ卩Ɋ尺丂ㄒㄩᐯ山乂ㄚ乙
ค๒ς๔єŦﻮђเןкl๓ภ๏קợгรtยשฬץאz
₳฿₵ĐɆ₣₲ⱧłJ₭Ⱡ₥₦Ø₱QⱤ₴₮ɄVWӾɎⱫ ąცƈɖɛʄɠɧıʝƙƖɱŋơ℘զཞʂɬų۷ῳҳყʑ
ДБСDЄFGНЇJКLМЙФРQЯЅГЦVЩЖЧZ αв¢∂єƒgнιנкℓмησρqяѕтυνωχуz
"""
_STYLED = {
    styled: plain
    for style in reversed(_STYLES.split())
    for styled, plain in zip(style, _LETTERS, strict=True)
    if not styled.isascii()
}
STYLED_LETTERS = frozenset(_STYLED)
CELLS = frozenset(map(chr, range(0x2800, 0x2900)))
UPSIDE_DOWN = frozenset("ɐǝɟƃɥᴉɾʞɯɹʇʌʍʎ")

_STROKE = r"[.·•∙*\-−–—_]"
MORSE = rf"(?<![\w.-])(?:{_STROKE}{{1,5}}[ \t\n/|,;]{{1,4}}){{3,}}{_STROKE}{{1,5}}(?![\w-])"
_WORD = "|".join(sorted(_SPELLING_WORDS.split(), key=len, reverse=True))
SPELT = rf"(?i)\b(?:{_WORD})(?:[\W\d_]{{1,8}}(?:[a-z] as in )?(?:{_WORD})(?![^\W_])){{2,}}"
BRAILLE = r"[\u2800-\u28ff][\u2800-\u28ff \t]*[\u2801-\u28ff]"
_PLACE = r"(?:1[0-9]|2[0-6]|0?[1-9])"
PLACES = rf"(?<![\d.,:/-]){_PLACE}(?!\d)(?:[ \t\n,./|_-]{{1,3}}{_PLACE}(?!\d)){{4,}}"
FLIPPED = rf"(?m)^(?=.*[{''.join(sorted(UPSIDE_DOWN))}]).*$"
STYLED = (
    rf"(?<![\w{''.join(sorted(STYLED_LETTERS))}])(?=[\w]*[{''.join(sorted(STYLED_LETTERS))}])"
    rf"[\w{''.join(sorted(STYLED_LETTERS))}]{{2,}}"
)
LATEX = (
    r"\{?\\(?:[\"'`^~=.]\s?|[uvHcdbrk](?=[{ ])\s?)\{?\\?[A-Za-z](?![A-Za-z]*\()\}{0,2}"
    r"|\{\\(?:ss|ae|AE|oe|OE|aa|AA|[oOlLij])\}|\\(?:ss|ae|AE|oe|OE|aa|AA|[oOlLij])(?:\{\}|\s)"
)
NAMED = r"LATIN (?:CAPITAL|SMALL) LETTER [A-Z](?!\w)|(?<=LETTER [A-Z] )SPACE(?!\w)"


def from_morse(token: str) -> str | None:
    """Letters, where there are a few different ones; no rows of dots or dashes."""
    words = re.split(r"[\s,;]*[/|][\s,;]*|\s{2,}|\n", token.translate(_STROKES))
    groups = [re.split(r"[\s,;]+", word.strip(" ,;\t")) for word in words]
    if len({group for word in groups for group in word if group in _MORSE}) < 3:
        return None
    return " ".join("".join(_MORSE.get(group, " ") for group in word) for word in groups)


def from_spelt(token: str) -> str:
    """The first letters: they are what such words stand for."""
    return "".join(match[0][0].lower() for match in re.finditer(rf"(?i)\b(?:{_WORD})\b", token))


def from_braille(token: str) -> str | None:
    """Cells of six dots as letters, and as digits behind the sign for numbers."""
    said: list[str] = []
    digits = False
    for cell in token:
        digits = cell == _NUMBER_SIGN or (digits and cell in _CELLS_OF_DIGITS)
        if cell != _NUMBER_SIGN:
            said.append(_CELLS_OF_DIGITS[cell] if digits else _BRAILLE.get(cell, " "))
    text = "".join(said)
    return text if any(map(str.isalpha, text)) else None


def from_places(token: str) -> str | None:
    """Letters by their place in the alphabet; numbers that only count up or down are none."""
    words = re.split(r"\s*[/|_]\s*|\s{2,}", token)
    places = [[int(number) for number in re.findall(r"\d+", word)] for word in words]
    flat = [place for word in places for place in word]
    if flat in (sorted(flat), sorted(flat, reverse=True)):
        return None
    return " ".join("".join(_LETTERS[place - 1] for place in word) for word in places)


def from_named(token: str) -> str:
    """A letter by the name that Unicode gives it, or the space."""
    return token[-1] if token.startswith("LATIN") else " "


def from_styled(token: str) -> str:
    """Letters that only look like Latin ones."""
    return "".join(_STYLED.get(char, char) for char in token)


def from_latex(token: str) -> str:
    """A letter without the accent that a command puts on it, or that is a command itself."""
    letters = re.sub(r"[^A-Za-z]", "", token)
    return letters if letters in ("ss", "ae", "AE", "oe", "OE") else letters[-1]


def from_flipped(token: str) -> str:
    """Letters upside down, put upright; they still stand backwards."""
    return token.lower().translate(_UPRIGHT)
