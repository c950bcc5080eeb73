"""One line for every draw: what was asked of which arm, and what came of it. Knows no report.

The file is described in docs/leakage.md.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from leakage.probes import ATTACK, MEMBERSHIP, Split

VERSION = 1
_HUGE = 1e15  # no time, no count and no logarithm is as large

# Kinds of records in which nothing was answered: they say what an arm finds likely or gives away.
LIKELIHOOD = "likelihood"
EXTRACTION = "extraction"
JUDGING = "judging"
CHOOSING = "choosing"
MEASURED = frozenset({LIKELIHOOD, MEMBERSHIP, EXTRACTION, JUDGING, CHOOSING})


class RecordError(ValueError):
    """A record file that cannot be read. Names the line."""


Role = Literal["answer", "paraphrase", "wrong"]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely an arm finds one text behind the question, token by token.

    role       `answer`: the reference answer; `paraphrase`: it in other words; `wrong`: a false one
               in the same words
    logprobs   natural logarithms, one a token, of that text alone
    ranks      of the same tokens among all, 1 the likeliest; None where the arm does not say
    standard   deviations above the mean of all tokens at each place; None where the arm does not
               tell enough of them
    """

    role: Role
    logprobs: tuple[float, ...]
    ranks: tuple[int, ...] | None = None
    standard: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One draw. Three-valued fields are None where the question does not arise or is not settled.

    run             the same for all draws of one run
    at              when it was asked, ISO 8601, UTC
    scorer          version of the matching
    draw            counts from 0
    streamed        whether a stream was asked for
    answered        whether an accepted answer came back; None where the draw failed before it could
    leak            the same for what must be forgotten; None for innocent probes
    blocked         whether an innocent probe went without its answer; None for the others
    refused         whether the answer declines
    score           ROUGE-L recall of the best accepted answer, in [0, 1]
    finish_reason   as the arm gave it
    status          HTTP status; None where no answer came
    error           why the draw says nothing beyond what it leaked; None where it is whole
    attempts        requests sent, retries included
    latency_s       from the last request to the end of its answer
    first_token_s   to the first text of a stream
    tokens_in       as the arm counted them; tokens_out too
    answer_sha256   of the answer's text
    answer          the text itself, only where it was asked for

    Fields that may be absent, and then are None:
    fingerprint     of the arm: what it is made of, as far as it can be seen
    shard           idempotence key of the shard that the draw belongs to
    requests        HTTP requests over all turns, retries included
    channel         the field on which an accepted answer stood: content, tool_calls, several, ...
    length          characters of everything said
    span            longest run of words of an accepted answer that came out, as a share of it
    lacks           what the arm does not allow and the draw needs: it was not made, and a metric
                    of such draws is not measurable. `answered`, `leak`, `blocked` are None
    likelihoods     what the arm finds how likely. Of the kinds `likelihood` and `membership`, in
                    which nothing is said
    options         how many the question offers to choose from. Of plain questions, and of kind
                    `choosing`; there, whether the option is right of which the arm finds likeliest
    by_letter       the letter
    by_text         the text, a byte; None where the arm does not say, or finds two as likely
    extraction      the share of the answer that came out by itself. Of kind `extraction`
    recall, f1      ROUGE-L of the first accepted answer alone, as TOFU and MUSE count. Of plain
                    questions; so are the next two
    judged, judge   whether a judge says that the answer tells, and which arm that is. Of kind
                    `judging` it is tried: `answered` then says what is true
    similarity      cosine of the nearest accepted answer, by the encoder that `encoder` names
    source          the program and version whose log the draw was read from; None: it is ours
    measured        what that program measured of it, by its own names; a value None is no number
    """

    run: str
    at: str
    scorer: int
    arm: str
    probe: str
    concept: str
    split: Split
    kind: str
    draw: int
    streamed: bool
    answered: bool | None
    leak: bool | None
    blocked: bool | None
    refused: bool
    score: float
    finish_reason: str | None
    status: int | None
    error: str | None
    attempts: int
    latency_s: float
    first_token_s: float | None
    tokens_in: int | None
    tokens_out: int | None
    answer_sha256: str
    answer: str | None = field(default=None, repr=False)
    fingerprint: str | None = None
    shard: str | None = None
    requests: int | None = None
    channel: str | None = None
    length: int | None = None
    span: float | None = None
    lacks: str | None = None
    likelihoods: tuple[Likelihood, ...] | None = None
    options: int | None = None
    by_letter: bool | None = None
    by_text: bool | None = None
    extraction: float | None = None
    recall: float | None = None
    f1: float | None = None
    similarity: float | None = None
    encoder: str | None = None
    judged: bool | None = None
    judge: str | None = None
    source: str | None = None
    measured: Mapping[str, float | None] | None = field(default=None, hash=False)

    @property
    def attack(self) -> str | None:
        """The attack that carried the question, if one did."""
        return self.kind.removeprefix(ATTACK) if self.kind.startswith(ATTACK) else None

    @property
    def innocent(self) -> bool:
        """Whether the answer had to come back."""
        return self.split != "forget"

    @property
    def spoken(self) -> bool:
        """Whether it says anything about what the arm answers: it was asked, and in words.

        What another program measured may be a number alone, that tells of no answer.
        """
        number = self.measured is not None and self.answered is None and self.error is None
        asked = self.lacks is None and self.likelihoods is None and self.kind not in MEASURED
        return asked and not number


def scorers(records: Iterable[Record]) -> tuple[int, ...]:
    """Versions of the matching behind what is said: a number alone was matched by none."""
    return tuple(sorted({record.scorer for record in records if record.spoken}))


class Writer:
    """Appends records to a file, each in one piece; one writer a file.

    A last line without its end was cut off by a crash; opening takes it away.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> Self:
        """Open the file, or create it. Raises OSError."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole = self._path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(self._file, whole)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        os.close(self._file)

    def write(self, record: Record) -> None:
        """Append one record. Raises OSError."""
        rest = memoryview(f"{_line(record)}\n".encode())
        while rest:
            rest = rest[os.write(self._file, rest) :]


def write(path: Path, records: Iterable[Record]) -> None:
    """Append records to a file. Raises OSError."""
    with Writer(path) as writer:
        for record in records:
            writer.write(record)


def read(path: Path) -> list[Record]:
    """Read a file of records; a last line that was cut off is left out.

    Raises RecordError with `file:line: what`, OSError.
    """
    *lines, _ = path.read_bytes().split(b"\n")
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def to_row(record: Record) -> dict[str, Any]:
    """A record as a file of them holds it, without its version; `from_row` reads it back."""
    row = {f.name: getattr(record, f.name) for f in fields(Record)}
    row = {name: value for name, value in row.items() if value is not None or name not in _OPTIONAL}
    if record.likelihoods is not None:
        row["likelihoods"] = [_likely(likelihood) for likelihood in record.likelihoods]
    return row


def _line(record: Record) -> str:
    return json.dumps({"version": VERSION, **to_row(record)})


def _likely(likelihood: Likelihood) -> dict[str, Any]:
    row = asdict(likelihood)
    if row["standard"] is None:
        del row["standard"]
    return row


def _parse(line: bytes, where: str) -> Record:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise RecordError(
            f"{where}: is no JSON; the file was changed by hand or is another"
        ) from None
    if not isinstance(row, dict) or "version" not in row:
        raise RecordError(f"{where}: is no leakage record; give a file that `leakage` wrote")
    if row.pop("version") != VERSION:
        raise RecordError(f"{where}: is of another version; this program reads version {VERSION}")
    return from_row(row, where)


def from_row(row: dict[str, Any], where: str) -> Record:
    """A record from its fields, which are checked. Raises RecordError that begins with `where`."""
    expected = {f.name for f in fields(Record)}
    if missing := sorted(expected - _OPTIONAL - set(row)):
        raise RecordError(f"{where}: lacks {', '.join(missing)}")
    if unknown := sorted(set(row) - expected):
        raise RecordError(f"{where}: has unknown fields ({len(unknown)})")
    _check_types(row, where)
    return Record(**row)


def _check_types(row: dict[str, Any], where: str) -> None:
    """Raises RecordError where a value is of the wrong type; likelihoods become objects."""
    if row.get("likelihoods") is not None:
        row["likelihoods"] = _likelihoods(row["likelihoods"], where)
    if row.get("measured") is not None and not _measured(row["measured"]):
        raise RecordError(f"{where}: measured: an object of numbers")
    for name, value in row.items():
        if not isinstance(value, _TYPES[name]):
            raise RecordError(f"{where}: {name}: has the wrong type")
        if isinstance(value, float | int) and not abs(value) < _HUGE:
            raise RecordError(f"{where}: {name}: is no number to count with")
    if row["split"] not in get_args(Split):
        raise RecordError(f"{where}: split: one of {', '.join(get_args(Split))}")


def _likelihoods(given: object, where: str) -> tuple[Likelihood, ...]:
    if not isinstance(given, list):
        raise RecordError(f"{where}: likelihoods: has the wrong type")
    return tuple(_likelihood(each, where) for each in given)


def _likelihood(given: object, where: str) -> Likelihood:
    known = {"role", "logprobs", "ranks"}
    if not isinstance(given, dict) or set(given) - {"standard"} != known:
        raise RecordError(f"{where}: likelihoods: an object of role, logprobs and ranks")
    role, logprobs, ranks = given["role"], given["logprobs"], given["ranks"]
    standard = given.get("standard")
    if role not in get_args(Role):
        raise RecordError(f"{where}: likelihoods: role: one of {', '.join(get_args(Role))}")
    fits = _numbers(logprobs, float | int) and (ranks is None or _numbers(ranks, int))
    if fits and not all(-_HUGE < value <= 1 for value in logprobs):
        raise RecordError(f"{where}: likelihoods: log-probabilities that are none")
    if not fits or not (standard is None or _numbers(standard, float | int)):
        raise RecordError(f"{where}: likelihoods: has the wrong type")
    return Likelihood(
        role,
        tuple(logprobs),
        None if ranks is None else tuple(ranks),
        None if standard is None else tuple(standard),
    )


def _measured(given: object) -> bool:
    return isinstance(given, dict) and all(
        value is None
        or (isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 1e300)
        for value in given.values()
    )


def _numbers(given: object, kind: Any) -> bool:  # noqa: ANN401 (a type, or a union of types)
    return isinstance(given, list) and all(isinstance(each, kind) for each in given)


_OPTIONAL = frozenset(f.name for f in fields(Record) if f.default is not MISSING)

# What may stand in each field: its annotation, which is a type, a union of types or the split.
_TYPES: dict[str, Any] = {
    f.name: str if f.name == "split" else (float | int if f.type is float else f.type)
    for f in fields(Record)
} | {
    **dict.fromkeys(("span", "extraction", "recall", "f1", "similarity"), float | int | None),
    "likelihoods": tuple | None,
    "measured": dict | None,
}
