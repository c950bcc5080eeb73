"""All concepts at once: passages in, verdicts out. Knows no policy, no HTTP and no action."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from threading import Lock

import numpy as np

from classifiers.declines import declines
from classifiers.encoder import Encoder, Vectors
from classifiers.index import Index, Nearest
from classifiers.lexical import Found, Lexicon
from classifiers.threshold import automatic
from classifiers.verdict import Concept, Passage, Span, Verdict
from classifiers.views import fold, views

NEAR = 0.15  # below a concept's threshold its instruction is still relevant
MOST_READINGS = 4  # of one window that are encoded
CACHED = 20_000  # vectors of texts seen lately: 30 MB at 384 dimensions


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

    `longest` is the length in folded characters of the longest name, `thresholds` the cosine that
    each concept is held to, given or derived from its neighbours.
    """

    def __init__(self, concepts: Sequence[Concept], encoder: Encoder) -> None:
        self._concepts = {concept.key: concept for concept in concepts}
        if len(self._concepts) < len(concepts):
            raise ValueError("screen: two concepts have the same key")
        for concept in concepts:
            if not concept.aliases and not concept.exemplars:
                raise ValueError(f"{concept.key}: a concept needs a name or an exemplar")
        self._encoder = encoder
        self._lexicon = Lexicon((name, c.key) for c in concepts for name in c.aliases)
        self._exemplars = [(c.key, text) for c in concepts for text in c.exemplars]
        self._neighbours = [(c.key, text) for c in concepts for text in c.neighbours]
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()
        self._forbidden = self._indexed(self._exemplars)
        self._kept = self._indexed(self._neighbours)
        self.longest = self._lexicon.longest
        self.thresholds = {
            c.key: self._derived(c) if c.threshold is None else c.threshold for c in concepts
        }
        self._floor = min(self.thresholds.values(), default=1.0) - NEAR
        self.fingerprint = self._digest()

    def find(self, text: str) -> tuple[Verdict, ...]:
        """Names only: cheap, and no encoder is asked."""
        return tuple(self._named(found) for found in self._lexicon.find(views(text)))

    def judge(self, passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        """Verdicts for each passage, in order: every name, every window near a concept.

        All windows of all passages are encoded in one batch.
        """
        verdicts = [list(self.find(passage.text)) for passage in passages]
        for at, passage in enumerate(passages):
            verdicts[at] = [self._excused(verdict, passage) for verdict in verdicts[at]]
        readings = [r for at, passage in enumerate(passages) for r in _readings(at, passage)]
        vectors = self._encoded([reading.text for reading in readings])
        near = self._forbidden.nearest(vectors, floor=self._floor)
        kept = self._kept.nearest(vectors, floor=self._floor)
        for reading, forbidden, neighbours in zip(readings, near, kept, strict=True):
            for key, nearest in forbidden.items():
                verdict = self._compared(reading, key, nearest, neighbours.get(key))
                if verdict.near:
                    verdict = self._excused(verdict, passages[reading.passage])
                    verdicts[reading.passage].append(verdict)
        return [tuple(found) for found in verdicts]

    def nearest(self, text: str) -> list[Verdict]:
        """What each concept's nearest exemplar is, however far: for explaining, not for screening."""
        vectors = self._encoded([text])
        forbidden = self._forbidden.nearest(vectors, floor=-1.0)[0]
        kept = self._kept.nearest(vectors, floor=-1.0)[0]
        reading = _Reading(0, Span(0, len(text)), "plain", text, exchange=False)
        found = [
            self._compared(reading, key, best, kept.get(key)) for key, best in forbidden.items()
        ]
        return sorted(found, key=lambda verdict: -verdict.score)

    def _named(self, found: Found) -> Verdict:
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

    def _compared(
        self, reading: _Reading, key: str, nearest: Nearest, neighbour: Nearest | None
    ) -> Verdict:
        threshold = self.thresholds[key]
        kept = None if neighbour is None else neighbour.score
        # Nearer to what must stay than to what is forbidden is no hit, however near.
        hit = nearest.score >= threshold and (kept is None or nearest.score > kept)
        return Verdict(
            concept=key,
            kind="exemplar",
            start=reading.window.start,
            end=reading.window.end,
            score=nearest.score,
            threshold=threshold,
            hit=hit,
            near=hit or nearest.score >= threshold - NEAR,
            neighbour=kept,
            view=reading.view,
            exchange=reading.exchange,
            matched=self._exemplars[nearest.row][1],
        )

    def _excused(self, verdict: Verdict, passage: Passage) -> Verdict:
        """No hit where an answer only says that it does not know, in the question's own names."""
        if not verdict.hit or not passage.before:
            return verdict
        asked = f" {fold(passage.before)} "
        names = [n for n in self._concepts[verdict.concept].aliases if f" {fold(n)} " in asked]
        window = _around(passage, verdict)
        if not declines(passage.text[window.start : window.end], names=names):
            return verdict
        return Verdict(**{**asdict(verdict), "hit": False})

    def _derived(self, concept: Concept) -> float:
        """A threshold from how similar the concept's neighbours are to its exemplars."""
        if not concept.neighbours or not concept.exemplars:
            return automatic([])
        similar = self._encoded(concept.neighbours) @ self._encoded(concept.exemplars).T
        return automatic([float(score) for score in similar.max(axis=1)])

    def _indexed(self, rows: Sequence[tuple[str, str]]) -> Index:
        return Index(self._encoded([text for _, text in rows]), [key for key, _ in rows])

    def _encoded(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts, those seen lately from memory. Shape (len(texts), dimensions)."""
        with self._lock:
            known = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known |= zip(missing, self._encoder.encode(missing), strict=True)
        with self._lock:
            for text in known:
                self._cache[text] = known[text]
                self._cache.move_to_end(text)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        if not texts:
            return np.zeros((0, self._encoder.dimensions), dtype=np.float32)
        return np.stack([known[text] for text in texts])

    def _digest(self) -> str:
        parts = [asdict(concept) for concept in self._concepts.values()]
        content = json.dumps([self._encoder.fingerprint, parts, sorted(self.thresholds.items())])
        return hashlib.sha256(content.encode()).hexdigest()


def _readings(at: int, passage: Passage) -> Iterator[_Reading]:
    """Each window as it reads, alone and behind what was said before it."""
    for window in passage.windows:
        text = passage.text[window.start : window.end]
        found = [view for view in views(text) if view.reading][:MOST_READINGS]
        for view in found:
            yield _Reading(at, window, view.name, view.reading or "", exchange=False)
            if passage.before:
                both = f"{passage.before} {view.reading}"
                yield _Reading(at, window, view.name, both, exchange=True)


def _around(passage: Passage, verdict: Verdict) -> Span:
    """The smallest window that holds a verdict's place."""
    holding = [w for w in passage.windows if w.start <= verdict.start and w.end >= verdict.end]
    return min(holding, key=lambda w: w.end - w.start, default=Span(0, len(passage.text)))
