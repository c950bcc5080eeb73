"""What a wire format, the pipeline and the release window agree on.

Knows no wire format, no HTTP and no policy: texts that go in and where they stand, texts that come
out and through which channel of which choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Body = dict[str, Any]
Path = tuple[str | int, ...]
Placement = Literal["system", "developer", "before-last-user"]
Kind = Literal["content", "reasoning", "refusal", "tool", "function", "annotation"]


@dataclass(frozen=True, slots=True)
class Said:
    """One text of a request: where it stands in the body, who says it, what it says."""

    path: Path
    role: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SideChannel:
    """A way around the screens that a request asks for: its name in policies, and the field."""

    name: str
    param: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a wire format read it. `body` holds every field as it came, known or not."""

    body: Body = field(repr=False)
    model: str
    stream: bool
    choices: int
    said: tuple[Said, ...]
    question: str = field(repr=False)
    questions: tuple[str, ...] = field(default=(), repr=False)  # of each choice, where they differ
    side_channels: tuple[SideChannel, ...] = ()
    json_promised: bool = False
    usage_wanted: bool = False
    speaks: bool = True  # False: the answer has no words that a refusal could stand in
    allowed: frozenset[str] = frozenset()  # side channels that the policies allow by name


@dataclass(frozen=True, slots=True, order=True)
class Channel:
    """One of the ways a choice speaks. `index` and `part` tell tool calls apart."""

    choice: int
    kind: Kind = "content"
    index: int = 0
    part: str = ""

    def __str__(self) -> str:
        """`0.content`, `1.tool.0.arguments`: the name in audit records."""
        tail = f".{self.index}.{self.part}" if self.part else ""
        return f"{self.choice}.{self.kind}{tail}"


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that the model said through a channel, as it arrived."""

    channel: Channel
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Closed:
    """A channel will say no more, while its choice may go on. Not every format tells."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice has said all it will say.

    `length` means cut off by a limit of tokens; any other reason is in the format's own words.
    `cut`: it may have been cut off all the same.
    """

    choice: int
    reason: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A choice ends in the words of somebody who does not know. Comes out, never goes in.

    Each format writes it in its own shape, with counts of tokens at zero: how long the hidden text
    is would tell.
    """

    choice: int
    words: str = field(repr=False)


Piece = Delta | Closed | Finished | Refused


def choice_of(piece: Piece) -> int:
    """The choice that a piece belongs to."""
    return piece.choice if isinstance(piece, Finished | Refused) else piece.channel.choice


class FormatError(ValueError):
    """A request that the wire format cannot take: an HTTP status, the field at fault, and why.

    The message quotes no text of the request: it goes to the client and into logs.
    """

    def __init__(
        self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = status
        self.code = code


class Answer(Protocol):
    """One upstream answer, taken apart into pieces and put together again from what was released.

    Only modelled fields survive: what a screen did not see is not passed on.
    """

    def feed(self, event: Body) -> list[Piece]:
        """Take one streamed event apart. Raises FormatError on a shape that is not the format's."""
        ...

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        ...

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as events of a stream."""
        ...

    def end(self) -> list[Body]:
        """Events that close the stream once every choice has finished."""
        ...

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces, and nothing released earlier, as one complete response."""
        ...

    def broken(self, error: Body) -> Body:
        """An error, as `Format.error` shapes it, as an event of this stream."""
        ...


class Format(Protocol):
    """A wire format: one file that fills the exchange and writes it back."""

    @property
    def route(self) -> str:
        """The path it answers on; below /v1 the upstream has the same."""
        ...

    @property
    def typed(self) -> bool:
        """Whether events of a stream bear their `type` as a name, and no `[DONE]` ends them."""
        ...

    @property
    def last(self) -> frozenset[str]:
        """Types of the events that end an upstream's stream; none: `[DONE]` does."""
        ...

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Fields that an enforcing policy sets where the client has left them out."""
        ...

    def read(self, body: Body) -> Request:
        """Find every text of a request and where it stands. Raises FormatError."""
        ...

    def instruct(self, body: Body, instruction: str, placement: Placement) -> Body:
        """Return a body with an instruction added; the one given stays as it is."""
        ...

    def answer(self, request: Request) -> Answer:
        """Begin an answer to a request."""
        ...

    def error(
        self, message: str, *, status: int, param: str | None = None, code: str | None = None
    ) -> Body:
        """An error in the format's own shape."""
        ...


def replace_texts(body: Body, texts: Mapping[Path, str]) -> Body:
    """Return a body in which the strings at the given paths are others.

    Containers on the way are copied, the rest is shared with the body given, which stays as it is.
    """
    changed: Any = body
    for path, text in texts.items():
        changed = _replaced(changed, path, text)
    result: Body = changed
    return result


def _replaced(node: Any, path: Path, text: str) -> Any:  # noqa: ANN401 - any JSON value
    if not path:
        return text
    copied = node.copy()
    copied[path[0]] = _replaced(node[path[0]], path[1:], text)
    return copied
