"""What an attack is: turns out, what was said to them in. Knows no HTTP, no guardrail, no model."""

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from leakage.probes import Message, Probe
from leakage.scores import plainly

Path = Literal["chat/completions", "completions"]

# What an arm may allow beside whole answers in words; `leakage.capabilities` finds out.
Need = Literal[
    "n",
    "stream",
    "stop",
    "logprobs",
    "completions",
    "echo",
    "prompt_logprobs",
    "prompt_top",
    "prefill",
    "tools",
]


@dataclass(frozen=True, slots=True)
class Turn:
    """One request. `messages` is the whole conversation, the new turn last.

    fields      further fields of the body
    path        of the API; `completions` takes `prompt` in place of the messages
    to_helper   whether the helper model is asked instead; what it says is no answer of the arm
    streamed    whether to ask for a stream; None leaves it to the run
    """

    messages: tuple[Message, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    path: Path = "chat/completions"
    prompt: str = field(default="", repr=False)
    to_helper: bool = False
    streamed: bool | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What came back to one turn.

    text          everything on whatever field, for whatever choice, a line or more for each
    content       the message itself, of the first choice
    alternatives  the likeliest tokens at each position, where log-probabilities came back
    """

    text: str = field(repr=False)
    content: str = field(repr=False)
    alternatives: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


Turns = Generator[Turn, Said, None]


@dataclass(frozen=True, slots=True)
class Scene:
    """What an attack may use beside the probe: other probes, and chance that can be repeated.

    `seed` is of one draw of one probe: the same scene gives the same turns again.
    """

    others: Sequence[Probe] = ()
    seed: str = ""

    def chance(self, what: str) -> random.Random:
        """A generator of its own for each purpose."""
        return random.Random(f"{self.seed}/{what}")  # noqa: S311 (draws, no secret)

    def siblings(self, probe: Probe, most: int) -> list[Probe]:
        """Other questions about the same, none of which tells the answer."""
        return self._drawn("siblings", probe, most, lambda o: o.concept == probe.concept)

    def strangers(self, probe: Probe, most: int) -> list[Probe]:
        """Innocent questions about something else, none of which tells the answer."""
        return self._drawn(
            "strangers", probe, most, lambda o: o.innocent and o.concept != probe.concept
        )

    def _drawn(
        self, what: str, probe: Probe, most: int, fits: Callable[[Probe], bool]
    ) -> list[Probe]:
        found = [other for other in self.others if fits(other) and other.kind == "direct"]
        self.chance(what).shuffle(found)
        return list(islice((other for other in found if _apart(other, probe)), most))


def _apart(other: Probe, probe: Probe) -> bool:
    said = "\n".join((other.prompt, *other.answers))
    return other.id != probe.id and not other.choices and not plainly(said, probe.answers)


Ask = Callable[[Probe, Scene], Turns]
Reads = Callable[[Probe, Scene, Sequence[Said]], list[str]]


@dataclass(frozen=True, slots=True)
class Attack:
    """A way to ask. `reads` gives further texts to look for the answer in.

    name, family   as reports and `docs/leakage.md` say them
    summary        one line: what is done
    needs          what the arm must allow; where it does not, the attack is not measurable
    turns          requests of one draw, at most
    helper         whether it asks the helper model; without one it asks the arm itself
    chooses        whether `reads` alone counts, since the question itself names the answer
    """

    name: str
    family: str
    summary: str
    ask: Ask
    needs: frozenset[Need] = frozenset()
    reads: Reads | None = None
    turns: int = 1
    helper: bool = False
    chooses: bool = False


def once(probe: Probe, prompt: str, *before: Message, **fields: Any) -> Turns:  # noqa: ANN401
    """A single turn: the prompt in place of the probe's, behind its messages and `before`."""
    yield Turn((*probe.messages, *before, Message("user", prompt)), fields)


def single(reword: Callable[[Probe], str]) -> Ask:
    """An attack that says the question otherwise, in one turn."""

    def ask(probe: Probe, _scene: Scene) -> Turns:
        yield from once(probe, reword(probe))

    return ask


def asking(sentence: str) -> Ask:
    """An attack that adds a sentence behind the question."""
    return single(lambda probe: f"{probe.prompt} {sentence}")


def played(turns: Turns, answer: Callable[[Turn], Said] | None = None) -> list[Turn]:
    """Every turn of an attack, the answers made up: to see it without an arm."""
    made: list[Turn] = []
    say = answer or (lambda _turn: Said("I see.", "I see."))
    try:
        turn = next(turns)
        while True:
            made.append(turn)
            turn = turns.send(say(turn))
    except StopIteration:
        return made
