"""What goes in: cut into passages, judged, and what follows from it. Knows no HTTP and no upstream.

Every text is judged alone; texts that a model may read one behind the other are joined, with a
space and without, and scanned for names, so that a name split over two fields or turns is seen.
"""

import asyncio
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
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
    metadata user tool_choice tool_call_id id system source title context input_schema input output
    instructions prompt suffix summary arguments thinking tool_use_id call_id query
    """.split()  # noqa: SIM905 - reads better
)
CONVERSATIONS = {"messages", "input", "prompt"}
BEFORE = {"system", "instructions"}
SPOKEN = frozenset(
    """
    content text prompt input output arguments refusal reasoning_content reasoning thinking summary
    """.split()  # noqa: SIM905 - reads better
)
CALLED = {"arguments", "input"}  # what stands below is said in a call
TURNS = {"user", "assistant", "tool", "function"}
UNCUT = {
    "name",
    "id",
    "tool_call_id",
    "tool_use_id",
    "call_id",
    "url",
}  # of use whole or not at all
Windows = Callable[[str, Sequence[Span], int], tuple[Span, ...]]  # those that begin with a sentence


@dataclass(frozen=True, slots=True)
class Part:
    """A passage of a text that goes in, and where it begins there; None: of several, joined."""

    said: Said | None
    passage: Passage
    offset: int = 0
    glue: str = ""
    texts: Sequence[Said] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict on what goes in; its range is one of the whole text that it fell on.

    `past` is a turn before the last question. Of a verdict on joined texts, `places` are its parts.
    """

    said: Said | None
    verdict: Verdict
    past: bool = False
    places: tuple["Found", ...] = ()

    @property
    def where(self) -> str:
        """The place in audit records, such as `messages.0.content`; a client's own key is `*`."""
        if self.said is None:
            return "joined"
        steps = (str(s) if isinstance(s, int) or s in PLACES else "*" for s in self.said.path)
        return ".".join(steps)

    @property
    def can_be_cut(self) -> bool:
        """Whether there is a sentence to leave out, and no key, name or joined texts."""
        said = self.said
        return said is not None and said.role != "keys" and said.path[-1] not in UNCUT


Following = tuple[Found, Consequence]


async def judged(request: Request, applied: Applied) -> list[Found]:
    """Every verdict on what goes in. Raises what judging raises."""
    size = sum(len(said.text) for said in request.said)
    if size > LARGE:
        parts = await asyncio.to_thread(cut, request, longest=applied.longest)
    else:
        parts = cut(request, longest=applied.longest)
    verdicts = await applied.judge([part.passage for part in parts])
    past = _past(request)
    judged: list[Found] = []
    together: dict[tuple[Found, ...], Verdict] = {}  # the same words may be joined in several ways
    for part, found in zip(parts, verdicts, strict=True):
        for verdict in found:
            moved = _moved(verdict, part.offset)
            if part.said is not None:
                judged.append(Found(part.said, moved, past(part.said)))
            else:
                places = tuple(Found(said, own, past(said)) for said, own in _places(moved, part))
                together.setdefault(places, moved)
    return judged + [Found(None, moved, places=places) for places, moved in together.items()]


def cut(request: Request, *, longest: int) -> list[Part]:
    """All passages of a request; `longest` is that of its screen."""
    last = max((n for n, said in enumerate(request.said) if said.role == "user"), default=-1)
    parts = [
        Part(said, passage, offset)
        for n, said in enumerate(request.said)
        # Sentences are read together where the question is; further back each for itself.
        for passage, offset in passages(
            said.text, longest=longest, windows=windows_at if n >= last else _alone
        )
    ]
    parts += [
        Part(None, passage, offset, glue, texts)
        for number, texts in enumerate(_together(request.said))
        for glue in ((" ",) if number else (" ", ""))
        for passage, offset in passages(
            glue.join(said.text for said in texts), longest=longest, windows=_none
        )
    ]
    return parts


def followed(found: Iterable[Found], applied: Applied) -> list[Following]:
    """What follows from each hit.

    An old hit is answered around where its policy says so: its sentences are left out, and the
    conversation goes on.
    """
    following: list[Following] = []
    for item in found:
        if not item.verdict.hit:
            continue
        one = applied.prompt_consequence(item.verdict)
        old = [p for p in (item.places or (item,)) if p.past and p.can_be_cut]
        if old and one.action in ("refuse", "reroute") and applied.around(item.verdict):
            following += [(place, replace(one, action="redact")) for place in old]
        else:
            following.append((item, one))
    return following


def consequence(following: Sequence[Following]) -> Consequence | None:
    """The most severe consequence of what goes in, if any; what cannot be cut out is refused.

    So is what two policies would send to two upstreams: each may know what the other forgot.
    """
    worst = min(
        (one for _, one in following), key=lambda one: SEVERITY.index(one.action), default=None
    )
    if worst is None or worst.action not in ("reroute", "redact"):
        return worst
    cut_out = {item.verdict.concept for item, _ in following if item.can_be_cut}
    for item, one in following:
        covered = item.said is None and item.verdict.concept in cut_out
        if one.action == "redact" and not item.can_be_cut and not covered:
            return replace(one, action="refuse")
    if worst.action == "reroute":
        rerouted = [one for _, one in following if one.action == "reroute"]
        if len({one.to for one in rerouted}) > 1:
            return replace(worst, action="refuse")
        return next((one for one in rerouted if one.on_down == "refuse"), worst)
    return worst


def left_over(found: Iterable[Found], applied: Applied) -> Consequence | None:
    """What follows where a body still tells after its redaction: it is refused."""
    for item, one in followed(found, applied):
        if one.action in ("redact", "refuse") and item.verdict.hit:
            return replace(one, action="refuse")
    return None


def said_last(request: Request) -> str:
    """The last text of a conversation, whoever said it: an answer may go on from there."""
    for said in reversed(request.said):
        if said.role != "keys" and _is_spoken(said.path) and visible(said.text):
            return said.text
    return ""


def _is_spoken(path: Path) -> bool:
    """Whether a model reads on from a text: an identifier or an unknown field may stand behind."""
    if path[0] not in CONVERSATIONS:
        return False
    names = [step for step in path if isinstance(step, str)]
    return names[-1] in SPOKEN or any(name in CALLED for name in names[1:-1])


def _is_told(path: Path) -> bool:
    """Whether a text is one that a model is told before all others."""
    return path[0] in BEFORE and path[-1] in {*BEFORE, "text"}


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


def redacted(body: Body, request: Request, redactions: Sequence[Following]) -> Body:
    """A body of the request without the sentences in which something is to be redacted."""
    marker = redactions[0][1].marker
    cuts: dict[Path, list[Span]] = {}
    texts: Mapping[Path, str] = {said.path: said.text for said in request.said}
    for item, _ in redactions:
        if item.said and item.can_be_cut:
            span = Span(item.verdict.start, item.verdict.end)
            cuts.setdefault(item.said.path, []).append(span)
    kept = {path: _without(texts[path], spans, marker) for path, spans in cuts.items()}
    return replace_texts(body, kept)


def _past(request: Request) -> Callable[[Said], bool]:
    """Whether a text is one of a turn before the last question."""
    asked = next((said.path for said in reversed(request.said) if said.role == "user"), ())

    def past(said: Said) -> bool:
        here = said.path
        if len(asked) < 2 or len(here) < 2 or here[0] != asked[0] or said.role not in TURNS:
            return False
        mine, last = here[1], asked[1]
        return isinstance(mine, int) and isinstance(last, int) and mine < last

    return past


def _together(said: Sequence[Said]) -> list[tuple[Said, ...]]:
    """Texts to be read as one: all, those that are spoken, those but the model's, one speaker's.

    Whoever splits a name may let an answer, a call's identifier or any field stand between.
    """
    spoken = [
        one for one in said if one.role != "keys" and (_is_spoken(one.path) or _is_told(one.path))
    ]
    roles = dict.fromkeys(one.role for one in spoken)
    ways = [
        tuple(said),
        tuple(spoken),
        tuple(one for one in spoken if one.role != "assistant"),
        *(tuple(one for one in spoken if one.role == role) for role in roles),
    ]
    return [way for way in dict.fromkeys(ways) if len(way) > 1]


def _places(verdict: Verdict, part: Part) -> Iterator[tuple[Said, Verdict]]:
    """The parts of a verdict on joined texts, each in its own text."""
    at = 0
    for said in part.texts:
        start, end = max(verdict.start - at, 0), min(verdict.end - at, len(said.text))
        if start < end:
            yield said, replace(verdict, start=start, end=end)
        at += len(said.text) + len(part.glue)
        if at >= verdict.end:
            return


def _without(text: str, cuts: Iterable[Span], marker: str) -> str:
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            # Half of a JSON text is none: a call of an earlier turn loses all its arguments.
            return "{}" if isinstance(json.loads(text), dict) else "[]"
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


def passages(
    text: str, *, longest: int, windows: Windows, run: int = RUN
) -> Iterator[tuple[Passage, int]]:
    """Runs of sentences, each with as much behind it as the longest name could need.

    Gives each with its place in the text. Raises UnreadableError.
    """
    spans = segment(text)
    # How much can be seen up to the end of each sentence.
    seen = list(accumulate(visible(text[span.start : span.end]) for span in spans))
    for first in range(0, len(spans), run):
        own = spans[first : first + run]
        behind = first + len(own)
        enough = max(bisect_left(seen, seen[behind - 1] + longest * DISGUISE), behind)
        start, end = own[0].start, spans[min(enough, len(spans) - 1)].end
        if end - own[-1].end > MOST_AHEAD:
            raise UnreadableError("a text shows too little to be read on for a whole name")
        compared = [
            Span(window.start - start, window.end - start)
            for at in range(first, first + len(own))
            for window in windows(text, spans, at)
            if window.end <= end
        ]
        yield Passage(text[start:end], tuple(compared)), start


def _moved(verdict: Verdict, offset: int) -> Verdict:
    if not offset:
        return verdict
    return replace(verdict, start=verdict.start + offset, end=verdict.end + offset)
