"""What encoding costs: the fast backend and the model by torch, as ratios to SentenceTransformer.

All of them encode the same texts of 18 tokens, eight at a time.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.screen_parts.timing import in_turn, ratio
from classifiers.encoder import Encoder, Reference, load
from classifiers.fast_export import drift, export

TOKENS = 18
BATCH = 8


def questions(folder: Path) -> list[str]:
    """TriviaQA's questions, as RWKU ships them."""
    lines = (folder / "rwku" / "triviaqa.jsonl").read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(json.loads(line)["question"] for line in lines))


def same_in_any_company(encoder: Encoder, texts: Sequence[str]) -> bool:
    """Whether every text has the same bits alone and with all the others."""
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    return bool(np.array_equal(alone, encoder.encode(texts)))


def measure(folder: Path, *, rounds: int) -> tuple[Table, dict[str, object]]:
    """Milliseconds a batch, ratios to SentenceTransformer.encode, and drift."""
    with tempfile.TemporaryDirectory() as place:
        export("embedded", Path(place) / "fast")
        reference, fast = load(), load(str(Path(place) / "fast"))
    if not isinstance(reference, Reference):
        raise TypeError("the embedded encoder is not the reference")
    model, texts = reference.model, questions(folder)
    fitting = [text for text in texts if len(model.tokenizer(text)["input_ids"]) == TOKENS]
    rows = [fitting[n % len(fitting)] for n in range(rounds * BATCH)]
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def plain(at: int) -> object:
        return model.encode(batches[at], batch_size=BATCH, show_progress_bar=False)

    ways = {
        "SentenceTransformer.encode": plain,
        "embedded": lambda at: reference.encode(batches[at]),
        "exported": lambda at: fast.encode(batches[at]),
    }
    in_turn(ways, rounds=3)
    spent = in_turn(ways, rounds=rounds)
    table = Table(title=f"{TOKENS} tokens, batches of {BATCH}, one thread, n {len(batches)} each")
    for column in ("encoder", "ms a batch", "times as fast", "cosine drift p99", "invariant"):
        table.add_column(column)
    some, results = texts[:150], dict[str, object]()
    truth = model.encode(some, normalize_embeddings=True, show_progress_bar=False)
    for name, encoder in (("embedded", reference), ("exported", fast)):
        times = ratio(spent["SentenceTransformer.encode"], spent[name])
        p99, most, pairs = drift(encoder.encode(some), truth)
        invariant = same_in_any_company(encoder, some[:40])
        milliseconds = float(np.median(spent[name]) * 1000)
        results[name] = {
            "times": times.times, "low": times.low, "high": times.high, "n": times.n,
            "ms": milliseconds, "drift_p99": p99, "drift_most": most, "pairs": pairs,
            "invariant": invariant,
        }  # fmt: skip
        table.add_row(
            name, f"{milliseconds:.1f}", str(times), f"{p99:.4f} ({pairs} pairs)",
            "yes" if invariant else "NO",
        )  # fmt: skip
    return table, results
