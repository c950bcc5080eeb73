"""How likely an arm finds texts behind a question, token by token. Knows no metric.

Three ways to ask: the tokens of a prompt that ends in the text (vLLM's `prompt_logprobs`), the same
of a text completion with `echo`, and the likeliest first tokens of an answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from leakage.calls import Attempt, call
from leakage.chat import ReplyError
from leakage.draws import Asked, Manner, untold, with_system
from leakage.probes import Message, Probe
from leakage.prompt_tokens import TOP, Token, logarithm, shared, tokens_of
from leakage.records import Record

FIRST_TOP = 20  # of a first token: the most that OpenAI's API and vLLM tell
_FIRST_TOP_LESS = 5  # what others tell


@dataclass(slots=True)
class Asking:
    """Requests to one arm for one probe, and what came of them so far."""

    asked: Asked
    manner: Manner
    requests: int = 0
    last: Attempt = field(default_factory=lambda: Attempt(number=0))

    async def behind(
        self, question: Sequence[Message], texts: Iterable[str]
    ) -> list[Sequence[Token]]:
        """The tokens of each text as the answer to the question. Raises ReplyError.

        The chat template is the arm's own: tokens of the answer are those behind the ones that the
        question has without it. Source: vLLM's API reference, `prompt_logprobs`.
        """
        before = await self._prompt(question)
        return [
            _behind(before, await self._prompt((*question, Message("assistant", text))))
            for text in texts
        ]

    async def first(self, question: Sequence[Message]) -> Mapping[str, float]:
        """The likeliest first tokens of an answer, each with its log-probability.

        Raises ReplyError.
        """
        body = {
            "model": self.asked.arm.model,
            "messages": with_system(self.asked.arm.system, question),
            "logprobs": True,
            "top_logprobs": FIRST_TOP,
            "max_tokens": 1,
            "temperature": 0,
        }
        attempt = await self._call("chat/completions", body)
        if attempt.status == 400:
            attempt = await self._call(
                "chat/completions", {**body, "top_logprobs": _FIRST_TOP_LESS}
            )
        return _first(_whole(attempt))

    async def echoed(self, prompt: str, texts: Iterable[str]) -> list[Sequence[float]]:
        """The log-probabilities of each text's tokens right behind a bare prompt.

        Source: OpenAI's API reference, completions: `echo`, `logprobs`. Raises ReplyError.
        """
        found: list[Sequence[float]] = []
        for text in texts:
            body = {
                "model": self.asked.arm.model,
                "prompt": f"{prompt}{text}",
                "echo": True,
                "logprobs": 1,
                "max_tokens": 1,
                "temperature": 0,
            }
            attempt = await self._call("completions", body)
            end = len(prompt) + len(text)
            found.append(_echoed(_whole(attempt), begin=len(prompt), end=end))
        return found

    def record(self, probe: Probe, *, kind: str, at: str, shard: str, error: str | None) -> Record:
        """Of these requests, nothing said: what they measured is put in."""
        made = untold(probe, self.asked, self.manner, kind=kind, at=at, shard=shard, last=self.last)
        return replace(
            made,
            finish_reason=None,
            error=error,
            tokens_in=None,
            tokens_out=None,
            requests=self.requests,
        )

    async def _prompt(self, messages: Sequence[Message]) -> list[Token]:
        begun = messages[-1].role == "assistant"
        body = {
            "model": self.asked.arm.model,
            "messages": with_system(self.asked.arm.system, messages),
            "prompt_logprobs": TOP if "prompt_top" in self.asked.allows else 0,
            "max_tokens": 1,
            "temperature": 0,
            "continue_final_message": begun,
            "add_generation_prompt": not begun,
        }
        attempt = await self._call("chat/completions", body)
        return tokens_of(_whole(attempt).get("prompt_logprobs"))

    async def _call(self, path: str, body: Mapping[str, Any]) -> Attempt:
        url = f"{self.asked.arm.base_url}/{path}"
        attempt = self.last = await call(
            self.asked.client, url, dict(body), limits=self.manner.limits
        )
        self.requests += attempt.number
        return attempt


def _whole(attempt: Attempt) -> Mapping[str, Any]:
    if attempt.error is not None:
        raise ReplyError(attempt.error)
    return attempt.reply.body


def _behind(before: Sequence[Token], whole: Sequence[Token]) -> Sequence[Token]:
    """The tokens of the answer. Raises ReplyError where the question is not what it was before.

    The last token of the question may have grown into the answer's first: one may differ.
    """
    alike = shared(before, whole)
    if alike < len(before) - 1 or len(whole) <= alike:
        raise ReplyError("a chat template under which the answer does not follow the question")
    return whole[alike:]


def _first(body: Mapping[str, Any]) -> dict[str, float]:
    content = _logprobs(body).get("content")
    position = content[0] if isinstance(content, list) and content else None
    top = position.get("top_logprobs") if isinstance(position, Mapping) else None
    if not isinstance(top, list) or not top:
        raise ReplyError("an answer without the log-probabilities that it promised")
    found: dict[str, float] = {}
    for each in (position, *top):
        token = each.get("token") if isinstance(each, Mapping) else None
        if not isinstance(token, str):
            raise ReplyError("log-probabilities in an unknown form")
        found[token] = logarithm(each.get("logprob"))
    return found


def _echoed(body: Mapping[str, Any], *, begin: int, end: int) -> list[float]:
    """Of the tokens that reach beyond the prompt and begin before the answer that follows."""
    given = _logprobs(body)
    tokens, logprobs, offsets = (
        given.get(name) for name in ("tokens", "token_logprobs", "text_offset")
    )
    lists = [each for each in (tokens, logprobs, offsets) if isinstance(each, list)]
    if len(lists) < 3 or len({len(each) for each in lists}) > 1:
        raise ReplyError("an answer without the log-probabilities that it promised")
    found = []
    for token, logprob, offset in zip(*lists, strict=True):
        if not isinstance(offset, int) or not isinstance(token, str):
            raise ReplyError("log-probabilities in an unknown form")
        if offset < end and offset + len(token) > begin:
            found.append(logarithm(logprob))
    if not found:
        raise ReplyError("an echo without the text that was to be echoed")
    return found


def _logprobs(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    given = choice.get("logprobs") if isinstance(choice, Mapping) else None
    if not isinstance(given, Mapping):
        raise ReplyError("an answer without the log-probabilities that it promised")
    return given
