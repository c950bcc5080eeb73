"""What an upstream says in the shape of chat completions, taken apart into pieces.

Knows no policy and nothing of what is released. Shapes: the pages named in `proxy.formats.chat`.
"""

import uuid
from collections.abc import Iterator

from proxy.exchange import Body, Channel, Delta, Finished, FormatError, Piece, Request
from proxy.formats.chat_beside import MOST_CITATIONS, citation, tokens
from proxy.formats.reading import a_text, an_object, counts, objects

NATURAL = {"stop", "tool_calls", "function_call"}
REASONS = {"stop", "length", "tool_calls", "function_call", "content_filter"}
# Words of other servers for an answer that ends before its end.
CUT_OFF = {"model_length", "max_tokens", "insufficient_system_resource", "abort", "error"}
REASONING_FIELDS = ("reasoning_content", "reasoning")
TIERS = {"auto", "default", "fast", "flex", "priority", "scale", "standard"}
COUNTS = frozenset(
    """
    prompt_tokens completion_tokens total_tokens cached_tokens audio_tokens reasoning_tokens
    accepted_prediction_tokens rejected_prediction_tokens text_tokens image_tokens
    prompt_tokens_details completion_tokens_details cache_creation_tokens cache_write_tokens
    prompt_cache_hit_tokens prompt_cache_miss_tokens
    """.split()  # noqa: SIM905 - reads better
)
MOST_CALLS = 1024
CALLS = {"tool", "function"}
INPUTS = {"function": "arguments", "custom": "input"}  # of a call: what it is given
LOGPROBS = ("content", "refusal")


class Heard:
    """One upstream answer as it comes: its texts through channels, the rest by known fields.

    usage    counts of tokens, as far as they are known
    tier     the service tier that answered
    tools    choice and index of a call → identifier and type, the identifier being ours
    """

    def __init__(self, request: Request) -> None:
        self.usage: Body = {}
        self.tier: str | None = None
        self.tools: dict[tuple[int, int], Body] = {}
        self._choices = request.choices
        self._logprobs_allowed = any(c.name == "logprobs" for c in request.side_channels)
        self._received: dict[Channel, list[str]] = {}
        self._reasoning: dict[int, list[str]] = {}  # fields of each choice, as they came up
        self._named: dict[tuple[int, str], int] = {}  # calls by the identifiers they came with
        self._citations: dict[int, dict[str, int]] = {}
        self._logprobs: dict[int, dict[str, list[Body]]] = {}

    def chunk(self, event: Body) -> list[Piece]:
        """Take one chunk apart. Raises FormatError on a shape that is not a chunk's."""
        self._read_head(event)
        return [piece for choice in objects(event, "choices") for piece in self._chunk(choice)]

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        self._read_head(response)
        pieces: list[Piece] = []
        for choice in objects(response, "choices"):
            index = self._index(choice)
            pieces += self._spoken(index, an_object(choice, "message"), whole=True)
            self._keep_logprobs(index, choice)
            pieces.append(finished(index, choice.get("finish_reason")))
        if not pieces:
            raise FormatError("choices: the answer has none")
        return pieces

    def received(self, choice: int) -> dict[Channel, str]:
        """All text of a choice but that of its calls and its citations."""
        return {c: "".join(parts) for c, parts in self._received.items() if c.choice == choice}

    def field(self, channel: Channel) -> str:
        """The field of a message that a channel of text is."""
        if channel.kind != "reasoning":
            return channel.kind
        fields = self._reasoning.get(channel.choice)
        return fields[channel.index] if fields else REASONING_FIELDS[0]

    def logprobs(self, choice: int) -> Body | None:
        """Tokens of a choice with their log probabilities, where the request may have them."""
        kept = self._logprobs.get(choice)
        return None if kept is None else {key: kept.get(key) for key in LOGPROBS}

    def _read_head(self, body: Body) -> None:
        if isinstance(body.get("service_tier"), str) and body["service_tier"] in TIERS:
            self.tier = body["service_tier"]
        if isinstance(body.get("usage"), dict):
            self.usage = counts(body["usage"], COUNTS)

    def _index(self, choice: Body) -> int:
        index = choice.get("index", 0)
        if index is None and self._choices == 1:
            return 0
        if type(index) is not int or not 0 <= index < self._choices:
            raise FormatError("choices: an index that was not asked for")
        return index

    def _chunk(self, choice: Body) -> Iterator[Piece]:
        index = self._index(choice)
        yield from self._spoken(index, an_object(choice, "delta"))
        self._keep_logprobs(index, choice)
        if choice.get("finish_reason"):  # some servers send an empty one until the end
            yield finished(index, choice["finish_reason"])

    def _heard(self, channel: Channel, value: object, key: str) -> Iterator[Delta]:
        text = a_text(value, key)
        if text:
            if channel.kind not in CALLS:
                self._received.setdefault(channel, []).append(text)
            yield Delta(channel, text)

    def _spoken(self, choice: int, message: Body, *, whole: bool = False) -> Iterator[Piece]:
        """Every text of a message or a delta, through the channel it came."""
        for key in REASONING_FIELDS:
            if message.get(key):
                yield from self._heard(self._reasons(choice, key), message[key], key)
        yield from self._content(choice, message.get("content"))
        if message.get("refusal"):
            yield from self._heard(Channel(choice, "refusal"), message["refusal"], "refusal")
        yield from self._cited(choice, message.get("annotations"))
        for position, call in enumerate(objects(message, "tool_calls")):
            yield from self._called(choice, call, position if whole else None)
        function = an_object(message, "function_call")
        for part in ("name", "arguments"):
            if function.get(part):
                yield from self._heard(Channel(choice, "function", 0, part), function[part], part)

    def _content(self, choice: int, content: object) -> Iterator[Piece]:
        """Content, which some servers send in parts; parts of other kinds are left out."""
        if not isinstance(content, list):
            if content:
                yield from self._heard(Channel(choice), content, "content")
            return
        for part in content:
            if not isinstance(part, dict):
                raise FormatError("content: a part must be an object")
            kind = part.get("type", "text")
            if kind in ("text", "output_text"):
                yield from self._heard(Channel(choice), part.get("text"), "content")
            elif kind == "thinking":
                channel = self._reasons(choice, REASONING_FIELDS[0])
                yield from self._heard(channel, part.get("thinking"), "content")
            elif kind == "refusal":
                yield from self._heard(Channel(choice, "refusal"), part.get("refusal"), "content")

    def _reasons(self, choice: int, key: str) -> Channel:
        """The channel of a field of reasoning: two that are sent at once may differ."""
        fields = self._reasoning.setdefault(choice, [])
        if key not in fields:
            fields.append(key)
        at = fields.index(key)
        return Channel(choice, "reasoning", at, key) if at else Channel(choice, "reasoning")

    def _cited(self, choice: int, annotations: object) -> Iterator[Piece]:
        known = self._citations.setdefault(choice, {})
        for annotation in annotations if isinstance(annotations, list) else ():
            text = citation(annotation)
            if text and text not in known and len(known) < MOST_CITATIONS:
                known[text] = len(known)
                yield Delta(Channel(choice, "annotation", known[text], annotation["type"]), text)

    def _called(self, choice: int, call: Body, position: int | None) -> Iterator[Piece]:
        index = self._position(choice, call) if position is None else position
        if type(index) is not int or not 0 <= index < MOST_CALLS:
            raise FormatError("tool_calls: an index that is no index")
        # Identifiers are ours: some models make up their own, out of words.
        tool = self.tools.setdefault(
            (choice, index), {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
        )
        kind = "custom" if call.get("type") == "custom" or "custom" in call else "function"
        if kind == "custom":
            tool["type"] = kind
        said = an_object(call, kind)
        for part in ("name", INPUTS[kind]):
            if said.get(part):
                yield from self._heard(Channel(choice, "tool", index, part), said[part], part)

    def _position(self, choice: int, call: Body) -> object:
        """Which call a fragment belongs to; where no index says so, a new identifier is new."""
        mine = [index for of, index in self.tools if of == choice]
        name = call.get("id")
        if call.get("index") is not None:
            return call["index"]
        if isinstance(name, str) and name:
            return self._named.setdefault((choice, name), len(mine))
        return mine[-1] if mine else 0

    def _keep_logprobs(self, index: int, choice: Body) -> None:
        # The policy allowed them by name: they pass beside the screens, as the audit says.
        logprobs = choice.get("logprobs")
        if self._logprobs_allowed and isinstance(logprobs, dict):
            kept = self._logprobs.setdefault(index, {})
            for key in LOGPROBS:
                if isinstance(logprobs.get(key), list):
                    kept.setdefault(key, []).extend(tokens(logprobs[key]))


def finished(choice: int, reason: object) -> Finished:
    """How a choice ends. What no model says that ended by itself may have been cut off."""
    natural = isinstance(reason, str) and reason in NATURAL
    return Finished(choice, read_reason(reason or "stop"), cut=not natural)


def read_reason(reason: object) -> str:
    """A finish reason in the words of this API: `stop` for any that it does not know."""
    if isinstance(reason, str) and reason in CUT_OFF:
        return "length"
    return reason if isinstance(reason, str) and reason in REASONS else "stop"
