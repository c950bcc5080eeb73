"""Every reading of a text that a person or a program could make out, mapped back to its characters.

Knows no concept. The first view is the text itself in folded form; further ones are made only where
something in the text asks for them, bounded in number and size.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain

from classifiers.confusables import CAPITALS, STRANGE, TO_LATIN
from classifiers.decoders import DECODERS, Disguise
from classifiers.language import UNLIKELY, likelier, likelihood, senseless, unlikely
from classifiers.verdict import Span

MOST_VIEWS = 128
MOST_GROWTH = 128  # all views together hold at most so many times the characters of the text
LEAST_ROOM = 4096
MUCH_LIKELIER = 0.5  # nats a letter

FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # letters, to Unicode, that show nothing
INVISIBLE = frozenset({"Cf", "Cs", "Mn", "Me"})
WORD = re.compile(r"[^ ]+")
ROT13 = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM",
)
_SMALL = "abcdefghijklmnopqrstuvwxyz"
# Every other rotation (Caesar's is one of them), and the alphabet backwards.
CIPHERS = {
    name: str.maketrans(_SMALL + _SMALL.upper(), other + other.upper())
    for name, other in (
        *((f"rot{n}", _SMALL[n:] + _SMALL[:n]) for n in range(1, 26) if n != 13),
        ("atbash", _SMALL[::-1]),
    )
}
_LETTERS = re.compile(r"[^\W\d_]+")
_KEYED = re.compile(r"[\"'`]\s{0,8}:")
_JSON = re.compile(r"[{}\[\]\"\\,:_]+|(?<!\w)'|'(?!\w)")


class UnreadableError(ValueError):
    """A text that cannot be read to its end in every disguise. Quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text.

    text     folded: case-less letters and digits, any run of anything else one space; for search
    reading  as it reads, for an encoder; None where a reader would not take it for language
    starts, ends  per character of `text`, the range of the original that it stands for: ascending,
                  in a reversed view descending
    """

    name: str
    text: str = field(repr=False)
    reading: str | None = field(repr=False)
    starts: tuple[int, ...] = field(repr=False)
    ends: tuple[int, ...] = field(repr=False)

    def span(self, start: int, end: int) -> Span:
        """The range of the original that holds `text[start:end]`, which must not be empty."""
        # Offsets run one way only: the outermost characters have the outermost ones.
        last = end - 1
        return Span(
            min(self.starts[start], self.starts[last]), max(self.ends[start], self.ends[last])
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """A text, decoded or not, with the range of the original behind each character."""

    name: str
    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    readable: bool = True
    innermost: bool = False
    tells: bool = True  # what shows here could be language, if nothing else hides beneath it


def fold(text: str) -> str:
    """Case-less Latin letters and digits, everything else one space between words."""
    return " ".join("".join(map(_char, text)).split())


def reading(text: str) -> str:
    """The text for an encoder: what can be seen of it, look-alikes undone where scripts mix.

    Of JSON the words only: between its marks an encoder sees no sentence.
    """
    if _KEYED.search(text):
        text = _JSON.sub(" ", text)
    if text.isascii():
        return " ".join(text.split())
    seen = (
        # Pictures between words part them.
        " " if unicodedata.category(c) == "So" else c
        for c in text
        if c not in FILLERS and unicodedata.category(c) not in ("Cf", "Cs")
    )
    return " ".join(map(_unmixed, unicodedata.normalize("NFKC", "".join(seen)).split()))


def views(text: str) -> list[View]:
    """All readings of a text, at least the folded text itself, and that first.

    Raises UnreadableError where they outgrow their room: what was not read is not cleared.
    """
    room = MOST_GROWTH * len(text) + LEAST_ROOM
    plain = _Source("plain", text, tuple(range(len(text))), tuple(range(1, len(text) + 1)))
    found: dict[str, View] = {}
    for view in _all(plain):
        room -= len(view.text)
        if room < 0 or len(found) > MOST_VIEWS:
            raise UnreadableError("a text hides in more disguises than can be undone")
        if not found or view.text:
            found.setdefault(view.text, view)
    return list(found.values())


def _all(plain: _Source) -> Iterator[View]:
    """Every view, the likeliest first; each disguise may lie within one other."""
    first = _view(plain)
    yield first
    decoded = list(_decoded(plain))
    yield from map(_told, decoded)
    yield from _turned(first)
    yield from _deciphered(first)
    for source in decoded:
        if not source.innermost:
            yield from map(_told, _decoded(source))
        yield from _turned(_view(source))
    for source, turn in ((_reversed(plain), _backwards), (_rotated(plain), _rot13)):
        for view in map(_view, _decoded(source)):
            yield _where_likelier(view, turn)


def _decoded(source: _Source) -> Iterator[_Source]:
    seen = set(source.text)
    for decoder in DECODERS:
        if decoder.needs and decoder.needs.isdisjoint(seen):
            continue
        found = _undone(source, decoder)
        if found is not None:
            yield found


def _undone(source: _Source, decoder: Disguise) -> _Source | None:
    """The text with what a decoder finds replaced, if it finds anything.

    Each new character stands for the whole range that it was decoded from.
    """
    text: list[str] = []
    starts: list[tuple[int, ...]] = []
    ends: list[tuple[int, ...]] = []
    at, readable = 0, False
    for piece in decoder.find(source.text):
        between = slice(at, piece.start)
        outermost = (piece.start, piece.end - 1)
        length = len(piece.text)
        text += [source.text[between], piece.text]
        starts += [source.starts[between], (min(source.starts[i] for i in outermost),) * length]
        ends += [source.ends[between], (max(source.ends[i] for i in outermost),) * length]
        at, readable = piece.end, readable or piece.readable
    if not text:
        return None
    said = "".join((*text, source.text[at:]))
    return _Source(
        _label(source.name, decoder.name),
        said,
        tuple(chain(*starts, source.starts[at:])),
        tuple(chain(*ends, source.ends[at:])),
        readable and source.readable,
        decoder.innermost,
        _tells(said, source.text),
    )


def _tells(said: str, hidden: str) -> bool:
    """Whether what a decoder laid bare could be language: bytes and numbers decode to something."""
    known = set(_LETTERS.findall(hidden))
    return not senseless([word for word in _LETTERS.findall(said) if word not in known])


def _view(source: _Source) -> View:
    folded = list(map(_char, source.text))
    text = "".join(folded)
    starts, ends = source.starts, source.ends
    if len(text) != len(folded) or "" in folded:
        starts = tuple(at for at, char in zip(starts, folded, strict=True) for _ in char)
        ends = tuple(at for at, char in zip(ends, folded, strict=True) for _ in char)
    words: list[str] = []
    kept: list[slice] = []
    for match in WORD.finditer(text):
        words.append(match[0])
        # A word, and before all but the first the one space that parts it from the last.
        kept.append(slice(match.start() - (len(words) > 1), match.end()))
    return View(
        source.name,
        " ".join(words),
        (reading(source.text) or None) if source.readable else None,
        tuple(chain(*(starts[part] for part in kept))),
        tuple(chain(*(ends[part] for part in kept))),
    )


def _told(source: _Source) -> View:
    view = _view(source)
    return view if source.tells else replace(view, reading=None)


@lru_cache(maxsize=1 << 16)
def _char(char: str) -> str:
    """What one character folds to: letters and digits, a space, or nothing if it is invisible."""
    category = unicodedata.category(char)
    if char in FILLERS or category in INVISIBLE or (category == "Cc" and not char.isspace()):
        return ""
    folded = []
    for part in unicodedata.normalize("NFKD", char):
        for letter in TO_LATIN.get(part, part).casefold():
            kind = unicodedata.category(letter)
            if kind not in INVISIBLE:
                latin = TO_LATIN.get(letter, letter)
                # Signs of vowels that take room are part of a word ("Mc": Indic scripts).
                folded.append(latin if latin.isalnum() or kind == "Mc" else " ")
    word = "".join(folded)
    return word.strip() or (" " if word else "")


def _unmixed(word: str) -> str:
    """The word, or, where look-alikes stand among Latin letters, the Latin one it looks like."""
    if word.isascii():
        return word
    lowered = "".join(CAPITALS.get(char, char) for char in word).lower()
    strange = not CAPITALS.keys().isdisjoint(word) or not STRANGE.isdisjoint(lowered)
    if not strange or not any("a" <= char <= "z" for char in lowered):
        return word
    return "".join(TO_LATIN.get(char, char) for char in lowered)


def _turned(view: View) -> Iterator[View]:
    """Read backwards, and rotated by 13 letters."""
    said = view.reading
    backwards = _label(view.name, "reversed"), view.text[::-1], view.starts[::-1], view.ends[::-1]
    rotated = _label(view.name, "rot13"), view.text.translate(ROT13), view.starts, view.ends
    for turn, (name, text, starts, ends) in ((_backwards, backwards), (_rot13, rotated)):
        likely = None
        if said:
            words = said.split(" ")
            turned = [turn(word) for word in words]
            found = likelier(words, turned)
            if found and not senseless(kept := turned[found]):
                likely = " ".join(kept[::-1] if turn is _backwards else kept)
        yield View(name, text, likely, starts, ends)


def _deciphered(view: View) -> Iterator[View]:
    """Under the cipher that makes most of the words that read like no language, if one does."""
    words = view.reading.split(" ") if view.reading else []
    strange = unlikely(words)
    if strange is None:
        return

    def plain(name: str) -> float:
        return likelihood([word.translate(CIPHERS[name]) for word in words[strange]])

    name = max(CIPHERS, key=plain)
    if plain(name) <= UNLIKELY:
        return
    turned = [word.translate(CIPHERS[name]) for word in words]
    found = likelier(words, turned)
    # Names among English words are strange too: of those beside them the cipher makes none better.
    reads = found and likelihood(turned[found]) > likelihood(words[found]) + MUCH_LIKELIER
    text = view.text.translate(CIPHERS[name])
    said = " ".join(turned[found]) if found and reads else None
    yield View(name, text, said, view.starts, view.ends)


def _where_likelier(view: View, turn: Callable[[str], str]) -> View:
    """For an encoder only what is likelier language than the same words turned back."""
    if view.reading is None:
        return view
    words = view.reading.split(" ")
    found = likelier([turn(word) for word in words], words)
    reads = found and not senseless(words[found])
    return replace(view, reading=" ".join(words[found]) if found and reads else None)


def _backwards(word: str) -> str:
    return word[::-1]


def _rot13(word: str) -> str:
    return word.translate(ROT13)


def _reversed(source: _Source) -> _Source:
    return _Source("reversed", source.text[::-1], source.starts[::-1], source.ends[::-1])


def _rotated(source: _Source) -> _Source:
    return _Source("rot13", source.text.translate(ROT13), source.starts, source.ends)


def _label(outer: str, inner: str) -> str:
    return inner if outer == "plain" else f"{outer}+{inner}"
