"""What goes in: cut into passages, judged, and what follows from it. Knows no HTTP and no upstream.

Every text is judged alone; all of them joined, with a space and without, are scanned for names, so
that a name split over two fields is seen.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from classifiers import Passage, Span, UnreadableError, Verdict, segment, windows_at
from proxy.applied import Applied
from proxy.choices import SEVERITY, Consequence
from proxy.exchange import Body, Path, Request, Said, replace_texts
from proxy.release import DISGUISE, visible

RUN = 32  # sentences of a passage: a long text is judged in parts, so that others need not wait
MOST_AHEAD = 4000  # characters that may stand behind a part for its last name to show
LARGE = 20_000  # characters that take longer to cut up than the event loop may be kept


PLACES = frozenset(
    """
    messages content name text refusal tool_calls function arguments custom input function_call
    image_url url tools functions description parameters response_format json_schema schema
    metadata user tool_choice tool_call_id id
    """.split()  # noqa: SIM905 - reads better
)
Windows = Callable[[str, Sequence[Span], int], tuple[Span, ...]]  # those that begin with a sentence


@dataclass(frozen=True, slots=True)
class Part:
    """A passage of a text that goes in, and where it begins there; None: of all texts joined."""

    said: Said | None
    passage: Passage
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict on what goes in; its range is one of the whole text that it fell on."""

    said: Said | None
    verdict: Verdict

    @property
    def where(self) -> str:
        """The place in audit records, such as `messages.0.content`; a client's own key is `*`."""
        if self.said is None:
            return "joined"
        steps = (str(s) if isinstance(s, int) or s in PLACES else "*" for s in self.said.path)
        return ".".join(steps)

    @property
    def can_be_cut(self) -> bool:
        """Whether there is a sentence to leave out, and not only a key or texts read together."""
        return self.said is not None and self.said.role != "keys"


async def judged(request: Request, applied: Applied) -> list[Found]:
    """Every verdict on what goes in. Raises what judging raises."""
    size = sum(len(said.text) for said in request.said)
    if size > LARGE:
        parts = await asyncio.to_thread(cut, request, longest=applied.longest)
    else:
        parts = cut(request, longest=applied.longest)
    verdicts = await applied.judge([part.passage for part in parts])
    return [
        Found(part.said, _moved(verdict, part.offset))
        for part, found in zip(parts, verdicts, strict=True)
        for verdict in found
    ]


def cut(request: Request, *, longest: int) -> list[Part]:
    """All passages of a request; `longest` is that of its screen."""
    texts = [said.text for said in request.said]
    last = max((n for n, said in enumerate(request.said) if said.role == "user"), default=-1)
    parts = [
        Part(said, passage, offset)
        for n, said in enumerate(request.said)
        # Sentences are read together where the question is; further back each for itself.
        for passage, offset in _passages(
            said.text, longest=longest, windows=windows_at if n >= last else _alone
        )
    ]
    if len(texts) > 1:
        parts += [
            Part(None, passage, offset)
            for glue in (" ", "")
            for passage, offset in _passages(glue.join(texts), longest=longest, windows=_none)
        ]
    return parts


def consequence(found: Sequence[Found], applied: Applied) -> Consequence | None:
    """The most severe consequence of what goes in, if any; what cannot be cut out is refused."""
    consequences = [
        (item, applied.prompt_consequence(item.verdict)) for item in found if item.verdict.hit
    ]
    worst = min(
        (consequence for _, consequence in consequences),
        key=lambda consequence: SEVERITY.index(consequence.action),
        default=None,
    )
    if worst and worst.action == "redact":
        cut_out = {item.verdict.concept for item, _ in consequences if item.can_be_cut}
        for item, one in consequences:
            covered = item.said is None and item.verdict.concept in cut_out
            if one.action == "redact" and not item.can_be_cut and not covered:
                return replace(one, action="refuse")
    return worst


def near(found: Iterable[Found]) -> Iterator[str]:
    """The sentences that came near a concept, the nearest first."""
    ranked = sorted(found, key=lambda item: -item.verdict.score)
    spans: dict[Said, list[Span]] = {}
    for item in ranked:
        if item.said and item.verdict.near:
            if item.said not in spans:
                spans[item.said] = segment(item.said.text)
            own = spans[item.said]
            at = bisect_right(own, item.verdict.start, key=lambda span: span.end)
            yield item.said.text[own[at].start : own[at].end].strip()


def redacted(
    body: Body, request: Request, found: Iterable[Found], applied: Applied, marker: str
) -> Body:
    """A body of the request without the sentences in which something is to be redacted."""
    cuts: dict[Path, list[Span]] = {}
    texts: Mapping[Path, str] = {said.path: said.text for said in request.said}
    for item in found:
        redacts = item.verdict.hit and applied.prompt_consequence(item.verdict).action == "redact"
        if item.said and redacts:
            span = Span(item.verdict.start, item.verdict.end)
            cuts.setdefault(item.said.path, []).append(span)
    kept = {path: _without(texts[path], spans, marker) for path, spans in cuts.items()}
    return replace_texts(body, kept)


def _without(text: str, cuts: Iterable[Span], marker: str) -> str:
    spans = segment(text)
    gone: set[int] = set()
    for cut in set(cuts):
        at = bisect_right(spans, cut.start, key=lambda span: span.end)
        while at < len(spans) and spans[at].start < cut.end:
            gone.add(at)
            at += 1
    kept = (
        f"{marker} " if at in gone else text[span.start : span.end] for at, span in enumerate(spans)
    )
    return "".join(kept).rstrip()


def _alone(_: str, spans: Sequence[Span], at: int) -> tuple[Span, ...]:
    return (spans[at],)


def _none(*_: object) -> tuple[Span, ...]:
    return ()


def _passages(text: str, *, longest: int, windows: Windows) -> Iterator[tuple[Passage, int]]:
    """Runs of sentences, each with as much behind it as the longest name could need."""
    spans = segment(text)
    # How much can be seen up to the end of each sentence.
    seen = list(accumulate(visible(text[span.start : span.end]) for span in spans))
    for first in range(0, len(spans), RUN):
        run = spans[first : first + RUN]
        behind = first + len(run)
        enough = max(bisect_left(seen, seen[behind - 1] + longest * DISGUISE), behind)
        start, end = run[0].start, spans[min(enough, len(spans) - 1)].end
        if end - run[-1].end > MOST_AHEAD:
            raise UnreadableError("a text shows too little to be read on for a whole name")
        compared = [
            Span(window.start - start, window.end - start)
            for at in range(first, first + len(run))
            for window in windows(text, spans, at)
            if window.end <= end
        ]
        yield Passage(text[start:end], tuple(compared)), start


def _moved(verdict: Verdict, offset: int) -> Verdict:
    if not offset:
        return verdict
    return replace(verdict, start=verdict.start + offset, end=verdict.end + offset)
