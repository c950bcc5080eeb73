"""What was released, as an HTTP answer: one JSON document or a stream of events.

Knows the wire format through its protocol only, no policy and no socket. Every answer it begins it
can also end: with a refusal for whoever is still waiting, or with an error event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from proxy.exchange import (
    Answer,
    Body,
    Finished,
    Format,
    FormatError,
    Piece,
    Refused,
    Request,
    choice_of,
)
from proxy.inject import REFUSALS
from proxy.sse import DONE, encode
from proxy.upstream import UpstreamError


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an HTTP answer: a whole JSON body, or (None) a stream of events to come."""

    status: int
    body: Body | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """Cleared pieces, and the answer that can write them."""

    answer: Answer
    pieces: Sequence[Piece] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """An event or a body passed on as it came: no enforcing policy applies."""

    body: Body = field(repr=False)


Out = Head | bytes


class Framing:
    """One HTTP answer, from its first word to its end."""

    def __init__(self, wire: Format) -> None:
        self.request: Request | None = None
        self.refusal = REFUSALS[0]  # the words of somebody who does not know
        self._wire = wire
        self._answer: Answer | None = None
        self._raw: Body | None = None
        self._pieces: list[Piece] = []
        self._finished: set[int] = set()
        self._headed = False
        self._ended = False

    def write(self, released: Words | Raw) -> Iterator[Out]:
        """What can be sent now. A whole answer is sent at its end."""
        if isinstance(released, Raw):
            yield from self._event(released.body)
            return
        self._answer = released.answer
        for piece in released.pieces:
            if isinstance(piece, Finished | Refused):
                self._finished.add(choice_of(piece))
        if self._streamed():
            for event in released.answer.events(released.pieces):
                yield from self._event(event)
        else:
            self._pieces += released.pieces

    def end(self) -> Iterator[Out]:
        """The end of an answer that was told to its end."""
        self._ended = True
        if self._streamed():
            for event in self._answer.end() if self._answer else ():
                yield from self._event(event)
            yield from self._done()
        elif self._raw is not None:
            yield Head(200, self._raw)
        elif self._answer is not None:
            yield Head(200, self._answer.response(self._pieces))

    def refuse(self) -> Iterator[Out]:
        """Close every choice that is still open in the words of `refusal`.

        Where none is open or none can be named, an error says that the answer is incomplete.
        """
        request = self.request
        if request and not request.stream:
            # Nothing has left yet: all of it is taken back.
            self._pieces, self._finished = [], set()
        waiting = [n for n in range(request.choices) if n not in self._finished] if request else []
        if not request or not request.speaks or not waiting or self._raw is not None:
            yield from self.broken(UpstreamError("the answer could not be completed", status=500))
            return
        answer = self._answer or self._wire.answer(request)
        yield from self.write(Words(answer, [Refused(choice, self.refusal) for choice in waiting]))
        yield from self.end()

    def rejected(self, error: FormatError) -> Iterator[Out]:
        """Tell the client what its request lacks."""
        yield from self._error(
            self._wire.error(str(error), status=error.status, param=error.param, code=error.code),
            error.status,
        )

    def broken(self, error: UpstreamError) -> Iterator[Out]:
        """Tell the client that its answer failed: before its first word or in the midst of it."""
        retry = (("retry-after", error.retry_after),) if error.retry_after else ()
        yield from self._error(
            self._wire.error(str(error), status=error.status), error.status, headers=retry
        )

    def _error(
        self, body: Body, status: int, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> Iterator[Out]:
        if self._ended:
            return
        self._ended = True
        if self._headed and self.request:
            answer = self._answer or self._wire.answer(self.request)
            yield self._encoded(answer.broken(body))
            yield from self._done()
        else:
            yield Head(status, body, headers)

    def _streamed(self) -> bool:
        return self.request is not None and self.request.stream

    def _event(self, body: Body) -> Iterator[Out]:
        if not self._streamed():
            self._raw = body
            return
        if not self._headed:
            self._headed = True
            yield Head(200)
        yield self._encoded(body)

    def _encoded(self, event: Body) -> bytes:
        kind = event.get("type") if self._wire.typed else None
        return encode(event, kind if isinstance(kind, str) and kind.isprintable() else None)

    def _done(self) -> Iterator[Out]:
        if not self._headed:
            self._headed = True
            yield Head(200)
        if not self._wire.typed:
            yield DONE
