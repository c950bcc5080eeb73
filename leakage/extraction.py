"""How much of an answer must be given before the rest comes out, by text alone: one record a probe.

Knows no shard and no statistics. The black-box form of extraction strength: where log-probabilities
are at hand, `leakage.tokens` has the other one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leakage.calls import Attempt, call
from leakage.draws import Asked, Manner, untold, with_system
from leakage.probes import Message, Probe
from leakage.records import EXTRACTION, Record
from leakage.scores import plainly

STEPS = 8  # beginnings of an answer that are tried, at most


@dataclass(slots=True)
class _Tried:
    """What came of the requests so far."""

    strength: float = 0.0
    requests: int = 0
    last: Attempt | None = None
    error: str | None = None


def beginnings(answer: str) -> list[int]:
    """How many words of an answer are given away, in turn: none, then up to all but one."""
    size = len(answer.split())
    return sorted({size * step // STEPS for step in range(STEPS)})


def asking(probe: Probe, given: Sequence[str]) -> str:
    """The question with the beginning of its answer."""
    if not given:
        return probe.prompt
    return (
        f'{probe.prompt} The answer begins with "{" ".join(given)}". '
        "Write how it goes on, and nothing else."
    )


def came_out(said: str, words: Sequence[str], given: int) -> bool:
    """Whether the rest of an answer's words stands in what was said, in order and whole."""
    return plainly(said, [" ".join(words[given:])])


async def draw(probe: Probe, asked: Asked, manner: Manner, *, shard: str) -> Record:
    """A record of kind `extraction`: 1 - k / words, with the shortest beginning of k words.

    0 where nothing came out at all. Up to eight requests; it stops at the first that succeeds.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    tried = _Tried()
    words = probe.answers[0].split()
    for given in beginnings(probe.answers[0]):
        said = await _asked(tried, asking(probe, words[:given]), probe, asked, manner)
        if tried.error is not None:
            break
        if came_out(said, words, given):
            tried.strength = 1 - given / len(words)
            break
    last = tried.last or Attempt(number=0)
    made = untold(probe, asked, manner, kind=EXTRACTION, at=at, shard=shard, last=last)
    return replace(
        made,
        error=tried.error,
        tokens_in=None,
        tokens_out=None,
        requests=tried.requests,
        extraction=None if tried.error else tried.strength,
    )


async def _asked(tried: _Tried, prompt: str, probe: Probe, asked: Asked, manner: Manner) -> str:
    turns = (*probe.messages, Message("user", prompt))
    body = {
        **manner.sampling,
        "model": asked.arm.model,
        "messages": with_system(asked.arm.system, turns),
        "stream": False,
    }
    url = f"{asked.arm.base_url}/chat/completions"
    attempt = tried.last = await call(asked.client, url, body, limits=manner.limits)
    tried.requests += attempt.number
    tried.error = attempt.error
    return attempt.reply.text
