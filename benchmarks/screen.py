"""What the screen costs: encoding, ten thousand concepts, one more, a million exemplars.

Ratios of two things that were measured in turn within one run, in CPU time of one thread, so that
what else the machine does falls on each. Knows no policy.

    python benchmarks/screen.py [PART…] [--data DIR] [--rounds N] [--concepts N] [--exemplars N]
                                [--encoder MODEL] [--json FILE]
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.screen_parts import adding, clearing, concepts, encoding, searching
from classifiers.encoder import EMBEDDED, load

CLEARED = 500  # passages: one in fifty costs as much as all others
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
Measured = tuple[Table, dict[str, object]]


def main() -> None:
    parts: dict[str, Callable[[], Measured]] = {
        "encoding": lambda: encoding.measure(args.data, rounds=args.rounds),
        "concepts": lambda: concepts.measure(
            args.data, load(), count=args.concepts, rounds=args.rounds
        ),
        "adding": lambda: adding.measure(args.data, load(), count=args.concepts),
        "clearing": lambda: clearing.measure(args.data, load(args.encoder), rounds=CLEARED),
        "searching": lambda: searching.measure(args.data, load(), most=args.exemplars),
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "part", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; all unless named"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--rounds", type=int, default=60, help="repetitions of each way")
    parser.add_argument("--exemplars", type=int, default=1_000_000, help="most to search among")
    parser.add_argument("--concepts", type=int, default=10_000, help="most to look for")
    parser.add_argument("--encoder", default=EMBEDDED, help="of clearing: a model, or an export")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    args = parser.parse_args()
    if unknown := [name for name in args.part if name not in parts]:
        parser.error(f"{unknown[0]}: no part; give any of {', '.join(parts)}")
    console = Console(width=150)
    if not (args.data / "rwku").is_dir():
        console.print(f"skipped: no rwku/ in {args.data}; give --data DIR")
        return
    results: dict[str, object] = {}
    for name in args.part or parts:
        table, results[name] = parts[name]()
        console.print(table)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
