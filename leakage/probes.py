"""What is asked, and which answers would tell: probes and their JSONL file. Knows no arm.

The file is described in docs/leakage.md.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from leakage.choices import LETTERS
from leakage.scores import plainly, words

Role = Literal["system", "user", "assistant"]
Split = Literal["forget", "neighbour", "retain", "world", "holdout"]

ATTACK = "attack:"
PLACE = "{answer}"  # of the answer in a sentence
MEMBERSHIP = "membership"  # kind of texts that are not asked for, only found likely or not

_SHOWN = 20  # mistakes in one message; whoever has more has made one mistake many times


class ProbeError(ValueError):
    """A probe file that cannot be used. Names each line and quotes no prompt and no answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """One question whose answer is known.

    id         the same for a question and for every attack that carries it
    concept    what it is about; answers about one concept are not independent of each other
    kind       `direct`, `paraphrase`, `attack:NAME`, or any other word: a row of the report
    split      `forget`: the answer must not come out; otherwise it must. `holdout`: a text that no
               arm can have seen, of kind `membership`
    prompt     the last user turn
    answers    the accepted answers, any of which tells
    messages   the turns before the prompt
    subject    how the prompt spells what it is about, for attacks that disguise or move it
    choices    what the prompt offers to choose from, in the order of its letters; then the answer
               leaks where it is chosen, and not where it is merely said
    wrong      false answers in the words of the right one
    sentence   how an answer is said whole, with `{answer}` in its place: log-probabilities are of
               that sentence with the first of `answers`, and with each of `wrong`
    paraphrase the answer in other words, for the truth ratio
    notes      free; kept and not read
    """

    id: str
    concept: str
    kind: str
    split: Split
    prompt: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)
    messages: tuple[Message, ...] = ()
    subject: str = field(default="", repr=False)
    choices: tuple[str, ...] = field(default=(), repr=False)
    wrong: tuple[str, ...] = field(default=(), repr=False)
    sentence: str = field(default="", repr=False)
    paraphrase: str = field(default="", repr=False)
    notes: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @property
    def asked(self) -> bool:
        """Whether it is put as a question at all."""
        return self.kind != MEMBERSHIP

    @property
    def innocent(self) -> bool:
        """Whether the answer must come back."""
        return self.split != "forget"

    def whole(self, answer: str) -> str:
        """An answer as it is said whole; as it is where the probe has no sentence."""
        if not self.sentence:
            return answer
        begins = self.sentence.startswith(PLACE)
        return self.sentence.replace(PLACE, answer[0].upper() + answer[1:] if begins else answer)

    @property
    def turns(self) -> list[dict[str, str]]:
        """The whole conversation, as a chat API takes it."""
        turns = (*self.messages, Message(role="user", content=self.prompt))
        return [{"role": turn.role, "content": turn.content} for turn in turns]


def read(path: Path) -> list[Probe]:
    """Read a JSONL file of probes; empty lines are skipped.

    Raises ProbeError with `file:line: what: what to do` for every mistake at once, OSError.
    """
    probes: list[Probe] = []
    wrong: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            probe = _parse(line)
            _unseen(probe, seen=seen, number=number)
            probes.append(probe)
        except ProbeError as error:
            wrong.append(f"{path}:{number}: {error}")
    if wrong:
        more = [f"… and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        raise ProbeError("\n".join(wrong[:_SHOWN] + more))
    if not probes:
        raise ProbeError(f"{path}: holds no probe; write one JSON object a line")
    return probes


def write(path: Path, probes: Iterable[Probe]) -> None:
    """Write a JSONL file that `read` reads back as it was, replacing what is there."""
    path.write_text("".join(f"{_line(probe)}\n" for probe in probes), encoding="utf-8")


def from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Probe]:
    """Probes from the rows of such a file, already parsed. Raises ProbeError with the row."""
    probes = []
    for number, row in enumerate(rows, start=1):
        try:
            probes.append(_probe(dict(row)))
        except ProbeError as error:
            raise ProbeError(f"row {number}: {error}") from None
    return probes


def digest(probes: Iterable[Probe]) -> str:
    """SHA-256 over the probes in their order: two runs with the same digest asked the same."""
    summed = hashlib.sha256()
    for probe in probes:
        summed.update(_line(probe).encode())
        summed.update(b"\n")
    return summed.hexdigest()


def row(probe: Probe) -> dict[str, Any]:
    """A probe as a file of them holds it; `from_rows` reads it back."""
    found: dict[str, Any] = {
        "id": probe.id,
        "concept": probe.concept,
        "kind": probe.kind,
        "split": probe.split,
        "prompt": probe.prompt,
        "answers": probe.answers,
    }
    if probe.messages:
        found["messages"] = [{"role": m.role, "content": m.content} for m in probe.messages]
    for name in ("subject", "choices", "wrong", "sentence", "paraphrase"):
        if getattr(probe, name):
            found[name] = getattr(probe, name)
    if probe.notes:
        found["notes"] = dict(probe.notes)
    return found


def _line(probe: Probe) -> str:
    return json.dumps(row(probe), ensure_ascii=False)


def _unseen(probe: Probe, *, seen: dict[tuple[str, str], int], number: int) -> None:
    first = seen.setdefault((probe.id, probe.kind), number)
    if first != number:
        raise ProbeError(
            f"id: the same id and kind stand on line {first}; give every probe an id of its own"
        )


def _parse(line: bytes) -> Probe:
    try:
        row = json.loads(line)
    except UnicodeDecodeError:
        raise ProbeError("is not UTF-8; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ProbeError(f"is no JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise ProbeError("is nested too deeply; a probe is one flat object") from None
    if not isinstance(row, dict):
        raise ProbeError("is no JSON object; write one probe as {…} on each line")
    return _probe(row)


def _probe(row: dict[str, Any]) -> Probe:
    known = [f.name for f in fields(Probe)]
    for key in row:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "put what is yours under 'notes'"
            raise ProbeError(f"{key}: unknown key; {hint}")
    probe = Probe(
        id=_text(row, "id"),
        concept=_text(row, "concept"),
        kind=_text(row, "kind"),
        split=cast("Split", _one_of(row, "split", get_args(Split))),
        prompt=_text(row, "prompt"),
        answers=_texts(row, "answers"),
        messages=_messages(row),
        subject=_text(row, "subject") if "subject" in row else "",
        choices=_texts(row, "choices") if "choices" in row else (),
        wrong=_texts(row, "wrong") if "wrong" in row else (),
        sentence=_text(row, "sentence") if "sentence" in row else "",
        paraphrase=_text(row, "paraphrase") if "paraphrase" in row else "",
        notes=_notes(row),
    )
    if probe.kind == ATTACK:
        raise ProbeError(f"kind: names no attack; write '{ATTACK}NAME'")
    _check_choices(probe)
    if probe.sentence and probe.sentence.count(PLACE) != 1:
        raise ProbeError(f"sentence: write {PLACE} once, where the answer stands")
    if probe.split == "holdout" and probe.asked:
        raise ProbeError(
            f"split: 'holdout' is for texts that no arm has seen; write kind '{MEMBERSHIP}' too"
        )
    if (
        not probe.innocent
        and not probe.choices
        and plainly("\n".join(t["content"] for t in probe.turns), probe.answers)
    ):
        raise ProbeError("prompt: holds an answer, so an echo would count as a leak; reword it")
    return probe


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ProbeError(f"{key}: {_fault(row, key)}; give a text that is not empty")
    return _paired(value, key)


def _one_of(row: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = row.get(key)
    if value not in allowed:
        raise ProbeError(f"{key}: {_fault(row, key)}; one of {', '.join(allowed)}")
    return str(value)


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = row.get(key)
    if not isinstance(given, list | tuple) or not given:
        raise ProbeError(f"{key}: {_fault(row, key)}; give a list of texts")
    for number, text in enumerate(given):
        if not isinstance(text, str) or not words(text):
            raise ProbeError(f"{key}[{number}]: holds no letter and no digit; nothing matches it")
        _paired(text, f"{key}[{number}]")
    return tuple(given)


def _paired(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ProbeError(f"{where}: holds half a surrogate pair; write the whole letter") from None
    return text


def _check_choices(probe: Probe) -> None:
    right = [text for text in probe.choices if text in probe.answers]
    if probe.choices and (len(right) != 1 or len(set(probe.choices)) < len(probe.choices)):
        raise ProbeError("choices: give each once, and exactly one that is in 'answers'")
    if len(probe.choices) > len(LETTERS):
        raise ProbeError(f"choices: more than there are letters ({len(LETTERS)}); give fewer")


def _messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    given = row.get("messages", [])
    if not isinstance(given, list | tuple):
        raise ProbeError("messages: is no list; give the turns before the prompt, or leave it out")
    turns = []
    for number, turn in enumerate(given):
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            raise ProbeError(f"messages[{number}]: give an object of 'role' and 'content'")
        try:
            role = cast("Role", _one_of(turn, "role", get_args(Role)))
            turns.append(Message(role=role, content=_text(turn, "content")))
        except ProbeError as error:
            raise ProbeError(f"messages[{number}].{error}") from None
    return tuple(turns)


def _notes(row: Mapping[str, Any]) -> Mapping[str, Any]:
    given = row.get("notes", {})
    if not isinstance(given, dict):
        raise ProbeError("notes: is no object; give {…} or leave it out")
    return given


def _fault(row: Mapping[str, Any], key: str) -> str:
    return "is not usable" if key in row else "is missing"
