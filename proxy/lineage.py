"""What kind of model an upstream is, and which weights: its role, and the lineage file behind them.

Knows no training: it reads three fields of the `lineage.json` that `lethe unlearning` writes beside
weights (docs/unlearning.md), and takes the digest of the file.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from proxy.body import BodyError, parse

# `other` is a model that neither knows nor forgot, such as a small one of another make.
Role = Literal["original", "unlearned", "retrained", "private", "other"]

VERSION = 1
MOST_BYTES = 1 << 20

_DIGEST = re.compile(r"[0-9a-f]{64}")
_METHOD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")


class LineageError(ValueError):
    """A lineage file that says nothing reliable. The message says what to do and names no path."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where weights come from. `digest` is the SHA-256 (hex) of the file, `weights` theirs.

    Of an upstream that is known by the digest of its file alone, the rest is empty.
    """

    digest: str
    method: str = ""
    weights: str = ""


def read(path: Path, *, digest: str | None = None) -> Lineage:
    """Read a lineage file; with `digest` it must be that one. Raises LineageError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise LineageError(f"cannot be read: {error.strerror}; check the path") from None
    found = sha256(raw).hexdigest()
    if digest is not None and found != digest:
        raise LineageError("is not the file of that sha256; the weights may be others too")
    try:
        record = parse(raw, max_bytes=MOST_BYTES)
    except BodyError as error:
        raise LineageError(f"is no lineage file: {error}") from None
    if record.get("version") != VERSION:
        raise LineageError(f"is no lineage file of version {VERSION}")
    method, weights = record.get("method"), record.get("weights")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise LineageError("names no method; `lethe unlearning` writes one")
    if not isinstance(weights, str) or not _DIGEST.fullmatch(weights):
        raise LineageError("holds no digest of the weights; `lethe unlearning` writes one")
    return Lineage(found, method, weights)
