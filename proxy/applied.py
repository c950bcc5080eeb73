"""The policies that apply to one request: what they look for, what follows, what they inject.

Knows no HTTP and no wire format. Judging fails closed unless every enforcing policy says otherwise.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from classifiers import Passage, Verbatim, Verdict, segment
from policies import LoadedPolicy, PolicySet
from proxy.choices import Action, Bounds, Consequence, Seen
from proxy.exchange import Body, Format, Request
from proxy.inject import REFUSALS, STRONGER, Known, grouped, instruction, refusal
from proxy.screening import Verdicts

log = logging.getLogger("lethe")

INSTRUCTION = "instruction"  # the concept of a verdict on injected text that comes back
RUN = 6  # words in a row that count as repeating the instruction
LONGEST_RUN = 80  # characters that such a run may need to show itself
REMINDER = 200  # characters of the prompt that answers are judged behind, beside the question


class Judging(Protocol):
    """Whatever gives verdicts on passages: see `Screening.judge`."""

    async def judge(self, passages: Sequence[Passage]) -> list[Verdicts]:
        """Verdicts for each passage, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Treatment:
    """What policies may do to a request. In live traffic everything; arms of comparisons differ.

    Without `screen` nothing is acted on: verdicts are noted, and of the answer, unless it is
    `bare`, the sentences that enforcing policies hit are left out. Without `pretend` nothing is
    injected.
    """

    screen: bool = True
    pretend: bool = True
    bare: bool = False


LIVE = Treatment()


class Applied:
    """The policies of one request, enforcing and shadow, over one screen."""

    def __init__(
        self,
        policies: Sequence[LoadedPolicy],
        *,
        compiled: PolicySet,
        screening: Judging,
        question: str,
        treatment: Treatment = LIVE,
    ) -> None:
        self.policies = tuple(policies)
        self.enforcing = [p for p in policies if p.policy.mode == "enforce"]
        self.failed_open = 0
        self.injected = 0
        self._compiled = compiled
        self._screening = screening
        self._question = question
        self._treatment = treatment
        self._reminder = ""
        self._ids = {p.policy.id for p in policies}
        self._instruction: Verbatim | None = None

    @property
    def allowed(self) -> set[str]:
        """Side channels that every enforcing policy allows by name."""
        allowed: list[set[str]] = [set(p.policy.allow) for p in self.enforcing]
        return set.intersection(*allowed) if allowed else set()

    @property
    def fails_open(self) -> bool:
        """Whether a request goes on when the screen cannot answer."""
        return bool(self.enforcing) and all(p.policy.on_error == "pass" for p in self.enforcing)

    @property
    def asks_again(self) -> bool:
        """Whether an answer may be thrown away whole, and so must be complete before it leaves."""
        actions = {p.policy.screens.output.action for p in self.enforcing}
        return self._treatment.screen and bool(actions & {"regenerate", "reroute"})

    @property
    def attempts(self) -> int:
        """How often a model is asked again before its answer is refused."""
        outputs = [p.policy.screens.output for p in self.enforcing]
        return max((o.attempts if o.action == "regenerate" else 1 for o in outputs), default=0)

    @property
    def question(self) -> str:
        """What an answer is judged behind: the last question, or what came near and its end."""
        return self._behind(self._question)

    def question_of(self, request: Request, choice: int) -> str:
        """The same for one choice, which may answer a question of its own."""
        own = request.questions
        return self._behind(own[choice]) if choice < len(own) else self.question

    def _behind(self, question: str) -> str:
        if not self._reminder:
            return question
        last = "".join(question[s.start : s.end] for s in segment(question)[-1:]).strip()
        # Said twice without an end between, it would be one long sentence that nothing resembles.
        runs_on = len(segment(f"{last} {last}")) == 1
        return self._reminder if runs_on and last in self._reminder else f"{self._reminder} {last}"

    def remember(self, near: Iterable[str]) -> None:
        """Sentences of the prompt that came near a concept: the real question may be among them."""
        kept: dict[str, None] = {}
        for sentence in near:
            kept[sentence] = None
            if sum(map(len, kept)) >= REMINDER:
                break
        self._reminder = " ".join(kept)[:REMINDER]

    @property
    def longest(self) -> int:
        """Folded characters of the longest text that is looked for."""
        longest = self._compiled.screen.longest
        return max(longest, LONGEST_RUN) if self._instruction else longest

    def bounds(self) -> Bounds:
        """The tightest of the policies' release settings."""
        releases = [p.policy.release for p in self.enforcing]
        return Bounds(
            longest=self.longest,
            max_segment=min((r.max_segment for r in releases), default=400),
            max_held=min((r.max_held for r in releases), default=8000),
        )

    async def judge(self, passages: Sequence[Passage]) -> list[Verdicts]:
        """Verdicts of the policies that apply, with those on injected text that comes back.

        Raises what the screen raises, unless every enforcing policy passes on errors.
        """
        try:
            judged = await self._screening.judge(passages)
        except Exception as error:
            if not self.fails_open:
                raise
            self.failed_open += 1
            # Without the traceback: its message could quote the text.
            log.error("screen failed, passing as the policies say: %s", type(error).__name__)  # noqa: TRY400
            judged = [()] * len(passages)
        mine = [self._mine(verdicts) for verdicts in judged]
        if self._instruction is None:
            return mine
        repeated = await asyncio.to_thread(_repeated, self._instruction, passages)
        return [(*one, *other) for one, other in zip(mine, repeated, strict=True)]

    def output_consequence(self, verdict: Verdict) -> Consequence:
        """What follows from a hit in what the model says."""
        return self._consequence(verdict, channel="output")

    def final_consequence(self, verdict: Verdict) -> Consequence:
        """The same where no further attempt is left: asking again becomes a refusal."""
        consequence = self.output_consequence(verdict)
        if consequence.action in ("regenerate", "reroute"):
            return replace(consequence, action="refuse")
        return consequence

    def would(self, verdict: Verdict, *, channel: str) -> Action:
        """What the verdict's policy would do, were it enforcing."""
        screens = self._compiled.policy_of(verdict.concept).policy.screens
        action: Action = (screens.prompt if channel == "prompt" else screens.output).action
        return action

    def prompt_consequence(self, verdict: Verdict) -> Consequence:
        """What follows from a hit in what goes in."""
        return self._consequence(verdict, channel="prompt")

    def around(self, verdict: Verdict) -> bool:
        """Whether what an earlier turn says is left out and the rest of the talk answered."""
        policy = self._compiled.policy_of(verdict.concept).policy
        return policy.screens.prompt.history == "around"

    def refusal(self) -> str:
        """The words for a refusal that no verdict stands behind."""
        own = next((p.policy.refusal for p in self.enforcing if p.policy.refusal), None)
        return refusal(own or REFUSALS, self._question)

    def instruct(
        self, body: Body, seen: Iterable[Seen], *, wire: Format, stronger: bool = False
    ) -> Body:
        """Add the instructions for the concepts that are near; none near, the body is returned.

        What is added is looked for in the answer from then on.
        """
        near = {item.verdict.concept for item in seen if item.verdict.near}
        texts = []
        self.injected = 0
        if not self._treatment.pretend:
            return body
        for loaded in self.enforcing:
            text = self._instruction_of(loaded, near)
            if text:
                texts.append(text)
                self.injected += len(text)
                placement = loaded.policy.instruction.placement
                body = wire.instruct(body, f"{text}\n{STRONGER}" if stronger else text, placement)
        if texts:
            added = [*texts, STRONGER] if stronger else texts
            self._instruction = Verbatim(added, words=RUN)
        return body

    def _instruction_of(self, loaded: LoadedPolicy, near: set[str]) -> str:
        wanted = loaded.policy.instruction
        template = wanted.text or wanted.template
        if template == "none":
            return ""
        known = {
            key: Known(concept.name, tuple(concept.aliases))
            for key in near & set(loaded.keys)
            for concept in [self._compiled.concept(key)]
        }
        return instruction(template, grouped(known, loaded.keys)) if known else ""

    def _mine(self, verdicts: Verdicts) -> Verdicts:
        return tuple(
            v for v in verdicts if self._compiled.policy_of(v.concept).policy.id in self._ids
        )

    def _consequence(self, verdict: Verdict, *, channel: str) -> Consequence:
        if verdict.concept == INSTRUCTION:
            bare = self._treatment.bare and not self._treatment.screen
            return Consequence("flag" if bare else "refuse", self.refusal())
        policy = self._compiled.policy_of(verdict.concept).policy
        screen = policy.screens.prompt if channel == "prompt" else policy.screens.output
        # A policy in shadow shows what it would have done and does nothing.
        action: Action = screen.action if policy.mode == "enforce" else "flag"
        if not self._treatment.screen:
            action = self._unscreened(action, channel=channel)
        words = refusal(policy.refusal or REFUSALS, self._question)
        return Consequence(action, words, policy.release.redaction, screen.to, screen.on_down)

    def _unscreened(self, action: Action, *, channel: str) -> Action:
        """What an arm without a screen does: nothing, but that an answer may not be shown whole."""
        shown = channel == "prompt" or self._treatment.bare or action == "flag"
        return "flag" if shown else "redact"


def _repeated(instruction: Verbatim, passages: Sequence[Passage]) -> list[Verdicts]:
    """Verdicts on injected text that comes back, for each passage."""
    return [
        tuple(
            Verdict(INSTRUCTION, "verbatim", span.start, span.end, 1.0, 1.0, hit=True, near=True)
            for span in instruction.find(passage.text)
        )
        for passage in passages
    ]
