"""The content blocks of an Anthropic message: written in their order from what was released.

Knows no request and no upstream. Text is released sentence by sentence and out of order; a stream
of blocks has one order, so what belongs to a later block waits until the earlier ones have ended.
"""

import json
import uuid
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from proxy.exchange import Body, Channel, Closed, Delta, Finished, Piece, Refused

RunType = Literal["text", "thinking"]


@dataclass(slots=True)
class Run:
    """Blocks of one type with nothing between them: one text, and where each block of it ends.

    A name that an upstream splits over two blocks is whole in it.
    """

    type: RunType
    channel: Channel
    chunks: list[str] = field(default_factory=list, repr=False)  # as received
    length: int = 0
    ends: list[int] = field(default_factory=list)
    cited: dict[int, list[Channel]] = field(default_factory=dict)  # by number of block
    signed: dict[int, str] = field(default_factory=dict, repr=False)  # likewise, where allowed
    open: int | None = None  # the upstream's index of the block that is being received
    sealed: bool = False  # nothing more will be received

    def hear(self, text: str) -> Delta:
        """Keep what was received, to know it again when it is released."""
        self.chunks.append(text)
        self.length += len(text)
        return Delta(self.channel, text)

    def stop(self) -> None:
        """The block that is being received has ended."""
        if self.open is not None:
            self.ends.append(self.length)
            self.open = None


@dataclass(slots=True)
class Call:
    """A call of a tool that the client runs. Its identifier is ours."""

    number: int
    toolset: str | None = None
    type: Literal["tool_use"] = "tool_use"
    whole: bool = False  # its input came in one piece
    id: str = field(default_factory=lambda: f"toolu_{uuid.uuid4().hex[:24]}")

    def channel(self, part: Literal["name", "input"]) -> Channel:
        """The way it says its name or its input."""
        return Channel(0, "tool", self.number, part)


Plan = Sequence[Run | Call]


class Received:
    """A run's text as it was received, walked along beside what is released of it."""

    def __init__(self, chunks: Sequence[str]) -> None:
        self._chunks = chunks
        self._at = 0
        self._offset = 0

    def follow(self, text: str) -> bool:
        """Whether a text comes next; only then move behind it."""
        at, offset, start = self._at, self._offset, 0
        while start < len(text):
            if at >= len(self._chunks):
                return False
            chunk = self._chunks[at]
            size = min(len(chunk) - offset, len(text) - start)
            if chunk[offset : offset + size] != text[start : start + size]:
                return False
            start, offset = start + size, offset + size
            if offset == len(chunk):
                at, offset = at + 1, 0
        self._at, self._offset = at, offset
        return True


class Writer:
    """Released pieces as events of content blocks, in the order of the blocks.

    The blocks are those of the upstream while what is released is what was received. Once it is
    not, the rest of a run goes into one block, and citations of text that has changed are dropped.
    Where JSON was promised no text leaves before the end, so that none of it stands beside a
    refusal.
    """

    def __init__(self, plan: Plan, *, json_promised: bool) -> None:
        self._plan = plan
        self._json_promised = json_promised
        self._cleared: dict[Channel, str] = {}  # released and not yet written
        self._closed: set[Channel] = set()
        self._ending: Finished | Refused | None = None
        self._position = 0  # of the item that is being written
        self._index = 0  # of the block that is being written, or would be
        self._writing = False
        self._tail = ""
        self._begin()

    def write(self, piece: Piece) -> Iterator[Body]:
        """What can be written once a piece was released. Nothing follows an ending."""
        if self._ending:
            return
        if isinstance(piece, Delta):
            self._cleared[piece.channel] = self._cleared.get(piece.channel, "") + piece.text
        elif isinstance(piece, Closed):
            self._closed.add(piece.channel)
        else:
            self._ending = piece
        yield from self._advance()
        if isinstance(piece, Refused):
            yield from self._refusal(piece.words)

    def _begin(self) -> None:
        """Stand before the next item of the plan."""
        self._block = 0
        self._at = 0
        self._changed = False
        self._received: Received | None = None

    def _advance(self) -> Iterator[Body]:
        while self._position < len(self._plan):
            item = self._plan[self._position]
            if isinstance(item, Call) or (self._json_promised and item.type == "text"):
                if self._ending is None:
                    return
                if isinstance(self._ending, Finished):
                    yield from self._call(item) if isinstance(item, Call) else self._run(item)
            elif (yield from self._run(item)) or not self._ended(item):
                return
            if self._writing:
                yield self._stop()
            self._position += 1
            self._begin()

    def _ended(self, run: Run) -> bool:
        silent = run.sealed and not run.length
        return silent or run.channel in self._closed or self._ending is not None

    def _run(self, run: Run) -> Generator[Body, None, bool]:
        """Write what was released of a run; return whether a citation has to be waited for."""
        text = self._cleared.pop(run.channel, "")
        received = self._received = self._received or Received(run.chunks)
        while True:
            end = run.ends[self._block] if self._block < len(run.ends) else None
            if not self._changed and self._at == end:
                cited = run.cited.get(self._block, [])
                if not self._ending and not self._closed.issuperset(cited):
                    self._cleared[run.channel] = text
                    return True
                if self._writing:
                    yield from self._citations(cited)
                    if signature := run.signed.get(self._block):
                        yield self._delta({"type": "signature_delta", "signature": signature})
                    yield self._stop()
                self._block += 1
            elif not text:
                return False
            else:
                part = text if end is None or self._changed else text[: end - self._at]
                if not self._changed and not received.follow(part):
                    self._changed, part = True, text
                if not self._writing:
                    yield self._start(_blank(run.type))
                yield self._said(run.type, part)
                self._at, text = self._at + len(part), text[len(part) :]

    def _citations(self, cited: Sequence[Channel]) -> Iterator[Body]:
        for channel in cited:
            if text := self._cleared.pop(channel, ""):
                yield self._delta({"type": "citations_delta", "citation": json.loads(text)})

    def _call(self, call: Call) -> Iterator[Body]:
        name = self._cleared.pop(call.channel("name"), "")
        if not name:
            return
        toolset = {"toolset_name": call.toolset} if call.toolset else {}
        head = {"type": "tool_use", "id": call.id, "name": name, "input": {}, **toolset}
        said = self._cleared.pop(call.channel("input"), "")
        yield self._start(head)
        yield self._delta({"type": "input_json_delta", "partial_json": said})

    def _refusal(self, words: str) -> Iterator[Body]:
        if self._json_promised:
            words = json.dumps({"refusal": words}, ensure_ascii=False)
        elif self._tail.strip():
            words = f" {words}"
        yield self._start(_blank("text"))
        yield self._said("text", words)
        yield self._stop()

    def _start(self, block: Body) -> Body:
        self._writing = True
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _said(self, kind: RunType, text: str) -> Body:
        if kind == "text":
            self._tail = text[-1:]
        return self._delta({"type": f"{kind}_delta", kind: text})

    def _delta(self, delta: Body) -> Body:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self) -> Body:
        self._writing = False
        self._index += 1
        return {"type": "content_block_stop", "index": self._index - 1}


def folded(events: Sequence[Body]) -> list[Body]:
    """Content blocks, as their events build them."""
    blocks: list[Body] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            _add(blocks[-1], event["delta"])
    return blocks


def _add(block: Body, delta: Body) -> None:
    if delta["type"] == "input_json_delta":
        block["input"] = _read(delta["partial_json"])
    elif delta["type"] == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        key = delta["type"].removesuffix("_delta")
        block[key] += delta[key]


def _blank(kind: RunType) -> Body:
    # Signatures can carry words, and no screen can read them.
    return {"type": kind, kind: "", **({"signature": ""} if kind == "thinking" else {})}


def _read(said: str) -> Any:  # noqa: ANN401 - any JSON value
    """A call's input; of one that was cut off in the middle nothing can be used."""
    try:
        return json.loads(said) if said else {}
    except (ValueError, RecursionError):
        return {}
