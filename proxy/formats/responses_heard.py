"""What an upstream of the responses API said: events or a whole response in, pieces out.

Keeps the shape of it, items and their parts, for whoever writes it back. Knows no request, no
policy and no HTTP. Shapes: the page named in `proxy.formats.responses`.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from proxy.exchange import Body, Channel, Closed, Delta, Finished, FormatError, Piece
from proxy.formats.reading import a_text, an_object, objects
from proxy.formats.responses_shapes import (
    IN_MESSAGES,
    KEPT,
    PARTS,
    PREFIXES,
    SAID_BY,
    SUMMARY,
    TEXT,
    THOUGHT,
    Block,
    Item,
    PartKind,
    Run,
    over,
)

PHASES = {"commentary", "final_answer"}
UNFINISHED = {"failed", "cancelled", "in_progress", "queued"}
REASONS = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "max_messages": "max_messages",
    "steered": "steered",
}
CITED: dict[str, dict[str, type]] = {
    "url_citation": {"url": str, "title": str, "start_index": int, "end_index": int},
    "file_citation": {"file_id": str, "filename": str, "index": int},
    "container_file_citation": {
        "container_id": str,
        "file_id": str,
        "filename": str,
        "start_index": int,
        "end_index": int,
    },
    "file_path": {"file_id": str, "index": int},
}
CALL_EVENTS = {
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
}


class Heard:
    """One upstream answer, taken apart.

    namespaces     names that the client gave groups of its tools: the only ones passed on
    side_channels  names of those that the request was granted
    """

    def __init__(self, *, namespaces: frozenset[str], side_channels: frozenset[str]) -> None:
        self.items: list[Item] = []
        self._namespaces = namespaces
        self._granted = side_channels
        self._numbered: dict[int, Item | None] = {}  # None: an item that is dropped
        self._known: dict[str, Item] = {}  # by the upstream's identifiers
        self._channels = 0

    def event(self, kind: str, event: Body) -> Iterator[Piece]:
        """Take one event within the stream apart; one that is not known is dropped.

        Raises FormatError on a shape that is not the format's.
        """
        stem, _, verb = kind.rpartition(".")
        if stem in PARTS and verb in ("delta", "done"):
            yield from self._part_text(event, PARTS[stem], verb)
        elif stem in CALL_EVENTS and verb in ("delta", "done"):
            yield from self._call_text(event, CALL_EVENTS[stem], verb)
        elif stem == "response.content_part" and verb in ("added", "done"):
            yield from self._content_part(event)
        elif stem == "response.reasoning_summary_part" and verb in ("added", "done"):
            item = self._at(event, "reasoning")
            block = self._block(item, SUMMARY, _number(event, "summary_index"))
            yield from self._part(item, block, an_object(event, "part"))
        elif kind == "response.output_text.annotation.added":
            item = self._at(event, "message")
            block = self._block(item, TEXT, _number(event, "content_index"))
            yield from self._annotation(item, block, an_object(event, "annotation"))
        elif kind == "response.output_item.added":
            yield from self._begun(event)
        elif kind == "response.output_item.done":
            item_or_none = self._begin(event)
            if item_or_none:
                yield from self._ended(item_or_none, an_object(event, "item"))

    def whole(self, response: Body) -> Iterator[Piece]:
        """Take a whole response apart: of what was streamed before, what is new in it.

        Raises FormatError likewise.
        """
        bodies = [body for body in objects(response, "output") if _type(body) in PREFIXES]
        left = list(self.items)
        found: list[Item | None] = []
        for body in bodies:
            item = self._known.get(str(body.get("id")))
            item = item if item in left and item.kind == body["type"] else None
            found.append(item)
            if item:
                left.remove(item)
        for body, item in zip(bodies, found, strict=True):
            # Some servers give an item another name at the end than they gave it before.
            same = item or next((other for other in left if other.kind == body["type"]), None)
            if same and not item:
                left.remove(same)
            yield from self._ended(same or self._new(body), body)
        reason = _reason(response)
        yield Finished(0, reason, cut=reason != "stop")

    def _begun(self, event: Body) -> Iterator[Piece]:
        item = self._begin(event)
        if item and not item.done:
            yield from self._fill(item, an_object(event, "item"))

    def _begin(self, event: Body) -> Item | None:
        """The item that an event is about, made where it is new; None where it is dropped."""
        number, body = _index(event), an_object(event, "item")
        if not body:
            return None  # some servers announce what they do not say
        if number not in self._numbered:
            self._numbered[number] = self._new(body) if _type(body) in PREFIXES else None
        item = self._numbered[number]
        if item and item.kind != body.get("type"):
            raise FormatError("output_index: an item that has become another")
        return item

    def _new(self, body: Body) -> Item:
        kind = body["type"]
        item = Item(kind, f"{PREFIXES[kind]}_{uuid.uuid4().hex}", f"call_{uuid.uuid4().hex}")
        if kind in SAID_BY:
            self._channels += 1
            name, said = (Channel(0, "tool", self._channels, p) for p in ("name", SAID_BY[kind]))
            item.call = Run(name), Run(said)
        if isinstance(body.get("id"), str):
            self._known[body["id"]] = item
        self.items.append(item)
        return item

    def _at(self, event: Body, kind: str) -> Item:
        """The item that an event speaks in. Some servers do not announce items."""
        number = _index(event)
        if number not in self._numbered:
            self._numbered[number] = self._new({"type": kind, "id": event.get("item_id")})
        item = self._numbered[number]
        if item is None or item.kind != kind:
            raise FormatError("output_index: not an item that could say this")
        return item

    def _block(self, item: Item, kind: PartKind, number: int) -> Block:
        """A part of an item, made where it is new; it joins a run of its kind."""
        key = kind.within, number
        if key not in item.numbers:
            before = item.blocks[-1] if item.blocks else None
            if before and before.kind is kind and not before.run.closed:
                run = before.run
            else:
                self._channels += 1
                run = Run(Channel(0, kind.channel, self._channels, kind.field))
            item.numbers[key] = Block(kind, run, start=run.length)
            item.blocks.append(item.numbers[key])
        if item.numbers[key].kind is not kind:
            raise FormatError(f"{kind.number}: a part that has become another")
        return item.numbers[key]

    def _part_text(self, event: Body, kind: PartKind, verb: str) -> Iterator[Piece]:
        item = self._at(event, kind.item)
        block = self._block(item, kind, _number(event, kind.number))
        if verb == "delta":
            yield from self._say(item, block, _string(event, "delta"))
            self._keep_logprobs(block, event, more=True)
        else:
            yield from self._take_up(item, block, _string(event, kind.field))
            self._keep_logprobs(block, event)

    def _call_text(self, event: Body, kind: str, verb: str) -> Iterator[Piece]:
        call = self._at(event, kind).call
        if call:
            if verb == "delta":
                yield from _spoken(call[1], _string(event, "delta"))
            else:
                yield from _taken_up(call[1], event.get(SAID_BY[kind]), SAID_BY[kind])

    def _content_part(self, event: Body) -> Iterator[Piece]:
        part = an_object(event, "part")
        kind = THOUGHT if part.get("type") == THOUGHT.name else IN_MESSAGES.get(_type(part))
        if kind:
            item = self._at(event, kind.item)
            block = self._block(item, kind, _number(event, "content_index"))
            yield from self._part(item, block, part)

    def _part(self, item: Item, block: Block, part: Body) -> Iterator[Piece]:
        """What a whole part holds beyond what was heard of it before."""
        if part.get(block.kind.field):
            text = a_text(part[block.kind.field], block.kind.field)
            yield from self._take_up(item, block, text)
        for annotation in objects(part, "annotations")[block.annotated :]:
            yield from self._annotation(item, block, annotation)
        self._keep_logprobs(block, part)

    def _say(self, item: Item, block: Block, text: str) -> Iterator[Piece]:
        if not text:
            return
        if block.run.closed or any(later.length for later in _behind(item, block)):
            raise FormatError(f"{block.kind.number}: a part that has ended speaks on")
        for run in item.runs:
            if run is block.run:
                break
            yield from _closed(run)
        if not block.length:
            block.start = block.run.length
        block.length += len(text)
        block.run.add(text)
        yield Delta(block.run.channel, text)

    def _take_up(self, item: Item, block: Block, text: str) -> Iterator[Piece]:
        """What a text that is told once more adds to what was heard; told otherwise, nothing."""
        late = block.run.closed or any(later.length for later in _behind(item, block))
        if not late and text.startswith(block.run.slice(block.start, block.length)):
            yield from self._say(item, block, text[block.length :])

    def _ended(self, item: Item, body: Body) -> Iterator[Piece]:
        if not over(self.items, item):
            yield from self._fill(item, body)
            for run in item.runs:
                yield from _closed(run)
        item.done = True

    def _fill(self, item: Item, body: Body) -> Iterator[Piece]:
        """Everything that a whole item holds beyond what was heard of it before."""
        for kind, number, part in _parts(item, body):
            yield from self._part(item, self._block(item, kind, number), part)
        if item.call:
            key = SAID_BY[item.kind]
            yield from _taken_up(item.call[0], body.get("name"), "name")
            yield from _taken_up(item.call[1], body.get(key), key)
        item.status = "incomplete" if body.get("status") == "incomplete" else "completed"
        if _word(body, "phase") in PHASES:
            item.phase = body["phase"]
        if _word(body, "namespace") in self._namespaces:
            item.namespace = body["namespace"]
        if "opaque" in self._granted and isinstance(body.get("encrypted_content"), str):
            item.opaque = body["encrypted_content"]
        if "stored" in self._granted and KEPT.fullmatch(_word(body, "call_id")):
            item.call_id = body["call_id"]  # by which a conversation that is kept goes on

    def _annotation(self, item: Item, block: Block, annotation: Body) -> Iterator[Piece]:
        block.annotated += 1
        kind = _type(annotation)
        if item.done or kind not in CITED:
            return
        modelled: Body = {"type": kind}
        for key, shape in CITED[kind].items():
            if type(annotation.get(key)) is shape:
                modelled[key] = annotation[key]
        self._channels += 1
        channel = Channel(0, "annotation", self._channels, "citation")
        block.annotations.append(channel)
        yield Delta(channel, json.dumps(modelled, ensure_ascii=False))
        yield Closed(channel)

    def _keep_logprobs(self, block: Block, holder: Body, *, more: bool = False) -> None:
        # The policy allowed them by name: they pass beside the screens, as the audit says.
        if "logprobs" in self._granted and (more or not block.logprobs):
            block.logprobs += map(_logprob, objects(holder, "logprobs"))


def _parts(item: Item, body: Body) -> Iterator[tuple[PartKind, int, Body]]:
    """The parts of a whole item, each with its place in its list."""
    if item.kind == "message":
        for number, part in enumerate(objects(body, "content")):
            if _type(part) in IN_MESSAGES:
                yield IN_MESSAGES[_type(part)], number, part
    elif item.kind == "reasoning":
        for kind in (SUMMARY, THOUGHT):
            for number, part in enumerate(objects(body, kind.within)):
                yield kind, number, part


def _behind(item: Item, block: Block) -> list[Block]:
    at = next(n for n, other in enumerate(item.blocks) if other is block)
    return item.blocks[at + 1 :]


def _closed(run: Run) -> Iterator[Piece]:
    if run.length and not run.closed:
        run.closed = True
        yield Closed(run.channel)


def _spoken(run: Run, text: str) -> Iterator[Piece]:
    if text:
        if run.closed:
            raise FormatError("a call that has ended speaks on")
        run.add(text)
        yield Delta(run.channel, text)


def _taken_up(run: Run, value: object, key: str) -> Iterator[Piece]:
    if value and not run.closed:
        text = a_text(value, key)
        if text.startswith(run.slice(0, run.length)):
            yield from _spoken(run, text[run.length :])


def _index(event: Body) -> int:
    return _number(event, "output_index", default=None)


def _number(event: Body, key: str, *, default: int | None = 0) -> int:
    number = event.get(key, default)
    if type(number) is not int or number < 0:
        raise FormatError(f"{key}: must be a number from 0")
    return number


def _string(event: Body, key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise FormatError(f"{key}: must be a string")
    return value


def _type(body: Body) -> str:
    return _word(body, "type")


def _word(body: Body, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _reason(response: Body) -> str:
    status = response.get("status") or "completed"
    if not isinstance(status, str) or status in UNFINISHED:
        raise FormatError("status: the response is not complete")
    if status != "incomplete":
        return "stop"
    return REASONS.get(_word(an_object(response, "incomplete_details"), "reason"), "incomplete")


def _logprob(entry: Body) -> Body:
    """What a token's entry is known to hold."""
    kept: dict[str, Any] = {"token": _word(entry, "token"), "logprob": entry.get("logprob")}
    if type(kept["logprob"]) not in (int, float):
        raise FormatError("logprobs: must hold numbers")
    if isinstance(entry.get("bytes"), list):
        kept["bytes"] = [byte for byte in entry["bytes"] if type(byte) is int]
    if "top_logprobs" in entry:
        kept["top_logprobs"] = [_logprob(other) for other in objects(entry, "top_logprobs")]
    return kept
