"""What encoding costs: the fast backend and the model by torch, as ratios to SentenceTransformer.

All of them encode the same texts of 18 tokens, eight at a time, in turn within one run on one
thread, so that what else the machine does falls on each. Knows no policy.

    python benchmarks/screen.py [--data DIR] [--rounds N] [--json FILE]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from classifiers.encoder import Encoder, Reference, load
from classifiers.fast_export import drift, export

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
TOKENS = 18
BATCH = 8
DRAWS = 2000  # of the bootstrap


def questions(folder: Path) -> list[str]:
    """TriviaQA's questions, as RWKU ships them."""
    lines = (folder / "rwku" / "triviaqa.jsonl").read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(json.loads(line)["question"] for line in lines))


def timed(
    ways: dict[str, Callable[[Sequence[str]], object]], batches: Sequence[Sequence[str]]
) -> dict[str, list[float]]:
    """CPU seconds of each batch by each way, one after the other."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for batch in batches:
        for name, encode in ways.items():
            began = time.process_time()
            encode(batch)
            spent[name].append(time.process_time() - began)
    return spent


def ratio(base: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """How many times faster than the base, by medians, with a bootstrap's 95 % interval."""
    drawn = np.random.default_rng(0).integers(0, len(base), (DRAWS, len(base)))
    ratios = np.median(np.array(base)[drawn], axis=1) / np.median(np.array(other)[drawn], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(np.median(base) / np.median(other)), float(low), float(high)


def same_in_any_company(encoder: Encoder, texts: Sequence[str]) -> bool:
    """Whether every text has the same bits alone and with all the others."""
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    return bool(np.array_equal(alone, encoder.encode(texts)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/")
    parser.add_argument("--rounds", type=int, default=60, help="batches of each way")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    args = parser.parse_args()
    console = Console(width=120)
    if not (args.data / "rwku").is_dir():
        console.print(f"skipped: no rwku/ in {args.data}; give --data DIR")
        return
    with tempfile.TemporaryDirectory() as place:
        export("embedded", Path(place) / "fast")
        reference, fast = load(), load(str(Path(place) / "fast"))
    if not isinstance(reference, Reference):
        raise TypeError("the embedded encoder is not the reference")
    model, texts = reference.model, questions(args.data)
    fitting = [text for text in texts if len(model.tokenizer(text)["input_ids"]) == TOKENS]
    rows = [fitting[n % len(fitting)] for n in range(args.rounds * BATCH)]
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def plain(batch: Sequence[str]) -> object:
        return model.encode(list(batch), batch_size=BATCH, show_progress_bar=False)

    ways = {
        "SentenceTransformer.encode": plain,
        "embedded": reference.encode,
        "exported": fast.encode,
    }
    timed(ways, batches[:3])
    spent = timed(ways, batches)
    table = Table(title=f"{TOKENS} tokens, batches of {BATCH}, one thread, n {len(batches)} each")
    for column in ("encoder", "ms a batch", "times as fast", "cosine drift p99", "invariant"):
        table.add_column(column)
    some, results = texts[:150], {}
    truth = model.encode(some, normalize_embeddings=True, show_progress_bar=False)
    for name, encoder in (("embedded", reference), ("exported", fast)):
        times, low, high = ratio(spent["SentenceTransformer.encode"], spent[name])
        p99, most, pairs = drift(encoder.encode(some), truth)
        invariant = same_in_any_company(encoder, some[:40])
        milliseconds = float(np.median(spent[name]) * 1000)
        results[name] = {
            "times": times, "low": low, "high": high, "n": len(batches), "ms": milliseconds,
            "drift_p99": p99, "drift_most": most, "pairs": pairs, "invariant": invariant,
        }  # fmt: skip
        table.add_row(
            name, f"{milliseconds:.1f}", f"{times:.2f} [{low:.2f}, {high:.2f}]",
            f"{p99:.4f} ({pairs} pairs)", "yes" if invariant else "NO",
        )  # fmt: skip
    console.print(table)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
