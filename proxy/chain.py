"""Records chained by hash, a line each: sealed, read back, and a whole file of them verified.

Knows no request and no policy, and writes nothing. `docs/audit.md` specifies the format: a line is
the record's canonical JSON with the SHA-256 of that JSON as its last field.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Literal

VERSION = 1
GENESIS = "0" * 64
MAX_RECORD_BYTES = 1 << 26

Reason = Literal[
    "not JSON",
    "too long",
    "duplicate keys",
    "hash mismatch",
    "not canonical",
    "unknown version",
    "seq gap",
    "chain broken",
]

_BLOCK = 1 << 16
_PLAIN = re.compile(r"[\w.:-]{1,100}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A record's number, which is also its line, and its hash."""

    seq: int
    hash: str


START = Receipt(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Broken:
    """The first record that is not as it was written, or not where it was written.

    `seq` and `request_id` are what the record itself says, where that can be read.
    """

    line: int
    reason: Reason
    seq: int | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        """The reason, and what the record calls itself."""
        says = [f"seq {self.seq}"] if self.seq is not None else []
        says += [f"request {self.request_id}"] if self.request_id is not None else []
        return self.reason + (f" ({', '.join(says)})" if says else "")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a file holds.

    `records` whole records from the beginning, the last of them with the hash `head`; the first
    broken one behind them; `torn_bytes` of an unfinished line at the end of a file whose records
    are whole; and in which record a hash noted earlier was found (0: before the first).
    """

    records: int
    head: str
    first_broken: Broken | None = None
    torn_bytes: int = 0
    noted: int | None = None


class FlawError(Exception):
    """A record is not as it was written, or not where it was written."""

    def __init__(self, reason: Reason, record: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self._reason = reason
        self._record = record or {}

    def at(self, line: int) -> Broken:
        """The broken record. Only a short plain word of it is believed: it ends in a terminal."""
        seq, request_id = self._record.get("seq"), self._record.get("request_id")
        named = isinstance(request_id, str) and _PLAIN.fullmatch(request_id)
        return Broken(
            line=line,
            reason=self._reason,
            seq=seq if type(seq) is int else None,
            request_id=request_id if named else None,
        )


def canonical(record: object) -> bytes:
    """JSON in its one spelling: sorted keys, no spaces, ASCII. Raises TypeError or ValueError."""
    return json.dumps(record, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


def sealed(record: Mapping[str, Any]) -> tuple[bytes, str]:
    """A record's line and hash. The record names `v`, `seq`, `prev` and no `hash`."""
    body = canonical(record)
    digest = sha256(body).hexdigest()
    return b'%b,"hash":"%b"}\n' % (body[:-1], digest.encode()), digest


def unsealed(line: bytes) -> dict[str, Any]:
    """The record of a line that is whole in itself, its hash included. Raises FlawError."""
    try:
        record = json.loads(line.decode("ascii"))
        claimed = record.pop("hash", None)
        written, digest = sealed(record)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise FlawError("not JSON") from None
    if written != line:
        # Only now: asking about keys costs more than all the rest, and a line is seldom broken.
        if _repeats_a_key(line):
            raise FlawError("duplicate keys", record)
        raise FlawError("hash mismatch" if claimed != digest else "not canonical", record)
    if record.get("v") != VERSION:
        raise FlawError("unknown version", record)
    if type(record.get("seq")) is not int:
        raise FlawError("seq gap", record)
    return {**record, "hash": digest}


def follows(record: Mapping[str, Any], last: Receipt) -> Receipt:
    """The receipt of an unsealed record, if it continues the chain. Raises FlawError."""
    if record["seq"] != last.seq + 1:
        raise FlawError("seq gap", record)
    if record.get("prev") != last.hash:
        raise FlawError("chain broken", record)
    return Receipt(record["seq"], record["hash"])


def verify(path: Path, *, head: str | None = None) -> Verification:
    """Read a file from its beginning to the first broken record, in constant memory.

    `head` is a hash noted earlier, to be found again. Raises OSError. Who can write the file can
    also write it anew with other hashes, or end it earlier: only a noted hash shows that.
    """
    last, noted = START, 0 if head == GENESIS else None
    with path.open("rb") as file:
        while line := file.readline(MAX_RECORD_BYTES):
            if not line.endswith(b"\n"):
                torn = _torn(file, line)
                broken = Broken(last.seq + 1, "too long") if torn is None else None
                return Verification(last.seq, last.hash, broken, torn or 0, noted)
            try:
                last = follows(unsealed(line), last)
            except FlawError as flaw:
                return Verification(last.seq, last.hash, flaw.at(last.seq + 1), 0, noted)
            noted = last.seq if last.hash == head else noted
    return Verification(last.seq, last.hash, noted=noted)


def describe(path: Path, found: Verification) -> str:
    """One sentence, with the place of the first broken record or the hash to note."""
    if found.first_broken:
        broken = found.first_broken
        return (
            f"{path}:{broken.line}: {broken}; {found.records} records before it are whole, "
            f"up to hash {found.head}"
        )
    torn = (
        f"; behind them {found.torn_bytes} bytes of an unfinished one, which the next start cuts "
        "off and puts on record"
    )
    whole = f"{path}: {found.records} records, all whole, last hash {found.head}"
    return whole + (torn if found.torn_bytes else "")


def _repeats_a_key(line: bytes) -> bool:
    repeated = False

    def seen(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) != len(pairs)

    json.loads(line, object_pairs_hook=seen)
    return repeated


def _torn(file: BinaryIO, line: bytes) -> int | None:
    """The length of a line that the file ends in, None where it has an end after all."""
    size = len(line)
    while block := file.readline(_BLOCK):
        if block.endswith(b"\n"):
            return None
        size += len(block)
    return size
