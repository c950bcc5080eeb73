"""How much ordinary traffic a static embedding could clear before the encoder, and what it costs.

A negative result is measured here: nothing of it is built in. The static embedding is the mean of
the embedded model's own token vectors, each less their mean and weighed by how rare its token is. A
text that shares a rare word with an exemplar is never cleared.
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
from classifiers.fingerprint_terms import read
from classifiers.readings import joined
from classifiers.vectors import unit

SENTENCES = 60  # of each article
EACH = 24  # forbidden probes of each person
ORDINARY = 300  # of TriviaQA's answers, behind their questions
PEOPLE = (1, 5, 15)  # forgotten at once
COMMONEST = 30_000  # tokens before this place weigh less and less: nearly all
RARE = 0.6  # rarity of a word that, shared with an exemplar, keeps a text from being cleared


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
    rare: tuple[frozenset[str], ...]


def measure(folder: Path, encoder: Encoder) -> tuple[Table, dict[str, object]]:
    """Thresholds from one half of the people, what they lose of the other, what they clear."""
    people, probes = rwku(folder / "rwku")
    static, half = Static(), len(people) // 2
    articles = {p.key: _seen(list(p.sentences[:SENTENCES]), encoder, static) for p in people}
    asked = {p.key: _seen(_forbidden(p, probes), encoder, static) for p in people}
    trivia = [joined(p.question, p.answer) for p in probes if p.kind == "trivia"][:ORDINARY]
    ordinary, rare = static.encode(trivia), [*map(_rare, trivia)]
    fitting = np.concatenate([_mattering(asked[p.key], articles[p.key]) for p in people[:half]])
    tested = np.concatenate([_mattering(asked[p.key], articles[p.key]) for p in people[half:]])
    others = [articles[person.key] for person in people[half:]]
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
            float((_near(ordinary, rare, others[:count]) < threshold).mean()) for count in PEOPLE
        ]
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
    return Seen(encoder.encode(texts), static.encode(texts), tuple(map(_rare, texts)))


def _rare(text: str) -> frozenset[str]:
    return frozenset(term for term, rarity in read(text).terms.items() if rarity >= RARE)


def _near(static: Vectors, rare: Sequence[frozenset[str]], to: Sequence[Seen]) -> Vectors:
    """The static similarity to the nearest exemplar, 1 where a rare word is shared with any."""
    words = frozenset[str]().union(*(terms for one in to for terms in one.rare))
    shares = np.array([not words.isdisjoint(terms) for terms in rare])
    return np.where(shares, np.float32(1), _nearest(static, [one.static for one in to]))


def _mattering(asked: Seen, article: Seen) -> Vectors:
    """The static similarity of those that the encoder finds near enough to be weighed."""
    matters = _nearest(asked.encoded, [article.encoded]) >= CANDIDATE
    return _near(asked.static, asked.rare, [article])[matters]


def _nearest(vectors: Vectors, to: Sequence[Vectors]) -> Vectors:
    return np.asarray((vectors @ np.concatenate(to).T).max(axis=1), dtype=np.float32)
