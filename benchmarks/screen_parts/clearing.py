"""How much ordinary traffic a static embedding could clear before the encoder, and what it costs.

A negative result is measured here: nothing of it is built in. The static embedding is the mean of
the embedded model's own token vectors, each less their mean and weighed by how rare its token is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from rich.table import Table
from safetensors.numpy import load_file
from scipy.stats import binomtest
from tokenizers import Tokenizer

from benchmarks.detection_parts.texts import Person, Probe, rwku
from classifiers.encoder import PACKAGE, Encoder, Vectors
from classifiers.evidence import CANDIDATE
from classifiers.readings import joined
from classifiers.vectors import unit

SENTENCES = 60  # of each article
EACH = 24  # forbidden probes of each person
ORDINARY = 300  # of TriviaQA's answers, behind their questions
PEOPLE = (1, 5, 15)  # forgotten at once
COMMONEST = 2_000  # tokens before this place weigh less and less


class Static:
    """A mean of token vectors: an encoder of a hundredth of the cost."""

    def __init__(self) -> None:
        folder = Path(str(files(PACKAGE))) / "model"
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        stored = load_file(folder / "model.safetensors")
        tokens = stored["embeddings.word_embeddings.weight"].astype(np.float32)
        weights = np.minimum(1.0, np.arange(len(tokens)) / COMMONEST)[:, np.newaxis]
        self._vectors = (tokens - tokens.mean(axis=0)) * weights.astype(np.float32)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions)."""
        listed = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return unit(np.stack([self._vectors[one.ids].sum(axis=0) for one in listed]))


@dataclass(frozen=True, slots=True)
class Seen:
    """Readings by both embeddings, shape (texts, dimensions) each."""

    encoded: Vectors
    static: Vectors


def measure(folder: Path, encoder: Encoder) -> tuple[Table, dict[str, object]]:
    """Thresholds from one half of the people, what they lose of the other, what they clear."""
    people, probes = rwku(folder / "rwku")
    static, half = Static(), len(people) // 2
    articles = {p.key: _seen(list(p.sentences[:SENTENCES]), encoder, static) for p in people}
    asked = {p.key: _seen(_forbidden(p, probes), encoder, static) for p in people}
    trivia = [joined(p.question, p.answer) for p in probes if p.kind == "trivia"][:ORDINARY]
    ordinary = static.encode(trivia)
    fitting = np.concatenate([_mattering(asked[p.key], articles[p.key]) for p in people[:half]])
    tested = np.concatenate([_mattering(asked[p.key], articles[p.key]) for p in people[half:]])
    table = Table(title=f"readings at cosine {CANDIDATE} or more: {len(fitting)} and {len(tested)}")
    for column in ("allowed loss", "static below", "lost of other people's", "at most, 95 %"):
        table.add_column(column)
    for count in PEOPLE:
        table.add_column(f"cleared, {count} forgotten")
    results: dict[str, object] = {}
    for allowed in (0.0, 0.01, 0.05, 0.2):
        threshold = float(np.quantile(fitting, allowed, method="lower"))
        lost = int((tested < threshold).sum())
        sure = binomtest(lost, len(tested)).proportion_ci(0.9, method="exact")
        most = float(sure.high)  # 95 % one-sided
        cleared = [
            float((_nearest(ordinary, [articles[p.key].static for p in people[half:][:count]])
                   < threshold).mean())
            for count in PEOPLE
        ]  # fmt: skip
        results[str(allowed)] = {
            "threshold": threshold, "lost": lost, "of": len(tested), "most": most,
            "cleared": dict(zip(map(str, PEOPLE), cleared, strict=True)),
        }  # fmt: skip
        table.add_row(
            f"{allowed:.0%}", f"{threshold:.2f}", f"{lost / len(tested):.3f}", f"{most:.3f}",
            *(f"{share:.2f}" for share in cleared),
        )  # fmt: skip
    return table, results


def _forbidden(person: Person, probes: Sequence[Probe]) -> list[str]:
    own = [p for p in probes if p.forbidden and p.subject == person.key]
    return [joined(probe.question, probe.answer) for probe in own[-EACH:]]


def _seen(texts: Sequence[str], encoder: Encoder, static: Static) -> Seen:
    return Seen(encoder.encode(texts), static.encode(texts))


def _mattering(asked: Seen, article: Seen) -> Vectors:
    """The static similarity of those that the encoder finds near enough to be weighed."""
    matters = _nearest(asked.encoded, [article.encoded]) >= CANDIDATE
    return _nearest(asked.static, [article.static])[matters]


def _nearest(vectors: Vectors, to: Sequence[Vectors]) -> Vectors:
    return np.asarray((vectors @ np.concatenate(to).T).max(axis=1), dtype=np.float32)
