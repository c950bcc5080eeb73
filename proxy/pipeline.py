"""One request's story, in order: policies, prompt, pretence, upstream, release, audit.

The only place that knows the order. Knows no wire format and writes to no socket.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from classifiers import Passage, Verdict
from policies import PolicySet
from proxy import prompt
from proxy.applied import Applied
from proxy.audit import Audit
from proxy.choices import Choices, Seen
from proxy.exchange import Answer, Body, Finished, Format, FormatError, Piece, Refused, Request
from proxy.framing import Framing, Out, Raw, Words
from proxy.relay import relay
from proxy.screening import Screening, Verdicts
from proxy.talk import Talk
from proxy.trace import NAME, Caller, Trace, frames
from proxy.upstream import Upstream, UpstreamError
from proxy.upstreams import Upstreams

log = logging.getLogger("lethe")

# Fields by which some gateways let a client say where its request goes: ours go where the
# operator says, and an upstream that is such a gateway must not obey either.
DESTINATIONS = frozenset(
    """
    api_base api_key base_url custom_llm_provider bootstrap_host bootstrap_port bootstrap_room
    user_config litellm_params litellm_credential_name model_list extra_headers extra_query
    """.split()  # noqa: SIM905 - reads better
)

# The fields of that name that there are; any other is a word of the client's.
GUIDED = frozenset(
    """
    guided_json guided_regex guided_choice guided_grammar guided_decoding guided_decoding_backend
    guided_whitespace_pattern
    """.split()  # noqa: SIM905 - reads better
)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that a request passes, put together once at start.

    `default` is what happens where no policy applies, `keep_text` whether the audit keeps texts.
    """

    policies: PolicySet
    screening: Screening
    upstreams: Upstreams
    audit: Audit
    default: str = "pass"
    keep_text: bool = False

    async def answer(self, wire: Format, body: Body, caller: Caller) -> AsyncGenerator[Out, None]:
        """Tell the story of one request: a Head, and for a stream its events behind it.

        Whatever goes wrong on the way ends as a refusal or an error in the format's own shape, with
        an audit record. Only the client's own leaving is raised again.
        """
        trace, framing = Trace(caller, keep_text=self.keep_text), Framing(wire)
        try:
            try:
                async with aclosing(self._told(wire, body, trace, framing)) as told:
                    async for released in told:
                        for out in framing.write(released):
                            yield out
                if trace.enforced:
                    self._write(trace)  # what is not on record does not leave whole
                ending = framing.end()
            except FormatError as error:
                trace.outcome, trace.reason = "rejected", error.param or error.code
                ending = framing.rejected(error)
            except UpstreamError as error:
                trace.outcome, trace.error = "upstream failed", str(error)
                trace.client_at_fault = 400 <= error.status < 500
                ending = framing.broken(error)
            except (Exception, asyncio.CancelledError) as error:
                if _client_left(error):
                    raise
                # The one place where a failure of ours becomes a refusal.
                log.error(  # noqa: TRY400 - a traceback could quote the text
                    "request=%s failed: %s", caller.request_id, frames(error)
                )
                trace.outcome, trace.action, trace.error = "failed", "refuse", type(error).__name__
                ending = framing.refuse()
            self._write_at_last(trace)
            for out in ending:
                yield out
        except (GeneratorExit, asyncio.CancelledError):
            trace.outcome = "client left"
            raise
        finally:
            self._write_at_last(trace)

    async def models(self) -> list[Body]:
        """Every public model whose name no enforcing policy would refuse. Raises UpstreamError."""
        models = await self.upstreams.listed()
        names = [Passage(model["id"], ()) for model in models]
        judged = await self.screening.judge(names)
        return [
            model
            for model, verdicts in zip(models, judged, strict=True)
            if not any(v.hit and self._enforces(v) for v in verdicts)
        ]

    def _enforces(self, verdict: Verdict) -> bool:
        return self.policies.policy_of(verdict.concept).policy.mode == "enforce"

    async def _told(
        self, wire: Format, body: Body, trace: Trace, framing: Framing
    ) -> AsyncGenerator[Words | Raw, None]:
        request = wire.read(body)
        framing.request = request
        for field in sorted(DESTINATIONS & body.keys()):
            raise FormatError(f"{field}: not available here", param=field)
        trace.model, trace.stream = request.model, request.stream
        if self.keep_text:
            trace.text["prompt"] = [said.text for said in request.said]
        upstream = self.upstreams.of(request.model)
        trace.upstream = upstream.name
        applied = self._apply(request, trace)
        trace.enforced = bool(applied.enforcing)
        framing.refusal = applied.refusal()
        if trace.enforced:
            request = replace(request, allowed=frozenset(applied.allowed))
        talk = Talk(wire, request, applied, trace)
        told: AsyncGenerator[Words, None] | AsyncGenerator[Raw, None]
        if trace.enforced:
            told = self._enforced(talk, upstream)
        else:
            told = relay(talk, _for(upstream, request, body), upstream)
        async with aclosing(told) as releases:
            async for released in releases:
                if self.keep_text:
                    trace.keep(released)
                yield released
        trace.outcome = "answered"

    def _apply(self, request: Request, trace: Trace) -> Applied:
        """The policies that apply; where there are none, the configured default."""
        policies = self.policies.applicable(
            model=request.model, route=trace.caller.route, tenant=trace.caller.tenant
        )
        trace.applies(policies)
        if not policies:
            trace.default = self.default
            if self.default == "refuse":
                raise FormatError("no policy applies to this request", status=403)
        return Applied(
            policies,
            compiled=self.policies,
            screening=self.screening,
            question=request.question,
        )

    async def _enforced(self, talk: Talk, upstream: Upstream) -> AsyncGenerator[Words, None]:
        request, applied, trace = talk.request, talk.applied, talk.trace
        _close_side_channels(talk)
        with trace.timed("prompt"):
            found = await prompt.judged(request, applied)
        seen = [Seen(item.where, item.verdict) for item in found]
        applied.remember(prompt.near(found))
        trace.saw(seen)
        trace.failed_open = applied.failed_open
        following = prompt.followed(found, applied)
        verdict = prompt.consequence(following)
        body = _closed(talk)
        if verdict and verdict.action == "redact":
            body = prompt.redacted(body, request, following, verdict.marker)
            left = await prompt.judged(talk.wire.read(body), applied)
            verdict = prompt.left_over(left, applied) or verdict
        if verdict:
            trace.action = verdict.action
        if verdict and verdict.action == "refuse":
            if not request.speaks:
                raise FormatError("this input is not processed here", code="content_filter")
            refused = [Refused(choice, verdict.refusal) for choice in range(request.choices)]
            yield Words(talk.wire.answer(request), refused)
            return
        if verdict and verdict.to:
            upstream = self.upstreams.named(verdict.to)
        asked = self._asked(talk, body, upstream, seen)
        async with aclosing(asked) as releases:
            async for words in releases:
                yield words

    async def _asked(
        self, talk: Talk, body: Body, upstream: Upstream, seen: list[Seen]
    ) -> AsyncGenerator[Words, None]:
        """Ask the model, again where a policy wants that, and release what is cleared."""
        request, applied, trace = talk.request, talk.applied, talk.trace
        left, stronger = applied.attempts, False
        while True:
            trace.attempts += 1
            trace.upstream = upstream.name
            sent = applied.instruct(body, seen, wire=talk.wire, stronger=stronger)
            trace.injected = applied.injected
            answer = talk.wire.answer(request)
            choices = Choices(
                judge=partial(_timed, talk),
                decide=applied.output_consequence if left else applied.final_consequence,
                bounds=applied.bounds(),
                questions=partial(_before, talk),
                json_promised=request.json_promised,
            )
            held: list[Piece] = []
            try:
                told = answer, choices
                spoken = _spoken(talk, _for(upstream, request, sent), upstream, told)
                async with aclosing(spoken) as releases:
                    async for pieces in releases:
                        if pieces:
                            trace.mark("released_first")
                        if applied.asks_again:
                            held += pieces
                        else:
                            yield Words(answer, pieces)
            finally:
                trace.heard(choices, left=choices.again is None)
                trace.failed_open = applied.failed_open
            again = choices.again
            if again is None:
                trace.acted(choices.acted)
                yield Words(answer, held)
                return
            trace.acted({again.action})
            left, stronger = left - 1, True
            if again.to:
                left, stronger, upstream = 0, False, self.upstreams.named(again.to)

    def _write(self, trace: Trace) -> None:
        self.audit.append(trace.record())
        trace.written = True
        trace.log()

    def _write_at_last(self, trace: Trace) -> None:
        """Write the record of a story that ended otherwise; a second failure is only logged."""
        if trace.written:
            return
        try:
            self._write(trace)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - refused already
            trace.written = True
            trace.error = f"audit: {type(error).__name__}"
            log.critical("request=%s left no audit record: %s", trace.caller.request_id, error)
            trace.log()


async def _spoken(
    talk: Talk, body: Body, upstream: Upstream, told: tuple[Answer, Choices]
) -> AsyncGenerator[list[Piece], None]:
    """What the upstream says, once it is cleared. Raises UpstreamError where it fails."""
    request, path = talk.request, talk.wire.route.removeprefix("/v1")
    answer, choices = told
    try:
        if not request.stream:
            response = await upstream.complete(path, body)
            talk.trace.mark("upstream_first")
            for piece in answer.whole(response):
                yield await choices.take(piece)
            return
        async with aclosing(upstream.stream(path, body, last=talk.wire.last)) as events:
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


def _close_side_channels(talk: Talk) -> None:
    """Refuse what would go around the screens, unless every policy allows it by name."""
    request, allowed = talk.request, talk.applied.allowed
    for channel in request.side_channels:
        if channel.name not in allowed:
            # A field may be named by the client: what is no name goes into no log.
            own = NAME.fullmatch(channel.param) and not channel.param.startswith("guided_")
            param = channel.param if own or channel.param in GUIDED else channel.name
            raise FormatError(
                f"{param}: not available here",
                param=param,
                code="unsupported_parameter",
            )
    talk.trace.side_channels = sorted({channel.name for channel in request.side_channels})


def _closed(talk: Talk) -> Body:
    """The body with what the API does unasked, such as storing answers, switched off."""
    body, defaults = talk.request.body, talk.wire.defaults
    unset = {key: value for key, value in defaults.items() if body.get(key) is None}
    return body if not unset or "stored" in talk.applied.allowed else {**body, **unset}


def _for(upstream: Upstream, request: Request, body: Body) -> Body:
    """The body under the name that the upstream gives the model."""
    name = upstream.models.get(request.model, request.model)
    return body if name == body["model"] else {**body, "model": name}


def _client_left(error: BaseException) -> bool:
    """Whether a cancellation came from outside, and not from a stage that cancelled itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and bool(task and task.cancelling())
