"""Other programs on RWKU, judged as `benchmarks/detection.py` judges the Screen, and their cost.

Each in an environment of its own, beside this project: `pip install semantic-router`, `pip install
nemoguardrails`, `pip install 'litellm[proxy]'`; then in each of them

    python benchmarks/peers.py [--data DIR] [--cache DIR] [--json FILE]

which measures what it finds there; nothing leaves the machine. All are made of what the Screen is
made of: names, or the sentences of the articles and, where they embed, its own encoder. Questions
and bare gold answers are asked each by itself, and an answer behind its question, which is more
than these programs do by themselves; a probe leaks where nothing is stopped, whoever it is taken
for. Cost: CPU time a question, encoding included, on one thread, in parts of the Screen's in the
same run. Says so and ends where there is no peer or no DIR/rwku.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection import DATA, printed
from benchmarks.detection_parts import people as persons
from benchmarks.detection_parts.texts import Person, rwku
from benchmarks.detection_parts.vectors import Kept
from benchmarks.peer_parts import keywords, rails, routes
from benchmarks.peer_parts.asked import Peer, seconds
from classifiers import Passage, load, segment, windows
from classifiers.combine import shipped

TIMED = 200  # questions
# None of them may report home, or look for what it has not.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


def peers(whom: Sequence[Person], encoder: Kept) -> Iterator[Peer]:
    """Those that this environment has."""
    makes: list[Callable[[], Peer]] = [
        lambda: routes.peer(whom, encoder),
        lambda: rails.peer(whom, encoder),
        lambda: keywords.peer(whom),
    ]
    for make in makes:
        try:
            yield make()
        except ImportError:
            continue


def costs(peer: Peer, whom: Sequence[Person], questions: Sequence[str], encoder: Kept) -> str:
    """CPU time of one text, and in parts of the Screen's."""
    screen = persons.screened(whom, encoder, shipped()["entity"])

    def judge(text: str) -> object:
        return screen.judge([Passage(text, windows(segment(text)))])

    # Such texts are in no cache: each is encoded, by either.
    own = seconds(peer.ask, [f"{text} ({at})" for at, text in enumerate(questions)])
    ours = seconds(judge, [f"{text} [{at}]" for at, text in enumerate(questions)])
    return f"{own * 1e3:.2f} ms a question, {own / ours:.2f} of the Screen's"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--json", type=Path, help="file to write all rates to")
    args = parser.parse_args()
    console = Console(width=190)
    if not (args.data / "rwku").is_dir():
        console.print(f"skipped: no rwku/ in {args.data}; give --data DIR")
        return
    os.environ |= OFFLINE
    torch.set_num_threads(1)
    encoder, results = Kept(load(), args.cache), {}
    whom, probes = rwku(args.data / "rwku")
    questions = [p.question for p in probes if p.kind == "trivia"][:TIMED]
    for peer in peers(whom, encoder):
        rows = peer.rows(probes)
        encoder.keep()
        cost = costs(peer, whom, questions, encoder)
        printed(f"RWKU, {len(whom)} people, {peer.name}; {cost}", rows, console)
        rates = {name: {c: (r.k, r.n) for c, r in row.items()} for name, row in rows.items()}
        results[peer.name] = {"cost": cost, "rates": rates}
    if not results:
        console.print("skipped: no peer here; pip install one in an environment of its own")
    elif args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
