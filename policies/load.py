"""Folders of policy files into loaded policies, or everything that is wrong with them at once.

Knows no screen, no encoder and no network.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import classifiers
from classifiers import fold
from classifiers.lexical import LEAST
from classifiers.quotation import LEAST as QUOTED
from classifiers.verbatim import WORD
from policies.border import validate
from policies.concept import Concept, TextFile
from policies.document import Document, KeyPath, parse
from policies.lock import Lock, mismatches, orphans
from policies.lock import read as read_lock
from policies.problem import PolicyErrors, Problem
from policies.schema import Policy
from policies.texts import TextsError, read_texts, read_whole

LIBRARY = Path(__file__).parent / "library"
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ConceptTexts:
    """One concept's texts: files of exemplars and neighbours split into sentences, others whole."""

    exemplars: tuple[str, ...] = field(repr=False)
    neighbours: tuple[str, ...] = field(repr=False)
    protected: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy, where it came from, and its texts: `texts[n]` belongs to `policy.concepts[n]`.

    `digest` is the SHA-256 (hex) of everything that the policy says, the contents of its files
    included; comments, the order of keys and where a text is kept do not change it. `lock` holds
    its thresholds where it was calibrated, and belongs to the digest then.
    """

    policy: Policy
    path: Path
    texts: tuple[ConceptTexts, ...] = field(repr=False)
    digest: str
    lock: Lock | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its concepts in a screen, in order: `policy-id/Concept Name`."""
        return tuple(f"{self.policy.id}/{concept.name}" for concept in self.policy.concepts)

    @property
    def concepts(self) -> tuple[classifiers.Concept, ...]:
        """Its concepts as a screen is built from them, without what a lock says."""
        each = zip(self.keys, self.policy.concepts, self.texts, strict=True)
        return tuple(
            classifiers.Concept(
                key=key,
                # A name listed twice would be found twice.
                aliases=tuple(dict.fromkeys((concept.name, *concept.aliases))),
                exemplars=texts.exemplars,
                neighbours=texts.neighbours,
                protected=texts.protected,
                names_suffice=concept.scope == "entity",
                threshold=None if concept.threshold == "auto" else concept.threshold,
            )
            for key, concept, texts in each
        )


def load_folder(folder: Path) -> list[LoadedPolicy]:
    """Load every `*.yaml` and `*.yml` file of a folder, in order of their names.

    Raises PolicyErrors with every problem of every file.
    """
    return load([folder])


def load(sources: Iterable[Path], *, locks: bool = True) -> list[LoadedPolicy]:
    """Load folders and single files as one set. Raises PolicyErrors likewise.

    A lock beside a policy is read and must match it, as far as that can be told without an
    encoder; `locks=False` leaves locks alone.
    """
    loaded: list[LoadedPolicy] = []
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    sources = [*sources]
    paths = _files(sources, problems)
    if locks:
        problems += [found for one in sources if one.is_dir() for found in orphans(one, paths)]
    for path in paths:
        document = parse(path)
        policy, found = validate(document, Policy)
        problems += found
        if policy is None:
            continue
        if policy.id in first:
            message = f"is the id of {first[policy.id]} too; every policy needs its own"
            problems.append(document.problem(("id",), message))
        first.setdefault(policy.id, path)
        one = _resolved(policy, document, problems)
        loaded.append(_locked(one, problems) if locks else one)
    if problems:
        raise PolicyErrors(problems)
    return loaded


def _files(sources: Iterable[Path], problems: list[Problem]) -> list[Path]:
    found: dict[Path, None] = {}  # a file named twice is one file
    for source in sources:
        if source.is_dir():
            found |= dict.fromkeys(
                path
                for path in sorted(source.iterdir())
                if path.suffix in SUFFIXES and path.is_file() and not path.name.startswith(".")
            )
        elif source.is_file():
            found[source] = None
        else:
            problems.append(Problem(source, 0, 0, "", "is no file and no folder; check the path"))
    return list(found)


def _resolved(policy: Policy, document: Document, problems: list[Problem]) -> LoadedPolicy:
    problems += _contradictions(policy, document)
    texts = []
    for number, concept in enumerate(policy.concepts):
        at: KeyPath = ("concepts", number)
        resolved = ConceptTexts(
            exemplars=_texts(concept.exemplars, (*at, "exemplars"), document, problems),
            neighbours=_texts(concept.neighbours, (*at, "neighbours"), document, problems),
            protected=_texts(
                concept.protected, (*at, "protected"), document, problems, reader=read_whole
            ),
        )
        problems += _too_short(concept, resolved, (*at, "protected"), document)
        problems += _both_ways(resolved, (*at, "neighbours"), document)
        texts.append(resolved)
    return LoadedPolicy(policy, document.path, tuple(texts), _digest(policy, texts))


def _locked(loaded: LoadedPolicy, problems: list[Problem]) -> LoadedPolicy:
    """With the lock beside it, if there is one."""
    lock, found = read_lock(loaded.path)
    problems += found
    if lock is None:
        return loaded
    problems += mismatches(lock, loaded.concepts, path=loaded.path)
    digest = sha256(f"{loaded.digest}\n{lock.digest}".encode("ascii")).hexdigest()
    return replace(loaded, lock=lock, digest=digest)


def _texts(
    sources: Sequence[str | TextFile],
    at: KeyPath,
    document: Document,
    problems: list[Problem],
    *,
    reader: Callable[[Path, str], list[str]] = read_texts,
) -> tuple[str, ...]:
    """The texts behind a list, each once, in order."""
    found: dict[str, None] = {}
    for number, source in enumerate(sources):
        if isinstance(source, str):
            found[" ".join(source.split())] = None
            continue
        try:
            found |= dict.fromkeys(reader(document.path.parent, source.file))
        except TextsError as error:
            problems.append(document.problem((*at, number, "file"), str(error)))
    return tuple(found)


def _contradictions(policy: Policy, document: Document) -> Iterator[Problem]:
    """What is wrong between keys that each are right."""
    first: dict[str, int] = {}
    for number, concept in enumerate(policy.concepts):
        at: KeyPath = ("concepts", number)
        other = first.setdefault(concept.name.casefold(), number)
        if other != number:
            message = f"is the name of concepts[{other}] too; merge the two"
            yield document.problem((*at, "name"), message)
        names = {(*at, "name"): concept.name}
        names |= {(*at, "aliases", n): alias for n, alias in enumerate(concept.aliases)}
        for place, name in names.items():
            if len(fold(name).replace(" ", "")) < LEAST:
                message = f"needs at least {LEAST} letters or digits to be recognised in a text"
                yield document.problem(place, message)
    if _says_a_name(policy.release.redaction, policy.concepts):
        message = "holds a concept's name or alias, which a redaction must not say; leave it out"
        yield document.problem(("release", "redaction"), message)
    for number, wording in enumerate(policy.refusal):
        if _says_a_name(wording, policy.concepts):
            listed: KeyPath = ("refusal", number)
            message = "holds a concept's name or alias, which a refusal must not say; leave it out"
            yield document.problem(listed if listed in document.values else listed[:1], message)


def _says_a_name(wording: str, concepts: Iterable[Concept]) -> bool:
    said = f" {fold(wording)} "
    names = (fold(name) for concept in concepts for name in (concept.name, *concept.aliases))
    return any(name and f" {name} " in said for name in names)


def _both_ways(texts: ConceptTexts, at: KeyPath, document: Document) -> Iterator[Problem]:
    common = {text.casefold() for text in texts.exemplars}
    count = sum(text.casefold() in common for text in texts.neighbours)
    if count:
        message = f"{count} of its texts are exemplars too; a text is forbidden or must stay"
        yield document.problem(at, message)


def _too_short(
    concept: Concept, texts: ConceptTexts, at: KeyPath, document: Document
) -> Iterator[Problem]:
    for text in texts.protected:
        if len(WORD.findall(fold(text))) < QUOTED:
            message = f"a text of less than {QUOTED} words is an exemplar; move it there"
            yield document.problem(at, message)
    if concept.protected and not texts.protected:
        yield document.problem(at, "holds no text")


def _digest(policy: Policy, texts: Sequence[ConceptTexts]) -> str:
    said = policy.model_dump(mode="json")
    for concept, resolved in zip(said["concepts"], texts, strict=True):
        concept.update(exemplars=resolved.exemplars, neighbours=resolved.neighbours)
        concept.update(protected=resolved.protected)
    canonical = json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()
