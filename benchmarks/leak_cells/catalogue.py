"""All cells of the matrix, and the ordinary answer of each wire format.

Knows which modules describe which wire format, and nothing else.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks.leak_cells import messages, responses
from benchmarks.leak_cells.channels import WHOLE, Body, Cell, Channel, Voice, cells
from benchmarks.leak_cells.chat import CHAT, chat, delta, spoken
from benchmarks.leak_cells.completions import COMPLETIONS, text
from benchmarks.leak_cells.framing import framing
from benchmarks.leak_cells.phrases import ORDINARY
from benchmarks.leak_cells.upstream import Script
from benchmarks.leak_cells.ways import WAYS

VECTOR = [0.25, -0.5, 0.125, 0.5]


def embedded(**top: object) -> Script:
    """An embedding, whose first number stands for the ordinary answer."""
    row: Body = {"object": "embedding", "index": 0, "embedding": VECTOR}
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    body = {"object": "list", "data": [row], "model": "matrix-embeddings", "usage": usage}
    return Script({**body, **top})


def listed(**fields: str) -> Script:
    """A list of one model."""
    model = {"id": "matrix-chat", "object": "model", "created": 1, "owned_by": "us", **fields}
    return Script({"object": "list", "data": [model]})


def ordinary(wire: str) -> Script:
    """What an upstream says that has nothing to say."""
    scripts: dict[str, Script] = {
        "chat": chat(delta(content=ORDINARY)),
        "completions": text(spoken(text=ORDINARY)),
        "responses": responses.ordinary(),
        "messages": messages.ordinary(),
        "embeddings": embedded(),
        "models": listed(),
    }
    return scripts[wire]


def _row(**fields: object) -> Script:
    return embedded(data=[{"object": "embedding", "index": 0, "embedding": VECTOR, **fields}])


def _beside(wire: str, name: str, group: str, reply: Callable[[Voice], Script]) -> Channel:
    return Channel(
        name=name, wire=wire, group=group, kind="aside", modes=(WHOLE,), reply=reply
    )  # fmt: skip


def _words(v: Voice) -> Script:
    return _row(embedding=[v.said, v.text])


EMBEDDINGS = [
    _beside("embeddings", "of the row", "unknown fields", lambda v: _row(note=v.text)),
    _beside("embeddings", "object of the row", "identifiers", lambda v: _row(object=v.slug)),
    _beside("embeddings", "at the top", "unknown fields", lambda v: embedded(note=v.text)),
    _beside("embeddings", "model", "identifiers", lambda v: embedded(model=v.slug)),
    _beside("embeddings", "usage key", "usage",
            lambda v: embedded(usage={"prompt_tokens": 9, "total_tokens": 9, v.slug: 1})),
    _beside("embeddings", "response headers", "framing",
            lambda v: Script(embedded().body, headers=(("x-note", v.said),))),
    Channel(name="words for numbers", wire="embeddings", group="errors", kind="error",
            modes=(WHOLE,), reply=_words),
    *(replace(channel, modes=(WHOLE,)) for channel in framing("embeddings", embedded)
      if channel.group == "errors" and channel.name.startswith("HTTP")),
]  # fmt: skip
MODELS = [
    _beside("models", "description", "unknown fields", lambda v: listed(description=v.text)),
    _beside("models", "owned_by", "identifiers", lambda v: listed(owned_by=v.said)),
    _beside("models", "object", "identifiers", lambda v: listed(object=v.slug)),
]
WIRES = ("chat", "completions", "responses", "messages")
CHANNELS = [
    *CHAT, *COMPLETIONS, *responses.RESPONSES, *messages.MESSAGES,
    *(channel for wire in WIRES for channel in framing(wire, partial(ordinary, wire))),
    *EMBEDDINGS, *MODELS,
]  # fmt: skip


def catalogue() -> list[Cell]:
    """Every cell."""
    return list(cells(CHANNELS, WAYS))
