"""Letters written as something else: strokes, words, dots, places, names.

Knows no offsets and no concept: patterns, and what a match of one says (None: it was none).
"""

import re

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MORSE_CODES = """
.- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..-
-.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.
"""
_MORSE = dict(zip(_MORSE_CODES.split(), f"{_LETTERS}0123456789", strict=True))
_STROKES = str.maketrans("·•∙*−–—_", "....----")  # noqa: RUF001 - look-alikes are meant
# The spelling alphabet of the ICAO, and the spellings of it that are as common.
_SPELLING_WORDS = """
alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo lima mike november
oscar papa quebec romeo sierra tango uniform victor whiskey xray x-ray yankee zulu
"""
# Dots 1 to 6 of a cell are its lowest six bits (Unicode, chapter 21.1).
_BRAILLE = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵⠀", f"{_LETTERS} ", strict=True))
_NUMBER_SIGN = "⠼"
_CELLS_OF_DIGITS = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚", "1234567890", strict=True))
_UPRIGHT = str.maketrans("ɐqɔpǝɟƃɥᴉɾʞɯuodbɹsʇnʌʍʎ", "abcdefghijkmnopqrstuvwy")  # noqa: RUF001 - meant
CELLS = frozenset(map(chr, range(0x2800, 0x2900)))
UPSIDE_DOWN = frozenset("ɐǝɟƃɥᴉɾʞɯɹʇʌʍʎ")

_STROKE = r"[.·•∙*\-−–—_]"  # noqa: RUF001 - likewise
MORSE = rf"(?<![\w.-])(?:{_STROKE}{{1,5}}[ \t\n/|,;]{{1,4}}){{3,}}{_STROKE}{{1,5}}(?![\w-])"
_WORD = "|".join(sorted(_SPELLING_WORDS.split(), key=len, reverse=True))
SPELT = rf"(?i)\b(?:{_WORD})(?:[\W\d_]{{1,8}}(?:[a-z] as in )?(?:{_WORD})(?![^\W_])){{2,}}"
BRAILLE = r"[\u2800-\u28ff][\u2800-\u28ff \t]*[\u2801-\u28ff]"
_PLACE = r"(?:1[0-9]|2[0-6]|0?[1-9])"
PLACES = rf"(?<![\d.,:/-]){_PLACE}(?!\d)(?:[ \t\n,./|_-]{{1,3}}{_PLACE}(?!\d)){{4,}}"
FLIPPED = rf"(?m)^(?=.*[{''.join(sorted(UPSIDE_DOWN))}]).*$"
NAMED = r"LATIN (?:CAPITAL|SMALL) LETTER [A-Z](?!\w)|(?<=LETTER [A-Z] )SPACE(?!\w)"


def from_morse(token: str) -> str | None:
    """Letters where every group is one and there are a few of them; no rows of dots or dashes."""
    words = re.split(r"[\s,;]*[/|][\s,;]*|\s{2,}|\n", token.translate(_STROKES))
    groups = [re.split(r"[\s,;]+", word.strip(" ,;\t")) for word in words]
    known = [group for word in groups for group in word]
    if len(set(known)) < 3 or not all(group in _MORSE for group in known):
        return None
    return " ".join("".join(_MORSE[group] for group in word) for word in groups)


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


def from_flipped(token: str) -> str:
    """Letters upside down, put upright; they still stand backwards."""
    return token.lower().translate(_UPRIGHT)
