"""All concepts at once: passages in, verdicts out. Knows no policy, no HTTP and no action."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache

from classifiers.cascade import MOST, Cascade, digest
from classifiers.combine import Combination, beside, fitted_for, shipped
from classifiers.declines import declines
from classifiers.encoder import Encoder, Vectors
from classifiers.evidence import CANDIDATE, Evidence
from classifiers.fingerprint_terms import Words, read
from classifiers.floors import floors
from classifiers.index import Nearest
from classifiers.lexical import Found
from classifiers.quotation import LEAST, WITHIN, Quoted
from classifiers.readings import Reading, Seen, readings
from classifiers.rows import EVERYTHING
from classifiers.stock import Stock, hashed
from classifiers.verdict import Concept, Passage, Span, Verdict, merged, overlaps
from classifiers.views import View, fold, reading, views

VERSION = 9  # of views, windows and scores: raised with any change that could move a verdict
NEAR = 0.15  # below the cosine similarity derived for a concept its instruction is still relevant
MOST_WHOLE = 16  # windows of a passage that is compared as a whole
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
    """Names of all concepts in automata, their exemplars and neighbours in indices.

    combinations  how evidence is weighed, by scope; those of this package where they hold for the
                  encoder. Without any, and for a concept that names a threshold, the cosine
                  similarity to the nearest exemplar decides
    limits        concept → the score that it is held to, where that was calibrated. A concept
                  whose names do not suffice is weighed only with one
    cascade       clear what is far from every concept by its words, unencoded (see
                  `cascade.Cascade`); where any is not weighed, or not as this package does, or
                  there are too many exemplars, nothing is cleared
    like          a screen that may go on being used: what has not changed since is shared with it,
                  nothing is encoded again, and verdicts are those of a screen made without it

    longest       folded characters of the longest name: a name may be that far from complete
    thresholds    concept → what it is held to: a calibrated score or, where it is not weighed, a
                  cosine similarity, given or derived from its neighbours and a harmless background
    weighed       the concepts whose evidence is weighed
    recall        the share of the nearest exemplars that is found: 1.0 unless there are very many
    fingerprint   changes whenever a verdict could

    Raises ValueError for two concepts with one key, one without names and exemplars, and one with
    a name too short to be recognised. Not for two threads at once.
    """

    def __init__(  # noqa: PLR0913 - each is left out by most callers
        self,
        concepts: Sequence[Concept],
        encoder: Encoder,
        *,
        combinations: Mapping[str, Combination] | None = None,
        limits: Mapping[str, float] | None = None,
        cascade: bool = True,
        like: "Screen | None" = None,
    ) -> None:
        self.stock: Stock = Stock(concepts, encoder, like=like.stock if like else None)
        self.encoder = encoder
        self.longest = self.stock.longest
        fitted = combinations is None and fitted_for(encoder.fingerprint)
        if combinations is None:
            combinations = shipped() if fitted else {}
        limits = limits or {}
        self._weighed = dict(_weighed(concepts, combinations, limits))
        self.weighed = frozenset(self._weighed)
        self._beside = {
            c.key: beside(self.stock.similar[c.key])
            for c in concepts
            if c.key in self._weighed and c.neighbours and c.names_suffice
        }
        self.thresholds = self.stock.similar | {
            key: limits.get(key, LIMIT) for key in self._weighed
        }
        self._floors = floors(
            {
                key: min(similar - NEAR, CANDIDATE) if key in self._weighed else similar - NEAR
                for key, similar in self.stock.similar.items()
            }
        )
        self.recall = self.stock.recall
        self._cascade = self._first_stage() if cascade and fitted else None
        self.fingerprint = self._fingerprint(limits)

    def find(self, text: str) -> tuple[Verdict, ...]:
        """Names only: cheap, and no encoder is asked."""
        return tuple(self._named(views(text)))

    def judge(self, passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        """Verdicts for each passage, in order: every name, and every window near a concept.

        A name is a hit where names suffice. A window is a hit where its score reaches the
        concept's threshold and it is more similar to an exemplar than to any neighbour; it is
        compared alone and behind what was said before it. No hit, but near, is an answer that only
        declines. All windows of all passages are encoded in one batch; by a cascade, only those of
        passages that it does not clear.
        """
        seen = cache(views)
        verdicts = [self._all_named(passage, seen) for passage in passages]
        asked = self._readings(passages, seen)
        worth = self._worth(asked, {at for at, found in enumerate(verdicts) if found})
        for one in self._compared(worth):
            verdict = self.verdict(one)
            if verdict.near:
                verdicts[one.reading.passage].append(verdict)
        return [
            tuple(self._excused(verdict, passage) for verdict in found)
            for passage, found in zip(passages, verdicts, strict=True)
        ]

    def worth(self, passages: Sequence[Passage]) -> set[int]:
        """The passages of which any window is encoded."""
        seen = cache(views)
        named = {at for at, passage in enumerate(passages) if self._all_named(passage, seen)}
        return named | {one.passage for one in self._worth(self._readings(passages, seen), named)}

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

        seen = cache(views)
        for at, passage in enumerate(passages):
            for verdict in self._all_named(passage, seen):
                count(at, replace(verdict, score=1.0))
        for one in self._compared(self._readings(passages, seen)):
            verdict = self.verdict(one)
            counts = verdict.margin is None or verdict.margin > 0
            count(one.reading.passage, replace(verdict, hit=counts))
        return found

    def compared(self, passages: Sequence[Passage]) -> Iterator[Compared]:
        """Every reading of every passage beside every concept that it is not far from."""
        return self._compared(self._readings(passages, views))

    def _worth(self, asked: Sequence[Reading], named: set[int]) -> list[Reading]:
        """What is compared: each view of a passage that is worth it, and in plain what is named.

        A view holds whatever its numbers and names decode to; what else stands there is in it, too.
        Of a passage of many windows it is those that touch one that is worth it.
        """
        if self._cascade is None:
            return list(asked)
        near: dict[tuple[int, str], list[Span]] = {}
        for at in self._cascade.worth(asked):
            near.setdefault((asked[at].passage, asked[at].view), []).append(asked[at].window)
        touched = {place: merged(spans) for place, spans in near.items()}
        sizes = Counter(passage for passage, _ in {(one.passage, one.window) for one in asked})
        return [
            one
            for one in asked
            if (one.passage in named and one.view == "plain")
            or (
                (spans := touched.get((one.passage, one.view)))
                and (sizes[one.passage] <= MOST_WHOLE or overlaps(one.window, spans))
            )
        ]

    def _readings(self, passages: Sequence[Passage], seen: Seen) -> list[Reading]:
        spacing = self.stock.spacing
        return [one for at, p in enumerate(passages) for one in readings(at, p, spacing, seen=seen)]

    def _compared(self, asked: Sequence[Reading]) -> Iterator[Compared]:
        vectors = self.stock.cache.vectors([item.text for item in asked])
        forbidden = self.stock.nearest(vectors, floors=self._floors)
        close = [at for at, found in enumerate(forbidden) if found]
        befores = self._befores([asked[at] for at in close])
        words: dict[str, Words] = {}
        for at in close:
            item = asked[at]
            for key, nearest in forbidden[at].items():
                evidence = None
                if key in self._weighed:
                    for text in (item.said, item.before):
                        if text not in words:
                            words[text] = read(text)
                    evidence = self._evidence(key, item, words, vectors[at], befores)
                yield Compared(item, key, nearest, self.stock.neighbour(key, vectors[at]), evidence)

    def nearest(self, text: str) -> list[Verdict]:
        """Each concept's nearest exemplar, however far, best first: to explain, not to screen."""
        vectors = self.stock.cache.vectors([reading(text)])
        everything = floors(dict.fromkeys(self.stock.similar, EVERYTHING))
        forbidden = self.stock.nearest(vectors, floors=everything)[0]
        item = Reading(0, Span(0, len(text)), "plain", reading(text))
        words = {item.said: read(item.said)}
        found = []
        for key, best in forbidden.items():
            neighbour = self.stock.neighbour(key, vectors[0])
            weighed = key in self._weighed
            evidence = self._evidence(key, item, words, vectors[0], {}) if weighed else None
            found.append(self.verdict(Compared(item, key, best, neighbour, evidence)))
        return sorted(found, key=lambda verdict: -verdict.score)

    def _first_stage(self) -> Cascade | None:
        """None where it was not fitted for what these concepts are held to."""
        told = [key for key, concept in self.stock.concepts.items() if concept.exemplars]
        exemplars = sum(len(self.stock.concepts[key].exemplars) for key in told)
        if exemplars > MOST or not self.weighed.issuperset(told):
            return None
        return Cascade([(p.cues, keys) for p, keys in self.stock.parts.items()], self.thresholds)

    def _befores(self, items: Sequence[Reading]) -> dict[str, Vectors]:
        """The vectors of questions, where a concept that is weighed may be near their answers."""
        texts = list(dict.fromkeys(i.before for i in items if i.before)) if self._weighed else []
        return dict(zip(texts, self.stock.cache.vectors(texts), strict=True))

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
        return self.stock.known(key).evidence(asked, said, asked=before, exchange=vector)

    def _named(self, seen: Sequence[View]) -> list[Verdict]:
        return [
            self._alias(found)
            for part, keys in self.stock.parts.items()
            for found in part.lexicon.find(seen)
            if found.concept in keys
        ]

    def _all_named(self, passage: Passage, views_of: Seen) -> list[Verdict]:
        seen = views_of(passage.text)
        begun, quoted = [], []
        for part, keys in self.stock.parts.items():
            cut = (found for view in seen if passage.cut for found in part.lexicon.begun(view))
            begun += [self._alias(found) for found in cut if found.concept in keys]
            runs = part.quotations.find(seen)
            quoted += [self._quoted(found) for found in runs if found.concept in keys]
        return self._named(seen) + begun + quoted

    def _alias(self, found: Found) -> Verdict:
        return Verdict(
            concept=found.concept,
            kind="alias",
            start=found.span.start,
            end=found.span.end,
            score=1.0,
            threshold=1.0,
            hit=self.stock.concepts[found.concept].names_suffice,
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

    def verdict(self, one: Compared) -> Verdict:
        """What evidence amounts to."""
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
            near=hit or similarity >= self.stock.similar[key] - NEAR,
            similarity=similarity,
            neighbour=one.neighbour,
            view=item.view,
            exchange=item.exchange,
            matched=self.stock.exemplar(key, one.nearest.row),
        )

    def _excused(self, verdict: Verdict, passage: Passage) -> Verdict:
        """No hit where the answer only declines, in the question's own names.

        What a window says by itself is never excused.
        """
        own = verdict.kind == "exemplar" and not verdict.exchange
        if own or not verdict.hit or not passage.before:
            return verdict
        asked = f" {fold(passage.before)} "
        names = [name for name, folded in self.stock.aliases[verdict.concept] if folded in asked]
        window = _around(passage, verdict)
        if not declines(passage.text[window.start : window.end], names=names):
            return verdict
        return replace(verdict, hit=False)

    def _fingerprint(self, limits: Mapping[str, float]) -> str:
        """Derived thresholds follow from the rest, and differ in the last digit by machine."""
        several = {id(combination): combination for combination in self._weighed.values()}
        hows = {at: hashed(asdict(combination)) for at, combination in several.items()}
        how = {key: f"{hows[id(used)]} {limits.get(key)}" for key, used in self._weighed.items()}
        digests = self.stock.digests.items()
        known = "\n".join(sorted([f"{digest} {how.get(key)}" for key, digest in digests]))
        cleared = digest() if self._cascade else None
        return hashed([VERSION, self.stock.encoded_by, self.recall == 1, cleared, known])


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
