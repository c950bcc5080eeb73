"""Chat completions as OpenAI's API writes them: requests checked, answers put into its objects.

Knows no fact and no network. Source: the API reference of OpenAI, "Chat" (create, object, chunk).
"""

import itertools
import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

Object = dict[str, Any]

# Deltas that cut through words and names. A token is four characters.
_DELTA_SIZES = (3, 1, 7, 2, 5, 11, 4)
_TOKEN = re.compile(r".{1,4}", re.DOTALL)


class RequestError(ValueError):
    """A request that cannot be answered: what is wrong, where (`param`), and an HTTP status."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status

    def body(self) -> Object:
        """The error object of the API."""
        return error(str(self), param=self.param, code=self.code)


def error(message: str, *, param: str | None = None, code: str | None = None) -> Object:
    """The error object of the API."""
    return {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        }
    }


class _Wire(BaseModel):
    # What is not named here changes nothing about the answer, as with any lenient server.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Part(_Wire):
    """A piece of a message; only text is read."""

    type: str
    text: str = ""


def _parts(content: object) -> object:
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class Message(_Wire):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[list[Part], BeforeValidator(_parts)] = []

    @property
    def text(self) -> str:
        """The text of its parts, in order."""
        return "\n".join(part.text for part in self.content if part.type == "text")


class Function(_Wire):
    """What a tool is called and takes."""

    name: str
    parameters: Object = {"type": "object"}


class Tool(_Wire):
    """A function that the client offers."""

    function: Function


class JsonSchema(_Wire):
    """The schema of a structured answer."""

    schema_: Object = Field(default={"type": "object"}, alias="schema")


class Format(_Wire):
    """The form that a client wants the answer in."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema = JsonSchema()


class StreamOptions(_Wire):
    """Whether the last chunk tells the usage."""

    include_usage: bool = False


class Request(_Wire):
    """The body of a request, as far as it matters here."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Object | None = None
    response_format: Format | None = None

    @property
    def limit(self) -> int | None:
        """Tokens a choice may have; None where the client sets no limit."""
        return self.max_completion_tokens or self.max_tokens


def read(raw: bytes) -> Request:
    """The request in a body. Raises RequestError, whose message quotes nothing of it."""
    try:
        body = json.loads(raw)
        # A lone surrogate can be read from JSON but not be written back as UTF-8.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise RequestError("The body is not JSON in UTF-8; send one JSON object.") from None
    if not isinstance(body, dict):
        raise RequestError("The body is not a JSON object; send one with model and messages.")
    try:
        return Request.model_validate(body)
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{where}: {first['msg']}", param=str(first["loc"][0])) from None


@dataclass(frozen=True, slots=True)
class Draft:
    """One choice before it is put into the API's words.

    `text` is the content, or the arguments of a call where `tool` names one.
    """

    text: str = field(repr=False)
    thoughts: str | None = field(default=None, repr=False)
    tool: str | None = None
    reason: str = "stop"


def draft(request: Request, text: str, *, thoughts: str | None = None, by_tool: bool) -> Draft:
    """A choice that says `text` in the form, by the tool and within the tokens asked for."""
    tool = _tool(request, wanted=by_tool)
    if tool is not None:
        arguments = json.dumps(fill(tool.parameters, text))
        return Draft(arguments, thoughts=thoughts, tool=tool.name, reason="tool_calls")
    if (form := request.response_format) and form.type != "text":
        text = json.dumps(fill(form.json_schema.schema_, text))
    tokens = _TOKEN.findall(text)
    if request.limit is not None and len(tokens) > request.limit:
        return Draft("".join(tokens[: request.limit]), thoughts=thoughts, reason="length")
    return Draft(text, thoughts=thoughts)


def _tool(request: Request, *, wanted: bool) -> Function | None:
    choice, tools = request.tool_choice, request.tools or []
    if isinstance(choice, dict):
        tools = [tool for tool in tools if choice.get("function") == {"name": tool.function.name}]
        wanted = True
    if not tools or choice == "none" or not (wanted or choice == "required"):
        return None
    return tools[0].function


def fill(schema: object, text: str) -> Any:  # noqa: ANN401 (any JSON value)
    """A value for a JSON Schema that says `text` wherever a string may stand.

    Knows `properties`, `items`, `enum` and the basic types; anything else gets the text itself.
    """
    match schema:
        case {"enum": [first, *_]}:
            return first
        case {"properties": {**fields}}:
            return {name: fill(inner, text) for name, inner in fields.items()}
        case {"type": "array", "items": items}:
            return [fill(items, text)]
        case {"type": str(kind)}:
            empty = {"object": {"answer": text}, "array": [text], "boolean": False}
            return (empty | {"integer": 0, "number": 0}).get(kind, text)
    return text


def completion(request: Request, drafts: Sequence[Draft]) -> Object:
    """The whole answer as one object."""
    return {
        **_head(request, kind="chat.completion"),
        "choices": [
            {
                "index": index,
                "message": _message(each),
                "logprobs": _logprobs(request, each.text),
                "finish_reason": each.reason,
            }
            for index, each in enumerate(drafts)
        ],
        "usage": _usage(request, drafts),
    }


def chunks(request: Request, drafts: Sequence[Draft]) -> Iterator[Object]:
    """The answer as a stream of chunks; choices take turns, as a server that batches them does."""
    head = _head(request, kind="chat.completion.chunk")
    streams = [_deltas(request, index, each) for index, each in enumerate(drafts)]
    for choices in itertools.zip_longest(*streams):
        for choice in choices:
            if choice is not None:
                yield {**head, "choices": [choice]}
    if request.stream_options and request.stream_options.include_usage:
        yield {**head, "choices": [], "usage": _usage(request, drafts)}


def _deltas(request: Request, index: int, each: Draft) -> Iterator[Object]:
    def choice(delta: Object, *, said: str = "", reason: str | None = None) -> Object:
        logprobs = _logprobs(request, said) if said else None
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}

    yield choice({"role": "assistant", "content": None if each.tool else ""})
    for piece in _cut(each.thoughts or ""):
        yield choice({"reasoning_content": piece})
    if each.tool is None:
        for piece in _cut(each.text):
            yield choice({"content": piece}, said=piece)
    else:
        yield choice({"tool_calls": [{"index": 0, **_call(each.tool, arguments="")}]})
        for piece in _cut(each.text):
            yield choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield choice({}, reason=each.reason)


def _cut(text: str) -> Iterator[str]:
    sizes, start = itertools.cycle(_DELTA_SIZES), 0
    while start < len(text):
        size = next(sizes)
        yield text[start : start + size]
        start += size


def _head(request: Request, *, kind: str) -> Object:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
    }


def _message(each: Draft) -> Object:
    message: Object = {"role": "assistant", "content": each.text, "refusal": None}
    if each.thoughts is not None:
        message["reasoning_content"] = each.thoughts
    if each.tool is not None:
        message |= {"content": None, "tool_calls": [_call(each.tool, arguments=each.text)]}
    return message


def _call(name: str, *, arguments: str) -> Object:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}


def _logprobs(request: Request, text: str) -> Object | None:
    if not request.logprobs:
        return None
    top = request.top_logprobs or 0
    return {"content": [_token(token, top) for token in _TOKEN.findall(text)], "refusal": None}


def _token(token: str, top: int) -> Object:
    """A token beside its alternatives, which give it away as well as itself does."""
    spellings = (token, token.lower(), token.upper())[:top]
    likely = [_spelled(word, -0.125 - rank) for rank, word in enumerate(spellings)]
    return {**_spelled(token, -0.125), "top_logprobs": likely}


def _spelled(token: str, logprob: float) -> Object:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _usage(request: Request, drafts: Sequence[Draft]) -> Object:
    asked = sum(_tokens(message.text) for message in request.messages)
    thought = sum(_tokens(each.thoughts or "") for each in drafts)
    said = thought + sum(_tokens(each.text) for each in drafts)
    return {
        "prompt_tokens": asked,
        "completion_tokens": said,
        "total_tokens": asked + said,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _tokens(text: str) -> int:
    return -(-len(text) // 4)
