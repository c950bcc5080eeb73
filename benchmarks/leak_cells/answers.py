"""What a client got, taken apart: every string of every field, joined over the events of a stream.

Knows the framing of JSON and server-sent events, and how each wire format ends and errs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.leak_cells.phrases import strings

Body = dict[str, Any]
ENDS = {
    "response.completed", "response.incomplete", "response.failed", "message_stop", "error",
}  # fmt: skip
INDEXES = ("output_index", "content_index", "summary_index", "annotation_index", "index")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer as it came. `whole`: the connection ended as HTTP says."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes = field(default=b"", repr=False)
    whole: bool = True

    @property
    def streamed(self) -> bool:
        """Whether it is a stream of events."""
        kind = next((v for k, v in self.headers if k.lower() == "content-type"), "")
        return kind.startswith("text/event-stream")

    @property
    def text(self) -> str:
        """The body."""
        return self.raw.decode("utf-8", "replace")

    def documents(self) -> list[Body]:
        """The JSON objects of the answer: one, or one for each event. Others are left out."""
        return [found for found in self._parsed() if isinstance(found, dict)]

    def _parsed(self) -> Iterator[Any]:
        for said in self._data() if self.streamed else [self.text]:
            try:
                yield json.loads(said)
            except ValueError:
                yield None

    def _data(self) -> Iterator[str]:
        for block in self.text.replace("\r\n", "\n").split("\n\n"):
            lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
            if lines and lines != ["[DONE]"]:
                yield "\n".join(lines)

    def texts(self) -> Iterator[str]:
        """Everything a client could read: raw, headers, each string, each field joined."""
        yield self.text
        for name, value in self.headers:
            yield name
            yield value
        for document in self.documents():
            yield from strings(document)
        for text in self.fields().values():
            yield from strings(text)

    def fields(self) -> dict[str, str]:
        """Path of each field → its text, joined over the events that carried it."""
        joined: dict[str, str] = {}
        for document in self.documents():
            head = ""
            if self.streamed and isinstance(document.get("type"), str):
                at = [str(document[key]) for key in INDEXES if key in document]
                head = "/".join([document["type"], *at])
            for path, text in _leaves(document, head):
                joined[path] = joined.get(path, "") + text
        return joined

    @property
    def error(self) -> bool:
        """Whether it says, in a shape that SDKs read, that something went wrong."""
        return any(map(_is_error, self.documents()))

    @property
    def sound(self) -> bool:
        """Whether a client can read it to its end: JSON that parses, a stream that is closed."""
        if not self.whole:
            return False
        if any(not isinstance(found, dict) for found in self._parsed()):
            return False
        if not self.streamed:
            return bool(self.documents())
        closed = any(document.get("type") in ENDS for document in self.documents())
        return closed or "data: [DONE]" in self.text or self.error


def _is_error(document: Body) -> bool:
    error = document.get("error")
    if document.get("type") == "response.failed":
        return True
    if document.get("type") == "error" and isinstance(document.get("message"), str):
        return True
    return isinstance(error, dict) and isinstance(error.get("message"), str)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, item in enumerate(node):
            index = item.get("index") if isinstance(item, dict) else None
            at = index if isinstance(index, int) else number
            yield from _leaves(item, f"{path}.{at}")
    elif isinstance(node, str):
        yield path, node
    elif isinstance(node, float):
        yield path, str(node)
