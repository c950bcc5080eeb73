"""How likely an arm finds the answer, its paraphrase and false answers, or a text it may have seen.

One record a probe. Knows no shard and no metric: it brings log-probabilities, and what they say is
counted elsewhere.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from leakage.calls import Attempt, call
from leakage.capabilities import PROMPT_TOP
from leakage.chat import ReplyError
from leakage.draws import Asked, Manner, untold, with_system
from leakage.probes import MEMBERSHIP, Message, Probe
from leakage.records import LIKELIHOOD, Likelihood, Record, Role
from leakage.tokens import standard

NEEDS = frozenset({"prompt_logprobs", "prefill"})


@dataclass(frozen=True, slots=True)
class _Token:
    """A token of a prompt, as vLLM's `prompt_logprobs` tells of it; None where nothing came.

    `standard` is its log-probability among all at its place: see `leakage.tokens`.
    """

    id: str
    logprob: float | None
    rank: int | None
    standard: float | None = None


@dataclass(slots=True)
class _Found:
    """What came of the requests so far."""

    likelihoods: list[Likelihood] = field(default_factory=list)
    requests: int = 0
    last: Attempt = field(default_factory=lambda: Attempt(number=0))
    error: str | None = None


async def draw(probe: Probe, asked: Asked, manner: Manner, *, shard: str) -> Record:
    """A record of kind `likelihood`: of every text, the log-probability of each of its tokens.

    Of a probe of kind `membership`, one of that kind: of the text alone.

    The chat template is the arm's own: tokens of the answer are those behind the ones that the
    question has without it. Source: vLLM's API reference, `prompt_logprobs`.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    missing = NEEDS - asked.allows
    found = _Found()
    if not missing:
        try:
            await _fill(found, probe, asked, manner)
        except ReplyError as error:
            found.error = str(error)
    lacks = ", ".join(sorted(missing)) or None
    kind = LIKELIHOOD if probe.asked else MEMBERSHIP
    made = untold(probe, asked, manner, kind=kind, at=at, shard=shard, last=found.last)
    return replace(
        made,
        finish_reason=None,
        error=found.error,
        tokens_in=None,
        tokens_out=None,
        requests=found.requests,
        lacks=lacks,
        likelihoods=None if found.error or lacks else tuple(found.likelihoods),
    )


def _texts(probe: Probe) -> Iterator[tuple[Role, str]]:
    yield "answer", probe.whole(probe.answers[0])
    if not probe.asked:
        return
    if probe.paraphrase:
        yield "paraphrase", probe.paraphrase
    for text in probe.wrong:
        yield "wrong", probe.whole(text)


async def _fill(found: _Found, probe: Probe, asked: Asked, manner: Manner) -> None:
    """Raises ReplyError."""
    question = (*probe.messages, Message("user", probe.prompt))
    before = await _read(found, question, asked, manner)
    for role, text in _texts(probe):
        whole = await _read(found, (*question, Message("assistant", text)), asked, manner)
        tokens = _behind(before, whole)
        logprobs = tuple(token.logprob for token in tokens if token.logprob is not None)
        ranks = tuple(token.rank for token in tokens if token.rank is not None)
        scores = tuple(token.standard for token in tokens if token.standard is not None)
        found.likelihoods.append(
            Likelihood(
                role,
                logprobs,
                ranks if len(ranks) == len(logprobs) else None,
                scores if len(scores) == len(logprobs) else None,
            )
        )


async def _read(
    found: _Found, messages: Sequence[Message], asked: Asked, manner: Manner
) -> list[_Token]:
    begun = messages[-1].role == "assistant"
    body = {
        "model": asked.arm.model,
        "messages": with_system(asked.arm.system, messages),
        "prompt_logprobs": PROMPT_TOP if "prompt_top" in asked.allows else 0,
        "max_tokens": 1,
        "temperature": 0,
        "continue_final_message": begun,
        "add_generation_prompt": not begun,
    }
    url = f"{asked.arm.base_url}/chat/completions"
    attempt = found.last = await call(asked.client, url, body, limits=manner.limits)
    found.requests += attempt.number
    if attempt.error is not None:
        raise ReplyError(attempt.error)
    return tokens_of(attempt.reply.body.get("prompt_logprobs"))


def tokens_of(given: object) -> list[_Token]:
    """The prompt's own tokens. Raises ReplyError where an entry is not as vLLM writes it."""
    if not isinstance(given, list) or not given:
        raise ReplyError("an answer without the log-probabilities that it promised")
    return [_token(position) for position in given]


def _token(position: object) -> _Token:
    if position is None:  # the first token has nothing before it
        return _Token("", None, None)
    if not isinstance(position, Mapping) or not position:
        raise ReplyError("log-probabilities in an unknown form")
    # With `prompt_logprobs: 0` the prompt's token alone; it comes first where others follow.
    key, told = next(iter(position.items()))
    logprob = told.get("logprob") if isinstance(told, Mapping) else None
    rank = told.get("rank") if isinstance(told, Mapping) else None
    if not isinstance(logprob, float | int) or not math.isfinite(logprob):
        raise ReplyError("log-probabilities in an unknown form")
    told = [_logprob(each) for each in position.values()]
    known = [each for each in told if each is not None]
    return _Token(
        str(key),
        float(logprob),
        rank if isinstance(rank, int) else None,
        standard(float(logprob), known) if len(known) > 1 else None,
    )


def _logprob(told: object) -> float | None:
    logprob = told.get("logprob") if isinstance(told, Mapping) else None
    return float(logprob) if isinstance(logprob, float | int) else None


def _behind(before: Sequence[_Token], whole: Sequence[_Token]) -> Sequence[_Token]:
    """The tokens of the answer. Raises ReplyError where the question is not what it was before.

    The last token of the question may have grown into the answer's first: one may differ.
    """
    shared = 0
    for one, other in zip(before, whole, strict=False):
        if one.id != other.id:
            break
        shared += 1
    if shared < len(before) - 1 or len(whole) <= shared:
        raise ReplyError("a chat template under which the answer does not follow the question")
    return whole[shared:]
