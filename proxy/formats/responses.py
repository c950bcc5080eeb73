"""OpenAI responses: a body into an exchange, released pieces back into a body.

Knows no policy and no HTTP. Field names and shapes:
https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.exchange import Body, FormatError, Path, Placement, Request, Said, SideChannel
from proxy.fields import check_names
from proxy.formats import chat
from proxy.formats.reading import (
    DATA_URL,
    Vocabulary,
    an_object,
    asked,
    bounded,
    continued,
    named,
    objects,
    openai_error,
    switch,
)
from proxy.formats.responses_answer import ResponsesAnswer
from proxy.formats.responses_shapes import IDENTIFIER

route = "/v1/responses"
typed = True
last = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
defaults: Mapping[str, Any] = {"store": False}  # this API keeps what it said unless told not to
error = openai_error

ROLES = {"user", "assistant", "system", "developer"}
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
OUTPUTS = {"function_call_output", "custom_tool_call_output"}
SCREENED = {"message", "reasoning", "additional_tools", "configuration_update", *CALLS, *OUTPUTS}
# Items that hold what no screen can read, or point at what no screen has seen.
UNSCREENED = {
    "item_reference": "stored",
    "compaction": "opaque",
    "compaction_trigger": "opaque",
    **dict.fromkeys(
        """
        file_search_call web_search_call computer_call computer_call_output code_interpreter_call
        image_generation_call mcp_list_tools mcp_approval_request mcp_approval_response mcp_call
        local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call
        apply_patch_call_output tool_search_call tool_search_output program program_output
        """.split(),  # noqa: SIM905 - reads better
        "server_tools",
    ),
}
PARTS = {
    "input_text": None,
    "output_text": None,
    "refusal": None,
    "input_image": "images",
    "input_file": "files",
    "input_audio": "audio",
}
HELD = {
    "image_url": "images",
    "input_audio": "audio",
    "file_data": "files",
    "file_id": "files",
    "file_url": "files",
}
OWN_TOOLS = {"function", "custom"}  # called by the model, run by the client
CHOICES = {"none", "auto", "required", "function", "custom", "allowed_tools"}
FORMATS = {"text", "json_object", "json_schema"}
INCLUDED = {
    "message.output_text.logprobs": "logprobs",
    "reasoning.encrypted_content": "opaque",
    "message.input_image.image_url": "images",
}
SIDE_CHANNELS = {
    **chat.SIDE_CHANNELS,
    "background": "stored",
    "background_options": "stored",
    "previous_input_messages": "stored",
    "context_management": "opaque",
    "enable_response_messages": "echo",
}
STATUSES = {"in_progress", "completed", "incomplete"}
# Words of the format itself: anything else in their place is a text.
TYPES = frozenset(
    """
    message function_call function_call_output custom_tool_call custom_tool_call_output reasoning
    item_reference input_text output_text refusal summary_text reasoning_text input_image input_file
    input_audio url_citation file_citation container_file_citation file_path function custom
    namespace grammar text json_object json_schema allowed_tools auto array string number integer
    boolean null object
    """.split()  # noqa: SIM905 - reads better
)
KEYS = frozenset(
    """
    type role content text id call_id name namespace status phase arguments input output summary
    encrypted_content refusal annotations logprobs start_index end_index url title index image_url
    file_id file_data file_url filename detail input_audio data format prompt_cache_breakpoint mode
    description parameters strict tools tool_choice schema verbosity effort generate_summary
    include_obfuscation
    """.split()  # noqa: SIM905 - reads better
)

NAMES = KEYS | SIDE_CHANNELS.keys()


def read(body: Body) -> Request:
    """Find every text of a request and where it stands.

    Raises FormatError for a body the endpoint does not define, naming the field.
    """
    check_names(body, NAMES)
    model, stream = named(body, "model"), switch(body, "stream")
    if body.get("instructions") is not None and not isinstance(body["instructions"], str):
        raise FormatError("instructions: must be a string", param="instructions")
    _check_input(body)
    return Request(
        body=body,
        model=model,
        stream=stream,
        choices=1,
        said=bounded(_texts(body)),
        question=_question(body.get("input")),
        side_channels=tuple(dict.fromkeys(_side_channels(body))),
        json_promised=any(kind in ("json_object", "json_schema") for kind, _ in _formats(body)),
    )


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return a body with an instruction added: to `instructions`, or as a developer's message.

    The body given stays as it is.
    """
    if placement != "before-last-user":
        own = body.get("instructions")
        return {**body, "instructions": f"{own}\n\n{instruction}" if own else instruction}
    given = body.get("input")
    items = [_message("user", given)] if isinstance(given, str) else list(given or ())
    users = [at for at, item in enumerate(items) if _is_user(item)]
    items.insert(users[-1] if users else len(items), _message("developer", instruction))
    return {**body, "input": items}


def answer(request: Request) -> ResponsesAnswer:
    """Begin an answer to a request."""
    return ResponsesAnswer(request)


def _message(role: str, text: str) -> Body:
    return {"type": "message", "role": role, "content": text}


def _kind(item: Body) -> object:
    """The type of an input item; a message and a reference may leave it out."""
    if item.get("type") is not None:
        return item["type"]
    return "message" if "role" in item else "item_reference" if "id" in item else None


def _is_user(item: Body) -> bool:
    return _kind(item) == "message" and item["role"] == "user"


def _items(body: Body) -> list[Body]:
    given = body.get("input")
    return given if isinstance(given, list) else []


def _check_input(body: Body) -> None:
    given = body.get("input")
    if given is None and any(body.get(key) for key in ("prompt", "conversation")):
        return  # the conversation is elsewhere: only for whom a policy allows that
    if not isinstance(given, str | list) or not given:
        raise FormatError("input: must be a non-empty string or array", param="input")
    for number, item in enumerate(_items(body)):
        where = f"input[{number}]"
        if not isinstance(item, dict):
            raise FormatError(f"{where}: must be an object", param=where)
        _check_item(item, where)


def _check_item(item: Body, where: str) -> None:
    kind = _kind(item)
    if not isinstance(kind, str) or kind not in SCREENED | set(UNSCREENED):
        raise FormatError(f"{where}.type: not a type of item known here", param=f"{where}.type")
    if kind == "message":
        if not isinstance(item.get("role"), str) or item["role"] not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise FormatError(f"{where}.role: must be one of {known}", param=f"{where}.role")
        _check_parts(item, "content", where)
    elif kind in OUTPUTS:
        _check_parts(item, "output", where)
    elif kind in CALLS:
        for key in ("name", CALLS[kind]):
            if not isinstance(item.get(key), str):
                raise FormatError(f"{where}.{key}: must be a string", param=f"{where}.{key}")
    elif kind == "reasoning":
        _within(item, "summary", where)
        _within(item, "content", where)


def _check_parts(item: Body, key: str, where: str) -> None:
    """A string, or an array of parts of known types."""
    if isinstance(item.get(key), str):
        return
    if not isinstance(item.get(key), list):
        at = f"{where}.{key}"
        raise FormatError(f"{at}: must be a string or an array of parts", param=at)
    for number, part in enumerate(_within(item, key, where)):
        at = f"{where}.{key}[{number}].type"
        if not isinstance(part.get("type"), str) or part["type"] not in PARTS:
            raise FormatError(f"{at}: not a type of part known here", param=at)


def _within(item: Body, key: str, where: str) -> list[Body]:
    """The objects of an array in an item, which may be left out."""
    try:
        return objects(item, key)
    except FormatError as error:
        raise FormatError(f"{where}.{error}", param=f"{where}.{key}") from None


def _question(given: object) -> str:
    """What the last user turn says: an answer may only mean something next to it."""
    if not isinstance(given, list):
        return given if isinstance(given, str) else ""
    users = [item for item in given if _is_user(item)]
    content = users[-1]["content"] if users else ""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return str(content)


def _texts(body: Body) -> Iterator[Said]:
    """Every string of the body, and every key below the top that a model may get to read."""
    yield from WORDS.texts(body.get("instructions"), ("instructions",), role="system")
    if isinstance(body.get("input"), str):
        yield Said(("input",), "user", body["input"])
    for number, item in enumerate(_items(body)):
        yield from WORDS.texts(_spoken(item), ("input", number), role=_role(item))
    for key, value in body.items():
        if key not in {"input", "instructions", "model"}:
            yield from WORDS.texts(value, (key,), role="field")


def _spoken(item: Body) -> Body:
    """An item without the role that says who speaks, where that is what it is."""
    plain = _kind(item) == "message"
    return {key: value for key, value in item.items() if not (plain and key == "role")}


def _role(item: Body) -> str:
    kind = str(_kind(item))
    if kind == "message":
        return str(item["role"])
    if kind in ("additional_tools", "configuration_update"):
        return "developer"
    return "tool" if kind.endswith("_output") else "assistant"


def _said_in(item: Body) -> object:
    """What a message says; any other item says something."""
    return item.get("content") if _kind(item) == "message" else True


def _says_nothing(text: str, path: Path) -> bool:
    """Inline media of a part, closed or allowed by name, and words of the format's own."""
    if path[0] != "input" or len(path) < 3:
        return False
    if path[2] in ("content", "output") and len(path) > 3:
        if path[-2:] == ("input_audio", "data"):
            return True
        media = len(path) == 5 and path[4] in ("image_url", "file_data")
        return media and DATA_URL.match(text) is not None
    if len(path) == 3 and path[2] in ("id", "call_id"):
        return IDENTIFIER.fullmatch(text) is not None
    return len(path) == 3 and path[2] == "status" and text in STATUSES


WORDS = Vocabulary(KEYS, TYPES, _says_nothing)


def _formats(body: Body) -> Iterator[tuple[object, str]]:
    """The kinds of text that are asked for, each with the field; what is no kind is unknown."""
    for node, where in [
        (body, "text"),
        *(
            (item, f"input[{number}].text")
            for number, item in enumerate(_items(body))
            if _kind(item) == "configuration_update"
        ),
    ]:
        given = an_object(node, "text").get("format")
        if given is not None:
            kind = given.get("type") if isinstance(given, dict) else None
            yield kind if isinstance(kind, str) else "", where


def _side_channels(body: Body) -> Iterator[SideChannel]:
    """What asks for text that no screen sees, or lets the client put words into the model."""
    for field, value in body.items():
        name = "guided" if field.startswith("guided_") else SIDE_CHANNELS.get(field)
        if name and asked(value):
            yield SideChannel(name, field)
    for kind, where in _formats(body):
        if kind not in FORMATS:
            yield SideChannel("guided", where)
    included = body.get("include") or []
    if not isinstance(included, list) or not all(isinstance(item, str) for item in included):
        raise FormatError("include: must be an array of strings", param="include")
    for item in included:
        yield SideChannel(INCLUDED.get(item, "server_tools"), "include")
    yield from _tool_channels(body, "tools")
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind is not None and (not isinstance(kind, str) or kind not in CHOICES):
        yield SideChannel("server_tools", "tool_choice")
    for number, item in enumerate(_items(body)):
        yield from _item_channels(item, f"input[{number}]")
    items = _items(body)
    last = continued([(_role(item), _said_in(item)) for item in items])
    if last is not None:
        yield SideChannel("prefill", f"input[{last}]")


def _tool_channels(node: Body, where: str) -> Iterator[SideChannel]:
    """Tools that somebody else runs than the client, and grammars."""
    for number, tool in enumerate(objects(node, "tools")):
        at = f"{where}[{number}]"
        kind = tool.get("type")
        if kind == "namespace":
            yield from _tool_channels(tool, f"{at}.tools")
        elif not isinstance(kind, str) or kind not in OWN_TOOLS:
            yield SideChannel("server_tools", at)
        form = tool.get("format")
        if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
            yield SideChannel("guided", f"{at}.format")


def _item_channels(item: Body, where: str) -> Iterator[SideChannel]:
    kind = str(_kind(item))
    if kind in UNSCREENED:
        yield SideChannel(UNSCREENED[kind], where)
    if item.get("encrypted_content"):
        yield SideChannel("opaque", f"{where}.encrypted_content")
    if kind == "additional_tools":
        yield from _tool_channels(item, f"{where}.tools")
    for key in ("content", "output"):
        parts = item.get(key)
        for number, part in enumerate(parts if isinstance(parts, list) else ()):
            if isinstance(part, dict):
                # What a part holds counts, whatever type it says it has.
                names = {PARTS.get(str(part.get("type")))}
                names |= {HELD[held] for held in HELD if part.get(held)}
                for name in sorted(filter(None, names)):
                    yield SideChannel(name, f"{where}.{key}[{number}]")
