"""What a window costs among ten concepts and among ten thousand: names, index and evidence."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.detection_parts.texts import rwku
from benchmarks.screen_parts.corpus import NOISE, sentences
from benchmarks.screen_parts.timing import in_turn, ratio
from classifiers import Concept, Passage, Screen, segment, windows
from classifiers.encoder import Encoder, Vectors
from classifiers.vectors import unit

EACH = 10  # exemplars of a concept
FEW = 10
WARM = 5  # times as many passages, with those before that nobody counts
SYLLABLES = (  # noqa: SIM905 - reads better
    "ba cor du fen gil hal ist jor kel lum mar nev os pir quen ros sil tav ul vor wen yst zan"
).split()


class Known:
    """An encoder that was told the vectors of some texts; the rest it asks another for."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.told: dict[str, Vectors] = {}
        self.fingerprint, self.dimensions = encoder.fingerprint, encoder.dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions)."""
        new = [text for text in texts if text not in self.told]
        found = dict(zip(new, self._encoder.encode(new), strict=True)) if new else {}
        rows = [found[text] if text in found else self.told[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), dtype=np.float32)


def named(count: int) -> list[str]:
    """Different made-up names of two words."""
    drawn, found = np.random.default_rng(3), dict[str, None]()
    while len(found) < count:
        parts = ["".join(drawn.choice(SYLLABLES, 3)).capitalize() for _ in range(2)]
        found[" ".join(parts)] = None
    return list(found)


def made(folder: Path, encoder: Known, count: int, *, most: int = 6_000) -> list[Concept]:
    """Concepts whose exemplars are sentences of the data sets, ten that stood together, each told
    of a made-up name.

    Their vectors are those of the sentences with noise: nobody waits for 100,000 to be encoded.
    """
    texts = sentences(folder, most=most)
    vectors = encoder.encode(texts)
    drawn = np.random.default_rng(4)
    concepts = []
    for name in named(count):
        at = int(drawn.integers(0, len(texts) - EACH))
        own = tuple(f"{name}: {text}" for text in texts[at : at + EACH])
        noise = NOISE * drawn.standard_normal((EACH, vectors.shape[1]), dtype=np.float32)
        encoder.told |= zip(own, unit(vectors[at : at + EACH] + noise), strict=True)
        concepts.append(Concept(name, aliases=(name,), exemplars=own))
    return concepts


def asked(folder: Path) -> list[Passage]:
    """TriviaQA's answers, each behind its question."""
    return [
        Passage(probe.answer, windows(segment(probe.answer)), before=probe.question)
        for probe in rwku(folder / "rwku")[1]
        if probe.kind == "trivia"
    ]


def measure(
    folder: Path, encoder: Encoder, *, count: int, rounds: int
) -> tuple[Table, dict[str, object]]:
    """CPU milliseconds a passage, with and without what encoding takes."""
    knowing = Known(encoder)
    concepts = made(folder, knowing, count)
    everything = asked(folder)
    passages, before = everything[:rounds], everything[rounds : WARM * rounds]
    screens = {str(FEW): Screen(concepts[:FEW], knowing), str(count): Screen(concepts, knowing)}
    # What is known of a concept is read when it is first near: most have been by then.
    for screen in screens.values():
        screen.judge(before)
    ways = {name: partial(_judge, screen, passages) for name, screen in screens.items()}
    spent = in_turn(ways, rounds=len(passages))
    again = in_turn(ways, rounds=len(passages))
    table = Table(title=f"TriviaQA's answers behind their questions, n {len(passages)}")
    for column in ("concepts", "ms a passage", f"of {FEW} concepts", "ms, nothing to encode"):
        table.add_column(column)
    results: dict[str, object] = {}
    for name in screens:
        times = ratio(spent[name], spent[str(FEW)])
        took, without = (float(np.median(one[name])) * 1000 for one in (spent, again))
        results[name] = {"ms": took, "of_few": str(times), "ms_without": without, "n": times.n}
        table.add_row(name, f"{took:.2f}", str(times), f"{without:.2f}")
    return table, results


def _judge(screen: Screen, passages: Sequence[Passage], at: int) -> object:
    return screen.judge([passages[at]])
