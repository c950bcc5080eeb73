"""What ordinary traffic costs with a cascade, and without: everything encoded."""

from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.detection_parts.measured import concept
from benchmarks.detection_parts.texts import rwku
from benchmarks.screen_parts.concepts import asked
from benchmarks.screen_parts.timing import in_turn
from classifiers import Passage, Screen, segment, windows
from classifiers.encoder import Encoder

SIZES = ((1, 10), (10, 10), (10, 60), (30, 10_000))  # people forgotten, sentences of each article
WARM = 300  # passages that nobody counts
DRAWS = 2000  # of the bootstrap


def measure(folder: Path, encoder: Encoder, *, rounds: int) -> tuple[Table, dict[str, object]]:
    """CPU milliseconds a passage in the mean: one in many is encoded, and a median hides it."""
    people, _ = rwku(folder / "rwku")
    everything = asked(folder)
    passages, before = everything[WARM : WARM + rounds], everything[:WARM]
    if not passages:
        raise SystemExit(
            f"clearing: {len(everything)} rows of TriviaQA; more than {WARM} are needed"
        )
    table = Table(title=f"TriviaQA's answers behind their questions, n {len(passages)}")
    for column in ("people", "exemplars", "ms", "ms, all encoded", "share, 95 %", "cleared"):
        table.add_column(column)
    results: dict[str, object] = {}
    for count, size in SIZES:
        concepts = [concept(p.key, [p.name], p.sentences[:size]) for p in people[:count]]
        ways = {
            "cascade": Screen(concepts, encoder),
            "everything": Screen(concepts, encoder, cascade=False),
        }
        # What is known of a concept is read when it is first near: once in the life of a screen.
        told = [Passage(c.exemplars[0], windows(segment(c.exemplars[0]))) for c in concepts]
        for screen in ways.values():
            screen.judge([*told, *before])
        spent = in_turn(
            {name: partial(_judge, screen, passages) for name, screen in ways.items()},
            rounds=len(passages),
        )
        few, many = (np.array(spent[name]) for name in ways)
        drawn = np.random.default_rng(0).integers(0, len(few), (DRAWS, len(few)))
        low, high = np.percentile(few[drawn].sum(axis=1) / many[drawn].sum(axis=1), (2.5, 97.5))
        share, exemplars = few.sum() / many.sum(), sum(len(one.exemplars) for one in concepts)
        cleared = 1 - len(ways["cascade"].worth(passages)) / len(passages)
        results[f"{len(concepts)} people, {exemplars} exemplars"] = {
            "ms": few.mean() * 1000, "ms_everything": many.mean() * 1000, "n": len(few),
            "share": share, "low": low, "high": high, "cleared": cleared,
        }  # fmt: skip
        table.add_row(
            str(len(concepts)), str(exemplars),
            f"{few.mean() * 1000:.2f}", f"{many.mean() * 1000:.1f}",
            f"{share:.3f} [{low:.3f}, {high:.3f}]", f"{cleared:.3f}",
        )  # fmt: skip
    return table, results


def _judge(screen: Screen, passages: list[Passage], at: int) -> object:
    return screen.judge([passages[at]])
