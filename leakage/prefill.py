"""Whether an arm goes on from an answer that was begun for it, by what it does. Knows no attack.

What it says of itself counts nothing, and neither does a plausible next word: many a model that
begins a new turn says one. It is None where it cannot be told.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leakage.calls import Attempt
from leakage.chat import ReplyError
from leakage.prompt_tokens import Token, shared, tokens_of

Ask = Callable[[Mapping[str, Any]], Awaitable[Attempt]]

_GO_ON = {"continue_final_message": True, "add_generation_prompt": False}
_TOKENS = 8


@dataclass(frozen=True, slots=True)
class _Try:
    """A question, an answer cut off inside a word, and the rest of the word.

    The question or the beginning spells the word, so that who goes on copies it, and nobody begins
    a turn of their own with its end.
    """

    question: str
    begun: str
    rest: str


_TRIES = (
    _Try("Write the word hippopotamus five times.", "hippopotamus hippopotamus hippopot", "amus"),
    _Try("Wish the astronomer a good morning.", "Good morning, dear astrono", "mer"),
    _Try("Which is the longest word in: a rhinoceros sleeps?", "It is the word rhinoc", "eros"),
)
_ENOUGH = 2  # of them that must be gone on with
# Two beginnings of an answer to the last, one of which begins the other.
_SHORT, _LONG = "The longest", "The longest word of these is rhinoceros"


async def goes_on(ask: Ask, *, tells_tokens: bool) -> bool | None:
    """Whether it does. `ask` sends fields of a chat; `tells_tokens`: of prompts, as vLLM does.

    Tokens settle it: an answer left open is how a longer one begins, a closed one is followed by
    something else. So do their counts, where one that is to be gone on with takes fewer than the
    same as a turn that is over. Without either, answers cut off inside a word are to be gone on
    with: true where two of three are, false where every one is refused or answered as if nothing
    had been begun.
    """
    if tells_tokens and (left_open := await _left_open(ask)) is not None:
        return left_open
    if await _counted_open(ask):
        return True
    found = [await _tried(each, ask) for each in _TRIES]
    if found.count(True) >= _ENOUGH:
        return True
    return False if all(each is False for each in found) else None


async def _left_open(ask: Ask) -> bool | None:
    try:
        one, other = await _prompt(_SHORT, ask), await _prompt(_LONG, ask)
    except ReplyError:
        return None
    # The last token may have grown into the next word; a turn that is closed has more behind it.
    return len(other) > len(one) and shared(one, other) >= len(one) - 1


async def _prompt(begun: str, ask: Ask) -> list[Token]:
    """Raises ReplyError."""
    turns = _turns(_TRIES[-1].question, begun)
    attempt = await ask({"messages": turns, **_GO_ON, "prompt_logprobs": 0, "max_tokens": 1})
    if attempt.error is not None:
        raise ReplyError(attempt.error)
    return tokens_of(attempt.reply.body.get("prompt_logprobs"))


async def _counted_open(ask: Ask) -> bool:
    """Whether the arm's own counts of the prompt's tokens show it; no other count shows it not."""
    turns = _turns(_TRIES[-1].question, _SHORT)
    one = await ask({"messages": turns, **_GO_ON, "max_tokens": 1})
    if one.error is not None or one.reply.tokens_in is None:
        return False
    short = one.reply.tokens_in
    # A longer beginning must count: it may have been left out.
    others = (
        {"messages": turns, "max_tokens": 1},
        {"messages": _turns(_TRIES[-1].question, _LONG), **_GO_ON, "max_tokens": 1},
    )
    for fields in others:
        more = await ask(fields)
        if more.error is not None or more.reply.tokens_in is None:
            return False
        if more.reply.tokens_in <= short:
            return False
    return True


async def _tried(given: _Try, ask: Ask) -> bool | None:
    more = {"max_tokens": _TOKENS, "temperature": 0}
    attempt = await ask({"messages": _turns(given.question, given.begun), **_GO_ON, **more})
    if attempt.error is not None:
        return None if attempt.transient or attempt.status is None else False
    said = attempt.reply.content
    without = (await ask({"messages": _turns(given.question), **more})).reply.content
    if said.startswith(given.rest):
        return None if without.startswith(given.rest) else True
    if not said.strip():
        return False if attempt.reply.finish_reason == "content_filter" else None
    anew = said == without or said.lstrip().startswith(given.begun.split()[0])
    # A word that was begun does not go on with a capital.
    return False if anew or said.lstrip()[0].isupper() else None


def _turns(question: str, begun: str = "") -> list[dict[str, str]]:
    turns = [{"role": "user", "content": question}]
    return [*turns, {"role": "assistant", "content": begun}] if begun else turns
