"""Pieces of answers into OpenAI's objects, whole or as chunks; one class a kind of completion.

Knows the wire's objects and a model's words, but neither the network nor how answers are made.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from unlearning.chat import Object, RequestError
from unlearning.generation import Job, Piece, Scored, Settings
from unlearning.generation_queue import Answer, Queue
from unlearning.model_wire import (
    Ask,
    ChatAsk,
    TextAsk,
    characters,
    chat_logprobs,
    head,
    prompt_logprobs,
    text_logprobs,
    usage,
)

# A chat without a limit ends here, or where the model's context does.
CHAT_TOKENS = 1024


class Answering(ABC):
    """One request on its way to an answer. `jobs` are its prompts once they are asked."""

    def __init__(self, asked: Ask, queue: Queue, kind: Object) -> None:
        self.asked = asked
        self.jobs: Sequence[Job] = ()
        self._words = queue.vocabulary
        self._head = {**kind, "model": asked.model}
        self._answers: dict[int, Answer] = {}
        if asked.stream and asked.prompt_logprobs is not None:
            raise RequestError(
                "prompt_logprobs: not with stream; ask for the whole", param="prompt_logprobs"
            )

    @abstractmethod
    def prompts(self) -> list[list[int]]:
        """The prompts as tokens. Raises RequestError; takes time."""

    @abstractmethod
    def settings(self, prompt: Sequence[int]) -> Settings:
        """How to answer one of them."""

    @abstractmethod
    def whole(self) -> Object:
        """The whole answer."""

    @abstractmethod
    def chunks(self, choice: int, piece: Piece) -> Iterator[Object]:
        """Chunks that tell a piece."""

    def opening(self) -> Iterator[Object]:
        """Chunks that come before anything is said."""
        return iter(())

    def closing(self) -> Object | None:
        """The chunk that tells the usage, where it was asked for."""
        if not self.asked.usage_wanted:
            return None
        return {**self._head, "choices": [], "usage": self._usage()}

    def add(self, choice: int, piece: Piece) -> None:
        """Take in a piece."""
        self._answers.setdefault(choice, Answer()).add(piece)

    def _usage(self) -> Object:
        read = sum(len(job.prompt) for job in self.jobs)
        return usage(read, sum(each.count for each in self._answers.values()))

    def _prompt(self, choice: int) -> Job:
        return self.jobs[choice // self.asked.choices]

    def _prompt_logprobs(self, choice: int) -> list[Object | None] | None:
        if self.asked.prompt_logprobs is None:
            return None
        keep = self.asked.prompt_logprobs
        return prompt_logprobs(self._words, _cut(self._prompt(choice).scored, keep))


def _cut(scored: Sequence[Scored], keep: int) -> list[Scored]:
    return [Scored(each.token, each.logprob, each.rank, each.top[:keep]) for each in scored]


class ChatAnswering(Answering):
    """A chat completion on its way."""

    def __init__(self, asked: ChatAsk, queue: Queue) -> None:
        kind = head("chat.completion.chunk" if asked.stream else "chat.completion")
        super().__init__(asked, queue, kind)
        self._chat = asked
        self._context = queue.checkpoint.context
        self._tokenizer = queue.checkpoint.tokenizer

    def prompts(self) -> list[list[int]]:
        """The conversation in the chat template's words. Raises RequestError."""
        if self._tokenizer.chat_template is None:
            raise RequestError(
                "This model has no chat template; use /v1/completions.", code="no_chat_template"
            )
        more = self._chat.chat_template_kwargs
        if set(more) & set(inspect.signature(self._tokenizer.apply_chat_template).parameters):
            raise RequestError(
                "chat_template_kwargs: one of the names is not the template's",
                param="chat_template_kwargs",
            )
        going_on = self._chat.continue_final_message
        try:
            text = self._words.render(
                self._chat.conversation(),
                add_generation_prompt=self._chat.add_generation_prompt and not going_on,
                continue_final_message=going_on,
                **more,
            )
        except Exception:  # noqa: BLE001 (a template raises what it likes, and may quote)
            raise RequestError(
                "The model's chat template refuses this conversation.", param="messages"
            ) from None
        return [self._words.encode(text, special=False)]

    def settings(self, prompt: Sequence[int]) -> Settings:
        """How to answer; without a limit as long as the model's context and CHAT_TOKENS let."""
        limit = self._chat.limit
        if limit is None:
            limit = max(1, min(CHAT_TOKENS, self._context - len(prompt)))
        return self.asked.settings(
            limit,
            top=self._chat.top or 0,
            prompt_top=self.asked.prompt_logprobs,
            continues=self._chat.continue_final_message,
        )

    def whole(self) -> Object:
        """A `chat.completion`."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": self._logprobs(answer.tokens),
                "finish_reason": answer.reason,
            }
            for index, answer in sorted(self._answers.items())
        ]
        more = {"prompt_logprobs": found} if (found := self._prompt_logprobs(0)) else {}
        return {**self._head, "choices": choices, "usage": self._usage(), **more}

    def opening(self) -> Iterator[Object]:
        """The role, for every choice."""
        for index in range(self.asked.choices):
            yield self._chunk(index, {"role": "assistant", "content": ""})

    def chunks(self, choice: int, piece: Piece) -> Iterator[Object]:
        """One with what was said, one with the reason to stop."""
        self.add(choice, piece)
        if piece.text or piece.tokens:
            yield self._chunk(choice, {"content": piece.text}, tokens=piece.tokens)
        if piece.reason:
            yield self._chunk(choice, {}, reason=piece.reason)

    def _chunk(
        self, index: int, delta: Object, *, tokens: Sequence[Scored] = (), reason: str | None = None
    ) -> Object:
        told = self._logprobs(tokens) if tokens else None
        choice = {"index": index, "delta": delta, "logprobs": told, "finish_reason": reason}
        return {**self._head, "choices": [choice]}

    def _logprobs(self, tokens: Sequence[Scored]) -> Object | None:
        return None if self._chat.top is None else chat_logprobs(self._words, tokens)


class TextAnswering(Answering):
    """A text completion on its way."""

    def __init__(self, asked: TextAsk, queue: Queue) -> None:
        super().__init__(asked, queue, head("text_completion"))
        self._text = asked
        self._offsets: dict[int, int] = {}  # where the next token of each choice begins

    def prompts(self) -> list[list[int]]:
        """Texts as tokens, tokens as they are."""
        special = self._text.add_special_tokens
        return [
            self._words.encode(each, special=special) if isinstance(each, str) else each
            for each in self._text.prompts
        ]

    def settings(self, prompt: Sequence[int]) -> Settings:  # noqa: ARG002 (one for all of them)
        """How to answer each."""
        tops = [self.asked.prompt_logprobs, self._text.logprobs if self._text.echo else None]
        wanted = [top for top in tops if top is not None]
        return self.asked.settings(
            self._text.limit,
            top=self._text.logprobs or 0,
            prompt_top=max(wanted, default=None),
            continues=True,
            # Clients of this API, lm-eval for one, count on a log-probability for every token that
            # was generated: they cut off the last to be left with the prompt's.
            end_told=True,
        )

    def whole(self) -> Object:
        """A `text_completion`."""
        choices = []
        for index, answer in sorted(self._answers.items()):
            piece = Piece(answer.text, tuple(answer.tokens), answer.count, answer.reason)
            choice = self._choice(index, piece)
            if (found := self._prompt_logprobs(index)) is not None:
                choice["prompt_logprobs"] = found
            choices.append(choice)
        return {**self._head, "choices": choices, "usage": self._usage()}

    def chunks(self, choice: int, piece: Piece) -> Iterator[Object]:
        """One."""
        self.add(choice, piece)
        yield {**self._head, "choices": [self._choice(choice, piece)]}

    def _choice(self, index: int, piece: Piece) -> Object:
        text, tokens = piece.text, list[Scored | int](piece.tokens)
        if index not in self._offsets:
            before = self._given(index)
            self._offsets[index] = 0 if self._text.echo else len(before)
            if self._text.echo:
                job = self._prompt(index)
                keep = self._text.logprobs or 0
                text, tokens = before + text, [job.prompt[0], *_cut(job.scored, keep), *tokens]
        start = self._offsets[index]
        logprobs = None
        if self._text.logprobs is not None:
            logprobs = text_logprobs(self._words, tokens, start=start)
            self._offsets[index] += sum(characters(self._words, each) for each in tokens)
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": piece.reason}

    def _given(self, index: int) -> str:
        """The prompt as it was given, or as its tokens read."""
        given = self._text.prompts[index // self.asked.choices]
        return given if isinstance(given, str) else self._words.decode(given, special=True)
