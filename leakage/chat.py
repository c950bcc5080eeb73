"""One chat completion as bytes, sans-io: every word that a model said in it. Knows no HTTP.

OpenAI's format (https://platform.openai.com/docs/api-reference/chat) and, for streams, server-sent
events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]

DONE = "[DONE]"

# Fields of a choice that hold words of the protocol and none of the model.
_SILENT = frozenset(
    {
        "content_filter_results",
        "finish_reason",
        "id",
        "index",
        "object",
        "role",
        "stop_reason",
        "type",
    }
)
_DEEPEST = 32
_MOST_TOKENS = 2**31  # of one answer; whoever counts more counts nothing
# Where a model's words stand, as records name it: another name of a field is words, too.
_CHANNELS = frozenset(
    {
        "annotations",
        "audio",
        "content",
        "function_call",
        "logprobs",
        "reasoning",
        "reasoning_content",
        "refusal",
        "tool_calls",
    }
)
# How OpenAI's API and its likes say that an answer ended.
_REASONS = frozenset(
    {
        *("abort", "cancelled", "content_filter", "end_turn", "eos", "eos_token", "error"),
        *("function_call", "length", "max_tokens", "other", "refusal", "stop", "stop_sequence"),
        *("tool_calls", "tool_use"),
    }
)


class ReplyError(ValueError):
    """An answer that cannot be taken at its word. Says how it is broken, quotes nothing of it."""


class Events:
    """Server-sent events: bytes in, the data of each event out, however the bytes were cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Take more bytes; return the data of the events that they complete."""
        self._rest += self._decoder.decode(chunk)
        # A CR at the end may be the first half of a CRLF.
        held = "\r" if self._rest.endswith("\r") else ""
        text = self._rest.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._rest = rest + held
        return [event for line in lines if (event := self._read(line)) is not None]

    @property
    def open(self) -> bool:
        """Whether the bytes so far end inside an event."""
        return bool(self._rest.strip() or self._data)

    def _read(self, line: str) -> str | None:
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return None


class Reply:
    """What came back so far, whole or event by event.

    `text` is every word the model spoke, on whatever field and for whatever choice: content,
    reasoning, refusal, names and arguments of tool calls, annotations, log-probabilities.
    `alternatives` are the likeliest tokens at each position of the first choice, where they came;
    `body` is the last object as it came, `taken` all of them.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None
        self.alternatives: list[tuple[str, ...]] = []
        self.body: dict[str, Any] = {}
        self.taken: list[str] = []
        self._said: dict[Path, list[str]] = {}

    @property
    def text(self) -> str:
        """Everything said, a line or more for each field."""
        return "\n".join("".join(parts) for parts in self._said.values())

    @property
    def spoke(self) -> bool:
        """Whether anything was said."""
        return any(part for parts in self._said.values() for part in parts)

    @property
    def content(self) -> str:
        """The message itself, or the completion, of the first choice."""
        spoken = (("message", "content"), ("delta", "content"), ("text",))
        return "".join(part for path in spoken for part in self._said.get(("0", *path), ()))

    @property
    def channels(self) -> dict[str, str]:
        """What was said on each field: `content`, `tool_calls`, …, `other`, over all choices."""
        found: dict[str, str] = {}
        for path, parts in self._said.items():
            inner = path[1] in {"message", "delta"} and len(path) > 2
            name = "content" if path[1] == "text" else path[2] if inner else path[1]
            name = name if name in _CHANNELS else "other"
            found[name] = "\n".join([*([found[name]] if name in found else []), "".join(parts)])
        return found

    def take(self, data: str | bytes) -> None:
        """Add one event of a stream, or a whole answer. Raises ReplyError."""
        body = self.body = parse(data)
        self.taken.append(data if isinstance(data, str) else data.decode("utf-8", "replace"))
        if "error" in body and body["error"] is not None:
            if not is_filtered(body):
                raise ReplyError("an error in place of an answer")
            self.finish_reason = "content_filter"
            return
        choices = body.get("choices")
        if not isinstance(choices, list):
            raise ReplyError("an answer without choices")
        for choice in choices:
            self._choose(choice)
        self._count(body.get("usage"))

    def _choose(self, choice: object) -> None:
        if not isinstance(choice, dict):
            raise ReplyError("a choice that is no object")
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self._finish(reason, str(choice.get("index", 0)))
        if choice.get("index", 0) == 0:
            self.alternatives += _alternatives(choice.get("logprobs"))
        for path, text in _spoken(choice, (str(choice.get("index", 0)),)):
            self._said.setdefault(path, []).append(text)

    def _finish(self, reason: str, choice: str) -> None:
        """A reason is a word of the protocol; anything else was said, and is not kept as one."""
        if reason.casefold() in _REASONS:
            self.finish_reason = reason
        else:
            self.finish_reason = "other"
            self._said.setdefault((choice, "finish_reason"), []).append(_whole(reason))

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self.tokens_in = _number(usage.get("prompt_tokens"), self.tokens_in)
            self.tokens_out = _number(usage.get("completion_tokens"), self.tokens_out)


def parse(data: str | bytes) -> dict[str, Any]:
    """Read a JSON object. Raises ReplyError."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise ReplyError("something that is no JSON") from None
    if not isinstance(body, dict):
        raise ReplyError("JSON that is no object")
    return body


def is_filtered(body: dict[str, Any]) -> bool:
    """Whether an error is a guardrail's way to say no: an answer, and no failure.

    Azure OpenAI writes the code `content_filter`, OpenAI `content_policy_violation`.
    """
    error = body.get("error")
    if not isinstance(error, dict):
        return False
    named = f"{error.get('code')} {error.get('type')}"
    return "content_filter" in named or "content_policy" in named


def _spoken(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text under a choice with the field it stands on; pieces of one field share a path."""
    if len(path) > _DEEPEST:
        raise ReplyError("an answer nested too deeply to be read")
    if isinstance(value, str):
        yield path, _whole(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _SILENT:
                yield from _spoken(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            # Deltas of tool calls say which call they continue; other lists only grow.
            at = item.get("index", "*") if isinstance(item, dict) else "*"
            yield from _spoken(item, (*path, str(at)))


def _whole(text: str) -> str:
    """JSON can hold half a surrogate pair, and no file and no request can."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _alternatives(logprobs: object) -> Iterator[tuple[str, ...]]:
    """Tokens at each position: chat lists objects with a `token`, completions have them as keys."""
    given = logprobs if isinstance(logprobs, dict) else {}
    for position in given.get("content") or ():
        others = position.get("top_logprobs") if isinstance(position, dict) else None
        tokens = [position, *(others or ())] if isinstance(position, dict) else []
        yield tuple(str(t["token"]) for t in tokens if isinstance(t, dict) and "token" in t)
    for position in given.get("top_logprobs") or ():
        yield tuple(map(str, position)) if isinstance(position, dict) else ()


def _number(value: object, otherwise: int | None) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return otherwise
    return value if 0 <= value < _MOST_TOKENS else otherwise
