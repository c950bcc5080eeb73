"""The shape of a response's output: items, their parts, and what was heard of each.

Knows no event and no policy. Shapes: the page named in `proxy.formats.responses`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO

from proxy.exchange import Body, Channel, Kind

# Identifiers of the API's own making: no words in them.
IDENTIFIER = re.compile(r"(?:resp|msg|rs|fc|ctc|call)_[0-9a-f]{16,80}")
# What conversations that an upstream keeps go by: passed on only where a policy allows them.
KEPT = re.compile(r"(?:resp|call)_[0-9A-Za-z]{16,80}")
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
SAID_BY = {"function_call": "arguments", "custom_tool_call": "input"}


@dataclass(frozen=True, slots=True)
class PartKind:
    """A kind of part: the items it stands in, their list of such, its field, its channel."""

    name: str
    item: str
    within: str
    field: str
    channel: Kind
    event: str  # of its text, without the verb

    @property
    def number(self) -> str:
        """The field of an event that tells parts apart."""
        return "summary_index" if self.within == "summary" else "content_index"


TEXT = PartKind("output_text", "message", "content", "text", "content", "response.output_text")
REFUSAL = PartKind("refusal", "message", "content", "refusal", "refusal", "response.refusal")
SUMMARY = PartKind(
    "summary_text",
    "reasoning",
    "summary",
    "text",
    "reasoning",
    "response.reasoning_summary_text",
)
THOUGHT = PartKind(
    "reasoning_text", "reasoning", "content", "text", "reasoning", "response.reasoning_text"
)
PARTS = {kind.event: kind for kind in (TEXT, REFUSAL, SUMMARY, THOUGHT)}
IN_MESSAGES = {kind.name: kind for kind in (TEXT, REFUSAL)}


class Run:
    """All that came through one channel: consecutive parts of one kind are read as one text."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.length = 0
        self.closed = False
        self._text = StringIO(newline="")

    def add(self, text: str) -> None:
        """Note what was said next."""
        self._text.seek(self.length)
        self._text.write(text)
        self.length += len(text)

    def slice(self, start: int, length: int) -> str:
        """A range of what was said. Characters."""
        self._text.seek(start)
        return self._text.read(length)


@dataclass(slots=True, eq=False)
class Block:
    """One part of an item, and where its text stands in that of its run."""

    kind: PartKind
    run: Run
    start: int = 0
    length: int = 0
    annotations: list[Channel] = field(default_factory=list)
    annotated: int = 0  # annotations met, those dropped included
    logprobs: list[Body] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Item:
    """One item of the output. A call has a name and what is said by it, others have parts."""

    kind: str
    id: str
    call_id: str
    blocks: list[Block] = field(default_factory=list)
    numbers: dict[tuple[str, int], Block] = field(default_factory=dict)
    call: tuple[Run, Run] | None = None
    done: bool = False
    status: str = "completed"
    phase: str | None = None
    namespace: str | None = None
    opaque: str | None = None

    @property
    def heard(self) -> bool:
        """Whether it has said anything."""
        return any(run.length for run in self.runs)

    @property
    def runs(self) -> list[Run]:
        """Its channels in order."""
        return list(self.call or dict.fromkeys(block.run for block in self.blocks))


def over(items: Sequence[Item], item: Item) -> bool:
    """Whether an item has been told to its end, in words of its own or by those that follow."""
    if not item.done:
        return False
    at = next(n for n, other in enumerate(items) if other is item)
    return any(other.heard for other in items[at:])
