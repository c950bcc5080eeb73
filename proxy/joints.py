"""Texts side by side in one passage, and where each of them stands. Knows no channel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from classifiers import Passage, Span


@dataclass(frozen=True, slots=True)
class Joined:
    """Several texts as one passage, and where each of them stands in it."""

    passage: Passage
    spans: tuple[Span, ...]

    def splits(self, start: int, end: int) -> bool:
        """Whether a range of the passage lies in more than one of the texts."""
        return sum(span.start < end and span.end > start for span in self.spans) > 1


def joined(
    texts: Sequence[str], *, glues: Sequence[str] = (" ", ""), cut: bool = False
) -> Iterator[Joined]:
    """Texts side by side, with a space between them and without; one alone is none."""
    texts = [text for text in texts if text.strip()]
    if len(texts) < 2:
        return
    for glue in glues:
        spans, at = [], 0
        for text in texts:
            spans.append(Span(at, at + len(text)))
            at += len(text) + len(glue)
        yield Joined(Passage(glue.join(texts), (), cut=cut), tuple(spans))
