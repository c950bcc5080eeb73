"""Ask a model, again or elsewhere where a policy wants that, and release what is cleared.

Knows no HTTP and no wire format. Every way ends: a model is asked again as often as a policy says,
another one once, and when that fails, the first one once more or nobody.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from classifiers import Passage, Verdict
from proxy import prompt
from proxy.choices import Choices, Consequence, Seen
from proxy.exchange import Answer, Body, Finished, FormatError, Piece, Refused
from proxy.framing import Words
from proxy.screening import Verdicts
from proxy.talk import Talk
from proxy.upstream import UpstreamError
from proxy.upstreams import Destination, Upstreams


@dataclass(frozen=True, slots=True)
class Turn:
    """One time that a model is asked: which, how often after that, and how it is told to pretend.

    `rerouted` is the consequence that led here from the model that was asked for.
    """

    to: Destination
    left: int
    stronger: bool = False
    rerouted: Consequence | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """A request on its way to models: `first` is the one that was asked for, `body` what it says.

    `seen` is what was found in the request: the instructions name what is near.
    """

    talk: Talk
    body: Body = field(repr=False)
    first: Destination
    upstreams: Upstreams
    seen: Sequence[Seen] = field(default=(), repr=False)

    async def told(self, *, reroute: Consequence | None = None) -> AsyncGenerator[Words, None]:
        """Everything that may leave of the answer. Raises what the last model asked raises.

        With `reroute` the request goes elsewhere at once. What is hit in an answer from elsewhere
        is refused, and where nothing comes from there, that policy's `on_down` says what happens.
        """
        turn: Turn | None = Turn(self.first, self.talk.applied.attempts)
        if reroute is not None:
            turn = self._elsewhere(reroute)
        while turn is not None:
            outcome = Outcome()
            try:
                async with aclosing(self._one(turn, outcome)) as released:
                    async for words in released:
                        outcome.told = outcome.told or bool(words.pieces)
                        yield words
            except UpstreamError as error:
                if turn.rerouted is None or outcome.told:
                    raise
                self.talk.trace.went_down(turn.to.upstream, str(error))
                same = turn.to.upstream is self.first.upstream
                if turn.rerouted.on_down == "refuse" or same:
                    yield refused(self.talk, turn.rerouted.refusal)
                    return
                turn = Turn(self.first, 0, stronger=True)
                continue
            turn = self._next(turn, outcome.again)

    async def _one(self, turn: Turn, outcome: "Outcome") -> AsyncGenerator[Words, None]:
        """Ask one model once."""
        talk, held, lost = self.talk, list[Piece](), False
        answer, choices = _begun(talk, turn)
        spoken = _spoken(talk, self._sent(turn), turn.to, (answer, choices))
        try:
            async with aclosing(spoken) as releases:
                async for pieces in releases:
                    if pieces:
                        talk.trace.mark("released_first")
                    if talk.applied.asks_again:
                        held += pieces
                    elif pieces or turn.rerouted is None:
                        yield Words(answer, pieces)
        except UpstreamError:
            lost = talk.applied.asks_again  # what was held does not leave
            raise
        finally:
            outcome.again = choices.again
            talk.trace.heard(choices, left=choices.again is None and not lost)
            talk.trace.failed_open = talk.applied.failed_open
        if outcome.again is None:
            talk.trace.acted(choices.acted)
            yield Words(answer, held)
        else:
            talk.trace.acted({outcome.again.action})

    def _next(self, turn: Turn, again: Consequence | None) -> Turn | None:
        if again is None:
            return None
        if again.action == "reroute":
            return self._elsewhere(again)
        return replace(turn, left=turn.left - 1, stronger=True)

    def _elsewhere(self, consequence: Consequence) -> Turn:
        to = self.upstreams.named(consequence.to or "", model=self.talk.request.model)
        return Turn(to, 0, rerouted=consequence)

    def _sent(self, turn: Turn) -> Body:
        """What is sent: with the instructions, where the model is one that must pretend."""
        applied, wanted, body = self.talk.applied, turn.to.upstream.instruct, self.body
        if wanted:
            body = applied.instruct(body, self.seen, wire=self.talk.wire, stronger=turn.stronger)
        self.talk.trace.injected = applied.injected if wanted else 0
        return turn.to.addressed(body)


@dataclass(slots=True)
class Outcome:
    """How one time of asking went: whether anything was released, and what a policy wants next."""

    told: bool = False
    again: Consequence | None = None


def refused(talk: Talk, words: str) -> Words:
    """Every choice refused in some words. Raises FormatError where an answer has no words."""
    request = talk.request
    if not request.speaks:
        raise FormatError("this input is not processed here", code="content_filter")
    talk.trace.acted({"refuse"})
    pieces = [Refused(choice, words) for choice in range(request.choices)]
    return Words(talk.wire.answer(request), pieces)


def _begun(talk: Talk, turn: Turn) -> tuple[Answer, Choices]:
    request, applied = talk.request, talk.applied
    talk.trace.asks(turn.to.upstream, elsewhere=turn.rerouted is not None)

    def decide(verdict: Verdict) -> Consequence:
        if not turn.left:
            return applied.final_consequence(verdict)
        consequence = applied.output_consequence(verdict)
        # Who was asked by name and would be asked again by the policy would say it again.
        circle = consequence.action == "reroute" and consequence.to == turn.to.upstream.name
        return replace(consequence, action="refuse") if circle else consequence

    choices = Choices(
        judge=partial(_timed, talk),
        decide=decide,
        bounds=applied.bounds(),
        questions=partial(_before, talk),
        json_promised=request.json_promised,
    )
    return talk.wire.answer(request), choices


async def _spoken(
    talk: Talk, body: Body, to: Destination, told: tuple[Answer, Choices]
) -> AsyncGenerator[list[Piece], None]:
    """What the upstream says, once it is cleared. Raises UpstreamError where it fails."""
    request, path = talk.request, talk.wire.route.removeprefix("/v1")
    answer, choices = told
    try:
        if not request.stream:
            response = await to.upstream.complete(path, body)
            talk.trace.mark("upstream_first")
            for piece in answer.whole(response):
                yield await choices.take(piece)
            return
        stream = to.upstream.stream(path, body, last=talk.wire.last)
        async with aclosing(stream) as events:
            async for event in events:
                talk.trace.mark("upstream_first")
                for piece in answer.feed(event):
                    yield await choices.take(piece)
                refused = "refuse" in choices.acted and len(choices.closed) == request.choices
                if refused or choices.again:
                    return
        for choice in choices.open():
            yield await choices.take(Finished(choice, "stop", cut=True))
    except FormatError as error:
        raise UpstreamError(f"the upstream's answer is malformed: {error}", status=502) from None
    if not choices.closed:
        raise UpstreamError("the upstream's stream holds no answer", status=502)


def _before(talk: Talk, choice: int) -> tuple[str, ...]:
    """What a choice is judged behind, and the texts that it may go on from."""
    request = talk.request
    own = request.questions
    question = own[choice] if choice < len(own) else request.question
    return talk.applied.question_of(request, choice), question, prompt.said_last(request)


async def _timed(talk: Talk, passages: Sequence[Passage]) -> list[Verdicts]:
    """Verdicts on what comes out; the time they take is noted."""
    with talk.trace.timed("screen"):
        return await talk.applied.judge(passages)
