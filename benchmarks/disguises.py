"""What the Screen loses where a text is disguised: TOFU's answers, plain and in many forms.

Each author is forgotten by name and half of the facts; the paraphrased answers of the other half
must be stopped. "lost" are those that are stopped plain and get through disguised. Harmless answers
of other authors are disguised as well: nothing is to be stopped for its form alone.

    python benchmarks/disguises.py [--data DIR] [--answers N] [--json FILE]

Says so and ends where DIR holds no tofu/.
"""

import argparse
import json
import random
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts import facts
from benchmarks.detection_parts.measured import Pair, Rate, scored
from benchmarks.detection_parts.texts import FACTS, authors
from benchmarks.leak_cells.phrases import DISGUISES
from classifiers import Screen, load
from classifiers.combine import shipped
from classifiers.screen import LIMIT

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MARKS = "\u0301\u0308\u0327\u0323"
ONE_NAME = ("plain", "within a word", "two fields")  # the matrix disguises a name by these, no text

Hide = Callable[[str], str]


def _accented(text: str) -> str:
    return "".join(c + MARKS[n % len(MARKS)] if c.isalpha() else c for n, c in enumerate(text))


def _tagged(text: str) -> str:
    """An invisible tag character after every letter."""
    return "".join(c + "\U000e0041" for c in text)


def _escaped(text: str) -> str:
    return "".join(c if c == " " else f"\\u{ord(c):04x}" for c in text)


WAYS: dict[str, Hide] = {
    **{name: way.hide for name, way in DISGUISES.items() if name not in ONE_NAME},
    "capitals": str.upper,
    "accents": _accented,
    "bidi controls": lambda text: "".join(f"\u202a{c}\u202c" for c in text),
    "tag characters": _tagged,
    "bold letters": lambda text: "".join(map(_bold, text)),
    "hex": lambda text: text.encode().hex(),
    "escapes": _escaped,
}


def _bold(char: str) -> str:
    kind = {"Lu": "CAPITAL", "Ll": "SMALL"}.get(unicodedata.category(char))
    if not kind or not char.isascii():
        return char
    return unicodedata.lookup(f"MATHEMATICAL BOLD {kind} {char.upper()}")


def stopped(screen: Screen, texts: Sequence[str], names: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts are stopped, each judged without a question.

    names  concept that each must be stopped for; "" where any concept counts
    """
    pairs = [Pair(name, text, "") for name, text in zip(names, texts, strict=True)]
    return scored(screen, pairs, any_concept=not any(names)).question >= LIMIT


def measured(folder: Path, *, answers: int) -> dict[str, dict[str, Rate]]:
    """Way of disguising → what is caught, what is lost against plain, what harmless is stopped."""
    draw = random.Random(1)  # noqa: S311 - which answers are asked is no secret
    forgotten = authors(folder / "forget10_perturbed.jsonl")
    screen = facts.whole(forgotten, range(FACTS // 2), load(), shipped()["entity"])
    pairs = facts.reworded(forgotten, range(FACTS // 2, FACTS))
    pairs = draw.sample(pairs, min(answers, len(pairs)))
    kept = [fact.answer for one in authors(folder / "retain90.jsonl") for fact in one.facts]
    kept = draw.sample(kept, min(answers, len(kept)))
    texts, names = [pair.answer for pair in pairs], [pair.concept for pair in pairs]
    plain = stopped(screen, texts, names)
    found = {}
    ways: dict[str, Hide] = {"plain": str, **WAYS}
    for name, hide in ways.items():
        caught = stopped(screen, [hide(text) for text in texts], names)
        over = stopped(screen, [hide(text) for text in kept], [""] * len(kept))
        found[name] = {
            "caught": Rate(int(caught.sum()), len(texts)),
            "lost": Rate(int((plain & ~caught).sum()), len(texts)),
            "harmless stopped": Rate(int(over.sum()), len(kept)),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with tofu/")
    parser.add_argument("--answers", type=int, default=100, help="of either kind (100)")
    parser.add_argument("--json", type=Path, help="file to write all rates to")
    args = parser.parse_args()
    console = Console(width=120)
    if not (args.data / "tofu").is_dir():
        console.print(f"skipped: no tofu/ in {args.data}; give --data DIR")
        return
    found = measured(args.data / "tofu", answers=args.answers)
    columns = list(found["plain"])
    table = Table("disguise", *columns, title="TOFU answers by themselves; 95 % intervals")
    for name, rates in found.items():
        table.add_row(name, *(str(rate) for rate in rates.values()))
    console.print(table)
    console.print(f"n {', '.join(f'{rate.n} {name}' for name, rate in found['plain'].items())}")
    if args.json:
        said = {n: {c: (r.k, r.n) for c, r in rates.items()} for n, rates in found.items()}
        args.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
