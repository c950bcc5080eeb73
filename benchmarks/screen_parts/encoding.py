"""What encoding costs: the fast backend and the model by torch, as ratios to SentenceTransformer.

All of them encode the same texts of 18 tokens, eight at a time: in one thread, where its CPU time
counts, and on two cores, where wall time does (torch in two threads, an export's texts in halves).
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.screen_parts.timing import in_turn, ratio
from classifiers.encoder import Encoder, Reference, load
from classifiers.fast import Fast
from classifiers.fast_export import drift, export

TOKENS = 18
BATCH = 8
PLAIN = "SentenceTransformer.encode"
TOLERANCES = (0.005, 0.025)


def questions(folder: Path) -> list[str]:
    """TriviaQA's questions, as RWKU ships them."""
    lines = (folder / "rwku" / "triviaqa.jsonl").read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(json.loads(line)["question"] for line in lines))


def same_in_any_company(encoder: Encoder, texts: Sequence[str]) -> bool:
    """Whether every text has the same bits alone and with all the others."""
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    return bool(np.array_equal(alone, encoder.encode(texts)))


def measure(folder: Path, *, rounds: int) -> tuple[Table, dict[str, object]]:
    """Ratios to SentenceTransformer.encode, in CPU and in wall time, and drift from it."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # else theirs are threads that no clock counts
    import torch  # noqa: PLC0415 - after that

    reference = load()
    if not isinstance(reference, Reference):
        raise TypeError("the embedded encoder is not the reference")
    encoders: dict[str, Encoder] = {"embedded": reference, **_exported()}
    model, texts = reference.model, questions(folder)
    fitting = [text for text in texts if len(model.tokenizer(text)["input_ids"]) == TOKENS]
    rows = [fitting[n % len(fitting)] for n in range(rounds * BATCH)]
    batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def plain(at: int) -> object:
        return model.encode(batches[at], batch_size=BATCH, show_progress_bar=False)

    one = {PLAIN: plain} | {name: _whole(of, batches) for name, of in encoders.items()}
    in_turn(one, rounds=3)
    spent = in_turn(one, rounds=rounds)
    with ThreadPoolExecutor(2) as threads:
        two = {PLAIN: plain, "embedded": one["embedded"]} | {
            name: _halves(of, batches, threads)
            for name, of in encoders.items()
            if isinstance(of, Fast)
        }
        torch.set_num_threads(2)
        in_turn(two, rounds=3)
        passed = in_turn(two, rounds=rounds, clock=time.perf_counter, pause=0.05)
        torch.set_num_threads(1)
    table = Table(title=f"{TOKENS} tokens, batches of {BATCH}, n {len(batches)} each")
    for column in (
        "encoder",
        "ms, CPU",
        "times as fast",
        "ms, 2 threads",
        "times as fast",
        "drift",
    ):
        table.add_column(column)
    table.add_column("in any company")
    some, results = texts[:150], dict[str, object]()
    truth = model.encode(some, normalize_embeddings=True, show_progress_bar=False)
    for name in one:
        times, wall = (ratio(of[PLAIN], of[name]) for of in (spent, passed))
        result = {
            "times": asdict(times), "ms": 1000 * float(np.median(spent[name])),
            "wall_times": asdict(wall), "wall_ms": 1000 * float(np.median(passed[name])),
        }  # fmt: skip
        cells = [name, f"{result['ms']:.1f}", str(times), f"{result['wall_ms']:.1f}", str(wall)]
        if name in encoders:
            p99, most, pairs = drift(encoders[name].encode(some), truth)
            invariant = same_in_any_company(encoders[name], some[:40])
            result |= {"drift_p99": p99, "drift_most": most, "pairs": pairs, "invariant": invariant}
            cells += [f"{p99:.4f} (n {pairs})", "same bits" if invariant else "OTHER BITS"]
        table.add_row(*cells)
        results[name] = result
    return table, results


def _exported() -> dict[str, Encoder]:
    """Exports for each tolerance, with VNNI where the processor has it, and the first without."""
    found: dict[str, Encoder] = {}
    with tempfile.TemporaryDirectory() as place:
        for tolerance in TOLERANCES:
            folder = Path(place) / str(tolerance)
            wide = export("embedded", folder, tolerance=tolerance).wide
            found[f"exported, {tolerance} ({', '.join(wide) or 'nothing'} in 16 bits)"] = Fast(
                folder
            )
        found[f"exported, {TOLERANCES[0]}, without VNNI"] = Fast(
            Path(place) / str(TOLERANCES[0]), vnni=False
        )
    return found


def _whole(encoder: Encoder, batches: Sequence[list[str]]) -> Callable[[int], object]:
    return lambda at: encoder.encode(batches[at])


def _halves(
    encoder: Encoder, batches: Sequence[list[str]], threads: ThreadPoolExecutor
) -> Callable[[int], object]:
    """Each batch in two threads, half of it each."""
    half = BATCH // 2
    return lambda at: list(threads.map(encoder.encode, (batches[at][:half], batches[at][half:])))
