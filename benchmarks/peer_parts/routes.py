"""semantic-router: a route a person, whose utterances are the sentences of the article.

Without a threshold it routes everything, so that its raw scores can be held to any. "fitted": the
library's calibration, by the probes of other people, at a confidence of .5.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.detection_parts.measured import counted
from benchmarks.detection_parts.texts import Person, Probe
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import folds
from benchmarks.peer_parts.asked import Peer, Rows, Texts, Values, asked, at_shares

SURE = 0.5  # of a confidence that is a probability


def peer(people: Sequence[Person], encoder: Kept) -> Peer:
    """Routes of all people. Raises ImportError."""
    from semantic_router import __version__  # noqa: PLC0415 (a peer's own environment)

    found = _router(people, encoder)

    def rows(probes: Sequence[Probe]) -> Rows:
        return _measured(found, probes, encoder)

    return Peer(f"semantic-router {__version__}", found, rows)


def _router(people: Sequence[Person], encoder: Kept) -> Any:  # noqa: ANN401 (a peer's class)
    """Routes as its documentation makes them."""
    from semantic_router import IndexedRouter, Route  # noqa: PLC0415
    from semantic_router.encoders import DenseEncoder  # noqa: PLC0415

    class Same(DenseEncoder):  # type: ignore[misc]
        """The Screen's own encoder."""

        def __call__(self, docs: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = encoder.encode(docs).tolist()
            return vectors

    routes = [Route(name=one.key, utterances=list(one.sentences)) for one in people]
    return IndexedRouter(Same(name="same"), routes)


def _routed(found: Any, texts: Texts) -> dict[str, tuple[str, float]]:  # noqa: ANN401
    """Every text once: where it is routed, and how surely, by its raw score."""
    choices = {text: found(text) for text in dict.fromkeys(t for some in texts for t in some)}
    return {text: (choice.name or "", choice.confidence or 0.0) for text, choice in choices.items()}


def _calibrated(
    found: dict[str, tuple[str, float]], probes: Sequence[Probe], texts: Texts
) -> Values:
    """For each probe the highest confidence, by a calibration on other people's probes."""
    from semantic_router.calibration import Calibrator  # noqa: PLC0415

    fold = folds([probe.subject for probe in probes])
    values = np.zeros(len(probes))
    for number in np.unique(fold):
        own = np.flatnonzero(fold == number).tolist()
        rest = np.flatnonzero(fold != number).tolist()
        said = [(text, probes[at]) for at in rest for text in texts[at]]
        right = [p.forbidden and found[text][0] == p.subject for text, p in said]
        sure = Calibrator.fit([found[text][1] for text, _ in said], right)
        values[own] = [max(float(sure(found[text][1])) for text in texts[at]) for at in own]
    return values


def _measured(router: Any, probes: Sequence[Probe], encoder: Kept) -> Rows:  # noqa: ANN401
    rows: Rows = {}
    for name, texts in asked(probes).items():
        encoder.encode([text for some in texts for text in some])
        found = _routed(router, texts)
        raw = np.array([max(found[text][1] for text in some) for some in texts])
        rows |= at_shares(name, raw, probes)
        fitted = _calibrated(found, probes, texts)
        rows[f"{name}, fitted, confidence .5"] = counted(probes, fitted >= SURE)
    return rows
