"""OpenAI chat completions: a body into an exchange, released pieces back into a body.

Knows no policy and no HTTP. Field names and shapes: https://platform.openai.com/docs/api-reference/chat
and, for what self-hosted servers add, the vLLM and DeepSeek documentation of the same endpoint.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.exchange import Body, FormatError, Path, Placement, Request, Said, SideChannel
from proxy.fields import check_names
from proxy.formats.chat_answer import ChatAnswer
from proxy.formats.reading import (
    DATA_URL,
    Vocabulary,
    asked,
    bounded,
    continued,
    count,
    named,
    openai_error,
    switch,
)

route = "/v1/chat/completions"
typed = False
last: frozenset[str] = frozenset()
defaults: Mapping[str, Any] = {}
error = openai_error

ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
MOST_CHOICES = 128
# Words of the format itself: anything else in their place is a text.
TYPES = frozenset(
    """
    text image_url input_audio file refusal function custom object array string number integer
    boolean null json_object json_schema web_search auto content grammar approximate thinking
    reasoning.text reasoning.summary reasoning.encrypted redacted_thinking url_citation
    file_citation allowed_tools
    """.split()  # noqa: SIM905 - reads better
)
KEYS = frozenset(
    """
    role content name type text refusal tool_calls tool_call_id id function arguments custom input
    function_call image_url url detail input_audio data format file file_data file_id filename audio
    reasoning_content reasoning thinking annotations reasoning_details thinking_blocks
    signature
    """.split()  # noqa: SIM905 - reads better
)
JSON_KINDS = {"json_object", "json_schema"}
FORMATS = {None, "text", *JSON_KINDS}
PART_CHANNELS = {
    "text": None,
    "refusal": None,
    "thinking": None,
    "image_url": "images",
    "image_embeds": "images",
    "input_audio": "audio",
    "audio_url": "audio",
    "audio_embeds": "audio",
    "video_url": "files",
    "file": "files",
}
MEDIA = {kind for kind, name in PART_CHANNELS.items() if name}
SEALED = {"signature", "data"}  # of reasoning that comes back: what only the upstream can read
# Of a message: what puts words into the model's mouth, and media that some servers take there.
AROUND = {
    "prefix": "prefill",
    "partial": "prefill",
    "audio": "audio",
    "input_audio": "audio",
    "images": "images",
    "image_url": "images",
    "video": "files",
    "videos": "files",
}
REASONED = ("reasoning_details", "thinking_blocks")
CLIENT_TOOLS = {"function", "custom"}  # the client runs them: results come through the screens
TOOL_FIELDS = {*CLIENT_TOOLS, "type", "strict", "cache_control", "name", "description"}


def read(body: Body) -> Request:
    """Find every text of a request and where it stands.

    Raises FormatError for a body the endpoint does not define, naming the field.
    """
    check_names(body, NAMES)
    model, messages = named(body, "model"), body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise FormatError("messages: must be a non-empty array", param="messages")
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")
    return Request(
        body=body,
        model=model,
        stream=switch(body, "stream"),
        choices=count(body, "n", most=MOST_CHOICES) or 1,
        said=bounded(_texts(body)),
        question=_question(messages),
        usage_wanted=usage_wanted(body),
        side_channels=tuple(_side_channels(body, messages)),
        json_promised=kind_of(body.get("response_format")) in JSON_KINDS,
    )


def instruct(body: Body, instruction: str, placement: Placement) -> Body:
    """Return a body with an instruction added: a message of its own, or behind the system text.

    Many chat templates take a system message in first place only, so `system` joins one that
    stands there. The body given stays as it is.
    """
    messages = list(body["messages"])
    first = messages[0]
    if placement == "before-last-user":
        users = [at for at, message in enumerate(messages) if message["role"] == "user"]
        messages.insert(
            users[-1] if users else len(messages), {"role": "system", "content": instruction}
        )
    elif first["role"] == placement and isinstance(first.get("content"), str):
        messages[0] = {**first, "content": f"{first['content']}\n\n{instruction}"}
    else:
        messages.insert(0, {"role": placement, "content": instruction})
    return {**body, "messages": messages}


def answer(request: Request) -> ChatAnswer:
    """Begin an answer to a request."""
    return ChatAnswer(request)


def usage_wanted(body: Body) -> bool:
    """Whether a stream is to end with its counts of tokens."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def kind_of(part: object) -> str | None:
    """The `type` of an object; None where there is none, empty where it is no name of a kind."""
    if part is None:
        return None
    kind = part.get("type") if isinstance(part, dict) else ""
    return kind if isinstance(kind, str) else ""


def fields_around(body: Body) -> Iterator[SideChannel]:
    """Fields at the top of a body that go around the screens, on every endpoint of this API."""
    for field, value in body.items():
        name = "guided" if field.startswith("guided_") else SIDE_CHANNELS.get(field)
        if name and (asked(value) or (field in EVEN_EMPTY and isinstance(value, dict))):
            yield SideChannel(name, field)
    if kind_of(body.get("response_format")) not in FORMATS:
        yield SideChannel("guided", "response_format")


def _check_message(message: object, where: str) -> None:
    if not isinstance(message, dict):
        raise FormatError(f"{where}: must be an object", param=where)
    if not isinstance(message.get("role"), str) or message["role"] not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise FormatError(f"{where}.role: must be one of {known}", param=f"{where}.role")
    content = message.get("content")
    if isinstance(content, list):
        for number, part in enumerate(content):
            at = f"{where}.content[{number}]"
            if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                raise FormatError(f"{at}: must be an object with a type", param=at)
    elif content is not None and not isinstance(content, str):
        at = f"{where}.content"
        raise FormatError(f"{at}: must be a string, an array of parts or null", param=at)


def _question(messages: list[Body]) -> str:
    """What the last user turn says: an answer may only mean something next to it."""
    users = [message for message in messages if message["role"] == "user"]
    content = users[-1].get("content") if users else None
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""


def _texts(body: Body) -> Iterator[Said]:
    """Every string of the body, and every key below the top that a model may get to read."""
    for number, message in enumerate(body["messages"]):
        spoken = {key: value for key, value in message.items() if key != "role"}
        yield from WORDS.texts(spoken, ("messages", number), role=message["role"])
    for key, value in body.items():
        if key not in {"messages", "model"}:
            yield from WORDS.texts(value, (key,), role="field")


def _is_media(text: str, path: Path) -> bool:
    """Inline media and sealed reasoning: closed or allowed by name, with no text to screen."""
    if len(path) == 5 and path[2] in REASONED and isinstance(path[3], int):
        return path[4] in SEALED
    inside = len(path) == 6 and path[0] == "messages" and path[2] == "content"
    return inside and path[4] in MEDIA and DATA_URL.match(text) is not None


WORDS = Vocabulary(KEYS, TYPES, _is_media)


def _side_channels(body: Body, messages: list[Body]) -> Iterator[SideChannel]:
    """What asks for text that no screen sees, or lets the client put words into the model."""
    yield from fields_around(body)
    yield from _tool_channels(body)
    if body.get("add_generation_prompt") not in (None, True):
        yield SideChannel("prefill", "add_generation_prompt")
    modalities = body.get("modalities")
    if modalities is not None and modalities != ["text"]:
        yield SideChannel("audio", "modalities")
    last = continued([(message["role"], message.get("content")) for message in messages])
    if last is not None:
        yield SideChannel("prefill", f"messages[{last}]")
    for number, message in enumerate(messages):
        for field, name in AROUND.items():
            if message.get(field):
                yield SideChannel(name, f"messages[{number}].{field}")
        for field in REASONED:
            if any(_is_sealed(item) for item in _listed(message.get(field))):
                yield SideChannel("opaque", f"messages[{number}].{field}")
        yield from _part_channels(message, f"messages[{number}].content")


def _tool_channels(body: Body) -> Iterator[SideChannel]:
    """Tools that the upstream runs itself. What a tool holds counts, whatever type it has."""
    tools = body.get("tools")
    if asked(tools) and not isinstance(tools, list):
        yield SideChannel("server_tools", "tools")
    for number, tool in enumerate(_listed(tools)):
        known = isinstance(tool, dict) and not tool.keys() - TOOL_FIELDS
        kind = kind_of(tool) or "function"
        if not known or kind not in CLIENT_TOOLS or kind not in tool:
            yield SideChannel("server_tools", f"tools[{number}]")
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and kind_of(choice) not in {*CLIENT_TOOLS, "allowed_tools"}:
        yield SideChannel("server_tools", "tool_choice")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_sealed(item: object) -> bool:
    return isinstance(item, dict) and any(item.get(key) for key in SEALED)


def _part_channels(message: Body, where: str) -> Iterator[SideChannel]:
    content = message.get("content")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        # What a part holds counts, whatever type it says it has.
        names = {PART_CHANNELS.get(part["type"], "files")}
        names |= {PART_CHANNELS[key] for key in MEDIA if key in part}
        for name in sorted(filter(None, names)):
            yield SideChannel(name, f"{where}[{number}]")


SIDE_CHANNELS = {
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "prompt_logprobs": "logprobs",
    "echo": "echo",
    "continue_final_message": "prefill",
    "logit_bias": "logit_bias",
    "chat_template": "chat_template",
    "chat_template_kwargs": "chat_template",
    "documents": "chat_template",
    "prefix": "prefill",
    "prefill": "prefill",
    "prediction": "prefill",
    "grammar": "guided",
    "regex": "guided",
    "ebnf": "guided",
    "json_schema": "guided",
    "bad_words": "guided",
    "bad_words_ids": "guided",
    "structured_outputs": "guided",
    "allowed_token_ids": "guided",
    "logits_processors": "guided",
    "audio": "audio",
    "prompt_embeds": "files",
    "store": "stored",
    "stop": "stop",
    "stop_token_ids": "stop",
    "stop_sequences": "stop",
    "stop_regex": "stop",
    "return_token_ids": "logprobs",
    "return_tokens_as_token_ids": "logprobs",
    "return_tokens": "logprobs",
    "n_probs": "logprobs",
    "return_logprob": "logprobs",
    "return_hidden_states": "logprobs",
    "token_ids": "tokens",
    "prompt_token_ids": "tokens",
    "input_ids": "tokens",
    "input_embeds": "files",
    "custom_logit_processor": "guided",
    "structural_tag": "guided",
    "kv_transfer_params": "stored",
    "web_search_options": "server_tools",
    "web_search": "server_tools",
    "enable_search": "server_tools",
    "search_parameters": "server_tools",
    "plugins": "server_tools",
    "data_sources": "server_tools",
    "mcp_servers": "server_tools",
    # Another model answers, and policies go by the model asked for.
    "models": "server_tools",
    "fallbacks": "server_tools",
    "previous_response_id": "stored",
    "conversation": "stored",
    "session_params": "stored",
    "prompt": "stored",
    # The same under other servers' names.
    "continue_": "prefill",
    "response_prefix": "prefill",
    "chat_template_str": "chat_template",
    "instruction_template_str": "chat_template",
    "template_vars": "chat_template",
    "grammar_string": "guided",
    "regex_pattern": "guided",
    "banned_strings": "guided",
    "nvext": "guided",
    "extra_body": "guided",
    "enable_code_interpreter": "server_tools",
    "search_options": "server_tools",
    "compound_custom": "server_tools",
    "dataSources": "server_tools",
    "cached_content": "stored",
    "prompt_id": "stored",
    "preset": "stored",
    "context_id": "stored",
    "conversation_id": "stored",
    "thread_id": "stored",
    "deferred": "stored",
    # Other weights answer.
    "lora": "server_tools",
    "lora_path": "server_tools",
    "lora_request": "server_tools",
    "adapter_id": "server_tools",
    "adapter_source": "server_tools",
    # What the model gets to see of the prompt: an instruction stands at its beginning.
    "truncate_prompt_tokens": "chat_template",
    "template": "chat_template",
    "images": "images",
}
EVEN_EMPTY = {"web_search_options", "search_parameters"}  # ask for it by being there
NAMES = KEYS | SIDE_CHANNELS.keys()
