"""Search among many exemplars: how long a scan, bytes and cells take, and what cells miss."""

from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.screen_parts.corpus import encoded, exemplars, sentences, told_again
from benchmarks.screen_parts.timing import in_turn, ratio
from classifiers.encoder import Encoder, Vectors
from classifiers.rows import AT, Coded, Probed, Rows, Scanned

FLOOR = 0.45  # as the screen asks
ASKED = 200  # of each kind
SENTENCES = 8_000
HELD_OUT = 1_000  # that no exemplar is made of
SIZES = (1_000, 4_000, 16_000, 64_000, 200_000)


def sizes(most: int) -> list[int]:
    """Numbers of exemplars to be searched among, up to `most`."""
    return [*(size for size in SIZES if size < most), most]


def truth(vectors: Vectors, asked: Vectors) -> list[set[int]]:
    """The AT nearest rows of each, by a matrix product."""
    scores = np.concatenate(
        [vectors[at : at + 65_536] @ asked.T for at in range(0, len(vectors), 65_536)]
    )
    return [set(np.argpartition(one, -AT)[-AT:].tolist()) for one in scores.T]


def recall(rows: Rows, asked: Vectors, true: list[set[int]]) -> float:
    """The share of the AT nearest that is found, whatever their scores."""
    found = []
    for one, best in zip(asked, true, strict=True):
        near = rows.near(one, floor=FLOOR)
        ranked = near.rows[np.argsort(-near.scores)[:AT]]
        found.append(len(best & set(ranked.tolist())) / AT)
    return float(np.mean(found))


def measure(folder: Path, encoder: Encoder, *, most: int) -> tuple[Table, dict[str, object]]:
    """Milliseconds a search, ratios to a scan, and recall, on vectors that are told again, and on
    those of other sentences."""
    vectors = encoded(encoder, sentences(folder, most=SENTENCES))
    known, other = vectors[:-HELD_OUT], vectors[-HELD_OUT:]
    everything = exemplars(known, most)
    table = Table(title=f"search, cosine above {FLOOR}, one thread, n {2 * ASKED} each")
    for column in ("exemplars", "way", "ms", "p99", "of a scan", "recall@8: told again", "others"):
        table.add_column(column)
    results: dict[str, object] = {}
    for count in sizes(most):
        part = np.ascontiguousarray(everything[:count])
        again, others = told_again(part, other, ASKED), other[:ASKED]
        asked = np.concatenate([again, others])
        ways: dict[str, Rows] = {"scan": Scanned(part), "bytes": Coded(part)}
        if count >= SIZES[2]:
            ways["cells"] = Probed(part)
        spent = in_turn(
            {name: partial(_search, rows, asked) for name, rows in ways.items()}, rounds=len(asked)
        )
        for name, rows in ways.items():
            milliseconds = np.array(spent[name]) * 1000
            p99 = float(np.percentile(milliseconds, 99))
            times = ratio(spent[name], spent["scan"])
            kept = [recall(rows, some, truth(part, some)) for some in (again, others)]
            results[f"{count} {name}"] = {
                "ms": float(np.median(milliseconds)), "p99": p99, "of_scan": str(times),
                "recall": kept, "stated": rows.recall, "n": len(asked),
            }  # fmt: skip
            table.add_row(
                f"{count:,}", name, f"{np.median(milliseconds):.2f}", f"{p99:.2f}", str(times),
                f"{kept[0]:.3f}", f"{kept[1]:.3f}",
            )  # fmt: skip
    return table, results


def _search(rows: Rows, asked: Vectors, at: int) -> object:
    return rows.near(asked[at], floor=FLOOR)
