"""OpenAI completions of bare prompts: a body into an exchange, released pieces back into a body.

Knows no policy and no HTTP. Shapes: https://platform.openai.com/docs/api-reference/completions and,
for what self-hosted servers add, the vLLM documentation of the same endpoint.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.exchange import Body, FormatError, Placement, Request, Said, SideChannel
from proxy.fields import check_names
from proxy.formats import chat
from proxy.formats.completions_answer import CompletionAnswer
from proxy.formats.reading import bounded, count, named, openai_error, switch

route = "/v1/completions"
typed = False
last: frozenset[str] = frozenset()
defaults: Mapping[str, Any] = {}
error = openai_error

MOST_CHOICES = chat.MOST_CHOICES  # of all prompts together
MOST_DRAFTS = 128  # of which the server returns the best


def read(body: Body) -> Request:
    """Find every text of a request and where it stands.

    Raises FormatError for a body the endpoint does not define, naming the field.
    """
    check_names(body, chat.NAMES)
    model, stream = named(body, "model"), switch(body, "stream")
    several = count(body, "n", most=MOST_CHOICES) or 1
    _check_drafts(body, several, stream=stream)
    given = prompts(body, "prompt", empty=True)
    if len(given) * several > MOST_CHOICES:
        raise FormatError(f"prompt: asks for more than {MOST_CHOICES} choices", param="prompt")
    if not isinstance(body.get("suffix", ""), str | None):
        raise FormatError("suffix: must be a string", param="suffix")
    return Request(
        body=body,
        model=model,
        stream=stream,
        choices=len(given) * several,
        said=bounded(_texts(body)),
        question=next((text for text in reversed(given) if isinstance(text, str)), ""),
        questions=tuple(p if isinstance(p, str) else "" for p in given for _ in range(several)),
        usage_wanted=chat.usage_wanted(body),
        side_channels=tuple(_side_channels(body, given)),
        json_promised=chat.kind_of(body.get("response_format")) in chat.JSON_KINDS,
    )


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return a body whose prompts begin with an instruction; the one given stays as it is.

    A prompt has no places to choose from, and one that is given as tokens takes no text.
    """
    del placement
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        texts = [f"{instruction}\n\n{p}" if isinstance(p, str) else p for p in prompt]
        return {**body, "prompt": texts}
    return {**body, "prompt": f"{instruction}\n\n{prompt or ''}"}


def answer(request: Request) -> CompletionAnswer:
    """Begin an answer to a request."""
    return CompletionAnswer(request)


def prompts(body: Body, key: str, *, empty: bool = False) -> list[str | list[int]]:
    """The texts, or numbers of tokens, of a field that holds one or several. Raises FormatError.

    `empty`: whether nothing at all is a prompt, too.
    """
    value = body.get(key)
    if isinstance(value, str):
        return [value]
    if value is None and empty:
        return [""]
    if isinstance(value, list) and value:
        if _is_tokens(value):
            return [value]
        if all(isinstance(item, str) for item in value) or all(map(_is_tokens, value)):
            return value
    raise FormatError(f"{key}: must be a string, token numbers or an array of either", param=key)


def _is_tokens(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _check_drafts(body: Body, several: int, *, stream: bool) -> None:
    drafts = count(body, "best_of", most=MOST_DRAFTS)
    if drafts is not None and drafts < several:
        raise FormatError("best_of: must not be less than n", param="best_of")
    if drafts is not None and drafts > several and stream:
        raise FormatError("best_of: the best is not known before the end", param="best_of")


def _texts(body: Body) -> Iterator[Said]:
    """Every string of the body, and every key below the top that a model may get to read.

    Several prompts are several questions: none of them is a turn of the past.
    """
    prompt = body.get("prompt")
    if isinstance(prompt, str) and prompt:
        yield Said(("prompt",), "user", prompt)
    else:
        yield from chat.WORDS.texts(prompt, ("prompt",), role="field")
    for key, value in body.items():
        if key not in {"prompt", "model"}:
            yield from chat.WORDS.texts(value, (key,), role="field")


def _side_channels(body: Body, given: list[str | list[int]]) -> Iterator[SideChannel]:
    """What asks for text that no screen sees, or lets the client put words into the model."""
    yield from chat.fields_around({key: body[key] for key in body if key != "prompt"})
    if body.get("logprobs") == 0 and type(body["logprobs"]) is int:
        yield SideChannel("logprobs", "logprobs")  # of the tokens chosen
    if any(isinstance(prompt, list) for prompt in given):
        yield SideChannel("tokens", "prompt")
