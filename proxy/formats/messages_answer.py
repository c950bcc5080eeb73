"""One Anthropic message taken apart into pieces, and put together again from what was released.

Knows no policy, no HTTP and no request but the few facts of it that shape an answer. Shapes:
https://docs.anthropic.com/en/api/messages and /en/docs/build-with-claude/streaming
"""

import json
import uuid
from collections.abc import Iterator, Sequence

from proxy.exchange import (
    Body,
    Channel,
    Closed,
    Delta,
    Finished,
    FormatError,
    Piece,
    Refused,
    Request,
)
from proxy.formats.messages_blocks import Call, Run, RunType, Writer, folded
from proxy.formats.reading import an_object, counts, named, objects

MOST_BLOCKS = 4096
REASONS = {"end_turn", "stop_sequence", "tool_use", "pause_turn", "refusal"}
NATURAL = {"end_turn", "stop_sequence", "tool_use"}
CUT = {"max_tokens", "model_context_window_exceeded"}  # by a limit of tokens
TIERS = {"standard", "priority", "batch"}
TOOLSETS = {"browser", "computer"}
NO_USAGE = {"input_tokens": 0, "output_tokens": 0}
COUNTS = frozenset(
    """
    input_tokens output_tokens cache_creation_input_tokens cache_read_input_tokens cache_creation
    ephemeral_5m_input_tokens ephemeral_1h_input_tokens output_tokens_details thinking_tokens
    server_tool_use web_search_requests web_fetch_requests
    """.split()  # noqa: SIM905 - reads better
)
RUNS: dict[str, RunType] = {"text": "text", "thinking": "thinking"}
# The type of block that a delta belongs to, and its field.
DELTAS = {
    "text_delta": ("text", "text"),
    "citations_delta": ("text", "citation"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}
# The fields of a citation: whole numbers, strings, and strings that may be null.
IN_DOCUMENT = ("cited_text",), ("document_title",)
CITATIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "char_location": (("document_index", "start_char_index", "end_char_index"), *IN_DOCUMENT),
    "page_location": (("document_index", "start_page_number", "end_page_number"), *IN_DOCUMENT),
    "content_block_location": (
        ("document_index", "start_block_index", "end_block_index"),
        *IN_DOCUMENT,
    ),
    "search_result_location": (
        ("search_result_index", "start_block_index", "end_block_index"),
        ("cited_text", "source"),
        ("title",),
    ),
    "web_search_result_location": ((), ("cited_text", "url"), ("title",)),
}


class MessagesAnswer:
    """One upstream answer, taken apart and put together again from what was released.

    Text blocks with nothing between them are one text. What a client does not run or read itself,
    such as calls of the provider's own tools and their results, is left out.
    """

    def __init__(self, request: Request) -> None:
        stops = request.body.get("stop_sequences")
        self._stops = stops if isinstance(stops, list) else []
        self._files = frozenset(_file_ids(request.body.get("messages")))
        self._json_promised = request.json_promised
        self._opaque = "opaque" in request.allowed
        self._head: Body = {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
        }
        self._usage: Body = {}
        self._tier: Body = {}
        self._stop_sequence: str | None = None
        self._cut = "max_tokens"
        self._plan: list[Run | Call] = []
        self._begun: dict[int, Run | Call | None] = {}  # by the upstream's index; None: left out
        self._stopped: set[int] = set()
        self._citations = 0
        self._finished = False
        self._headed = False
        self._ended = False
        self._writer = Writer(self._plan, json_promised=request.json_promised)

    def feed(self, event: Body) -> list[Piece]:
        """Take one event apart. Raises FormatError on a shape that is not the format's."""
        kind = event.get("type")
        if kind == "message_start":
            self._count(an_object(event, "message"))
        elif kind == "content_block_start":
            return list(self._start(_index(event), an_object(event, "content_block")))
        elif kind == "content_block_delta":
            return list(self._delta(_index(event), an_object(event, "delta")))
        elif kind == "content_block_stop":
            return list(self._stop(_index(event)))
        elif kind == "message_delta":
            self._count(event)
            return self._finish(an_object(event, "delta"))
        elif kind == "message_stop":
            return self._finish({"stop_reason": "end_turn"})
        elif kind == "error":
            raise FormatError("the stream holds an error")
        return []

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        if not isinstance(response.get("content"), list):
            raise FormatError("content: must be an array")
        self._count(response)
        pieces: list[Piece] = []
        for index, block in enumerate(objects(response, "content")):
            pieces += [*self._start(index, block), *self._stop(index)]
        return [*pieces, *self._finish({"stop_reason": "end_turn", **_given(response)})]

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as events."""
        written: list[Body] = []
        for piece in () if self._ended else pieces:
            events = list(self._writer.write(piece))
            ending = self._ending(piece)
            if (events or ending) and not self._headed:
                self._headed = True
                written.append(self._message_start(refused=isinstance(piece, Refused)))
            written += events
            if ending:
                usage = self._counted(refused=isinstance(piece, Refused))
                written.append({"type": "message_delta", "delta": ending, "usage": usage})
                self._ended = True
                break
        return written

    def end(self) -> list[Body]:
        """The event that closes the stream."""
        return [{"type": "message_stop"}] if self._headed else []

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces as one message."""
        writer = Writer(self._plan, json_promised=self._json_promised)
        content = folded([event for piece in pieces for event in writer.write(piece)])
        endings = [ending for ending in map(self._ending, pieces) if ending]
        usage = self._counted(refused=any(isinstance(piece, Refused) for piece in pieces))
        return {**self._head, "content": content, **endings[0], "usage": {**usage, **self._tier}}

    def broken(self, error: Body) -> Body:
        """An error as an event: the same object."""
        return error

    def _ending(self, piece: Piece) -> Body | None:
        """How a message ends, if a piece ends it."""
        if isinstance(piece, Refused):
            return {"stop_reason": "refusal", "stop_sequence": None}
        if not isinstance(piece, Finished):
            return None
        own = {"length": self._cut, "stop": self._usual_reason()}
        reason = own.get(piece.reason, piece.reason)
        stop = self._stop_sequence if reason == "stop_sequence" else None
        return {"stop_reason": reason, "stop_sequence": stop}

    def _usual_reason(self) -> str:
        called = any(isinstance(item, Call) for item in self._plan)
        return "tool_use" if called else "end_turn"

    def _message_start(self, *, refused: bool) -> Body:
        usage = {**self._counted(refused=refused), "output_tokens": 0}
        usage.pop("output_tokens_details", None)
        ending = {"stop_reason": None, "stop_sequence": None}
        message = {**self._head, "content": [], **ending, "usage": {**usage, **self._tier}}
        return {"type": "message_start", "message": message}

    def _counted(self, *, refused: bool) -> Body:
        return NO_USAGE if refused else {**NO_USAGE, **self._usage}

    def _count(self, body: Body) -> None:
        usage = an_object(body, "usage")
        self._usage |= counts(usage, COUNTS)
        tier = usage.get("service_tier")
        if isinstance(tier, str) and tier in TIERS:
            self._tier = {"service_tier": tier}

    def _start(self, index: int, block: Body) -> Iterator[Piece]:
        if index in self._begun:
            raise FormatError("content_block_start: a block that was begun before")
        kind = named(block, "type")
        if kind in RUNS:
            yield from self._start_text(index, RUNS[kind], block)
        elif kind == "tool_use":
            yield from self._start_call(index, block)
        else:
            # What cannot be screened, or is not the client's: nothing of it is passed on.
            self._begun[index] = None

    def _start_text(self, index: int, kind: RunType, block: Body) -> Iterator[Piece]:
        run = self._plan[-1] if self._plan else None
        if isinstance(run, Run) and run.type == kind:
            if run.open is not None:
                self._stopped.add(run.open)
                run.stop()
        else:
            run = Run(kind, self._channel(kind))
            self._plan.append(run)
            yield from self._sealed()
        self._begun[index], run.open = run, index
        if block.get(kind) is not None and (text := _string(block, kind)):
            yield run.hear(text)
        if kind == "thinking":
            self._sign(run, block)
        else:
            for citation in objects(block, "citations"):
                yield from self._cite(run, citation)

    def _channel(self, kind: RunType) -> Channel:
        number = len(self._plan)
        part = kind if number else ""
        return Channel(0, "content" if kind == "text" else "reasoning", number, part)

    def _start_call(self, index: int, block: Body) -> Iterator[Piece]:
        toolset = block.get("toolset_name")
        known = isinstance(toolset, str) and toolset in TOOLSETS
        call = Call(len(self._plan), toolset if known else None)
        self._plan.append(call)
        self._begun[index] = call
        yield from self._sealed()
        yield Delta(call.channel("name"), named(block, "name"))
        if given := an_object(block, "input"):
            call.whole = True
            yield Delta(call.channel("input"), json.dumps(given, ensure_ascii=False))

    def _delta(self, index: int, delta: Body) -> Iterator[Piece]:
        if index not in self._begun or index in self._stopped:
            raise FormatError("content_block_delta: a block that is not open")
        item, kind = self._begun[index], named(delta, "type")
        if item is None or kind not in DELTAS:
            return
        of, key = DELTAS[kind]
        if of != item.type:
            raise FormatError("content_block_delta: not of the type of its block")
        if isinstance(item, Run):
            if kind == "citations_delta":
                yield from self._cite(item, an_object(delta, key))
            elif kind == "signature_delta":
                self._sign(item, delta)
            elif text := _string(delta, key):
                yield item.hear(text)
        elif text := _string(delta, key):
            if item.whole:
                raise FormatError("content_block_delta: input of a call that has it already")
            yield Delta(item.channel("input"), text)

    def _cite(self, run: Run, citation: Body) -> Iterator[Piece]:
        kept = self._citation(citation)
        if kept is None:
            return
        channel = Channel(0, "annotation", self._citations, "citation")
        self._citations += 1
        run.cited.setdefault(len(run.ends), []).append(channel)
        yield Delta(channel, json.dumps(kept, ensure_ascii=False))
        yield Closed(channel)

    def _sign(self, run: Run, signed: Body) -> None:
        """No screen can read a signature: it passes where the policies allow that by name."""
        if self._opaque and signed.get("signature"):
            number = len(run.ends)
            run.signed[number] = run.signed.get(number, "") + _string(signed, "signature")

    def _citation(self, citation: Body) -> Body | None:
        """The modelled fields of a citation; of a kind that is not known, nothing."""
        kind = named(citation, "type")
        if kind not in CITATIONS:
            return None
        numbers, strings, perhaps = CITATIONS[kind]
        kept: Body = {"type": kind}
        for key in numbers:
            if type(citation.get(key)) is not int:
                raise FormatError(f"citation: {key}: must be an integer")
            kept[key] = citation[key]
        for key in strings:
            kept[key] = _string(citation, key)
        for key in perhaps:
            kept[key] = _string(citation, key) if citation.get(key) is not None else None
        if "document_index" in kept:
            file_id = citation.get("file_id")
            known = isinstance(file_id, str) and file_id in self._files
            kept["file_id"] = file_id if known else None
        if kind == "web_search_result_location":
            kept["encrypted_index"] = ""
        return kept

    def _stop(self, index: int) -> Iterator[Piece]:
        if index not in self._begun:
            raise FormatError("content_block_stop: a block that was not begun")
        item = self._begun[index]
        self._stopped.add(index)
        if isinstance(item, Run) and item.open == index:
            item.stop()
            yield from self._sealed()

    def _sealed(self) -> Iterator[Piece]:
        """Runs that something else has followed: they will say no more."""
        for item in self._plan[:-1]:
            if isinstance(item, Run) and item.open is None and not item.sealed:
                item.sealed = True
                if item.length:
                    yield Closed(item.channel)

    def _finish(self, ending: Body) -> list[Piece]:
        reason = ending.get("stop_reason")
        if self._finished or reason is None:
            return []
        self._finished = True
        stop = ending.get("stop_sequence")
        self._stop_sequence = stop if isinstance(stop, str) and stop in self._stops else None
        known = reason if isinstance(reason, str) else ""
        if known in CUT:
            self._cut = known
            return [Finished(0, "length")]
        cut = known not in NATURAL  # what did not end by itself may break off in the midst
        return [Finished(0, known if known in REASONS else "stop", cut=cut)]


def _given(response: Body) -> Body:
    return {key: response[key] for key in ("stop_reason", "stop_sequence") if response.get(key)}


def _index(event: Body) -> int:
    index = event.get("index")
    if type(index) is not int or not 0 <= index < MOST_BLOCKS:
        raise FormatError("index: must be that of a block")
    return index


def _string(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise FormatError(f"{key}: must be a string")
    return value


def _file_ids(node: object) -> Iterator[str]:
    """Files that the client itself named."""
    if isinstance(node, list):
        for item in node:
            yield from _file_ids(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "file_id" and isinstance(value, str):
                yield value
            else:
                yield from _file_ids(value)
