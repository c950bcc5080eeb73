"""Pieces of a run, one an arm and attack, each in a file of its own that knows what it holds.

Knows no network. The name of a shard's file and the key in its records hash everything that its
answers depend on: what was asked before in the same way is not asked again, whatever else changed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leakage import records
from leakage.attacks.turns import Attack
from leakage.calls import TRANSIENT
from leakage.journal import PART, Journal
from leakage.probes import ATTACK, Probe
from leakage.records import MEASURED, Record, Writer

ASKED = "asked"  # the shard of probes as they are
CAPABILITIES = "capabilities.json"  # what arms allow, by fingerprint

Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """What one arm is asked in one way. `attack` None asks as they are, or for likelihoods."""

    arm: str
    name: str
    attack: Attack | None
    probes: tuple[Probe, ...] = field(repr=False)
    draws: int
    key: str

    @property
    def file(self) -> str:
        """Of its records, inside the folder of a run."""
        return f"{self.arm}.{self.name}.{self.key}.jsonl"

    @property
    def wanted(self) -> list[Key]:
        """Every draw, in order."""
        return [
            (probe.id, self.kind(probe), draw)
            for draw in range(self.draws)
            for probe in self.probes
        ]

    def places(self) -> dict[tuple[str, str], int]:
        """Where each probe stands, by id and kind."""
        return {(probe.id, self.kind(probe)): at for at, probe in enumerate(self.probes)}

    def kind(self, probe: Probe) -> str:
        """As the records of this shard have it."""
        if self.name in MEASURED:
            return self.name
        return f"{ATTACK}{self.attack.name}" if self.attack else probe.kind


def key_of(facts: Mapping[str, Any]) -> str:
    """An idempotence key: 16 hexadecimal digits of a SHA-256 over what a shard depends on."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Shelf:
    """The folder of a run: what is there already, and where new records go.

    One process writes a shard. A line that a crash cut off is taken away, and drawn again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "shards"
        self._writers: dict[str, Writer] = {}
        self._left: dict[str, int] = {}

    def open(self, shard: Shard) -> list[Key]:
        """The draws that are still to be made. Raises OSError, RecordError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        done = {key_in(record) for record in self.read(shard)}
        missing = [key for key in shard.wanted if key not in done]
        self._left[shard.file] = len(missing)
        return missing

    def read(self, shard: Shard) -> list[Record]:
        """What was drawn and may stay: errors that pass are not, the rest is, the last of each."""
        with suppress(FileNotFoundError):
            found = records.read(self._folder / shard.file)
            last = {key_in(r): r for r in found if r.shard == shard.key and not passing(r)}
            return [last[key] for key in shard.wanted if key in last]
        return []

    def write(self, shard: Shard, record: Record) -> None:
        """Append a record. Raises OSError."""
        if shard.file not in self._writers:
            self._writers[shard.file] = Writer(self._folder / shard.file).__enter__()
        self._writers[shard.file].write(record)
        self._left[shard.file] -= 1
        if self._left[shard.file] <= 0:
            self._writers.pop(shard.file).__exit__(None, None, None)

    def allowed(self, fingerprint: str) -> list[str] | None:
        """What an arm of this fingerprint was found to allow earlier; None where nobody asked."""
        with suppress(OSError, ValueError):
            found = json.loads((self._folder.parent / CAPABILITIES).read_text("utf-8"))
            needs = found.get(fingerprint)
            return [str(need) for need in needs] if isinstance(needs, list) else None
        return None

    def allow(self, fingerprint: str, needs: Sequence[str]) -> None:
        """Keep what an arm allows. Raises OSError."""
        path = self._folder.parent / CAPABILITIES
        found: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            found = json.loads(path.read_text("utf-8"))
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**found, fingerprint: list(needs)}, indent=2)
        path.with_suffix(".part").write_text(text + "\n", encoding="utf-8")
        path.with_suffix(".part").replace(path)

    def journal(self, shard: Shard, key: Key) -> Journal:
        """The answers to a draw that is to be made, and those that a killed run left of it."""
        return Journal(
            self._folder / f"{shard.file.removesuffix('.jsonl')}.{key_of({'draw': key})}{PART}"
        )

    def sweep(self) -> None:
        """Take away what a killed run left of draws that nobody makes any more."""
        for left in self._folder.glob(f"*{PART}"):
            left.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file."""
        while self._writers:
            self._writers.popitem()[1].__exit__(None, None, None)


def key_in(record: Record) -> Key:
    """Which draw of its shard a record is."""
    return (record.probe, record.kind, record.draw)


def passing(record: Record) -> bool:
    """Whether a draw failed for a reason that may be gone the next time."""
    return record.error is not None and (
        record.status is None or record.status in TRANSIENT | {200}
    )


def gather(folder: Path, shards: Sequence[Shard], shelf: Shelf) -> list[Record]:
    """Every record of the shards, in order, and in `records.jsonl`, which is replaced as a whole.

    Errors that pass are in it where nothing better is. Raises OSError, RecordError.
    """
    made: list[Record] = []
    for shard in shards:
        kept = {key_in(record): record for record in shelf.read(shard)}
        with suppress(FileNotFoundError):
            for record in records.read(folder / "shards" / shard.file):
                if record.shard == shard.key:
                    kept.setdefault(key_in(record), record)
        made += [kept[key] for key in shard.wanted if key in kept]
    path = folder / "records.jsonl"
    beside = path.with_suffix(".part")
    beside.unlink(missing_ok=True)
    records.write(beside, made)
    beside.replace(path)
    return made
