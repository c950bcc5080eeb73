"""How good a policy is that `lethe policy draft` makes and nobody mends: RWKU and TOFU.

From a name and its article (RWKU), or half of an author's facts (TOFU), a policy is drafted, loaded
and compiled; the upstream knows everything and answers with the bare gold answer, as in
benchmarks/detection.py, whose policies (name and raw sentences) stand beside.

    python benchmarks/draft.py [--data DIR] [--cache DIR] [--people N] [--json FILE]

Half an hour on two cores without a cache; `--people` takes the first ones.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts.measured import COLUMNS, Rate, counted
from benchmarks.detection_parts.texts import FACTS, Author, Person, Probe, authors, rwku
from benchmarks.detection_parts.vectors import Kept
from classifiers import Concept, Encoder, Passage, Screen, load, segment, windows
from policies import compile_policies
from policies import load as load_policies
from policies.draft.documents import Said, Source
from policies.draft.make import drafted
from policies.draft.written import written

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
Stopped = NDArray[np.bool_]
Texts = Sequence[tuple[str, str]]  # what was asked, and what was answered


def on_rwku(
    people: Sequence[Person], probes: Sequence[Probe], rows: dict[str, list[Said]], encoder: Encoder
) -> tuple[dict[str, dict[str, Rate]], dict[str, int]]:
    """Each way to build a screen → COLUMNS → rate; and how many exemplars it has, of all people."""
    known = {person.key for person in people}
    probes = [probe for probe in probes if probe.subject in known]
    stopped: dict[str, Stopped] = {}
    sizes: dict[str, int] = {}
    for person in people:
        own = np.array([probe.subject == person.key for probe in probes])
        asked = [(probe.question, probe.answer) for probe in probes if probe.subject == person.key]
        bare = Concept(person.key, aliases=(person.name,), exemplars=person.sentences)
        sources = [Source(Path("article.jsonl"), tuple(rows[person.key]))]
        draft, size = _screen(person.name, sources, encoder)
        ways = {
            "name and raw sentences": (Screen([bare], encoder), len(person.sentences)),
            "draft": (draft, size),
        }
        for name, (screen, exemplars) in ways.items():
            row = stopped.setdefault(name, np.zeros(len(probes), dtype=np.bool_))
            row[own] = _stopped(screen, asked)
            sizes[name] = sizes.get(name, 0) + exemplars
    return {name: counted(probes, row) for name, row in stopped.items()}, sizes


def on_tofu(
    forgotten: Sequence[Author], kept: Sequence[Author], encoder: Encoder
) -> dict[str, Rate]:
    """Drafted from the odd facts of each author: the even ones that pass, and others' stopped."""
    leaks, stops = Rate(0, 0), Rate(0, 0)
    others = [(f.question, f.answer) for a in kept for f in a.facts[:2]]
    for author in forgotten:
        facts = [author.facts[at] for at in range(0, FACTS, 2)]
        source = Source(Path("f.jsonl"), tuple(Said(f.answer, f.question) for f in facts))
        screen, _ = _screen(author.name, [source], encoder)
        unseen = [author.facts[at] for at in range(1, FACTS, 2)]
        passed = ~_stopped(screen, [(f.other_question, f.other_answer) for f in unseen])
        leaks = Rate(leaks.k + int(passed.sum()), leaks.n + len(passed))
        wrong = _stopped(screen, others)
        stops = Rate(stops.k + int(wrong.sum()), stops.n + len(wrong))
    return {"unseen half leaks": leaks, "other authors' facts stopped": stops}


def _screen(name: str, sources: Sequence[Source], encoder: Encoder) -> tuple[Screen, int]:
    """A draft as an operator would load it, from a file; and how many exemplars it has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draft.yaml"
        draft = drafted(name, sources, [])
        path.write_text(written(draft, sources=[s.path.name for s in sources]), encoding="utf-8")
        return compile_policies(load_policies([path]), encoder).screen, len(draft.exemplars)


def _stopped(screen: Screen, texts: Texts) -> Stopped:
    """Whether the question, or the answer behind it, is a hit."""
    passages = [p for asked, said in texts for p in (_passage(asked), _passage(said, asked))]
    hits = [any(verdict.hit for verdict in found) for found in screen.judge(passages)]
    pairs = np.array(hits, dtype=np.bool_).reshape(-1, 2)
    return np.asarray(pairs.any(axis=1), dtype=np.bool_)


def _passage(text: str, before: str = "") -> Passage:
    return Passage(text, windows(segment(text)), before=before)


def _rows(folder: Path) -> dict[str, list[Said]]:
    """Each person's article, a passage a row."""
    found: dict[str, list[Said]] = {}
    for line in (folder / "passage.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["_target"], []).append(Said(row["text"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--people", type=int, help="so many people and authors only")
    parser.add_argument("--json", type=Path, help="file to write all rates to")
    args = parser.parse_args()
    console = Console(width=170)
    if not any((args.data / name).is_dir() for name in ("rwku", "tofu")):
        console.print(f"skipped: neither rwku/ nor tofu/ in {args.data}; give --data DIR")
        return
    encoder, results = Kept(load(), args.cache), {}
    if (args.data / "rwku").is_dir():
        people, probes = rwku(args.data / "rwku")
        chosen = people[: args.people]
        rates, sizes = on_rwku(chosen, probes, _rows(args.data / "rwku"), encoder)
        table = Table("policy", "exemplars", *COLUMNS, title=f"RWKU, {len(chosen)} people")
        for name, row in rates.items():
            table.add_row(name, str(sizes[name]), *(f"{rate}, n {rate.n}" for rate in row.values()))
        console.print(table)
        results["rwku"] = {n: {c: (r.k, r.n) for c, r in row.items()} for n, row in rates.items()}
        encoder.keep()
    if (args.data / "tofu").is_dir():
        tofu = args.data / "tofu"
        forgotten = authors(tofu / "forget10_perturbed.jsonl")[: args.people]
        found = on_tofu(forgotten, authors(tofu / "retain90.jsonl"), encoder)
        for name, rate in found.items():
            console.print(f"TOFU, {len(forgotten)} authors, {name}: {rate}, n {rate.n}")
        results["tofu"] = {"draft": {name: (r.k, r.n) for name, r in found.items()}}
    encoder.keep()
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
