"""Published data sets as probes: RWKU, TOFU, WMDP, MMLU, MUSE, and files of one's own.

Knows no arm. A set is read from a folder of JSONL files, or by `datasets` from the hub or a copy of
it. What cannot be used is left out and counted by reason.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leakage import probes
from leakage.choices import LETTERS, choosing, listed
from leakage.probes import MEMBERSHIP, Probe, Split
from leakage.scores import plainly, words
from leakage.tables import DataError, Table, rows

FORGET_IN_PROMPT = "the question holds its answer"
REPEATED = "asked twice in the same words"
UNREAD = "its options are not told apart"
TOO_MANY = "more options than letters"

_AUTHORS, _QUESTIONS = 200, 20  # of TOFU, and questions about each of them
_LONGEST_TELLING = 6  # words that alone tell an answer
_SHORTEST_TELLING = 4  # letters and digits of them


@dataclass(frozen=True, slots=True)
class Loaded:
    """Probes, and how many rows were left out for which reason."""

    probes: tuple[Probe, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Pile:
    """Probes as they come. The same question about the same concept gains further answers."""

    found: dict[tuple[str, str], Probe] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, probe: Probe) -> None:
        """Take a probe, unless it cannot be used."""
        if not probe.innocent and not probe.choices and plainly(probe.prompt, probe.answers):
            self.leave(FORGET_IN_PROMPT)
            return
        key = (probe.id, probe.kind)
        if key in self.found:
            self.leave(REPEATED)
            before = self.found[key]
            if not before.choices:
                answers = tuple(dict.fromkeys((*before.answers, *probe.answers)))
                probe = replace(before, answers=answers)
            else:
                probe = before
        self.found[key] = probe

    @property
    def rows(self) -> int:
        """How many rows came, those included that are not used."""
        return len(self.found) + sum(self.left_out.values())

    def leave(self, reason: str) -> None:
        """Count a row that is not used."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


Read = Callable[[_Pile, Path | None], None]


def load(names: Sequence[str], *, folder: Path | None) -> Loaded:
    """The probes of several sets. A name that ends in `.jsonl` is a file of probes in the folder.

    `folder` None downloads. Raises DataError, ProbeError, OSError.
    """
    if not names:
        raise DataError(f"name the sets to use; there are {', '.join(SETS)}")
    pile = _Pile()
    for name in names:
        if name.endswith(".jsonl"):
            for probe in probes.read((folder or Path()) / name):
                pile.add(probe)
        elif name in SETS:
            before = pile.rows
            SETS[name](pile, folder)
            if pile.rows == before:
                raise DataError(f"{name}: holds no row; give another folder, or leave the set out")
        else:
            raise DataError(f"{name!r}: no such set; there are {', '.join(SETS)}")
    return Loaded(tuple(pile.found.values()), dict(pile.left_out))


def _id(*parts: str) -> str:
    """The same for the same question, wherever it stands."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:12]


def _text(row: Mapping[str, Any], key: str, table: Table) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not words(value):
        raise DataError(
            f"{table.name}: {key}: is no text; this is another data set, or another form"
        )
    return value.strip()


# --- RWKU: Jin et al. 2024, arXiv 2406.10890

_RWKU = "jinzhuoran/RWKU"
_RWKU_TABLES: Mapping[str, Split] = {
    "forget_level1": "forget",
    "forget_level2": "forget",
    "forget_level3": "forget",
    "neighbor_level1": "neighbour",
    "neighbor_level2": "neighbour",
}
_TRIVIA = Table("rwku/triviaqa.jsonl", _RWKU, "utility_factuality", "test")


def _rwku(pile: _Pile, folder: Path | None) -> None:
    for name, split in _RWKU_TABLES.items():
        table = Table(f"rwku/{name}.jsonl", _RWKU, name, "test")
        for row in rows(table, folder):
            _rwku_row(pile, row, table, split=split)
    for row in rows(_TRIVIA, folder):
        question, given = _text(row, "question", _TRIVIA), row.get("answers")
        answers = [each for each in given or () if isinstance(each, str) and words(each)]
        if not answers:
            raise DataError(f"{_TRIVIA.name}: answers: is no list of texts")
        id_ = f"triviaqa.{_id(question)}"
        pile.add(Probe(id_, id_, "direct", "world", question, tuple(answers)))


def _rwku_row(pile: _Pile, row: Mapping[str, Any], table: Table, *, split: Split) -> None:
    query, answer = _text(row, "query", table), _text(row, "answer", table)
    about = row.get("neighbor") or _text(row, "subject", table)
    kind = _rwku_kind(_text(row, "type", table))
    choices: tuple[str, ...] = ()
    answers: tuple[str, ...] = (answer,)
    if kind == "multiple-choice":
        choices = tuple(listed(query, answer))
        if not choices:
            pile.leave(UNREAD)
            return
        # As it is spelled among the options.
        answers = tuple(text for text in choices if words(text) == words(answer))
    prompt = f"Fill in the gap, which is marked ___. {query}" if kind == "cloze" else query
    probe = Probe(
        id=f"rwku.{_id(str(about), kind, query)}",
        concept=str(about),
        kind=kind,
        split=split,
        prompt=prompt,
        answers=answers,
        subject=str(about) if str(about) in query else "",
        choices=choices,
    )
    pile.add(probe)


def _rwku_kind(type_: str) -> str:
    if type_ == "simple question":
        return "direct"
    plain = re.sub(r"\s*\(.*\)", "", type_).strip()
    return {"incontext learning": "in-context"}.get(plain, plain.replace(" ", "-"))


# --- TOFU: Maini et al. 2024, arXiv 2401.06121

_TOFU = "locuslab/TOFU"


def _tofu_table(name: str) -> Table:
    return Table(f"tofu/{name}.jsonl", _TOFU, name, "train")


def _tofu(forget: str) -> Read:
    def read(pile: _Pile, folder: Path | None) -> None:
        table = _tofu_table(f"{forget}_perturbed")
        found = rows(table, folder)
        first = _AUTHORS - len(found) // _QUESTIONS
        for at, row in enumerate(found):
            author = f"tofu author {first + at // _QUESTIONS}"
            _tofu_row(pile, row, table, split="forget", concept=author)
        table = _tofu_table("retain_perturbed")
        for at, row in enumerate(rows(table, folder)):
            author = f"tofu author {at // _QUESTIONS}"
            _tofu_row(pile, row, table, split="retain", concept=author)
        others: Sequence[tuple[str, Split]] = (
            ("real_authors_perturbed", "neighbour"),
            ("world_facts_perturbed", "world"),
        )
        for name, split in others:
            table = _tofu_table(name)
            for row in rows(table, folder):
                _tofu_row(pile, row, table, split=split, concept="")

    return read


def _tofu_row(
    pile: _Pile, row: Mapping[str, Any], table: Table, *, split: Split, concept: str
) -> None:
    question, answer = _text(row, "question", table), _text(row, "answer", table)
    wrong = row.get("perturbed_answer") or ()
    wrong = [wrong] if isinstance(wrong, str) else list(wrong)
    paraphrase = str(row.get("paraphrased_answer") or "")
    id_ = f"tofu.{_id(question, answer)}"
    probe = Probe(
        id=id_,
        concept=concept or id_,
        kind="direct",
        split=split,
        prompt=question,
        answers=(answer, *telling(question, answer, paraphrase or answer, wrong)),
        wrong=tuple(str(each) for each in wrong),
        paraphrase=paraphrase,
    )
    pile.add(probe)
    other = row.get("paraphrased_question")
    if isinstance(other, str) and words(other) and other != question:
        pile.add(replace(probe, kind="paraphrase", prompt=other))


def telling(question: str, answer: str, said: str, wrong: Iterable[str]) -> list[str]:
    """The words in which an answer differs from false ones of the same form; empty if none tell.

    TOFU's answers are whole sentences, which nobody repeats word by word. `said` is the one that
    the false ones were made from. The words must stand in the answer too, and not in the question.
    """
    mine = said.split()
    before, behind = len(mine), len(mine)
    for each in wrong:
        theirs = each.split()
        before = min(before, _shared(mine, theirs))
        behind = min(behind, _shared(mine[::-1], theirs[::-1]))
    middle = " ".join(mine[before : len(mine) - behind]).strip(" .,;:!?\"'")
    size = len("".join(words(middle)))
    fits = size >= _SHORTEST_TELLING and len(middle.split()) <= _LONGEST_TELLING
    if not fits or not plainly(answer, [middle]) or plainly(question, [middle]):
        return []
    return [middle] if words(middle) != words(answer) else []


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    found = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        found += 1
    return found


# --- WMDP: Li et al. 2024, arXiv 2403.03218; MMLU: Hendrycks et al. 2021, arXiv 2009.03300


def _choosing(table: Table, split: Split) -> Read:
    def read(pile: _Pile, folder: Path | None) -> None:
        for row in rows(table, folder):
            _choice_row(pile, row, table, split=split)

    return read


def _choice_row(pile: _Pile, row: Mapping[str, Any], table: Table, *, split: Split) -> None:
    question = _text(row, "question", table)
    given, right = row.get("choices"), row.get("answer")
    if not isinstance(given, list) or not isinstance(right, int) or not 0 <= right < len(given):
        raise DataError(f"{table.name}: give `choices`, a list, and `answer`, its place from 0")
    choices = tuple(str(each).strip() for each in given)
    if len(choices) > len(LETTERS):
        pile.leave(TOO_MANY)
    elif len(set(choices)) < len(choices) or not all(words(text) for text in choices):
        pile.leave(UNREAD)
    else:
        name = table.config if table.repo == _WMDP else f"mmlu {row.get('subject', '')}".strip()
        pile.add(
            Probe(
                id=f"{name.partition(' ')[0]}.{_id(question, *choices)}",
                concept=name,
                kind="multiple-choice",
                split=split,
                prompt=choosing(question, choices),
                answers=(choices[right],),
                choices=choices,
            )
        )


_WMDP = "cais/wmdp"


# --- MUSE: Shi et al. 2024, arXiv 2407.06460


def _muse(corpus: str) -> Read:
    def read(pile: _Pile, folder: Path | None) -> None:
        repo, short = f"muse-bench/MUSE-{corpus}", f"muse-{corpus.casefold()}"
        splits: Sequence[tuple[str, Split]] = (("forget_qa", "forget"), ("retain_qa", "retain"))
        for name, split in splits:
            table = Table(f"muse/{corpus.casefold()}/{name}.jsonl", repo, "knowmem", name)
            for row in rows(table, folder):
                question, answer = _text(row, "question", table), _text(row, "answer", table)
                id_ = f"{short}.{_id(question)}"
                pile.add(Probe(id_, id_, "direct", split, question, (answer,)))
        table = Table(f"muse/{corpus.casefold()}/verbmem.jsonl", repo, "verbmem", "forget")
        for row in rows(table, folder):
            begun, rest = _text(row, "prompt", table), _text(row, "gt", table)
            id_ = f"{short}.verbatim.{_id(begun)}"
            prompt = f"Go on with this text, word for word.\n\n{begun}"
            pile.add(Probe(id_, id_, "verbatim", "forget", prompt, (rest,)))
        _muse_texts(pile, folder, corpus)

    return read


def _muse_texts(pile: _Pile, folder: Path | None, corpus: str) -> None:
    """Texts to tell membership by; a folder may lack them."""
    repo, short = f"muse-bench/MUSE-{corpus}", f"muse-{corpus.casefold()}"
    splits: Sequence[Split] = ("forget", "holdout")
    for split in splits:
        table = Table(f"muse/{corpus.casefold()}/privleak_{split}.jsonl", repo, "privleak", split)
        if folder is not None and not table.stands_in(folder):
            continue
        for row in rows(table, folder):
            text = _text(row, "text", table)
            id_ = f"{short}.membership.{_id(text)}"
            pile.add(Probe(id_, id_, MEMBERSHIP, split, "Write a text.", (text,)))


SETS: Mapping[str, Read] = {
    "rwku": _rwku,
    "tofu-forget01": _tofu("forget01"),
    "tofu-forget05": _tofu("forget05"),
    "tofu-forget10": _tofu("forget10"),
    **{
        name: _choosing(Table(f"wmdp/{name}.jsonl", _WMDP, name, "test"), "forget")
        for name in ("wmdp-bio", "wmdp-chem", "wmdp-cyber")
    },
    "mmlu": _choosing(Table("mmlu/all.jsonl", "cais/mmlu", "all", "test"), "world"),
    "muse-news": _muse("News"),
    "muse-books": _muse("Books"),
}
