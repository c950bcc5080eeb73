"""The tokens of a prompt, as vLLM's `prompt_logprobs` tells of them. Knows no request.

Source: vLLM's API reference, chat completions, `prompt_logprobs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leakage.chat import ReplyError
from leakage.tokens import standard

_HUGE = 1e6  # no log-probability is as small, and e to that many of them is still a number
_ROUNDED = 1e-2
TOP = 20  # alternatives a token of the prompt: what vLLM tells unless it is told otherwise


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a prompt; None where nothing came.

    `standard` is its log-probability among all at its place: see `leakage.tokens`.
    """

    id: str
    logprob: float | None
    rank: int | None
    standard: float | None = None


def tokens_of(given: object) -> list[Token]:
    """The prompt's own tokens. Raises ReplyError where an entry is not as vLLM writes it."""
    if not isinstance(given, list) or not given:
        raise ReplyError("an answer without the log-probabilities that it promised")
    return [_token(position) for position in given]


def shared(one: Sequence[Token], other: Sequence[Token]) -> int:
    """How many tokens two prompts begin with alike."""
    found = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine.id != theirs.id:
            break
        found += 1
    return found


def number(told: object, key: str) -> float | None:
    """A number of an object, of a size that can be counted with; None for anything else."""
    value = told.get(key) if isinstance(told, Mapping) else None
    return float(value) if isinstance(value, float | int) and abs(value) < _HUGE else None


def logarithm(value: object) -> float:
    """A log-probability. Raises ReplyError for what is none: rounded, it may be just above 0."""
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise ReplyError("log-probabilities in an unknown form")
    if not -_HUGE < value < _ROUNDED:
        raise ReplyError("log-probabilities that are none")
    return float(value)


def _token(position: object) -> Token:
    if position is None:  # the first token has nothing before it
        return Token("", None, None)
    if not isinstance(position, Mapping) or not position:
        raise ReplyError("log-probabilities in an unknown form")
    # With `prompt_logprobs: 0` the prompt's token alone; it comes first where others follow.
    key, told = next(iter(position.items()))
    logprob = logarithm(told.get("logprob") if isinstance(told, Mapping) else None)
    rank = told.get("rank") if isinstance(told, Mapping) else None
    given = [number(each, "logprob") for each in position.values()]
    known = [each for each in given if each is not None]
    return Token(
        str(key),
        logprob,
        rank if isinstance(rank, int) else None,
        standard(logprob, known) if len(known) > 1 else None,
    )
