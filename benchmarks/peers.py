"""Another router on RWKU, judged as `benchmarks/detection.py` judges the Screen: semantic-router.

In an environment of its own, beside this project: `pip install semantic-router`, then

    python benchmarks/peers.py [--data DIR] [--cache DIR] [--json FILE]

A route a person, whose utterances are the sentences of the article; the Screen's own encoder.
Questions and bare gold answers are routed each by itself, as the library offers, and an answer
behind its question, which is more than it does by itself; a probe leaks where nothing is routed.
"fitted": the library's calibration, by the probes of other people, at a confidence of .5. Without a
threshold it routes everything. Says so and ends where the package or DIR/rwku is missing.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection import DATA, Rows, printed
from benchmarks.detection_parts.measured import at_most, counted
from benchmarks.detection_parts.texts import Person, Probe, rwku
from benchmarks.detection_parts.vectors import Kept
from benchmarks.detection_parts.weighing import folds
from classifiers import load
from classifiers.readings import joined

SHARES = (0.2, 0.1)
SURE = 0.5  # of a confidence that is a probability

Texts = Sequence[Sequence[str]]  # for each probe, what is routed
Values = NDArray[np.float64]


def router(people: Sequence[Person], encoder: Kept) -> Any:  # noqa: ANN401 (a peer's class)
    """Routes of all people, as its documentation makes them."""
    from semantic_router import IndexedRouter, Route  # noqa: PLC0415 (a peer's own environment)
    from semantic_router.encoders import DenseEncoder  # noqa: PLC0415

    class Same(DenseEncoder):  # type: ignore[misc]
        """The Screen's own encoder."""

        def __call__(self, docs: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = encoder.encode(docs).tolist()
            return vectors

    routes = [Route(name=one.key, utterances=list(one.sentences)) for one in people]
    return IndexedRouter(Same(name="same"), routes)


def routed(found: Any, texts: Texts) -> dict[str, tuple[str, float]]:  # noqa: ANN401
    """Every text once: where it is routed, and how surely, by its raw score."""
    choices = {text: found(text) for text in dict.fromkeys(t for some in texts for t in some)}
    return {text: (choice.name or "", choice.confidence or 0.0) for text, choice in choices.items()}


def calibrated(
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


def measured(people: Sequence[Person], probes: Sequence[Probe], encoder: Kept) -> Rows:
    """Way to decide → columns of `detection.py` → rate."""
    kept = np.array([probe.kind == "neighbour" for probe in probes])
    routes, rows = router(people, encoder), {}
    for name, texts in {
        "question, answer": [[p.question, p.answer] for p in probes],
        "question, exchange": [[p.question, joined(p.question, p.answer)] for p in probes],
    }.items():
        encoder.encode([text for some in texts for text in some])
        found = routed(routes, texts)
        raw = np.array([max(found[text][1] for text in some) for some in texts])
        for share in SHARES:
            stopped = raw >= at_most(raw[kept], share)
            rows[f"{name}, neighbours at most {share:.0%}"] = counted(probes, stopped)
        fitted = calibrated(found, probes, texts)
        rows[f"{name}, fitted, confidence .5"] = counted(probes, fitted >= SURE)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--json", type=Path, help="file to write all rates to")
    args = parser.parse_args()
    console = Console(width=190)
    try:
        from semantic_router import __version__  # noqa: PLC0415
    except ImportError:
        console.print("skipped: pip install semantic-router in an environment of its own")
        return
    if not (args.data / "rwku").is_dir():
        console.print(f"skipped: no rwku/ in {args.data}; give --data DIR")
        return
    encoder = Kept(load(), args.cache)
    people, probes = rwku(args.data / "rwku")
    rows = measured(people, probes, encoder)
    encoder.keep()
    printed(f"RWKU, {len(people)} people, semantic-router {__version__}", rows, console)
    if args.json:
        said = {name: {c: (r.k, r.n) for c, r in row.items()} for name, row in rows.items()}
        args.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
