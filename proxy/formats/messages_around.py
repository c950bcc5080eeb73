"""What of an Anthropic request goes around the screens, by name, and the values that none can read.

Knows no policy: says what is asked for, not whether it may be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy.exchange import Body, Path, SideChannel
from proxy.formats import chat
from proxy.formats.reading import asked, continued

# Servers that speak both APIs may take the other's fields here too.
FIELDS = {
    **chat.SIDE_CHANNELS,
    "mcp_servers": "server_tools",
    "container": "server_tools",
    "fallbacks": "server_tools",  # another model answers, and policies go by the model asked for
    "thread": "stored",
}
# Tools that the client runs itself: what they return comes back through the screens.
CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "browser_")
BLOCKS = frozenset(
    """
    text search_result thinking tool_use tool_result server_tool_use mcp_tool_use tool_reference
    browser_state tool_addition tool_removal mcp_tool_listing compaction fallback
    """.split()  # noqa: SIM905 - reads better
)
READ_SOURCES = ("text", "content")
DEEPER = ("content", "source", "citations")
ENDS = ("_result", "_error")  # of types of blocks that hold what a tool of the provider's returned


@dataclass(frozen=True, slots=True)
class Around:
    """Side channels that a request uses, and where values stand that no screen can read."""

    channels: tuple[SideChannel, ...]
    opaque: frozenset[Path]


@dataclass(frozen=True, slots=True)
class _Found:
    """A value of a block that goes around; `opaque` is its place where no screen can read it."""

    name: str
    path: Path
    opaque: Path | None = None


def around(body: Body) -> Around:
    """Find everything of a checked body that no screen sees or that puts words into the model."""
    found = [one for place in ("system", "messages") for one in _below(body.get(place), (place,))]
    channels = [*_fields(body), *(SideChannel(one.name, _param(one.path)) for one in found)]
    opaque = frozenset(one.opaque for one in found if one.opaque)
    return Around(tuple(dict.fromkeys(channels)), opaque)


def _fields(body: Body) -> Iterator[SideChannel]:
    for field, value in body.items():
        name = "guided" if field.startswith("guided_") else FIELDS.get(field)
        if name and asked(value):
            yield SideChannel(name, field)
    for number, tool in enumerate(body.get("tools") or ()):
        if not _is_run_by_client(tool.get("type")):
            yield SideChannel("server_tools", f"tools[{number}]")
    last = continued([(turn["role"], turn.get("content")) for turn in body["messages"]])
    if last is not None:
        yield SideChannel("prefill", f"messages[{last}]")


def _is_run_by_client(kind: object) -> bool:
    return kind in (None, "custom") or (isinstance(kind, str) and kind.startswith(CLIENT_TOOLS))


def _below(node: Any, path: Path) -> Iterator[_Found]:  # noqa: ANN401 - any JSON value
    """What goes around in every block below a node. A call's input is text, whatever it holds."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from _below(item, (*path, number))
    elif isinstance(node, dict):
        yield from _of(node, path)
        for key in DEEPER:
            if isinstance(node.get(key), list | dict):
                yield from _below(node[key], (*path, key))


def _of(block: Body, path: Path) -> Iterator[_Found]:
    kind = block.get("type")
    source = block.get("source")
    # What a block holds counts, whatever type it says it has.
    for key in sorted(chat.MEDIA & block.keys()):
        yield _Found(chat.PART_CHANNELS[key] or "files", path)
    if isinstance(source, dict) or kind in ("image", "document"):
        yield from _media(kind, source, path)
    elif _is_block(path) and not _is_known(kind):
        yield _Found("files", path)
    for key, value in block.items():
        sealed = key.startswith("encrypted_") or (key, kind) == ("data", "redacted_thinking")
        if value and (sealed or (key == "signature" and kind == "thinking")):
            at = (*path, key)
            yield _Found("opaque", path, at if isinstance(value, str) else None)


def _media(kind: object, source: object, path: Path) -> Iterator[_Found]:
    form = source.get("type") if isinstance(source, dict) else None
    if kind != "image" and form in READ_SOURCES:
        return
    coded = form == "base64" and isinstance(source, dict) and isinstance(source.get("data"), str)
    yield _Found(
        "images" if kind == "image" else "files",
        path,
        (*path, "source", "data") if coded else None,
    )


def _is_block(path: Path) -> bool:
    """Whether a path ends in the place of a content block."""
    return len(path) > 2 and isinstance(path[-1], int) and path[-2] == "content"


def _is_known(kind: object) -> bool:
    return isinstance(kind, str) and (
        kind in BLOCKS or kind == "redacted_thinking" or kind.endswith(ENDS)
    )


def _param(path: Path) -> str:
    """A path as error messages write it: `messages[0].content[1]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
