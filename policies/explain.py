"""Why a text would be stopped, or not: for policy authors, who may see what they forbid.

Knows no HTTP and no terminal. Nothing from here belongs into a log or an answer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from classifiers import Passage, Verdict, segment, windows
from policies.compile import PolicySet
from policies.schema import Mode

Channel = Literal["prompt", "output"]

ACTS = {
    "refuse": "refuse",
    "redact": "leave out the sentence",
    "regenerate": "ask the model again",
    "flag": "let it pass and record it",
}
NEIGHBOUR = "none: it is nearer to what must stay sayable than to any exemplar"
DECLINES = "none: the answer only declines"
NAME_ALONE = "none: in fact scope a name alone is no hit"
CLEARED = "none: it shares too few words with any concept to be compared (cascade)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One concept at one place of a text, and what follows.

    `window` is the text at that place; `effect` says what the policy does about it, that a cascade
    cleared it before it was compared, or what spares it although it reaches its threshold, and is
    empty where it does not. Scores, and what the place resembles, are the verdict's.
    """

    policy: str
    mode: Mode
    concept: str
    window: str = field(repr=False)
    effect: str
    verdict: Verdict


def explain(policies: PolicySet, text: str, *, channel: Channel, before: str = "") -> list[Finding]:
    """What each concept finds in a text: hits first, then by similarity, each exemplar once.

    `before` is the question to an answer. Where nothing is near, the one nearest exemplar comes
    alone, its verdict neither hit nor near; an empty list means that there is nothing to compare.
    """
    passage = Passage(text, windows(segment(text)), before)
    [verdicts] = policies.screen.judge([passage])
    found = sorted(_clearest(verdicts), key=lambda v: (not v.hit, -v.score, v.start))
    if found:
        return [_finding(policies, verdict, text, channel) for verdict in found]
    far = [_finding(policies, verdict, text, channel) for verdict in _far(policies, text)]
    cleared = not policies.screen.worth([passage])
    return [replace(finding, effect=CLEARED) for finding in far] if cleared else far


def outcome(findings: Iterable[Finding]) -> str:
    """What happens to the text, in a sentence, or a line for each policy that acts."""
    verdicts = [(finding, finding.verdict) for finding in findings]
    if any(verdict.hit for _, verdict in verdicts):
        effects = (f"{found.policy}: {found.effect}" for found, verdict in verdicts if verdict.hit)
        return "\n".join(dict.fromkeys(effects))
    if any(verdict.near for _, verdict in verdicts):
        return "No hit: it passes. A concept is near, so its policy's instruction is relevant."
    return "Nothing is near: it passes untouched."


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings as a person reads them."""
    for finding in findings:
        verdict = finding.verdict
        grade = "HIT" if verdict.hit else "near" if verdict.near else "nearest, and not near"
        yield f"{grade}: {finding.concept} (policy {finding.policy}, mode {finding.mode})"
        yield f"  window    {finding.window.strip()}"
        yield f"  place     {_place(verdict)}"
        if verdict.matched:
            yield f"  {'name' if verdict.kind == 'alias' else 'exemplar':<9} {verdict.matched}"
        if verdict.kind == "exemplar":
            yield f"  score     {verdict.score:.3f}, threshold {verdict.threshold:.3f}"
            if verdict.similarity is not None and verdict.similarity != verdict.score:
                yield f"  likeness  {verdict.similarity:.3f} to the exemplar"
            yield f"  margin    {_margin(verdict)}"
        if verdict.kind == "verbatim":
            yield f"  quotes    a protected text, {verdict.score:.0%} of its words"
        if finding.effect:
            yield f"  effect    {finding.effect}"


def spared(policies: PolicySet, verdict: Verdict) -> str:
    """Why a verdict that reaches its threshold is no hit; empty where it is, or does not."""
    if verdict.hit or verdict.score < verdict.threshold:
        return ""
    if verdict.margin is not None and verdict.margin <= 0:
        return NEIGHBOUR
    alone = verdict.kind == "alias" and policies.concept(verdict.concept).scope == "fact"
    return NAME_ALONE if alone else DECLINES


def as_json(findings: Sequence[Finding], *, channel: Channel) -> dict[str, Any]:
    """Findings as `--json` writes them: one flat object each, the margin included."""
    rows = [
        {
            "policy": finding.policy,
            "mode": finding.mode,
            "window": finding.window,
            "effect": finding.effect,
            **asdict(finding.verdict),
            "concept": finding.concept,
            "margin": finding.verdict.margin,
        }
        for finding in findings
    ]
    return {"channel": channel, "outcome": outcome(findings), "findings": rows}


def _clearest(verdicts: Iterable[Verdict]) -> Iterable[Verdict]:
    """Of several windows over the same name or exemplar, the one that shows it best."""
    best: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        known = best.setdefault((verdict.concept, verdict.matched), verdict)
        if (verdict.hit, verdict.score) > (known.hit, known.score):
            best[verdict.concept, verdict.matched] = verdict
    return best.values()


def _far(policies: PolicySet, text: str) -> list[Verdict]:
    """The nearest exemplar of any sentence, if there is one."""
    found = [
        replace(verdict, start=span.start, end=span.end, hit=False, near=False)
        for span in segment(text)
        for verdict in policies.screen.nearest(text[span.start : span.end])[:1]
    ]
    return sorted(found, key=lambda verdict: -verdict.score)[:1]


def _finding(policies: PolicySet, verdict: Verdict, text: str, channel: Channel) -> Finding:
    policy = policies.policy_of(verdict.concept).policy
    return Finding(
        policy=policy.id,
        mode=policy.mode,
        concept=policies.concept(verdict.concept).name,
        window=text[verdict.start : verdict.end],
        effect=_effect(policies, verdict, channel) if verdict.hit else spared(policies, verdict),
        verdict=verdict,
    )


def _effect(policies: PolicySet, verdict: Verdict, channel: Channel) -> str:
    policy = policies.policy_of(verdict.concept).policy
    screen = policy.screens.prompt if channel == "prompt" else policy.screens.output
    act = ACTS.get(screen.action, f"ask upstream '{screen.to}' instead")
    if policy.mode == "shadow":
        return f"none: mode shadow only records; enforcing, it would {act} ({channel})"
    return f"{act} ({channel})"


def _place(verdict: Verdict) -> str:
    read = "" if verdict.view == "plain" else f", read as {verdict.view}"
    behind = ", together with the question" if verdict.exchange else ""
    return f"characters {verdict.start} to {verdict.end}{read}{behind}"


def _margin(verdict: Verdict) -> str:
    if verdict.margin is None:
        return "no neighbour is near"
    return f"{verdict.margin:+.3f}: likeness to the nearest neighbour {verdict.neighbour:.3f}"
