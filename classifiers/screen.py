"""All concepts at once: passages in, verdicts out. Knows no policy, no HTTP and no action."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from classifiers.background import BACKGROUND
from classifiers.cache import Cache
from classifiers.combine import Combination, beside, fitted_for, shipped
from classifiers.declines import declines
from classifiers.encoder import Encoder, Vectors
from classifiers.evidence import CANDIDATE, Evidence
from classifiers.fingerprint_terms import Words, read
from classifiers.index import Index, Nearest
from classifiers.knowledge import Knowledge
from classifiers.lexical import Found, Lexicon
from classifiers.quotation import AHEAD, LEAST, WITHIN, Quotations, Quoted
from classifiers.readings import Reading, readings
from classifiers.spacing import Spacing
from classifiers.threshold import automatic
from classifiers.verdict import Concept, Passage, Span, Verdict
from classifiers.views import View, fold, reading, views

VERSION = 5  # of views, windows and scores: raised with any change that could move a verdict
NEAR = 0.15  # below the cosine similarity derived for a concept its instruction is still relevant
LIMIT = 0.9  # score from which a text is a hit where nothing was calibrated


@dataclass(frozen=True, slots=True)
class Compared:
    """One reading beside one concept: the nearest exemplar, the nearest neighbour, all evidence.

    `evidence` is None where the concept is held to a cosine similarity alone.
    """

    reading: Reading
    concept: str
    nearest: Nearest
    neighbour: float | None
    evidence: Evidence | None = field(repr=False)


class Screen:
    """Names in one automaton, exemplars and neighbours of all concepts in two indices.

    combinations  how evidence is weighed, by scope; those of this package where they hold for the
                  encoder. Without any, and for a concept that names a threshold, the cosine
                  similarity to the nearest exemplar decides
    limits        concept → the score that it is held to, where that was calibrated. A concept
                  whose names do not suffice is weighed only with one

    longest       folded characters of the longest name: a name may be that far from complete
    thresholds    concept → what it is held to: a calibrated score or, where it is not weighed, a
                  cosine similarity, given or derived from its neighbours and a harmless background
    fingerprint   changes whenever a verdict could

    Raises ValueError for two concepts with one key, one without names and exemplars, and one with
    a name too short to be recognised. Not for two threads at once.
    """

    def __init__(
        self,
        concepts: Sequence[Concept],
        encoder: Encoder,
        *,
        combinations: Mapping[str, Combination] | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> None:
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
        kept = [(c.key, text) for c in concepts for text in c.neighbours]
        vectors, kept_vectors = (self._vectors([t for _, t in r]) for r in (self._exemplars, kept))
        self._forbidden = Index(vectors, [key for key, _ in self._exemplars])
        self._kept = Index(kept_vectors, [key for key, _ in kept])
        self._knowledge = Knowledge(concepts, self._forbidden.vectors, self._kept.vectors)
        self.longest = max(self._lexicon.longest, AHEAD if len(self._quotations) else 0)
        if combinations is None:
            combinations = shipped() if fitted_for(encoder.fingerprint) else {}
        limits = limits or {}
        self._weighed = dict(_weighed(concepts, combinations, limits))
        self._similar = {
            c.key: self._derived(c) if c.threshold is None else c.threshold for c in concepts
        }
        self._beside = {
            c.key: beside(self._similar[c.key])
            for c in concepts
            if c.key in self._weighed and c.neighbours and c.names_suffice
        }
        self.thresholds = self._similar | {key: limits.get(key, LIMIT) for key in self._weighed}
        near = [similar - NEAR for similar in self._similar.values()]
        self._floor = min([*near, CANDIDATE] if self._weighed else near, default=1.0)
        self.fingerprint = _fingerprint(concepts, encoder, self._weighed, limits)

    def find(self, text: str) -> tuple[Verdict, ...]:
        """Names only: cheap, and no encoder is asked."""
        return tuple(self._named(views(text)))

    def judge(self, passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        """Verdicts for each passage, in order: every name, and every window near a concept.

        A name is a hit where names suffice. A window is a hit where its score reaches the
        concept's threshold and it is more similar to an exemplar than to any neighbour; it is
        compared alone and behind what was said before it. No hit, but near, is an answer that only
        declines. All windows of all passages are encoded in one batch.
        """
        verdicts = [self._all_named(passage) for passage in passages]
        for one in self.compared(passages):
            verdict = self._verdict(one)
            if verdict.near:
                verdicts[one.reading.passage].append(verdict)
        return [
            tuple(self._excused(verdict, passage) for verdict in found)
            for passage, found in zip(passages, verdicts, strict=True)
        ]

    def scores(self, passages: Sequence[Passage]) -> list[dict[str, float]]:
        """For each passage, concept → the highest score that counts; what is absent scores 0.

        A concept is hit where its score reaches its threshold: 1 for a name where names suffice and
        for a quotation. Nothing that is nearer to a neighbour counts, nor an answer that declines.
        """
        found: list[dict[str, float]] = [{} for _ in passages]

        def count(at: int, verdict: Verdict) -> None:
            if self._excused(verdict, passages[at]).hit:
                best = found[at].get(verdict.concept, 0.0)
                found[at][verdict.concept] = max(best, min(1.0, verdict.score))

        for at, passage in enumerate(passages):
            for verdict in self._all_named(passage):
                count(at, replace(verdict, score=1.0))
        for one in self.compared(passages):
            verdict = self._verdict(one)
            counts = verdict.margin is None or verdict.margin > 0
            count(one.reading.passage, replace(verdict, hit=counts))
        return found

    def compared(self, passages: Sequence[Passage]) -> Iterator[Compared]:
        """Every reading of every passage beside every concept that it is not far from."""
        asked = [r for at, p in enumerate(passages) for r in readings(at, p, self._spacing)]
        vectors = self._cache.vectors([item.text for item in asked])
        forbidden = self._forbidden.nearest(vectors, floor=self._floor)
        close = [at for at, found in enumerate(forbidden) if found]
        befores = self._befores([asked[at] for at in close])
        words: dict[str, Words] = {}
        for at in close:
            item, neighbours = asked[at], self._kept.best(vectors[at], forbidden[at])
            for key, nearest in forbidden[at].items():
                neighbour = neighbours.get(key)
                evidence = None
                if key in self._weighed:
                    for text in (item.said, item.before):
                        if text not in words:
                            words[text] = read(text)
                    evidence = self._evidence(key, item, words, vectors[at], befores)
                score = None if neighbour is None else neighbour.score
                yield Compared(item, key, nearest, score, evidence)

    def nearest(self, text: str) -> list[Verdict]:
        """Each concept's nearest exemplar, however far, best first: to explain, not to screen."""
        vectors = self._cache.vectors([reading(text)])
        forbidden = self._forbidden.nearest(vectors)[0]
        kept = self._kept.best(vectors[0], forbidden)
        item = Reading(0, Span(0, len(text)), "plain", reading(text))
        words = {item.said: read(item.said)}
        found = []
        for key, best in forbidden.items():
            neighbour = kept[key].score if key in kept else None
            weighed = key in self._weighed
            evidence = self._evidence(key, item, words, vectors[0], {}) if weighed else None
            found.append(self._verdict(Compared(item, key, best, neighbour, evidence)))
        return sorted(found, key=lambda verdict: -verdict.score)

    def _befores(self, items: Sequence[Reading]) -> dict[str, Vectors]:
        """The vectors of questions, where a concept that is weighed may be near their answers."""
        texts = list(dict.fromkeys(i.before for i in items if i.before)) if self._weighed else []
        return dict(zip(texts, self._cache.vectors(texts), strict=True))

    def _evidence(
        self,
        key: str,
        item: Reading,
        words: Mapping[str, Words],
        vector: Vectors,
        befores: Mapping[str, Vectors],
    ) -> Evidence:
        """A text by itself is its own question and its own answer."""
        said = words[item.said]
        asked, before = (
            (words[item.before], befores[item.before]) if item.before else (said, vector)
        )
        return self._knowledge.of(key).evidence(asked, said, asked=before, exchange=vector)

    def _named(self, seen: Sequence[View]) -> list[Verdict]:
        return [self._alias(found) for found in self._lexicon.find(seen)]

    def _all_named(self, passage: Passage) -> list[Verdict]:
        seen = views(passage.text)
        cut = seen if passage.cut else []
        begun = [self._alias(found) for view in cut for found in self._lexicon.begun(view)]
        quoted = [self._quoted(found) for found in self._quotations.find(seen)]
        return self._named(seen) + begun + quoted

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

    def _verdict(self, one: Compared) -> Verdict:
        key, item, similarity = one.concept, one.reading, one.nearest.score
        score, threshold = similarity, self.thresholds[key]
        if one.evidence is not None:
            said = item.answer and not item.exchange
            combination, scale = self._weighed[key], self._beside.get(key)
            score = combination.score(one.evidence, said=said, beside=scale)
        # Nearer to what must stay than to what is forbidden is no hit, however near.
        hit = score >= threshold and (one.neighbour is None or similarity > one.neighbour)
        return Verdict(
            concept=key,
            kind="exemplar",
            start=item.window.start,
            end=item.window.end,
            score=score,
            threshold=threshold,
            hit=hit,
            near=hit or similarity >= self._similar[key] - NEAR,
            similarity=similarity,
            neighbour=one.neighbour,
            view=item.view,
            exchange=item.exchange,
            matched=self._exemplars[one.nearest.row][1],
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

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return self._cache.vectors([reading(text) for text in texts])


def _weighed(
    concepts: Sequence[Concept],
    combinations: Mapping[str, Combination],
    limits: Mapping[str, float],
) -> Iterator[tuple[str, Combination]]:
    """Concepts whose evidence is weighed, and how."""
    for concept in concepts:
        scope = "entity" if concept.names_suffice else "fact"
        uncalibrated = scope == "fact" and concept.key not in limits
        if concept.threshold is None and scope in combinations and not uncalibrated:
            yield concept.key, combinations[scope]


def _around(passage: Passage, verdict: Verdict) -> Span:
    """The smallest window that holds a verdict's place."""
    holding = [w for w in passage.windows if w.start <= verdict.start and w.end >= verdict.end]
    return min(holding, key=lambda w: w.end - w.start, default=Span(0, len(passage.text)))


def _fingerprint(
    concepts: Sequence[Concept],
    encoder: Encoder,
    weighed: Mapping[str, Combination],
    limits: Mapping[str, float],
) -> str:
    """Thresholds that are derived follow from the rest, and differ in the last digit by machine."""
    known = sorted((asdict(concept) for concept in concepts), key=lambda concept: concept["key"])
    how = {key: [asdict(combination), limits.get(key)] for key, combination in weighed.items()}
    content = json.dumps([VERSION, encoder.fingerprint, known, how], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
