"""Which option an arm finds likeliest: by its letter and by its text. One record a question.

Knows no shard and no statistics. What an arm *says* it chooses is a draw like any other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from leakage.chat import ReplyError
from leakage.choices import LETTERS, unlisted
from leakage.continuations import Asking
from leakage.draws import Asked, Manner
from leakage.probes import Message, Probe
from leakage.prompt_tokens import Token
from leakage.records import CHOOSING, Record

LACKS = "logprobs, or prompt_logprobs and prefill, or echo"

_CHAT = frozenset({"prompt_logprobs", "prefill"})
_BARE = frozenset({"completions", "echo"})
_AROUND = " \t\r\n.,:;()[]*\"'"  # what may stand around a letter in one token


async def draw(probe: Probe, asked: Asked, manner: Manner, *, shard: str) -> Record:
    """A record of kind `choosing`: whether the likeliest letter and the likeliest text are right.

    The letter of the probe's own prompt: by the first token of the answer, else by
    `prompt_logprobs`, else by an echo behind "Answer:". The text without the listed options: by
    log-probability a byte, as lm-eval's `acc_norm`. None where the arm does not say or ties.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    asking = Asking(asked, manner)
    letter = text = error = None
    able = "logprobs" in asked.allows or asked.allows >= _CHAT or asked.allows >= _BARE
    if able:
        try:
            letter, text = await _by_letter(probe, asking), await _by_text(probe, asking)
        except ReplyError as failed:
            error = str(failed)
    return replace(
        asking.record(probe, kind=CHOOSING, at=at, shard=shard, error=error),
        lacks=None if able else LACKS,
        options=len(probe.choices),
        by_letter=_right(probe, letter) if error is None else None,
        by_text=_right(probe, text) if error is None else None,
    )


def letters_of(first: Mapping[str, float], count: int) -> list[float | None]:
    """The log-probability of each letter, over every token that spells it; None: it is not told."""
    found: list[float | None] = []
    for letter in LETTERS[:count]:
        told = [logprob for token, logprob in first.items() if token.strip(_AROUND) == letter]
        found.append(math.log(sum(map(math.exp, told))) if told else None)
    return found


def likeliest(given: Sequence[float | None]) -> int | None:
    """The place of the largest; None where nothing is told, or where two are the largest."""
    known = [value for value in given if value is not None]
    best = max(known, default=None)
    return given.index(best) if known and known.count(best or 0.0) == 1 else None


def _right(probe: Probe, at: int | None) -> bool | None:
    return None if at is None else probe.choices[at] in probe.answers


async def _by_letter(probe: Probe, asking: Asking) -> int | None:
    """Raises ReplyError."""
    allows, question = asking.asked.allows, (*probe.messages, Message("user", probe.prompt))
    letters = LETTERS[: len(probe.choices)]
    if "logprobs" in allows:
        # The likeliest are told, so that the likeliest letter is among them if any is.
        found = likeliest(letters_of(await asking.first(question), len(letters)))
        if found is not None:
            return found
    if allows >= _CHAT:
        return likeliest([_sum(tokens) for tokens in await asking.behind(question, letters)])
    if allows >= _BARE:
        told = await asking.echoed(_bare(probe, probe.prompt, asking), [f" {x}" for x in letters])
        return likeliest([math.fsum(each) for each in told])
    return None


async def _by_text(probe: Probe, asking: Asking) -> int | None:
    """Raises ReplyError."""
    allows, prompt = asking.asked.allows, unlisted(probe.prompt, probe.choices)
    texts = [probe.whole(text) for text in probe.choices]
    sizes = [len(text.encode()) for text in texts]
    if allows >= _CHAT:
        question = (*probe.messages, Message("user", prompt))
        sums = [_sum(tokens) for tokens in await asking.behind(question, texts)]
    elif allows >= _BARE:
        told = await asking.echoed(_bare(probe, prompt, asking), [f" {text}" for text in texts])
        sums = [math.fsum(each) for each in told]
    else:
        return None
    return likeliest([total / size for total, size in zip(sums, sizes, strict=True)])


def _sum(tokens: Sequence[Token]) -> float:
    return math.fsum(token.logprob for token in tokens if token.logprob is not None)


def _bare(probe: Probe, prompt: str, asking: Asking) -> str:
    """A chat's texts below each other, for an API without a chat."""
    before = [asking.asked.arm.system, *(turn.content for turn in probe.messages)]
    return "\n\n".join([*(text for text in before if text), f"{prompt}\nAnswer:"])
