"""The cases that stand in policies: what must be blocked and what must pass, tried on a screen.

Knows no HTTP and no terminal. Nothing from here belongs into a log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from classifiers import Passage, Verdict, segment, windows
from policies.compile import PolicySet
from policies.load import LoadedPolicy
from policies.schema import Case


@dataclass(frozen=True, slots=True)
class Tried:
    """One case and what came of it: the verdict that blocks it, else the nearest, if any."""

    policy: LoadedPolicy
    key: str
    number: int
    text: str = field(repr=False)
    before: str = field(repr=False)
    blocked: bool
    verdict: Verdict | None

    @property
    def failed(self) -> bool:
        """Whether it came out other than the policy says."""
        return self.blocked != (self.key == "must_block")


def tried(policies: PolicySet) -> list[Tried]:
    """Judge every case of every policy that is not off, by its own policy alone.

    A case without a question before it is judged as a prompt would be, any other as the answer.
    """
    cases = [
        (loaded, key, number, case)
        for loaded in policies.policies
        if loaded.policy.mode != "off"
        for key, number, case in _cases(loaded)
    ]
    passages = [Passage(case.text, windows(segment(case.text)), case.before) for *_, case in cases]
    found = policies.screen.judge(passages)
    return [
        _tried(loaded, key, number, case, verdicts)
        for (loaded, key, number, case), verdicts in zip(cases, found, strict=True)
    ]


def lines(tried: list[Tried]) -> Iterator[str]:
    """What failed, and a line that sums up."""
    for one in tried:
        if one.failed:
            passed = "was blocked" if one.blocked else "passed"
            yield f"{one.policy.path}: {one.key}[{one.number}] {passed}: {_shown(one)}"
            yield f"  {_why(one)}"
    failed = sum(one.failed for one in tried)
    yield f"cases: {len(tried)}, failed: {failed}"


def _cases(loaded: LoadedPolicy) -> Iterator[tuple[str, int, Case]]:
    for key in ("must_block", "must_pass"):
        for number, case in enumerate(getattr(loaded.policy, key)):
            yield key, number, Case(text=case) if isinstance(case, str) else case


def _tried(
    loaded: LoadedPolicy, key: str, number: int, case: Case, verdicts: tuple[Verdict, ...]
) -> Tried:
    mine = [verdict for verdict in verdicts if verdict.concept in loaded.keys]
    best = max(mine, key=lambda v: (v.hit, v.score), default=None)
    blocked = best is not None and best.hit
    return Tried(loaded, key, number, case.text, case.before, blocked, best)


def _shown(one: Tried) -> str:
    said = " ".join(one.text.split())
    return f"{' '.join(one.before.split())} → {said}" if one.before else said


def _why(one: Tried) -> str:
    verdict = one.verdict
    if verdict is None:
        return "nothing of the policy is near: add a name, or an exemplar that says the same"
    if verdict.kind == "alias":
        return f"by the name: {verdict.matched}"
    if verdict.kind == "verbatim":
        return "it quotes a protected text"
    kept = "" if verdict.neighbour is None else f", nearest neighbour {verdict.neighbour:.3f}"
    return f"score {verdict.score:.3f}, threshold {verdict.threshold:.3f}{kept}: {verdict.matched}"
