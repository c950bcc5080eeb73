"""OpenAI's chat and text completions for real models: requests checked, answers as its objects.

Knows no network and generates nothing. Sources: OpenAI's API reference, "Chat" and "Completions";
vLLM's for `prompt_logprobs`, `continue_final_message`, `chat_template_kwargs` and `/tokenize`.
"""

import itertools
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from unlearning.chat import Message, Object, RequestError, StreamOptions
from unlearning.generation import Scored, Settings
from unlearning.generation_text import Vocabulary

# What would change an answer and is not done here, with the values at which it changes nothing.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "best_of": (1,),
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "guided_json": (),
    "ignore_eos": (False,),
    "logit_bias": ({},),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "stop_token_ids": ([],),
    "structured_outputs": (),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_k": (-1, 0),
}
_MAX_CHOICES = 128
_MAX_TOP = 100
# OpenAI's own default for text; for chat it has none but the model's context.
_TEXT_TOKENS = 16


def _stops(value: object) -> object:
    return [value] if isinstance(value, str) else value


Count = Annotated[int, Field(ge=0)]
Top = Annotated[int, Field(ge=0, le=_MAX_TOP)]
Stops = Annotated[list[str], Field(max_length=32), BeforeValidator(_stops)]


class _Wire(BaseModel):
    # What is not named here, or refused above, changes nothing about the answer.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Ask(_Wire):
    """What both kinds of request say."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=_MAX_CHOICES)] | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: Stops | None = None
    prompt_logprobs: Top | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_undone(cls, body: Any) -> Any:  # noqa: ANN401 (any JSON value)
        for name, neutral in _NEUTRAL.items() if isinstance(body, dict) else ():
            value = body.get(name)
            if value is not None and value not in neutral:
                raise RequestError(
                    f"{name}: this server does not do that; leave it out", param=name
                )
        return body

    @property
    def choices(self) -> int:
        """Answers to every prompt."""
        return self.n or 1

    @property
    def usage_wanted(self) -> bool:
        """Whether the last chunk of a stream tells the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def settings(self, max_tokens: int, **more: Any) -> Settings:  # noqa: ANN401 (fields)
        """How to answer."""
        return Settings(
            max_tokens=max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=self.seed,
            stop=tuple(self.stop or ()),
            **more,
        )


class ChatAsk(Ask):
    """The body of a chat completion."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Top | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] = {}

    @model_validator(mode="after")
    def _only_text(self) -> Self:
        if any(part.type != "text" for each in self.messages for part in each.content):
            raise RequestError("messages: this model reads text only", param="messages")
        return self

    @property
    def limit(self) -> int | None:
        """Tokens an answer may have; None where the client sets no limit."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens
        return self.max_tokens

    @property
    def top(self) -> int | None:
        """Alternatives to tell with every token; None where no log-probabilities are wanted."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def conversation(self) -> list[dict[str, str]]:
        """The messages as chat templates know them."""
        names = {"developer": "system", "function": "tool"}
        return [
            {"role": names.get(each.role, each.role), "content": each.text}
            for each in self.messages
        ]


class TextAsk(Ask):
    """The body of a text completion: a text, tokens, or a list of either."""

    prompt: str | list[int] | list[str] | list[list[int]]
    logprobs: Top | None = None
    echo: bool | None = None
    add_special_tokens: bool = True

    @property
    def limit(self) -> int:
        """Tokens an answer may have."""
        return _TEXT_TOKENS if self.max_tokens is None else self.max_tokens

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt, as text or as tokens."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        tokens = [each for each in self.prompt if isinstance(each, int)]
        return [tokens] if tokens else [each for each in self.prompt if not isinstance(each, int)]


class TokenizeAsk(_Wire):
    """The body of `/tokenize`: a text, or a conversation."""

    model: str | None = None
    prompt: str | None = None
    messages: list[Object] | None = None
    add_special_tokens: bool = True
    add_generation_prompt: bool = True
    return_token_strs: bool | None = None


class DetokenizeAsk(_Wire):
    """The body of `/detokenize`."""

    model: str | None = None
    tokens: list[Count]


Body = TypeVar("Body", bound=BaseModel)


def read(raw: bytes, kind: type[Body]) -> Body:
    """The request in a body. Raises RequestError, whose message quotes nothing of it."""
    try:
        body = json.loads(raw)
        # A lone surrogate can be read from JSON but not be written back as UTF-8.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RequestError("The body is not JSON in UTF-8; send one JSON object.") from None
    if not isinstance(body, dict):
        raise RequestError("The body is not a JSON object.")
    return checked(body, kind)


def checked(body: Object, kind: type[Body]) -> Body:
    """The request that an object is. Raises RequestError, whose message quotes nothing of it."""
    try:
        return kind.model_validate(body)
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        if isinstance(own := first.get("ctx", {}).get("error"), RequestError):
            raise own from None
        where = str(first["loc"][0]) if first["loc"] else "body"
        raise RequestError(f"{where}: {first['msg']}", param=where) from None


def head(kind: Literal["chat.completion", "chat.completion.chunk", "text_completion"]) -> Object:
    """What every object of an answer begins with, but for the model's name."""
    prefix = "chatcmpl" if kind.startswith("chat") else "cmpl"
    return {"id": f"{prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}


def usage(prompts: int, completions: int) -> Object:
    """Tokens read and tokens generated."""
    return {
        "prompt_tokens": prompts,
        "completion_tokens": completions,
        "total_tokens": prompts + completions,
    }


def chat_logprobs(vocabulary: Vocabulary, tokens: Sequence[Scored]) -> Object:
    """Log-probabilities as chat completions write them."""

    def spelt(token: int, logprob: float) -> Object:
        text, raw = vocabulary.spell(token), list(vocabulary.bytes(token))
        return {"token": text, "logprob": _finite(logprob), "bytes": raw}

    content = [
        {
            **spelt(each.token, each.logprob),
            "top_logprobs": [spelt(*other) for other in each.top],
        }
        for each in tokens
    ]
    return {"content": content, "refusal": None}


def text_logprobs(
    vocabulary: Vocabulary, tokens: Sequence[Scored | int], *, start: int = 0
) -> Object:
    """Log-probabilities as text completions write them; a bare token is one without any."""
    numbers = [each if isinstance(each, int) else each.token for each in tokens]
    sizes = [characters(vocabulary, each) for each in tokens]
    scored = [each if isinstance(each, Scored) else None for each in tokens]
    return {
        "tokens": [vocabulary.spell(each) for each in numbers],
        "token_logprobs": [each and _finite(each.logprob) for each in scored],
        "top_logprobs": [each and _alternatives(vocabulary, each) for each in scored],
        "text_offset": list(itertools.accumulate(sizes[:-1], initial=start)) if sizes else [],
    }


def characters(vocabulary: Vocabulary, token: Scored | int) -> int:
    """How many characters begin in a token."""
    raw = vocabulary.bytes(token if isinstance(token, int) else token.token)
    return sum(byte & 0xC0 != 0x80 for byte in raw)


def _alternatives(vocabulary: Vocabulary, scored: Scored) -> dict[str, float]:
    """The likeliest tokens and the one that was chosen; those that are spelt alike by number."""
    found = {vocabulary.spell(scored.token): _finite(scored.logprob)}
    for token, logprob in scored.top:
        if token != scored.token:
            name = vocabulary.spell(token)
            found[f"token_id:{token}" if name in found else name] = _finite(logprob)
    return found


def prompt_logprobs(vocabulary: Vocabulary, scored: Sequence[Scored]) -> list[Object | None]:
    """Log-probabilities of a prompt as vLLM writes them: a token's number to what is said of it."""

    def told(token: int, logprob: float, rank: int) -> Object:
        return {
            "logprob": _finite(logprob),
            "rank": rank,
            "decoded_token": vocabulary.spell(token),
        }

    return [None] + [
        {
            str(each.token): told(each.token, each.logprob, each.rank),
            **{
                str(token): told(token, logprob, rank)
                for rank, (token, logprob) in enumerate(each.top, 1)
                if token != each.token
            },
        }
        for each in scored
    ]


def _finite(logprob: float) -> float:
    # JSON has no infinity; OpenAI writes this for what is out of the question.
    return max(logprob, -9999.0)
