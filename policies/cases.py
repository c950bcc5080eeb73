"""Cases of policies, in them or in files: what must be blocked and what must pass, on a screen.

Knows no HTTP and no terminal. Nothing from here belongs into a log.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from classifiers import Passage, Verdict, segment, windows
from policies.border import validate
from policies.compile import PolicySet
from policies.concept import Part
from policies.document import Document, parse
from policies.explain import spared
from policies.load import SUFFIXES, LoadedPolicy
from policies.problem import PolicyErrors, Problem
from policies.schema import Case, Cases, Policy


class CaseFile(Part):
    """Cases kept beside a policy: one file, one policy."""

    policy: str = Field(description="id of the policy that is tried")
    must_block: Cases = Field(default=(), max_length=10_000, repr=False)
    must_pass: Cases = Field(default=(), max_length=10_000, repr=False)


@dataclass(frozen=True, slots=True)
class Tried:
    """One case and what came of it: the verdict that blocks it, else the nearest, if any.

    `spared` says why a verdict that reaches its threshold does not block.
    """

    policy: LoadedPolicy
    path: Path
    key: str
    number: int
    text: str = field(repr=False)
    before: str = field(repr=False)
    blocked: bool = False
    verdict: Verdict | None = None
    spared: str = ""

    @property
    def failed(self) -> bool:
        """Whether it came out other than the policy says."""
        return self.blocked != (self.key == "must_block")


def read_cases(folder: Path, policies: PolicySet) -> tuple[list[tuple[Path, CaseFile]], int]:
    """The case files of a folder; and how many files hold conversations, which a proxy plays.

    Raises PolicyErrors with everything that is wrong in any of them.
    """
    known = {loaded.policy.id for loaded in policies.policies}
    found: list[tuple[Path, CaseFile]] = []
    problems: list[Problem] = []
    conversations = 0
    paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    for document in map(parse, paths):
        if _is_conversation(document):
            conversations += 1
            continue
        cases, wrong = validate(document, CaseFile)
        problems += wrong
        if cases is not None:
            found.append((document.path, cases))
            if cases.policy not in known:
                problems.append(document.problem(("policy",), "is no policy that was given"))
    if problems:
        raise PolicyErrors(problems)
    return found, conversations


def _is_conversation(document: Document) -> bool:
    return isinstance(document.value, dict) and "upstream" in document.value


def tried(policies: PolicySet, files: Sequence[tuple[Path, CaseFile]] = ()) -> list[Tried]:
    """Judge every case of every policy that is not off, by its own policy alone.

    A case without a question before it is judged as a prompt would be, any other as the answer.
    """
    of = {loaded.policy.id: loaded for loaded in policies.policies}
    sources: list[tuple[LoadedPolicy, Path, Policy | CaseFile]] = [
        (loaded, loaded.path, loaded.policy) for loaded in policies.policies
    ]
    sources += [(of[file.policy], path, file) for path, file in files]
    cases = [
        (loaded, path, key, number, case)
        for loaded, path, source in sources
        if loaded.policy.mode != "off"
        for key, number, case in _cases(source.must_block, source.must_pass)
    ]
    passages = [Passage(case.text, windows(segment(case.text)), case.before) for *_, case in cases]
    found = policies.screen.judge(passages)
    return [
        _tried(policies, Tried(loaded, path, key, number, case.text, case.before), verdicts)
        for (loaded, path, key, number, case), verdicts in zip(cases, found, strict=True)
    ]


def lines(tried: list[Tried]) -> Iterator[str]:
    """What failed, and a line that sums up."""
    for one in tried:
        if one.failed:
            passed = "was blocked" if one.blocked else "passed"
            yield f"{one.path}: {one.key}[{one.number}] {passed}: {_shown(one)}"
            yield f"  {_why(one)}"
    failed = sum(one.failed for one in tried)
    yield f"cases: {len(tried)}, failed: {failed}"


def _cases(block: Cases, stay: Cases) -> Iterator[tuple[str, int, Case]]:
    for key, cases in (("must_block", block), ("must_pass", stay)):
        for number, case in enumerate(cases):
            yield key, number, Case(text=case) if isinstance(case, str) else case


def _tried(policies: PolicySet, one: Tried, verdicts: tuple[Verdict, ...]) -> Tried:
    mine = [verdict for verdict in verdicts if verdict.concept in one.policy.keys]
    # Of what does not block, a sentence tells more than a name.
    best = max(mine, key=lambda v: (v.hit, v.hit or v.kind != "alias", v.score), default=None)
    why = spared(policies, best).removeprefix("none: ") if best is not None else ""
    return replace(one, blocked=best is not None and best.hit, verdict=best, spared=why)


def _shown(one: Tried) -> str:
    said = " ".join(one.text.split())
    return f"{' '.join(one.before.split())} → {said}" if one.before else said


def _why(one: Tried) -> str:
    verdict = one.verdict
    if verdict is None:
        return "nothing of the policy is near: add a name, or an exemplar that says the same"
    reason = f"; {one.spared}" if one.spared else ""
    if verdict.kind == "alias":
        return f"by the name: {verdict.matched}{reason}"
    if verdict.kind == "verbatim":
        return "it quotes a protected text"
    kept = "" if verdict.neighbour is None else f", nearest neighbour {verdict.neighbour:.3f}"
    scores = f"score {verdict.score:.3f}, threshold {verdict.threshold:.3f}{kept}"
    return f"{scores}{reason}: {verdict.matched}"
