"""Every text that a passage is compared as: which window, read how, alone or behind its question.

Knows no concept, no vector and no score.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from classifiers.segments import segment
from classifiers.spacing import Spacing
from classifiers.verdict import Passage, Span
from classifiers.views import UnreadableError, View, reading, views

Seen = Callable[[str], list[View]]

BLANK = "___"
TELLING = re.compile(r"[^\W\d_]{2,}|(?<!\d)\d{4}(?!\d)")  # a word, or what may be a year
MOST_READINGS = 64  # of one window that are encoded
MOST_ALONE = 2  # last sentences of a question that an answer is compared behind
MOST_BEFORE = 400  # characters of a question: an encoder must not run out of room for its answer


@dataclass(frozen=True, slots=True)
class Reading:
    """One text to be compared: which window of which passage, read how, behind which question.

    `answer` says that the passage answers a question, whether it is read behind it or alone.
    """

    passage: int
    window: Span
    view: str
    said: str = field(repr=False)
    before: str = field(default="", repr=False)
    answer: bool = False

    @property
    def text(self) -> str:
        """What an encoder is given."""
        return joined(self.before, self.said) if self.before else self.said

    @property
    def exchange(self) -> bool:
        """Whether it is read behind a question."""
        return bool(self.before)


def joined(question: str, answer: str) -> str:
    """A question with its answer as one text: in its gap, if it has one, else behind it."""
    # Once: an answer in each of a hundred gaps would be a text of any length.
    return question.replace(BLANK, answer, 1) if BLANK in question else f"{question} {answer}"


def readings(
    at: int, passage: Passage, spacing: Spacing, *, seen: Seen = views
) -> Iterator[Reading]:
    """Each window as it reads, alone and behind what was said before it; `seen` may remember views.

    Raises UnreadableError where a window says more than MOST_READINGS things.
    """
    befores = _befores(passage.before)
    for window in passage.windows:
        for view, text in _texts(seen(passage.text[window.start : window.end]), spacing):
            yield Reading(at, window, view, text, answer=bool(befores))
            for before in befores:
                yield Reading(at, window, view, text, before, answer=True)


def _texts(seen: Sequence[View], spacing: Spacing) -> list[tuple[str, str]]:
    """What a window says in each view; where more sentences come out than went in, each."""
    texts: dict[str, str] = {}  # what is said → the view in which it shows first
    for view in seen:
        said = view.reading
        if said:
            texts.setdefault(said, view.name)
            if parted := spacing.parted(said):
                texts.setdefault(parted, f"{view.name}+parted")
            sentences = [] if view.name == "plain" else segment(said)
            if len(sentences) > 1:
                for part in (said[s.start : s.end].strip() for s in sentences):
                    if TELLING.search(part):
                        texts.setdefault(part, view.name)
    if len(texts) > MOST_READINGS:
        raise UnreadableError("a sentence says more in its disguises than can be compared")
    return [(name, text) for text, name in texts.items()]


def _befores(before: str) -> list[str]:
    """A question, and its last sentences alone: what stands in front must excuse nothing."""
    text = reading(before)
    spans = segment(text)
    alone = [text[s.start : s.end].strip() for s in spans[-MOST_ALONE:]] if len(spans) > 1 else []
    return list(dict.fromkeys(filter(None, map(_shortened, [text, *alone]))))


def _shortened(before: str) -> str:
    """The beginning and the end of a long text: a question stands in one of them."""
    half = MOST_BEFORE // 2
    return before if len(before) <= MOST_BEFORE else f"{before[:half]} … {before[-half:]}"
