"""An append-only file of records, each chained by hash to the one before: opened, added to.

Knows no request and no policy: a record is any JSON object. How a line looks and how a file is
verified stands in `proxy.chain`.
"""

import fcntl
import json
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from proxy.chain import (
    MAX_RECORD_BYTES,
    START,
    VERSION,
    FlawError,
    Receipt,
    describe,
    follows,
    sealed,
    unsealed,
    verify,
)

ENVELOPE = frozenset({"v", "seq", "prev", "time", "hash"})

_BLOCK = 1 << 16
_HASH = re.compile(r"[0-9a-f]{64}")


class AuditError(RuntimeError):
    """A record could not be written, or a file cannot be appended to. Quotes no record."""


class Audit:
    """One file, held by one process, appended to by any of its threads."""

    def __init__(self, path: Path, fd: int, *, end: int, last: Receipt, fsync: bool) -> None:
        self._path = path
        self._fd: int | None = fd
        self._end = end
        self._last = last
        self._fsync = fsync
        self.failing = False  # whether the last record could not be written
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, fsync: bool = False, after: str | None = None) -> Self:
        """Create the file, or go on where it ends; a torn last line is cut off and recorded.

        With `fsync`, a record is on the disk when `append` returns. `after` is the last hash of the
        file that this one succeeds: a new file says so in its first record, one that exists must.
        Raises AuditError.
        """
        if after is not None and not _HASH.fullmatch(after):
            raise AuditError(
                f"{path}: `after` is not a hash; give the 64 digits of a record's hash"
            )
        with _explained(path, "be opened"):
            fd = _opened(path, fsync=fsync)
        try:
            with _explained(path, "be continued"):
                return cls._continued(path, fd, fsync=fsync, after=after)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _continued(cls, path: Path, fd: int, *, fsync: bool, after: str | None) -> Self:
        _hold(path, fd)
        size = os.fstat(fd).st_size
        whole = _line_start(fd, size)
        last = _last(path, fd, whole)
        recovered = _cut(fd, whole, size) if whole < size else None
        audit = cls(path, fd, end=whole, last=last, fsync=fsync)
        if after is not None and last == START:
            audit.append({"event": "continues", "after": after})
        elif after is not None and _continues(fd) != after:
            raise AuditError(
                f"{path}: exists and does not continue that file; give a new file, or no `after`"
            )
        if recovered is not None:
            audit.append(recovered)
        return audit

    @property
    def last(self) -> Receipt:
        """The last record: note its hash elsewhere, it shows whether records were cut off."""
        return self._last

    def append(self, record: Mapping[str, Any]) -> Receipt:
        """Write a record as one line, with `v`, `seq`, `prev`, `time` and `hash` added.

        Raises AuditError where it cannot be written whole; then the file ends as it did before.
        """
        plain = self._plain(record)
        if taken := sorted(ENVELOPE & plain.keys()):
            raise AuditError(f"{self._path}: a record may not name {', '.join(taken)} itself")
        with self._lock:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            seq, prev = self._last.seq + 1, self._last.hash
            line, digest = sealed({**plain, "v": VERSION, "seq": seq, "prev": prev, "time": now})
            if len(line) > MAX_RECORD_BYTES:
                raise AuditError(
                    f"{self._path}: a record of {len(line)} bytes exceeds the {MAX_RECORD_BYTES} "
                    "that a line may have; keep less text"
                )
            self._write(line)
            self._last = Receipt(seq, digest)
            return self._last

    def close(self) -> None:
        """Let go of the file. A second time does nothing."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def _plain(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record as it will be read back. Two keys that JSON spells alike would lose one."""
        try:
            spelled = json.dumps(dict(record), allow_nan=False)
            plain: dict[str, Any] = json.loads(spelled)
        except (TypeError, ValueError, RecursionError) as error:
            raise AuditError(
                f"{self._path}: a record is no JSON ({type(error).__name__}); give texts, finite "
                "numbers, lists and mappings only"
            ) from None
        if json.dumps(plain) != spelled:
            raise AuditError(f"{self._path}: a record has the same key twice; keep one")
        return plain

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            raise AuditError(f"{self._path}: is closed; open it again")
        self.failing = True
        with _explained(self._path, "be appended to"):
            found = os.fstat(self._fd)
            if found.st_size != self._end or found.st_nlink == 0:
                raise AuditError(
                    f"{self._path}: was changed or deleted by something else while open; keep it, "
                    "verify it, and start again"
                )
            try:
                _write_whole(self._fd, line)
                if self._fsync:
                    os.fsync(self._fd)
            except BaseException:
                # Where even this fails, the length no longer fits and nothing more is appended.
                with suppress(OSError):
                    os.ftruncate(self._fd, self._end)
                raise
            self._end += len(line)
        self.failing = False


@contextmanager
def _explained(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditError(
            f"{path}: cannot {doing}: {error.strerror}; check space, owner and mode, or give "
            "another file"
        ) from error


def _opened(path: Path, *, fsync: bool) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    if fsync:
        # Or a power cut takes the new file's name, and with it all that was synced.
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return fd


def _hold(path: Path, fd: int) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise AuditError(f"{path}: is no regular file; give the path of one")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AuditError(
            f"{path}: another process appends to it (`fuser {path}` names it); stop that one, or "
            "give each a file of its own"
        ) from None


def _last(path: Path, fd: int, end: int) -> Receipt:
    """The last record of the whole lines before `end`, read from there: files may be large."""
    if end == 0:
        return START
    start = _line_start(fd, end - 1)
    try:
        previous = START
        if start > 0:
            before = unsealed(_read(fd, _line_start(fd, start - 1), start))
            previous = Receipt(before["seq"], before["hash"])
        return follows(unsealed(_read(fd, start, end)), previous)
    except FlawError:
        raise AuditError(
            f"{describe(path, verify(path))}; keep this file as it is, find out what changed it, "
            "and give a new one"
        ) from None


def _line_start(fd: int, end: int) -> int:
    """Where the line that holds the byte before `end` begins: behind a newline, or at 0."""
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _read(fd: int, start: int, end: int) -> bytes:
    if end - start > MAX_RECORD_BYTES:
        raise FlawError("too long")
    return os.pread(fd, end - start, start)


def _cut(fd: int, whole: int, size: int) -> dict[str, Any]:
    """Cut off a torn line; return the record that says so."""
    digest = sha256()
    for start in range(whole, size, _BLOCK):
        digest.update(os.pread(fd, min(_BLOCK, size - start), start))
    os.ftruncate(fd, whole)
    return {
        "event": "recovered",
        "torn_bytes": size - whole,
        "torn_sha256": digest.hexdigest(),
    }


def _continues(fd: int) -> object:
    """The hash that the first record says the file continues, if it does."""
    line, _, _ = os.pread(fd, _BLOCK, 0).partition(b"\n")
    try:
        return unsealed(line + b"\n").get("after")
    except FlawError:
        return None


def _write_whole(fd: int, line: bytes) -> None:
    """One write as a rule; what a full disk or a limit cut short is tried again, or raises."""
    while line:
        line = line[os.write(fd, line) :]
