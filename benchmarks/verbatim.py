"""How well quotations of protected texts are told from other books, words changed or not; the cost.

A protected text is RWKU's article about somebody, or any file of DIR/*.txt with --books; runs of
its words must be found, runs of the other texts must not. Words are changed for others of the text.

    python benchmarks/verbatim.py [--data DIR] [--books DIR] [--runs N] [--json FILE]

Says so and ends where there is neither.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts.measured import Rate
from benchmarks.detection_parts.texts import rwku
from classifiers.quotation import Quotations
from classifiers.views import views

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WORDS = 50  # of a run
CHANGED = (0, 2, 5)  # of them
LEAST = 1000  # words of a text from which runs are drawn

Texts = Mapping[str, list[str]]


def runs(words: list[str], draw: random.Random, *, changed: int) -> Iterator[str]:
    """Runs of a text drawn at random, some words of each in another's place."""
    while True:
        at = draw.randrange(len(words) - WORDS + 1)
        run = words[at : at + WORDS]
        for place in draw.sample(range(WORDS), changed):
            run[place] = draw.choice(words)
        yield " ".join(run)


def found(quotations: Quotations, text: str) -> bool:
    """Whether a text quotes any protected one."""
    return bool(quotations.find(views(text)))


def measured(texts: Texts, *, count: int) -> dict[str, Rate]:
    """Every other text protected: runs of those found, runs of the rest found."""
    draw = random.Random(1)  # noqa: S311 - which runs are drawn is no secret
    names = sorted(texts)
    protected, others = names[::2], names[1::2]
    quotations = Quotations((name, " ".join(texts[name])) for name in protected)
    rates = {}
    for changed in CHANGED:
        each = [runs(texts[name], draw, changed=changed) for name in protected]
        caught = sum(found(quotations, next(each[n % len(each)])) for n in range(count))
        rates[f"runs of {WORDS} words, {changed} changed: found"] = Rate(caught, count)
    each = [runs(texts[name], draw, changed=0) for name in others]
    wrong = sum(found(quotations, next(each[n % len(each)])) for n in range(count))
    rates[f"runs of {WORDS} words of other texts: found"] = Rate(wrong, count)
    return rates


def cost(texts: Texts) -> dict[str, float]:
    """CPU seconds to index half of the texts as one book, and what a run of the others costs."""
    draw = random.Random(2)  # noqa: S311 - as above
    names = sorted(texts)
    book = [word for name in names[::2] for word in texts[name]]
    began = time.process_time()
    quotations = Quotations([("book", " ".join(book))])
    built = time.process_time() - began
    harmless = [next(runs(texts[name], draw, changed=0)) for name in names[1::2] for _ in range(20)]
    began = time.process_time()
    read = [views(text) for text in harmless]
    reading = (time.process_time() - began) / len(read)
    began = time.process_time()
    for seen in read:
        quotations.find(seen)
    looked = (time.process_time() - began) / len(read)
    return {
        "words of the book": len(book),
        "CPU s to index it": built,
        "CPU µs to look up a harmless run": looked * 1e6,
        "the same as a share of undoing its disguises": looked / reading,
    }


def _texts(data: Path, books: Path | None) -> Texts:
    if books:
        said = {file.name: file.read_text("utf-8").split() for file in books.glob("*.txt")}
    elif (data / "rwku").is_dir():
        people, _ = rwku(data / "rwku")
        said = {one.key: " ".join(one.sentences).split() for one in people}
    else:
        return {}
    return {name: words for name, words in said.items() if len(words) >= LEAST}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/")
    parser.add_argument("--books", type=Path, help="folder of .txt files, a book each, instead")
    parser.add_argument("--runs", type=int, default=3000, help="of each kind (3000)")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    args = parser.parse_args()
    console = Console(width=120)
    texts = _texts(args.data, args.books)
    if len(texts) < 2:
        console.print(f"skipped: fewer than two texts of {LEAST} words; give --data or --books")
        return
    rates, costs = measured(texts, count=args.runs), cost(texts)
    table = Table(
        "what", f"share of {args.runs}, 95 %", title=f"{len(texts)} texts, half protected"
    )
    for name, rate in rates.items():
        table.add_row(name, str(rate))
    console.print(table)
    for name, value in costs.items():
        console.print(f"{name}: {value:,.3g}", highlight=False)
    if args.json:
        said = {**{name: (r.k, r.n) for name, r in rates.items()}, **costs}
        args.json.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
