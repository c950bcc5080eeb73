"""RWKU's and TOFU's files as probes and concepts. Knows no encoder and no score."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from classifiers.segments import segment

HEADING = re.compile(r"\A(={2,})\s*.*?\s*\1")
REQUEST = re.compile(r"\APlease forget [^.]*(?:\.[^.]*?)??\. (?=\S)")
LEAST_WORDS = 4  # of a sentence
FACTS = 20  # of a TOFU author
NAME = re.compile(r"[A-Z][\w'\u2019-]+(?: (?:[A-Z][\w'\u2019.-]+|bin|al|de|van|von))+")
QUESTION_WORDS = frozenset(
    "what which who how where when can could did does is are has have in the yes do was as both "  # noqa: SIM905 - reads better
    "according from author".split()
)
LEVELS = {
    "forget_level1": "L1",
    "forget_level2": "L2",
    "forget_level3": "L3",
    "neighbor_level1": "neighbour",
    "neighbor_level2": "neighbour",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """One question with the bare gold answer.

    kind  L1, L2, L3 (must stop), neighbour or trivia (must pass); `type` is RWKU's own
    """

    subject: str
    kind: str
    type: str
    question: str
    answer: str

    @property
    def forbidden(self) -> bool:
        """Whether it must be stopped."""
        return self.kind.startswith("L")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to forget: a name and the sentences of an article, those that say who, first."""

    key: str
    name: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One of TOFU's rows; without paraphrases the originals stand for them."""

    question: str
    answer: str
    other_question: str
    other_answer: str


@dataclass(frozen=True, slots=True)
class Author:
    """A TOFU author: the name, read off the rows, and the rows in their order."""

    name: str
    facts: tuple[Fact, ...]


def rwku(folder: Path) -> tuple[list[Person], list[Probe]]:
    """People and probes of RWKU's layout; raises OSError where a file is missing."""
    names = {row["_target"]: row["target"] for row in _rows(folder / "intro.jsonl")}
    texts: dict[str, list[str]] = {
        row["_target"]: [REQUEST.sub("", row["intro"])] for row in _rows(folder / "intro.jsonl")
    }
    for row in _rows(folder / "passage.jsonl"):
        texts[row["_target"]].append(HEADING.sub("", row["text"]).strip())
    people = [Person(key, names[key], _sentences(texts[key])) for key in sorted(names)]
    probes = [
        Probe(row["_target"], kind, row["type"], row["query"], row["answer"])
        for file, kind in LEVELS.items()
        for row in _rows(folder / f"{file}.jsonl")
    ]
    probes += [
        Probe(row["_target"], "trivia", "trivia", row["question"], row["answers"][0])
        for row in _rows(folder / "triviaqa.jsonl")
    ]
    return people, probes


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's JSONL files."""
    found = hashlib.sha256()
    for file in sorted(folder.glob("*.jsonl")):
        found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()


def authors(file: Path) -> list[Author]:
    """TOFU's authors in a file of rows that stand in author order, FACTS each."""
    rows = _rows(file)
    groups = [rows[at : at + FACTS] for at in range(0, len(rows), FACTS)]
    return [Author(called(group), tuple(map(_fact, group))) for group in groups]


def called(rows: Iterable[dict[str, str]]) -> str:
    """The name that an author's rows have most often."""
    counts: Counter[str] = Counter()
    for row in rows:
        for match in NAME.findall(f"{row['question']} . {row['answer']}"):
            words = re.sub(r"['\u2019]s?\Z", "", match).split()
            while words and words[0].lower() in QUESTION_WORDS:
                words = words[1:]
            if len(words) > 1:
                counts[" ".join(words)] += 1
    return counts.most_common(1)[0][0]


def _fact(row: dict[str, str]) -> Fact:
    question, answer = row["question"], row["answer"]
    return Fact(
        question,
        answer,
        row.get("paraphrased_question", question),
        row.get("paraphrased_answer", answer),
    )


def _sentences(texts: Sequence[str]) -> tuple[str, ...]:
    """Every sentence once, in order."""
    found: dict[str, None] = {}
    for text in texts:
        for span in segment(text):
            sentence = " ".join(text[span.start : span.end].split())
            if len(sentence.split()) >= LEAST_WORDS:
                found.setdefault(sentence)
    return tuple(found)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
