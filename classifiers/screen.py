"""All concepts at once: passages in, verdicts out. Knows no policy, no HTTP and no action."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from classifiers.background import BACKGROUND
from classifiers.cache import Cache
from classifiers.declines import declines
from classifiers.encoder import Encoder, Vectors
from classifiers.index import Index, Nearest
from classifiers.lexical import Found, Lexicon
from classifiers.quotation import AHEAD, LEAST, WITHIN, Quotations, Quoted
from classifiers.segments import segment
from classifiers.spacing import Spacing
from classifiers.threshold import automatic
from classifiers.verdict import Concept, Passage, Span, Verdict
from classifiers.views import UnreadableError, View, fold, reading, views

VERSION = 4  # of views, windows and scores: raised with any change that could move a verdict
NEAR = 0.15  # below a concept's threshold its instruction is still relevant
MOST_READINGS = 64  # of one window that are encoded
MOST_ALONE = 2  # last sentences of a question that an answer is compared behind
MOST_BEFORE = 400  # characters of a question: an encoder must not run out of room for its answer


@dataclass(frozen=True, slots=True)
class _Reading:
    """One text to be compared: which window of which passage, read how."""

    passage: int
    window: Span
    view: str
    text: str = field(repr=False)
    exchange: bool


class Screen:
    """Names in one automaton, exemplars and neighbours of all concepts in two indices.

    longest      folded characters of the longest name: a name may be that far from complete
    thresholds   concept → the cosine similarity that it is held to, given or derived from its
                 neighbours and a harmless background
    fingerprint  changes whenever a verdict could

    Raises ValueError for two concepts with one key, one without names and exemplars, and one with
    a name too short to be recognised. Not for two threads at once.
    """

    def __init__(self, concepts: Sequence[Concept], encoder: Encoder) -> None:
        self._concepts = {concept.key: concept for concept in concepts}
        if len(self._concepts) < len(concepts):
            raise ValueError("screen: two concepts have the same key; rename one")
        for concept in concepts:
            if not concept.aliases and not concept.exemplars and not concept.protected:
                raise ValueError(f"{concept.key}: nothing to recognise; add a name or an exemplar")
        self._quotations = Quotations((c.key, text) for c in concepts for text in c.protected)
        self._cache = Cache(encoder)
        self._spacing = Spacing(
            [*BACKGROUND, *(t for c in concepts for t in (*c.aliases, *c.exemplars))]
        )
        self._lexicon = Lexicon((name, c.key) for c in concepts for name in c.aliases)
        self._aliases = {c.key: [(name, f" {fold(name)} ") for name in c.aliases] for c in concepts}
        self._exemplars = [(c.key, text) for c in concepts for text in c.exemplars]
        self._forbidden = self._indexed(self._exemplars)
        self._kept = self._indexed([(c.key, text) for c in concepts for text in c.neighbours])
        self.longest = max(self._lexicon.longest, AHEAD if len(self._quotations) else 0)
        self.thresholds = {
            c.key: self._derived(c) if c.threshold is None else c.threshold for c in concepts
        }
        self._floor = min(self.thresholds.values(), default=1.0) - NEAR
        self.fingerprint = _fingerprint(concepts, encoder)

    def find(self, text: str) -> tuple[Verdict, ...]:
        """Names only: cheap, and no encoder is asked."""
        return tuple(self._named(views(text)))

    def judge(self, passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        """Verdicts for each passage, in order: every name, and every window near a concept.

        A name is a hit where names suffice. A window is a hit where it is at least as similar to
        an exemplar as the concept's threshold and more similar than to any neighbour; it is
        compared alone and behind what was said before it. No hit, but near, is an answer that only
        declines. All windows of all passages are encoded in one batch.
        """
        verdicts = [self._all_named(passage) for passage in passages]
        readings = [r for at, passage in enumerate(passages) for r in self._readings(at, passage)]
        vectors = self._cache.vectors([item.text for item in readings])
        forbidden = self._forbidden.nearest(vectors, floor=self._floor)
        close = [at for at, found in enumerate(forbidden) if found]
        kept = self._kept.nearest(vectors[close])
        for at, neighbours in zip(close, kept, strict=True):
            item = readings[at]
            for key, nearest in forbidden[at].items():
                verdict = self._compared(item, key, nearest, neighbours.get(key))
                if verdict.near:
                    verdicts[item.passage].append(verdict)
        return [
            tuple(self._excused(verdict, passage) for verdict in found)
            for passage, found in zip(passages, verdicts, strict=True)
        ]

    def nearest(self, text: str) -> list[Verdict]:
        """Each concept's nearest exemplar, however far, best first: to explain, not to screen."""
        vectors = self._cache.vectors([reading(text)])
        forbidden = self._forbidden.nearest(vectors)[0]
        kept = self._kept.nearest(vectors)[0]
        item = _Reading(0, Span(0, len(text)), "plain", text, exchange=False)
        found = [self._compared(item, key, best, kept.get(key)) for key, best in forbidden.items()]
        return sorted(found, key=lambda verdict: -verdict.score)

    def _named(self, seen: Sequence[View]) -> list[Verdict]:
        return [self._alias(found) for found in self._lexicon.find(seen)]

    def _all_named(self, passage: Passage) -> list[Verdict]:
        seen = views(passage.text)
        cut = seen if passage.cut else []
        begun = [self._alias(found) for view in cut for found in self._lexicon.begun(view)]
        quoted = [self._quoted(found) for found in self._quotations.find(seen)]
        return self._named(seen) + begun + quoted

    def _readings(self, at: int, passage: Passage) -> Iterator[_Reading]:
        """Each window as it reads, alone and behind what was said before it."""
        befores = _befores(passage.before)
        for window in passage.windows:
            for view, text in self._texts(passage.text[window.start : window.end]):
                yield _Reading(at, window, view, text, exchange=False)
                for before in befores:
                    yield _Reading(at, window, view, f"{before} {text}", exchange=True)

    def _texts(self, window: str) -> list[tuple[str, str]]:
        """What a window says in each view; where more sentences come out than went in, each."""
        texts: list[tuple[str, str]] = []
        for view in views(window):
            said = view.reading
            if said:
                texts.append((view.name, said))
                if parted := self._spacing.parted(said):
                    texts.append((f"{view.name}+parted", parted))
                sentences = [] if view.name == "plain" else segment(said)
                if len(sentences) > 1:
                    texts += [(view.name, said[s.start : s.end].strip()) for s in sentences]
        if len(texts) > MOST_READINGS:
            raise UnreadableError("a sentence says more in its disguises than can be compared")
        return texts

    def _alias(self, found: Found) -> Verdict:
        return Verdict(
            concept=found.concept,
            kind="alias",
            start=found.span.start,
            end=found.span.end,
            score=1.0,
            threshold=1.0,
            hit=self._concepts[found.concept].names_suffice,
            near=True,
            view=found.view,
            matched=found.name,
        )

    def _quoted(self, found: Quoted) -> Verdict:
        return Verdict(
            concept=found.concept,
            kind="verbatim",
            start=found.span.start,
            end=found.span.end,
            score=found.words / WITHIN,
            threshold=LEAST / WITHIN,
            hit=True,
            near=True,
            view=found.view,
        )

    def _compared(
        self, item: _Reading, key: str, nearest: Nearest, neighbour: Nearest | None
    ) -> Verdict:
        threshold = self.thresholds[key]
        kept = None if neighbour is None else neighbour.score
        return Verdict(
            concept=key,
            kind="exemplar",
            start=item.window.start,
            end=item.window.end,
            score=nearest.score,
            threshold=threshold,
            # Nearer to what must stay than to what is forbidden is no hit, however near.
            hit=nearest.score >= threshold and (kept is None or nearest.score > kept),
            near=nearest.score >= threshold - NEAR,
            neighbour=kept,
            view=item.view,
            exchange=item.exchange,
            matched=self._exemplars[nearest.row][1],
        )

    def _excused(self, verdict: Verdict, passage: Passage) -> Verdict:
        """No hit where the answer only declines, in the question's own names.

        What a window says by itself is never excused.
        """
        own = verdict.kind == "exemplar" and not verdict.exchange
        if own or not verdict.hit or not passage.before:
            return verdict
        asked = f" {fold(passage.before)} "
        names = [name for name, folded in self._aliases[verdict.concept] if folded in asked]
        window = _around(passage, verdict)
        if not declines(passage.text[window.start : window.end], names=names):
            return verdict
        return replace(verdict, hit=False)

    def _derived(self, concept: Concept) -> float:
        if not concept.exemplars:
            return automatic([], [])
        exemplars = self._vectors(concept.exemplars)
        return automatic(
            *(
                [float(row.max()) for row in self._vectors(texts) @ exemplars.T]
                for texts in (concept.neighbours, BACKGROUND)
            )
        )

    def _indexed(self, rows: Sequence[tuple[str, str]]) -> Index:
        return Index(self._vectors([text for _, text in rows]), [key for key, _ in rows])

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return self._cache.vectors([reading(text) for text in texts])


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


def _around(passage: Passage, verdict: Verdict) -> Span:
    """The smallest window that holds a verdict's place."""
    holding = [w for w in passage.windows if w.start <= verdict.start and w.end >= verdict.end]
    return min(holding, key=lambda w: w.end - w.start, default=Span(0, len(passage.text)))


def _fingerprint(concepts: Sequence[Concept], encoder: Encoder) -> str:
    """Thresholds that are derived follow from the rest, and differ in the last digit by machine."""
    known = sorted((asdict(concept) for concept in concepts), key=lambda concept: concept["key"])
    content = json.dumps([VERSION, encoder.fingerprint, known], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
