"""Where weights come from: method, settings, base, data and digests, in a file beside them.

Knows no model: it reads and writes JSON and hashes files and rows.
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import mkdtemp

FILE = "lineage.json"
VERSION = 1
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "peft", "numpy")


class LineageError(ValueError):
    """Weights, or what is said about them, are not as they should be. Names the file."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a training cost: seconds of wall clock, of processor time (all threads) and of GPU
    time, optimiser steps, tokens seen, and the most memory held, in bytes.

    `peak_bytes` is the GPU's where there is one, else the process's highest resident set so far.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    steps: int = 0
    tokens: int = 0
    peak_bytes: int = 0

    def plus(self, other: "Cost") -> "Cost":
        """Both one after the other."""
        return Cost(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            self.gpu_s + other.gpu_s,
            self.steps + other.steps,
            self.tokens + other.tokens,
            max(self.peak_bytes, other.peak_bytes),
        )


@dataclass(frozen=True, slots=True)
class Lineage:
    """How weights were made. Digests are SHA-256 in hexadecimal; empty where nothing applies."""

    method: str
    settings: Mapping[str, object]
    base: str
    weights: str
    seed: int
    forget: str = ""
    retain: str = ""
    device: str = "cpu"
    precision: str = "float32"
    packages: Mapping[str, str] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    notes: Mapping[str, object] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Put `lineage.json` into a directory."""
        record = {"version": VERSION, **asdict(self)}
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        part = directory / f"{FILE}.part"
        part.write_text(f"{text}\n", encoding="utf-8")
        os.replace(part, directory / FILE)  # noqa: PTH105 (atomic, and says so)


def read(directory: Path) -> Lineage:
    """What is said about the weights in a directory. Raises LineageError."""
    path = directory / FILE
    try:
        record = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise LineageError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise LineageError(f"{path}: not JSON; the training that wrote it broke off") from None
    known = {each.name for each in fields(Lineage)}
    if not isinstance(record, dict) or record.pop("version", None) != VERSION:
        raise LineageError(f"{path}: not a lineage of version {VERSION}")
    if unknown := sorted(set(record) - known):
        raise LineageError(f"{path}: {unknown[0]}: unknown key")
    try:
        return Lineage(**record | {"cost": Cost(**record.get("cost", {}))})
    except TypeError:
        raise LineageError(f"{path}: a key is missing or unknown") from None


def verify(directory: Path) -> Lineage:
    """The lineage of a directory whose weights are still the ones it speaks of.

    Raises LineageError where they were damaged, replaced or lost.
    """
    found = read(directory)
    if weights_digest(directory) != found.weights:
        raise LineageError(
            f"{directory}: the weights are not those that {FILE} speaks of; train them again"
        )
    return found


def packages() -> dict[str, str]:
    """Versions of Python and of what a training rests on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def digest(value: object) -> str:
    """SHA-256 of a value as canonical JSON: the same for the same content, on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def rows_digest(rows: Iterable[Mapping[str, object]]) -> str:
    """Digest of a set of rows: their order counts, since a training depends on it."""
    total = hashlib.sha256()
    for row in rows:
        total.update(digest(row).encode())
    return total.hexdigest()


def weights_digest(directory: Path) -> str:
    """Digest of every safetensors file of a directory, by name and content; of an ensemble, of its
    members' files.

    Raises LineageError where there is none.
    """
    files = sorted(directory.glob("*.safetensors")) or sorted(
        directory.glob("shard-*/*.safetensors")
    )
    if not files:
        raise LineageError(f"{directory}: no .safetensors file; only this format is read")
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as content:
            total.update(
                f"{path.relative_to(directory).as_posix()}:"
                f"{hashlib.file_digest(content, 'sha256').hexdigest()}".encode()
            )
    return total.hexdigest()


@contextmanager
def placed(target: Path) -> Iterator[Path]:
    """A directory to fill, which becomes `target` only once everything in it is written.

    Raises FileExistsError where `target` is already there: nothing is overwritten.
    """
    if target.exists():
        raise FileExistsError(f"{target}: already there; choose another place or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    filling = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield filling
        filling.chmod(0o755)
        for path in filling.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.replace(filling, target)  # noqa: PTH105 (atomic, and says so)
    finally:
        shutil.rmtree(filling, ignore_errors=True)
