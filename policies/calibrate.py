"""What every concept scores on forbidden, neighbouring and everyday text, and a threshold from it.

Knows no file, no terminal and no HTTP. A response scores what the highest of its windows does, so
that a rate is one of responses.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from classifiers import Concept, Encoder, Screen, UnreadableError
from classifiers.cache import MOST, Cache
from classifiers.combine import digest as weights_digest
from classifiers.encoder import Vectors
from classifiers.screen import LIMIT
from classifiers.threshold import FLOOR, Share, needed, rank, threshold
from policies.draft.documents import Said
from policies.lock import Counted, Decides, Entry, Lock, Measured, Targets, parts, sealed
from policies.responses import Response, Traffic, passage, response

FOLDS = 10
AT_ONCE = 32  # responses that are judged in one batch
CONFIDENCE = 0.95  # of the bounds, where none is asked for
# Below these a score is extrapolated and a similarity is anybody's, whatever the harmless score.
LOWEST: Mapping[Decides, float] = {"score": 0.5, "similarity": FLOOR, "policy": 0.0, "names": 0.0}
SCORES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)
SIMILARITIES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
NAMES = 1.0  # what a name where names suffice, and a quotation, score
GRAIN = 10_000  # thresholds are multiples of its inverse

Part = Literal["exemplars", "neighbours"]


@dataclass(frozen=True, slots=True)
class Blocked:
    """A case that must be blocked by one of the concepts with these keys."""

    keys: tuple[str, ...]
    case: Said


@dataclass(frozen=True, slots=True)
class Scores:
    """One concept and the score of every response, each in [0, 1].

    forbidden   exemplars, each by a screen without its fold, and cases that must be blocked
    unnamed     the exemplars once more where names suffice, without them
    neighbours  each by a screen without its fold
    traffic     harmless responses
    """

    concept: Concept
    decides: Decides
    forbidden: tuple[float, ...] = field(repr=False)
    unnamed: tuple[float, ...] = field(repr=False)
    neighbours: tuple[float, ...] = field(repr=False)
    traffic: tuple[float, ...] = field(repr=False)

    @property
    def curve(self) -> tuple[float, ...]:
        """Thresholds worth looking at; the last leaves names and quotations alone."""
        return (*(SCORES if self.decides == "score" else SIMILARITIES), NAMES)


@dataclass(frozen=True, slots=True)
class Row:
    """One threshold, and the responses that reach it."""

    threshold: float
    forbidden: Share
    unnamed: Share
    neighbours: Share
    traffic: Share


@dataclass(frozen=True, slots=True)
class Picked:
    """A threshold for one concept, or why there is none. Without exemplars it needs none.

    `problems` are sentences that hold none of the policy's texts.
    """

    scores: Scores
    threshold: float | None
    problems: tuple[str, ...] = ()

    @property
    def row(self) -> Row:
        """What the threshold does; names alone decide where there is none."""
        return row(self.scores, NAMES if self.threshold is None else self.threshold)


class Remembering:
    """An encoder that encodes each text once, of `texts` and more: folds share most of theirs."""

    def __init__(self, encoder: Encoder, *, texts: int = 0) -> None:
        self._cache = Cache(encoder, most=MOST + texts)
        self.fingerprint = encoder.fingerprint
        self.dimensions = encoder.dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions)."""
        return self._cache.vectors(texts)


def measured(
    concepts: Sequence[Concept],
    encoder: Encoder,
    *,
    traffic: Traffic,
    blocked: Sequence[Blocked] = (),
) -> list[Scores]:
    """Judge everything by the screen that these concepts make, and by screens without a fold.

    Raises ValueError as a screen does.
    """
    texts = sum(len(c.exemplars) + len(c.neighbours) for c in concepts)
    shared = Remembering(encoder, texts=texts)
    # Facts are weighed only where they are held to a score; which one does not change any.
    limits = {c.key: LIMIT for c in concepts if not c.names_suffice and c.threshold is None}
    screen = Screen(concepts, shared, limits=limits)
    exemplars = {c.key: c.exemplars for c in concepts}
    neighbours = {c.key: c.neighbours for c in concepts}
    bare = {c.key: _nameless(c, screen) for c in concepts}
    forbidden = _held_out(exemplars, "exemplars", concepts, shared, limits)
    unnamed = _held_out(bare, "exemplars", concepts, shared, limits)
    kept = _held_out(neighbours, "neighbours", concepts, shared, limits)
    everyday = judged(screen, [response(said) for said in traffic.responses])
    asked = [(passage(one.case.text, before=one.case.before),) for one in blocked]
    for one, found in zip(blocked, judged(screen, asked), strict=True):
        for key in _about(one.keys, found):
            forbidden[key].append(found.get(key, 0.0))
    return [
        Scores(
            concept=concept,
            decides=_decides(concept, screen),
            forbidden=tuple(forbidden[concept.key]),
            unnamed=tuple(unnamed[concept.key]),
            neighbours=tuple(kept[concept.key]),
            traffic=tuple(found.get(concept.key, 0.0) for found in everyday),
        )
        for concept in concepts
    ]


def judged(screen: Screen, asked: Sequence[Response]) -> list[dict[str, float]]:
    """For each response, concept → the highest score of its passages; what is absent scores 0."""
    return [
        found
        for at in range(0, len(asked), AT_ONCE)
        for found in _batch(screen, asked[at : at + AT_ONCE])
    ]


def row(scores: Scores, at: float) -> Row:
    """What a threshold does to every kind of response."""
    counted = (
        Share(sum(score >= at for score in found), len(found))
        for found in (scores.forbidden, scores.unnamed, scores.neighbours, scores.traffic)
    )
    return Row(at, *counted)


def picked(scores: Scores, targets: Targets) -> Picked:
    """The lowest threshold that keeps every target, so that as much as can be is caught.

    A threshold that the policy names is kept, and must keep them too.
    """
    kinds = (
        ("neighbours", scores.neighbours, targets.neighbours),
        ("traffic", scores.traffic, targets.traffic),
    )
    least, problems = LOWEST[scores.decides], []
    for kind, found, share in kinds:
        if share is None:
            continue
        highest = threshold(found, alpha=share, confidence=targets.confidence)
        if highest < NAMES:
            least = max(least, _above(highest))
        else:
            problems.append(_unbacked(kind, found, share, targets.confidence))
    own = scores.concept.threshold
    if own is not None and own < least and not problems:
        problems.append(f"its own threshold {own:g} is below {least:g}, which keeps the targets")
    found_at = None if scores.decides == "names" else least if own is None else own
    return Picked(scores, None if problems else found_at, tuple(problems))


def together(chosen: Sequence[Picked]) -> Share:
    """Harmless responses that any of these concepts stops."""
    each = [[score >= one.row.threshold for score in one.scores.traffic] for one in chosen]
    return Share(sum(map(any, zip(*each, strict=True))), len(each[0]) if each else 0)


def locked(
    chosen: Sequence[Picked],
    encoder: Encoder,
    *,
    targets: Targets,
    traffic: Traffic,
) -> Lock:
    """The lock of one policy: what was picked, from what, and what it holds for."""
    confidence = targets.confidence or CONFIDENCE
    weighed = any(one.scores.decides == "score" for one in chosen)
    return sealed(
        {
            "made_by": f"lethe {_version()}",
            "date": datetime.now(UTC).date().isoformat(),
            "encoder": encoder.fingerprint,
            "weights": weights_digest() if weighed else None,
            "confidence": confidence,
            "targets": targets.model_dump(),
            "traffic": Measured(
                given=traffic.given,
                sha256=traffic.digest,
                stopped=_stopped(together(chosen), confidence),
            ).model_dump(),
            "concepts": [_entry(one, confidence).model_dump() for one in chosen],
        }
    )


def _held_out(
    texts: Mapping[str, Sequence[str]],
    part: Part,
    concepts: Sequence[Concept],
    encoder: Encoder,
    limits: Mapping[str, float],
) -> dict[str, list[float]]:
    """Concept → the score of each of its texts, by a screen without a part's fold it belongs to."""
    scores = {key: [0.0] * len(own) for key, own in texts.items()}
    for fold in range(FOLDS):
        asked = [(key, at) for key, own in texts.items() for at in range(fold, len(own), FOLDS)]
        if asked:
            without = [_without(concept, part, fold) for concept in concepts]
            screen = Screen(without, encoder, limits=limits)
            held = judged(screen, [(passage(texts[key][at]),) for key, at in asked])
            for (key, at), found in zip(asked, held, strict=True):
                scores[key][at] = found.get(key, 0.0)
    return scores


def _nameless(concept: Concept, screen: Screen) -> tuple[str, ...]:
    """The exemplars of a concept that a name is enough for, with every name cut out."""
    return tuple(
        _cut(text, concept.key, screen) for text in concept.exemplars * concept.names_suffice
    )


def _cut(text: str, key: str, screen: Screen) -> str:
    found = [verdict for verdict in screen.find(text) if verdict.concept == key]
    inside = {at for verdict in found for at in range(verdict.start, verdict.end)}
    return "".join(char for at, char in enumerate(text) if at not in inside)


def _without(concept: Concept, part: Part, fold: int) -> Concept:
    texts: Sequence[str] = getattr(concept, part)
    left = tuple(text for at, text in enumerate(texts) if at % FOLDS != fold)
    return (
        replace(concept, exemplars=left)
        if part == "exemplars"
        else replace(concept, neighbours=left)
    )


def _batch(screen: Screen, asked: Sequence[Response]) -> Iterator[dict[str, float]]:
    try:
        scores = iter(screen.scores([one for passages in asked for one in passages]))
    except UnreadableError:
        # What cannot be read is refused, whatever it is about.
        if len(asked) == 1:
            yield dict.fromkeys(screen.thresholds, NAMES)
        else:
            for one in asked:
                yield from _batch(screen, [one])
        return
    for passages in asked:
        best: dict[str, float] = {}
        for _ in passages:
            for key, score in next(scores).items():
                best[key] = max(score, best.get(key, 0.0))
        yield best


def _about(keys: Sequence[str], found: Mapping[str, float]) -> Sequence[str]:
    """The concept that scores highest; where none does, it was missed by each."""
    best = max(keys, key=lambda key: found.get(key, 0.0))
    return (best,) if best in found else keys


def _decides(concept: Concept, screen: Screen) -> Decides:
    if not concept.exemplars:
        return "names"
    if concept.threshold is not None:
        return "policy"
    return "score" if concept.key in screen.weighed else "similarity"


def _above(score: float) -> float:
    """The lowest threshold that a score does not reach."""
    at = math.floor(score * GRAIN)
    while at / GRAIN <= score:
        at += 1
    return at / GRAIN


def _unbacked(kind: str, found: Sequence[float], share: float, confidence: float | None) -> str:
    least = needed(alpha=share, confidence=confidence)
    sure = "on average" if confidence is None else f"with confidence {confidence:g}"
    if len(found) < least:
        return (
            f"{kind}: at most {share:g} takes {least} {sure}, and here are {len(found)}: "
            f"{least - len(found)} missing"
        )
    stopped = sum(score >= NAMES for score in found)
    may = len(found) - rank(len(found), alpha=share, confidence=confidence)
    return (
        f"{kind}: {stopped} of {len(found)} are stopped by a name, a quotation or what says the "
        f"same, at any threshold; for at most {share:g} {sure} {may} may be"
    )


def _entry(one: Picked, confidence: float) -> Entry:
    at = one.row
    return Entry(
        **parts(one.scores.concept),
        decides=one.scores.decides,
        threshold=one.threshold,
        forbidden_caught=Counted(
            k=at.forbidden.k, n=at.forbidden.n, bound=_rounded(at.forbidden.at_least(confidence))
        ),
        neighbours_stopped=_stopped(at.neighbours, confidence),
        traffic_stopped=_stopped(at.traffic, confidence),
    )


def _stopped(share: Share, confidence: float) -> Counted:
    return Counted(k=share.k, n=share.n, bound=_rounded(share.at_most(confidence)))


def _rounded(bound: float) -> float:
    return round(bound, 6)


def _version() -> str:
    try:
        return version("lethe-proxy")
    except PackageNotFoundError:
        return "unknown"
