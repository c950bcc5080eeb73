"""What was released of a response, in the order of its items: pieces in, events and items out.

Knows the shape of what was heard, and no upstream, no request and no HTTP. A later item waits until
the earlier ones have been told to their end.
"""

import json
import uuid
from collections import deque
from collections.abc import Iterator, Sequence

from proxy.exchange import Body, Channel, Closed, Delta, Finished, Piece, Refused
from proxy.formats.responses_shapes import REFUSAL, TEXT, Block, Item, PartKind, Run, over

INCOMPLETE = {"length": "max_output_tokens"}
REASONS = {"content_filter", "max_messages", "steered"}


class Released:
    """What has been cleared of each channel and not been written yet."""

    def __init__(self) -> None:
        self.ended = False  # nothing more will come
        self.cut = False  # nor will what is missing
        self._texts: dict[Channel, deque[str]] = {}
        self._closed: set[Channel] = set()

    def take(self, piece: Delta | Closed) -> None:
        """Keep a piece until its turn."""
        if isinstance(piece, Closed):
            self._closed.add(piece.channel)
        else:
            self.texts(piece.channel).append(piece.text)

    def texts(self, channel: Channel) -> deque[str]:
        """What waits of a channel, oldest first; whoever writes it takes it out."""
        return self._texts.setdefault(channel, deque())

    def closed(self, run: Run) -> bool:
        """Whether nothing more will come of a run."""
        return self.ended or run.channel in self._closed

    def settled(self, block: Block) -> bool:
        """Whether each annotation of a part is cleared or gone."""
        return self.ended or all(channel in self._closed for channel in block.annotations)


class Writer:
    """One response on its way to the client.

    items          what was heard, growing meanwhile
    json_promised  whether a refusal stands in a part of its own kind
    """

    def __init__(self, items: Sequence[Item], *, json_promised: bool) -> None:
        self.output: list[Body] = []
        self.status = "completed"
        self.details: Body | None = None
        self.refused = False
        self._items = items
        self._json_promised = json_promised
        self._released = Released()
        self._at = 0
        self._open: _Parts | None = None
        self._last = ""  # how the text that was written ends so far

    def take(self, piece: Piece) -> Iterator[Body]:
        """Take a released piece; return the events that it makes possible."""
        if isinstance(piece, Delta | Closed):
            self._released.take(piece)
        else:
            self._released.ended = True
        if isinstance(piece, Finished) and piece.reason != "stop":
            reason = INCOMPLETE.get(piece.reason, piece.reason)
            self.status = "incomplete"
            self.details = (
                {"reason": reason} if reason in {*INCOMPLETE.values(), *REASONS} else None
            )
        self._released.cut = isinstance(piece, Refused)
        yield from self._advance()
        if isinstance(piece, Refused):
            yield from self._refusal(piece.words)

    def _advance(self) -> Iterator[Body]:
        while self._at < len(self._items):
            item = self._items[self._at]
            if item.call:
                if not self._released.ended:
                    return
                yield from self._call(item, *item.call)
            else:
                if self._open is None:
                    self._open = _Parts(item, len(self.output), self._released)
                self._open.over = self._released.ended or over(self._items, item)
                for event in self._open.write():
                    self._note(event)
                    yield event
                if not self._open.complete:
                    return
                yield from self._open.end()
                self.output += self._open.written
                self._open = None
            self._at += 1

    def _note(self, event: Body) -> None:
        if event["type"] == f"{TEXT.event}.delta":
            self._last = event["delta"][-1:]

    def _call(self, item: Item, name: Run, said: Run) -> Iterator[Body]:
        """A call, whose texts are cleared together or not at all."""
        texts = ["".join(self._released.texts(run.channel)) for run in (name, said)]
        if self._released.cut:
            return
        at = {"output_index": len(self.output)}
        body: Body = {"id": item.id, "type": item.kind, "call_id": item.call_id, "name": texts[0]}
        if item.namespace is not None:
            body["namespace"] = item.namespace
        field = said.channel.part
        event = f"response.{item.kind}_{field}"
        whole = {**body, "status": item.status, field: texts[1]}
        begun = {**body, "status": "in_progress", field: ""}
        here = {"item_id": item.id, **at}
        yield {"type": "response.output_item.added", **at, "item": begun}
        if texts[1]:
            yield {"type": f"{event}.delta", **here, "delta": texts[1]}
        yield {"type": f"{event}.done", **here, "name": texts[0], field: texts[1]}
        yield {"type": "response.output_item.done", **at, "item": whole}
        self.output.append(whole)

    def _refusal(self, words: str) -> Iterator[Body]:
        """A message of its own, in the words of somebody who does not know."""
        self.refused = True
        kind: PartKind = TEXT
        if self._json_promised:
            self.status, self.details, kind = "completed", None, REFUSAL
        else:
            self.status, self.details = "incomplete", {"reason": "content_filter"}
            words = f" {words}" if self._last.strip() else words
        run = Run(Channel(0, kind.channel, 0, "words"))
        run.add(words)
        block = Block(kind, run, length=len(words))
        item = Item("message", f"msg_{uuid.uuid4().hex}", "", blocks=[block], done=True)
        item.status = self.status
        said = Released()
        said.take(Delta(run.channel, words))
        said.ended = True
        parts = _Parts(item, len(self.output), said)
        yield from parts.write()
        yield from parts.end()
        self.output += parts.written


class _Parts:
    """A message or a piece of reasoning that is being written."""

    def __init__(self, item: Item, index: int, released: Released) -> None:
        self.written: list[Body] = []  # the item, once it is told to its end
        self.over = True  # nothing more will be heard of the item
        self._item = item
        self._at = {"output_index": index}
        self._released = released
        self._lists: dict[str, list[Body]] = {"content": [], "summary": []}
        self._opened = False
        self._next = 0  # number of the block whose turn it is
        self._text: list[str] | None = None  # of the block, once it is open
        self._position = 0  # in the run's text, while what is released is as it was heard
        self._changed = False  # what is released of the run differs from what was heard
        self._short = False  # the item lacks something

    @property
    def complete(self) -> bool:
        """Whether nothing more will be written but the item's end."""
        return self.over and self._next == len(self._item.blocks)

    def write(self) -> Iterator[Body]:
        """Everything that can be written now."""
        while self._next < len(self._item.blocks):
            block = self._item.blocks[self._next]
            yield from self._deltas(block)
            more = bool(self._released.texts(block.run.channel))
            if not self._released.settled(block):
                return
            if more:
                yield from self._close(block)
            elif self._released.closed(block.run) or (self.over and not block.run.length):
                yield from self._end_run(block)
            else:
                return

    def end(self) -> Iterator[Body]:
        """The end of the item; one of which nothing is left is not told at all."""
        item, cut = self._item, self._released.cut
        if not self._opened:
            if cut or (item.kind == "reasoning" and item.opaque is None):
                return
            yield self._begin()
        status = "incomplete" if cut or self._short else item.status
        body = self._body(status, self._lists)
        if item.kind == "reasoning" and item.opaque is not None and not cut:
            body["encrypted_content"] = item.opaque
        self.written.append(body)
        yield {"type": "response.output_item.done", **self._at, "item": body}

    def _deltas(self, block: Block) -> Iterator[Body]:
        """What is cleared of a run, as far as it belongs into this part of it."""
        texts = self._released.texts(block.run.channel)
        while texts:
            text = texts[0]
            heard = block.run.slice(self._position, len(text))
            self._changed = self._changed or heard != text
            room = len(text) if self._changed else self._room(block)
            if not room:
                return
            texts.popleft()
            if text[room:]:
                texts.appendleft(text[room:])
            yield from self._delta(block, text[:room])
            self._position += len(text[:room])

    def _room(self, block: Block) -> int:
        """Characters up to the end of the part; the last of a run takes all there is."""
        behind = self._item.blocks[self._next + 1 :]
        if any(later.run is block.run and later.length for later in behind):
            return block.start + block.length - self._position if block.length else 0
        return block.run.length

    def _delta(self, block: Block, text: str) -> Iterator[Body]:
        if self._text is None:
            yield from self._open(block)
        if self._text is not None:
            self._text.append(text)
        logprobs: Body = {"logprobs": []} if block.kind is TEXT else {}
        yield {
            "type": f"{block.kind.event}.delta",
            **self._place(block),
            "delta": text,
            **logprobs,
        }

    def _end_run(self, block: Block) -> Iterator[Body]:
        """Close a part at the end of its run; parts behind it that got nothing are left out."""
        lacking = self._changed or self._position < block.run.length
        dull = lacking or self._released.cut or self._item.kind == "reasoning"
        if self._text is None and dull:
            self._next += 1
        else:
            yield from self._close(block, lacking=lacking)
        while self._next < len(self._item.blocks):
            following = self._item.blocks[self._next]
            if following.run is not block.run:
                break
            if lacking or following.length:
                self._next += 1
            else:
                yield from self._close(following)
        self._short = self._short or (lacking and self._released.cut)
        self._position, self._changed = 0, False

    def _open(self, block: Block) -> Iterator[Body]:
        if not self._opened:
            yield self._begin()
        self._text = []
        yield {
            "type": f"response.{_part_event(block.kind)}.added",
            **self._place(block),
            "part": _part(block.kind, "", [], []),
        }

    def _close(self, block: Block, *, lacking: bool = False) -> Iterator[Body]:
        if self._text is None:
            yield from self._open(block)
        text, self._text = "".join(self._text or ()), None
        place = self._place(block)
        whole = not lacking and not self._released.cut
        annotations = self._annotations(block) if whole else []
        logprobs = block.logprobs if whole else []
        for number, annotation in enumerate(annotations):
            yield {
                "type": f"{TEXT.event}.annotation.added",
                **place,
                "annotation_index": number,
                "annotation": annotation,
            }
        part = _part(block.kind, text, annotations, logprobs)
        said = {key: part[key] for key in (block.kind.field, "logprobs") if key in part}
        yield {"type": f"{block.kind.event}.done", **place, **said}
        yield {"type": f"response.{_part_event(block.kind)}.done", **place, "part": part}
        self._lists[block.kind.within].append(part)
        self._next += 1

    def _annotations(self, block: Block) -> list[Body]:
        """Those that were cleared; each is one text."""
        texts = ("".join(self._released.texts(channel)) for channel in block.annotations)
        return [json.loads(text) for text in texts if text]

    def _begin(self) -> Body:
        self._opened = True
        item = self._body("in_progress", {"content": [], "summary": []})
        return {"type": "response.output_item.added", **self._at, "item": item}

    def _body(self, status: str, lists: dict[str, list[Body]]) -> Body:
        item = self._item
        body: Body = {"id": item.id, "type": item.kind}
        if item.kind == "reasoning":
            thoughts = {"content": lists["content"]} if lists["content"] else {}
            return {**body, "summary": lists["summary"], **thoughts}
        phase = {} if item.phase is None else {"phase": item.phase}
        return {
            **body,
            "status": status,
            "role": "assistant",
            "content": lists["content"],
            **phase,
        }

    def _place(self, block: Block) -> Body:
        number = len(self._lists[block.kind.within])
        return {"item_id": self._item.id, **self._at, block.kind.number: number}


def _part_event(kind: PartKind) -> str:
    return "reasoning_summary_part" if kind.within == "summary" else "content_part"


def _part(kind: PartKind, text: str, annotations: list[Body], logprobs: list[Body]) -> Body:
    part: Body = {"type": kind.name, kind.field: text}
    if kind is TEXT:
        return {**part, "annotations": annotations, "logprobs": logprobs}
    return part
