"""Which of two readings of the same words is likelier English, and where. Knows no concept.

Pairs of letters tell (Markov, 1913): those of a few hundred everyday sentences are enough to see
that a word stands the wrong way round or under a cipher.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import log

from classifiers.background import BACKGROUND

LEAST = 8.0  # how much likelier a stretch must be than as it stands, in nats
UNLIKELY = -3.2  # nats a letter: words of English, German and French lie above, ciphers below
LEAST_UNLIKELY = 6.0  # how far below all letters of a stretch must lie together
LEAST_LIKELY = 4.0  # how far above those of a stretch that may be language among noise
LEAST_NOISE = 2.0  # how far below all of it must lie
_LETTERS = re.compile(r"[a-z]+")
_WORDS = re.compile(r"[^\W\d_]{3,}|[^\W\d_a-zA-Z]+")
_EDGE = " "
_SIZE = 27
# The commonest English words: what no cipher makes out of others by chance.
_FREQUENT = """
the of and to in a is was that for on with as by at from his her it he she be are an or who not what
"""
FREQUENT = frozenset(_FREQUENT.split())


def likelier(plain: Sequence[str], turned: Sequence[str]) -> slice | None:
    """The stretch of words that reads more like English turned than plain, if any does.

    `turned[n]` is what `plain[n]` says undone. Words beside the stretch belong to it up to the
    first that is a common English word as it stands.
    """
    best, total, start = (0.0, 0, 0), 0.0, 0
    for at, (word, other) in enumerate(zip(plain, turned, strict=True)):
        if total <= 0:
            total, start = 0.0, at
        total += _likelihood(other.lower()) - _likelihood(word.lower())
        best = max(best, (total, start, at + 1))
    gain, start, end = best
    if gain < LEAST:
        return None
    while start and plain[start - 1].lower() not in FREQUENT:
        start -= 1
    while end < len(plain) and plain[end].lower() not in FREQUENT:
        end += 1
    return slice(start, end)


def unlikely(words: Sequence[str]) -> slice | None:
    """The stretch of words whose letters follow one another least as in a language, if any do."""
    best, total, start = (0.0, 0, 0), 0.0, 0
    for at, word in enumerate(words):
        if total <= 0:
            total, start = 0.0, at
        total -= _likelihood(word.lower()) - UNLIKELY * _size(word)
        best = max(best, (total, start, at + 1))
    short, start, end = best
    return slice(start, end) if short >= LEAST_UNLIKELY else None


def senseless(words: Sequence[str], *, least: float = LEAST_UNLIKELY) -> bool:
    """Whether words read like no language, by so many nats at least, and no stretch does."""
    gains = [_likelihood(word.lower()) - UNLIKELY * _size(word) for word in words]
    return _most(-gain for gain in gains) >= least and _most(gains) < LEAST_LIKELY


def noise(text: str) -> bool:
    """Whether all that stands in a text is what bytes and numbers decode to by chance."""
    words = _WORDS.findall(text)
    return not words or senseless(words, least=LEAST_NOISE)


def _most(gains: Iterable[float]) -> float:
    """The highest sum of gains in a row, at least 0."""
    best = total = 0.0
    for gain in gains:
        total = max(0.0, total + gain)
        best = max(best, total)
    return best


def likelihood(words: Sequence[str]) -> float:
    """How likely the letters of words follow one another in English: nats a letter, below 0."""
    size = sum(map(_size, words))
    return sum(_likelihood(word.lower()) for word in words) / size if size else 0.0


def _size(word: str) -> int:
    """The pairs that a word is judged by."""
    letters = sum(map(str.isalpha, word))
    return letters + 1 if letters else 0


@lru_cache(maxsize=1 << 15)
def _likelihood(word: str) -> float:
    """Logarithm of how likely the letters of a word follow one another in English."""
    return sum(
        _PAIRS[pair] if pair in _PAIRS else _UNSEEN[pair[0]]
        for part in _LETTERS.findall(word)
        for pair in pairwise(f"{_EDGE}{part}{_EDGE}")
    )


def _learned() -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """The logarithm of each pair's share behind its first letter, and of one never seen."""
    pairs: Counter[tuple[str, str]] = Counter()
    for word in _LETTERS.findall(" ".join(BACKGROUND).lower()):
        pairs.update(pairwise(f"{_EDGE}{word}{_EDGE}"))
    firsts: Counter[str] = Counter()
    for (first, _), count in pairs.items():
        firsts[first] += count
    letters = "abcdefghijklmnopqrstuvwxyz "
    unseen = {first: -log(firsts[first] + _SIZE) for first in letters}
    known = {pair: log(count + 1) + unseen[pair[0]] for pair, count in pairs.items()}
    return known, unseen


_PAIRS, _UNSEEN = _learned()
