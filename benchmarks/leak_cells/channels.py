"""The cells of the leak matrix: which channel of which wire format, in which mode and disguise.

Knows how cells are chosen, and no gateway.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.leak_cells.phrases import DISGUISES, FORBIDDEN, Disguise
from benchmarks.leak_cells.upstream import Script

Body = dict[str, Any]
Kind = Literal["speech", "aside", "error"]
WHOLE, STREAMED = False, True
UNREAD = {"in: user", "in: metadata", "in: metadata.user_id", "in: safety_identifier"}
PATHS = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "messages": "/messages",
    "embeddings": "/embeddings",
    "models": "/models",
}


@dataclass(frozen=True, slots=True)
class Voice:
    """What an upstream has to say in a cell: a name in a disguise, and how texts are chunked."""

    name: str
    disguise: Disguise = DISGUISES["plain"]
    chunking: str = "whole"

    @property
    def said(self) -> str:
        """The name in its disguise."""
        return self.disguise.hide(self.name)

    @property
    def text(self) -> str:
        """A sentence with the name."""
        return f"The letter for {self.said} is here."

    @property
    def slug(self) -> str:
        """The name as an identifier."""
        return self.name.lower().replace(" ", "_")

    @property
    def words(self) -> tuple[str, str]:
        """The two words of the name."""
        first, _, second = self.name.partition(" ")
        return first, second

    def parts(self, text: str) -> list[str]:
        """A text in the pieces in which a model says it."""
        if self.chunking == "characters":
            return list(text)
        if self.chunking == "middle" and self.said in text:
            at = text.index(self.said) + len(self.said) // 3
            return [text[:at], text[at:]]
        return [text]

    def marks(self) -> tuple[str, ...]:
        """What shows that a text is about the name: the name in its disguise, and its words."""
        return (self.said.casefold(), *(word.casefold() for word in self.words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way in which a model, or whoever stands behind it, can say a name.

    kind       `speech`: clients read it, an innocent text must arrive as it is; `aside`: no client
               needs it, the ordinary text beside it must arrive; `error`: an error must arrive
    may_close  why a gateway may refuse such a request altogether
    anywhere   an innocent text may arrive through another field of the answer
    tells      the words that count as a leak; by default both
    """

    name: str
    wire: str
    group: str
    reply: Callable[[Voice], Script] = field(repr=False)
    ask: Callable[[Voice], Body] = field(default=lambda _: {}, repr=False)
    kind: Kind = "speech"
    modes: tuple[bool, ...] = (WHOLE, STREAMED)
    may_close: str = ""
    anywhere: bool = False
    json: bool = False
    tells: tuple[str, ...] = tuple(FORBIDDEN.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One place of a request in which a name can go in. `ask` gives fields of the request."""

    name: str
    wire: str
    ask: Callable[[Voice], Body] = field(repr=False)
    may_close: str = ""
    group: str = "on the way in"
    modes: tuple[bool, ...] = (WHOLE,)

    @property
    def may_drop(self) -> bool:
        """Whether a gateway may leave the field out: no model reads it, or no API knows it."""
        return self.name in UNREAD or "unknown field" in self.name


@dataclass(frozen=True, slots=True)
class Cell:
    """One channel (or way in) in one mode, disguise and chunking."""

    channel: Channel | Way
    streamed: bool
    disguise: str = "plain"
    chunking: str = "whole"

    @property
    def inward(self) -> bool:
        """Whether it looks at what the upstream receives."""
        return isinstance(self.channel, Way)

    @property
    def group(self) -> str:
        """The table it stands in."""
        if self.disguise != "plain":
            return "disguises"
        return "chunkings" if self.chunking != "whole" else self.channel.group

    @property
    def key(self) -> str:
        """Its name, the same in every run."""
        mode = "stream" if self.streamed else "whole"
        return "/".join((self.channel.wire, self.channel.name, mode, self.disguise, self.chunking))

    def voice(self, name: str) -> Voice:
        """The upstream's part with a name."""
        return Voice(name, DISGUISES[self.disguise], self.chunking)


DISGUISED = {
    "chat": ("content", "tool arguments", "reasoning_content"),
    "completions": ("text",),
    "responses": ("output text", "function arguments"),
    "messages": ("text", "tool input"),
}
CHUNKED = {
    "chat": ("content", "tool arguments", "reasoning_content", "tool name", "refusal"),
    "completions": ("text",),
    "responses": ("output text", "function arguments", "reasoning summary"),
    "messages": ("text", "tool input", "thinking"),
}
DISGUISED_WAYS = {
    "chat": ("in: user turn", "in: tool result"),
    "completions": ("in: prompt",),
    "responses": ("in: input string",),
    "messages": ("in: user turn",),
    "embeddings": ("in: input string",),
}


OTHERS = [name for name in DISGUISES if name != "plain"]


def cells(channels: list[Channel], ways: list[Way]) -> Iterator[Cell]:
    """Every channel in every mode plain and whole; disguises and chunkings of a few."""
    every: list[Channel | Way] = [*channels, *ways]
    yield from (Cell(channel, streamed) for channel in every for streamed in channel.modes)
    for channel in channels:
        if channel.name in DISGUISED.get(channel.wire, ()):
            yield from (Cell(channel, mode, name) for name in OTHERS for mode in channel.modes)
        if channel.name in CHUNKED.get(channel.wire, ()):
            for chunking in ("characters", "bytes", "middle"):
                yield Cell(channel, STREAMED, chunking=chunking)
            yield Cell(channel, WHOLE, chunking="bytes")
            yield Cell(channel, STREAMED, "zero-width", "bytes")
    for way in ways:
        if way.name in DISGUISED_WAYS.get(way.wire, ()):
            yield from (Cell(way, WHOLE, name) for name in OTHERS)


def merged(one: Any, other: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Two pieces of an answer as one, as SDKs join the chunks of a stream."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        both = {**one}
        for key, value in other.items():
            both[key] = merged(one[key], value) if one.get(key) is not None else value
        return both
    if isinstance(one, list) and isinstance(other, list):
        rows = list(one)
        for item in other:
            at = item.get("index") if isinstance(item, dict) else None
            known = [n for n, row in enumerate(rows) if at is not None and row.get("index") == at]
            if known:
                rows[known[0]] = merged(rows[known[0]], item)
            else:
                rows.append(item)
        return rows
    if isinstance(one, str) and isinstance(other, str):
        return one + other
    return other
