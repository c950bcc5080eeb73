"""Anthropic messages: a body into an exchange. The way back is in `proxy.formats.messages_answer`.

Knows no policy and no HTTP. Field names and shapes: https://docs.anthropic.com/en/api/messages
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.exchange import Body, FormatError, Path, Placement, Request, Said
from proxy.fields import check_names
from proxy.formats.messages_answer import MessagesAnswer
from proxy.formats.messages_around import FIELDS, around
from proxy.formats.reading import Vocabulary, an_object, bounded, named, objects, switch

route = "/v1/messages"
typed = True
last = frozenset({"message_stop"})
defaults: Mapping[str, Any] = {}

ROLES = {"user", "assistant", "system"}
ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# Words of the format itself: anything else in their place is a text.
TYPES = frozenset(
    """
    text image document search_result thinking redacted_thinking tool_use tool_result base64 url
    file content server_tool_use web_search_tool_result web_search_result custom ephemeral enabled
    disabled adaptive auto any tool none json_schema char_location page_location
    content_block_location web_search_result_location search_result_location object array string
    number integer boolean null
    """.split()  # noqa: SIM905 - reads better
)
KEYS = frozenset(
    """
    role content type text source data media_type url file_id title context citations enabled
    cache_control ttl id input name tool_use_id is_error thinking signature caller tool_id
    encrypted_content encrypted_index page_age cited_text document_index document_title
    start_char_index end_char_index start_page_number end_page_number start_block_index
    end_block_index search_result_index description input_schema properties required items
    additionalProperties user_id budget_tokens display disable_parallel_tool_use effort format
    schema strict
    """.split()  # noqa: SIM905 - reads better
)

NAMES = KEYS | FIELDS.keys()


def read(body: Body) -> Request:
    """Find every text of a request and where it stands.

    Thinking without a signature is left out of the body: it came from here, where signatures do
    not pass, and the API takes no thinking of that kind back. Raises FormatError for a body the
    endpoint does not define, naming the field.
    """
    check_names(body, NAMES)
    model, messages = named(body, "model"), body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise FormatError("messages: must be a non-empty array", param="messages")
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")
    _check_content(body.get("system"), "system")
    objects(body, "tools")
    sent = _unsigned_left_out(body)
    given, found = around(body), around(sent)
    return Request(
        body=sent,
        model=model,
        stream=switch(body, "stream"),
        choices=1,
        said=bounded(_texts(sent, found.opaque)),
        question=_question(messages),
        # What is left out may lay bare a turn of the assistant: that is a beginning to go on from.
        side_channels=tuple(dict.fromkeys((*given.channels, *found.channels))),
        json_promised=_json_promised(body),
    )


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return a body with an instruction added; the one given stays as it is.

    `system` and `developer` come behind the system text. `before-last-user` begins the last user
    turn, behind the results of tools, which the API wants first.
    """
    users = [at for at, message in enumerate(body["messages"]) if message["role"] == "user"]
    added = {"type": "text", "text": instruction}
    if placement == "before-last-user" and users:
        messages = list(body["messages"])
        content = _blocks(messages[users[-1]].get("content"))
        results = [at for at, block in enumerate(content) if block["type"] == "tool_result"]
        head = results[-1] + 1 if results else 0
        content = [*content[:head], added, *content[head:]]
        messages[users[-1]] = {**messages[users[-1]], "content": content}
        return {**body, "messages": messages}
    system = body.get("system")
    if isinstance(system, list):
        return {**body, "system": [*system, added]}
    return {**body, "system": f"{system}\n\n{instruction}" if system else instruction}


def answer(request: Request) -> MessagesAnswer:
    """Begin an answer to a request."""
    return MessagesAnswer(request)


def error(message: str, *, status: int, param: str | None = None, code: str | None = None) -> Body:
    """An error as the API shapes it; it has no place for a field's name but the message."""
    del code
    other = "api_error" if status >= 500 else "invalid_request_error"
    if param and not message.startswith(param):
        message = f"{param}: {message}"
    shape = {"type": ERRORS.get(status, other), "message": message}
    # The SDK then goes on by itself, sending the whole conversation each time.
    details = {"details": {"error_code": "thread_unsupported_request"}} if param == "thread" else {}
    return {"type": "error", "error": {**shape, **details}}


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise FormatError(f"{where}: must be an object", param=where)
    if not isinstance(message.get("role"), str) or message["role"] not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise FormatError(f"{where}.role: must be one of {known}", param=f"{where}.role")
    _check_content(message.get("content"), f"{where}.content")


def _check_content(content: object, where: str) -> None:
    if isinstance(content, list):
        for number, block in enumerate(content):
            if not isinstance(block, dict) or not isinstance(block.get("type"), str):
                at = f"{where}[{number}]"
                raise FormatError(f"{at}: must be an object with a type", param=at)
    elif content is not None and not isinstance(content, str):
        raise FormatError(f"{where}: must be a string or an array of blocks", param=where)


def _blocks(content: str | list[Body] | None) -> list[Body]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content or []


def _unsigned_left_out(body: Body) -> Body:
    """The body without thinking that bears no signature, and without turns that were only that."""
    messages = []
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list) and any(map(_unsigned, content)):
            signed = [block for block in content if not _unsigned(block)]
            if signed:
                messages.append({**message, "content": signed})
        else:
            messages.append(message)
    if not messages:
        raise FormatError("messages: must hold more than thinking", param="messages")
    same = all(a is b for a, b in zip(messages, body["messages"], strict=False))
    return (
        body if same and len(messages) == len(body["messages"]) else {**body, "messages": messages}
    )


def _unsigned(block: Body) -> bool:
    return block["type"] == "thinking" and not block.get("signature")


def _question(messages: list[Body]) -> str:
    """What the last user turn that says anything says; results of tools are not its words."""
    for message in reversed(messages):
        if message["role"] == "user":
            texts = [block.get("text") for block in _blocks(message.get("content"))]
            if said := "".join(text for text in texts if isinstance(text, str)):
                return said
    return ""


def _json_promised(body: Body) -> bool:
    shapes = (an_object(body, "output_config").get("format"), body.get("output_format"))
    return any(shape not in (None, {}) for shape in shapes)


def _texts(body: Body, opaque: frozenset[Path]) -> Iterator[Said]:
    """Every string of the body, and every key below the top that a model may get to read."""
    words = Vocabulary(KEYS, TYPES, lambda _, path: path in opaque)
    yield from words.texts(body.get("system"), ("system",), role="system")
    for number, message in enumerate(body["messages"]):
        path: Path = ("messages", number)
        role, content = message["role"], message.get("content")
        rest = {key: value for key, value in message.items() if key not in {"role", "content"}}
        yield from words.texts(rest, path, role=role)
        if isinstance(content, str):
            yield from words.texts(content, (*path, "content"), role=role)
        for at, block in enumerate(content if isinstance(content, list) else ()):
            speaker = "tool" if block["type"].endswith("tool_result") else role
            yield from words.texts(block, (*path, "content", at), role=speaker)
    for key, value in body.items():
        if key not in {"messages", "model", "system"}:
            yield from words.texts(value, (key,), role="field")
