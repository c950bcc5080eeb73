"""The lock beside a policy: thresholds that were calibrated, and everything they hold for.

Knows no encoder, no score and no YAML. It holds digests and numbers, none of the policy's texts.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from classifiers import Concept
from classifiers.combine import digest as weights_digest
from classifiers.screen import VERSION as SCREEN
from policies.border import validate
from policies.concept import Part, Scope
from policies.document import Document, Position
from policies.problem import Problem
from policies.texts import TextsError, content

SUFFIX = ".lock.json"
VERSION = 1
# What a concept's threshold is: of all evidence, of a cosine similarity, of one that the policy
# names, or of none because names or quotations alone decide.
Decides = Literal["score", "similarity", "policy", "names"]

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Rate = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=0)]


class Counted(Part):
    """`k` of `n`, and the one-sided Clopper-Pearson bound: from below for what is caught."""

    k: Number
    n: Number
    bound: Rate


class Targets(Part):
    """Shares of responses that may be stopped; null: any. Confidence null: on average."""

    neighbours: Rate | None
    traffic: Rate | None
    confidence: Rate | None


class Measured(Part):
    """The harmless responses: whose, their digest, and those that any of the concepts stops."""

    given: bool
    sha256: Digest
    stopped: Counted


class Entry(Part):
    """One concept: digests of what its scores follow from, and the threshold."""

    concept: Digest
    names: Digest
    exemplars: Digest
    neighbours: Digest
    protected: Digest
    scope: Scope
    decides: Decides
    threshold: Rate | None
    forbidden_caught: Counted
    neighbours_stopped: Counted
    traffic_stopped: Counted


class Lock(Part):
    """What stands in a lock file. `digest` is the SHA-256 of the rest."""

    version: Literal[1]
    made_by: str
    date: str
    encoder: str
    screen: Number
    weights: Digest | None
    confidence: Rate
    targets: Targets
    traffic: Measured
    concepts: tuple[Entry, ...]
    digest: Digest

    def thresholds(self, decides: Decides) -> dict[str, float]:
        """`called` → threshold of the concepts that are decided in this way."""
        return {
            entry.concept: entry.threshold
            for entry in self.concepts
            if entry.decides == decides and entry.threshold is not None
        }


def beside(policy: Path) -> Path:
    """Where the lock of a policy file stands."""
    return policy.with_suffix(SUFFIX)


def called(concept: Concept) -> str:
    """The digest that stands for a concept's name."""
    return _digest(concept.aliases[0])


def parts(concept: Concept) -> dict[str, Any]:
    """What a lock holds of a concept, apart from what was measured."""
    return {
        "concept": called(concept),
        "names": _digest(concept.aliases),
        "exemplars": _digest(concept.exemplars),
        "neighbours": _digest(concept.neighbours),
        "protected": _digest(concept.protected),
        "scope": "entity" if concept.names_suffice else "fact",
    }


def sealed(said: dict[str, Any]) -> Lock:
    """A lock of everything but its version, screen, and digest, which are added."""
    whole = {"version": VERSION, "screen": SCREEN, **said}
    return Lock.model_validate({**whole, "digest": _digest(whole)})


def read(policy: Path) -> tuple[Lock | None, list[Problem]]:
    """Read the lock of a policy file strictly. Problems are empty, or there is no lock.

    None, and no problem, where no lock stands there.
    """
    path, renew = beside(policy), _renew(policy)
    # A link that leads nowhere is a lock that cannot be read, and not none.
    if not path.exists() and not path.is_symlink():
        return None, []
    try:
        value = json.loads(content(path), object_pairs_hook=_once)
    except TextsError as error:
        return None, [_problem(path, str(error))]
    except (ValueError, RecursionError):
        return None, [_problem(path, f"is no JSON, or names a key twice; {renew}")]
    if isinstance(value, dict) and value.get("version") != VERSION:
        return None, [_problem(path, f"is of another version than {VERSION}; {renew}")]
    lock, problems = validate(Document(path, value, values={(): Position(0, 0)}), Lock)
    if lock is not None and lock.digest != _digest(_without(value, "digest")):
        return None, [_problem(path, f"was changed by hand; {renew}")]
    return lock, problems


def orphans(folder: Path, policies: Iterable[Path]) -> Iterator[Problem]:
    """Locks of a folder that no policy file has: a renamed one would lose its calibration."""
    locks = {beside(policy) for policy in policies}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path not in locks and not path.name.startswith("."):
            policy = f"{path.name.removesuffix(SUFFIX)}.yaml"
            advice = "rename it with its policy, or delete it"
            yield _problem(path, f"locks nothing: there is no {policy}; {advice}")


def mismatches(lock: Lock, concepts: Iterable[Concept], *, path: Path) -> Iterator[Problem]:
    """Everything in which a lock differs from the policy in `path` and from this program."""
    at, renew = beside(path), _renew(path)
    if lock.screen != SCREEN:
        message = f"version {lock.screen} of views, windows and scores, this is {SCREEN}; {renew}"
        yield _problem(at, message, key="screen")
    if lock.weights not in (None, weights_digest()):
        yield _problem(at, f"evidence is weighed otherwise by now; {renew}", key="weights")
    known = {entry.concept: entry for entry in lock.concepts}
    for number, concept in enumerate(concepts):
        key = f"concepts[{number}]"
        entry = known.pop(called(concept), None)
        if entry is None:
            yield _problem(at, f"was added or renamed since calibration; {renew}", key=key)
            continue
        for part, now in parts(concept).items():
            if getattr(entry, part) != now:
                yield _problem(at, f"changed since calibration; {renew}", key=f"{key}.{part}")
        if _given(entry) != concept.threshold:
            yield _problem(at, f"changed since calibration; {renew}", key=f"{key}.threshold")
    if known:
        message = f"{len(known)} of them are not in the policy any more; {renew}"
        yield _problem(at, message, key="concepts")


def other_encoder(lock: Lock, fingerprint: str, *, path: Path) -> Problem | None:
    """What is wrong where the policy in `path` meets another encoder than its lock's."""
    if lock.encoder == fingerprint:
        return None
    message = (
        f"calibrated with {lock.encoder}, this is {fingerprint}; use that encoder, or run "
        f"`lethe policy calibrate {path} --encoder …` to renew it for this one"
    )
    return _problem(beside(path), message, key="encoder")


def write(lock: Lock, path: Path) -> None:
    """Put a lock there whole: what stood there stays until the new one does. Raises OSError."""
    waiting = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        waiting.write_text(json.dumps(lock.model_dump(mode="json"), indent=1) + "\n", "utf-8")
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)


def _given(entry: Entry) -> float | None:
    return entry.threshold if entry.decides == "policy" else None


def _digest(said: object) -> str:
    canonical = json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _without(said: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != key}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _problem(path: Path, message: str, *, key: str = "") -> Problem:
    return Problem(path, 0, 0, key, message)


def _renew(policy: Path) -> str:
    return f"run `lethe policy calibrate {policy}` to renew it"
