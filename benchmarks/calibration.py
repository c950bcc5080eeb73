"""Does a calibrated threshold keep its targets on texts that it has not seen: RWKU and TOFU.

Half of the harmless texts calibrate (`policies/calibrate.py`), the other half is counted; then the
halves change places. RWKU: a person's name and article, neighbours' questions with their answers,
TriviaQA as traffic. TOFU: ten facts of an author forgotten by `scope: fact`, of the ten others half
are neighbours, the rest is counted; TriviaQA as traffic. Forbidden: RWKU's probes with bare gold
answers, TOFU's ten facts in other words. A concept judges its own texts only, and all traffic.

    python benchmarks/calibration.py [--data DIR] [--cache DIR] [--people N] [--confidence SHARE]
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.detection_parts.texts import FACTS, Author, Person, Probe, authors, rwku
from benchmarks.detection_parts.vectors import Kept
from classifiers import Concept, Encoder, Screen, load
from classifiers.readings import joined
from classifiers.threshold import Share
from policies.calibrate import judged, measured, picked
from policies.draft.documents import Said
from policies.lock import Targets
from policies.responses import Traffic, response

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
LEVELS = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class Case:
    """A concept, and what is counted: what must stop, by kind, and what should not."""

    concept: Concept
    forbidden: Mapping[str, Sequence[Said]]
    kept: Sequence[Said]


@dataclass(slots=True)
class Counts:
    """Responses stopped, and all, by kind."""

    stopped: dict[str, int] = field(default_factory=dict)
    all: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, hits: Iterable[bool]) -> None:
        """Count some more of a kind."""
        found = list(hits)
        self.stopped[kind] = self.stopped.get(kind, 0) + sum(found)
        self.all[kind] = self.all.get(kind, 0) + len(found)

    def shown(self, kind: str) -> str:
        """A share with its two-sided interval."""
        share = Share(self.stopped.get(kind, 0), self.all.get(kind, 0))
        if not share.n:
            return ""
        low, high = share.at_least(0.975), share.at_most(0.975)
        return f"{share.k / share.n:.3f} [{low:.3f}, {high:.3f}] of {share.n:,}"


def people(persons: Sequence[Person], probes: Sequence[Probe], half: int) -> list[Case]:
    """One person a concept; neighbours of one half are known to it."""
    cases = []
    for person in persons:
        own = [probe for probe in probes if probe.subject == person.key]
        near = [Said(probe.answer, probe.question) for probe in own if probe.kind == "neighbour"]
        concept = Concept(
            person.key,
            aliases=(person.name,),
            exemplars=person.sentences,
            neighbours=tuple(
                dict.fromkeys(joined(said.before, said.text) for said in near[half::2])
            ),
        )
        forbidden = {
            level: [Said(p.answer, p.question) for p in own if p.kind == level] for level in LEVELS
        }
        cases.append(Case(concept, forbidden, near[1 - half :: 2]))
    return cases


def facts(writers: Sequence[Author], half: int) -> list[Case]:
    """Ten facts of each author; of the others one half is known as neighbours."""
    cases = []
    for author in writers:
        told = author.facts[0:FACTS:2]
        near = [Said(fact.answer, fact.question) for fact in author.facts[1:FACTS:2]]
        concept = Concept(
            author.name,
            aliases=(author.name,),
            exemplars=tuple(fact.answer for fact in told),
            neighbours=tuple(said.text for said in near[half::2]),
            names_suffice=False,
        )
        reworded = [Said(fact.other_answer, fact.other_question) for fact in told]
        cases.append(Case(concept, {"facts": reworded}, near[1 - half :: 2]))
    return cases


def counted(
    halves: Sequence[Sequence[Case]], everyday: Sequence[Said], encoder: Encoder, targets: Targets
) -> tuple[dict[str, Counts], list[tuple[str, ...]]]:
    """Way to set thresholds → counts over the halves not seen; and why each concept has none."""
    counts = {"calibrated": Counts(), "as it comes": Counts()}
    problems: list[tuple[str, ...]] = []
    for half, cases in enumerate(halves):
        traffic = Traffic(tuple(everyday[half::2]), given=True)
        concepts = [case.concept for case in cases]
        chosen = [picked(found, targets) for found in measured(concepts, encoder, traffic=traffic)]
        problems += [tuple(one.problems) for one in chosen if one.threshold is None]
        limits = {
            one.scores.concept.key: one.threshold for one in chosen if one.threshold is not None
        }
        backed = [case for case in cases if case.concept.key in limits]
        unseen = [response(said) for said in everyday[1 - half :: 2]]
        for way, held in (("calibrated", limits), ("as it comes", {})):
            screen = Screen([case.concept for case in backed], encoder, limits=held)
            found = judged(screen, unseen)
            for case in backed:
                key, at = case.concept.key, screen.thresholds[case.concept.key]
                for kind, texts in (*case.forbidden.items(), ("neighbours", case.kept)):
                    counts[way].add(kind, _hits(screen, key, texts))
                counts[way].add("traffic", [one.get(key, 0.0) >= at for one in found])
    return counts, problems


def _hits(screen: Screen, key: str, texts: Sequence[Said]) -> list[bool]:
    found = judged(screen, [response(said) for said in texts])
    return [one.get(key, 0.0) >= screen.thresholds[key] for one in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with rwku/ and tofu/")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    parser.add_argument("--people", type=int, default=30, help="of RWKU, and authors of TOFU")
    parser.add_argument("--confidence", type=float, help="that the targets hold")
    parser.add_argument("--neighbours-at-most", type=float, default=0.2)
    parser.add_argument("--traffic-at-most", type=float, default=0.005)
    args = parser.parse_args()
    console = Console()
    if not (args.data / "rwku").is_dir() or not (args.data / "tofu").is_dir():
        console.print(f"skipped: no rwku/ and tofu/ in {args.data}; give --data DIR")
        return
    encoder = Kept(load(), args.cache)
    targets = Targets(
        neighbours=args.neighbours_at_most,
        traffic=args.traffic_at_most,
        confidence=args.confidence,
    )
    persons, probes = rwku(args.data / "rwku")
    everyday = [Said(p.answer, p.question) for p in probes if p.kind == "trivia"]
    writers = authors(args.data / "tofu" / "forget10_perturbed.jsonl")
    worlds = {
        "RWKU, entity scope": [people(persons[: args.people], probes, half) for half in (0, 1)],
        "TOFU, fact scope": [facts(writers[: args.people], half) for half in (0, 1)],
    }
    for world, halves in worlds.items():
        counts, problems = counted(halves, everyday, encoder, targets)
        encoder.keep()
        table = Table(title=f"{world}; stopped, of texts not seen; {encoder.fingerprint}")
        table.add_column("")
        for name in counts:
            table.add_column(name)
        for kind in counts["calibrated"].all:
            table.add_row(kind, *(found.shown(kind) for found in counts.values()))
        console.print(table)
        console.print(f"concepts without a threshold: {len(problems)} of {2 * len(halves[0])}")
        for problem in sorted({said for one in problems for said in one}):
            console.print(f"  {problem}", highlight=False)
    console.print(f"targets: {targets!r}; halves change places; texts of one concept are related")


if __name__ == "__main__":
    main()
