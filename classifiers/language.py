"""Which of two readings of the same words is likelier English, and where. Knows no concept.

Pairs of letters tell (Markov, 1913): those of a few hundred everyday sentences are enough to see
that a word stands the wrong way round or under a cipher.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import log

from classifiers.background import BACKGROUND

LEAST = 8.0  # how much likelier a stretch must be than as it stands, in nats
UNLIKELY = -3.2  # nats a letter: words of English, German and French lie above, ciphers below
LEAST_UNLIKELY = 6.0  # how far below all letters of a stretch must lie together
_LETTERS = re.compile(r"[a-z]+")
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
