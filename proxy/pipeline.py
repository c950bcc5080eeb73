"""One request's story, in order: policies, prompt, pretence, upstream, release, audit.

The only place that knows the order. Knows no wire format and writes to no socket.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from classifiers import Passage, Verdict
from policies import PolicySet
from proxy import prompt
from proxy.applied import Applied
from proxy.asking import Asking, refused
from proxy.audit import Audit
from proxy.choices import Seen
from proxy.exchange import Body, Format, FormatError, Request
from proxy.fields import check_destinations
from proxy.framing import Framing, Out, Raw, Words
from proxy.mirror import Mirror
from proxy.relay import relay
from proxy.screening import Screening
from proxy.talk import Talk
from proxy.trace import NAME, Caller, Trace, frames
from proxy.upstream import UpstreamError
from proxy.upstreams import Destination, Upstreams

log = logging.getLogger("lethe")

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

    `default` is what happens where no policy applies, `keep_text` whether the audit keeps texts;
    `mirror` hears of requests once they are answered.
    """

    policies: PolicySet
    screening: Screening
    upstreams: Upstreams
    audit: Audit
    default: str = "pass"
    keep_text: bool = False
    mirror: Mirror | None = None

    def under(self, policies: PolicySet) -> "Pipeline":
        """The same under other policies; what has begun in this one ends in it."""
        screening = self.screening.under(policies.screen)
        if self.mirror is not None:
            self.mirror.judge_by(policies, screening)
        return replace(self, policies=policies, screening=screening)

    async def answer(self, wire: Format, body: Body, caller: Caller) -> AsyncGenerator[Out, None]:
        """Tell the story of one request: a Head, and for a stream its events behind it.

        Whatever goes wrong on the way ends as a refusal or an error in the format's own shape, with
        an audit record. Only the client's own leaving is raised again.
        """
        trace, framing = Trace(caller, keep_text=self.keep_text), Framing(wire)
        self._sampled(trace)
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
            self._mirrored(wire, framing.request, trace)

    async def models(self, *, tenant: str) -> list[Body]:
        """A tenant's public models whose names no enforcing policy would refuse.

        Raises UpstreamError.
        """
        models = await self.upstreams.listed(tenant=tenant)
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
        check_destinations(body)
        trace.model, trace.stream = request.model, request.stream
        if self.keep_text:
            trace.text["prompt"] = [said.text for said in request.said]
        to = self.upstreams.of(request.model, tenant=trace.caller.tenant)
        trace.asks(to.upstream)
        applied = self._apply(request, trace)
        trace.enforced = bool(applied.enforcing)
        framing.refusal = applied.refusal()
        if trace.enforced:
            request = replace(request, allowed=frozenset(applied.allowed))
        talk = Talk(wire, request, applied, trace)
        told: AsyncGenerator[Words, None] | AsyncGenerator[Raw, None]
        if trace.enforced:
            told = self.enforced(talk, to)
        else:
            trace.attempts = 1
            told = relay(talk, to.addressed(body), to.upstream)
        async with aclosing(told) as releases:
            async for released in releases:
                trace.keep(released)
                trace.hear(released)
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

    async def enforced(self, talk: Talk, to: Destination) -> AsyncGenerator[Words, None]:
        """The part of the story in which policies act: from what goes in to what may leave.

        Raises FormatError and UpstreamError, and whatever judging raises.
        """
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
        redactions = [(item, one) for item, one in following if one.action == "redact"]
        if redactions and verdict and verdict.action != "refuse":
            # Wherever it goes: what is to be left out is left out of a request that is rerouted.
            body = prompt.redacted(body, request, redactions)
            left = await prompt.judged(talk.wire.read(body), applied)
            verdict = prompt.left_over(left, applied) or verdict
        if verdict:
            trace.action = verdict.action
        if verdict and verdict.action == "refuse":
            yield refused(talk, verdict.refusal)
            return
        reroute = verdict if verdict and verdict.action == "reroute" else None
        asking = Asking(talk, body, to, self.upstreams, seen)
        async with aclosing(asking.told(reroute=reroute)) as releases:
            async for words in releases:
                yield words

    def _sampled(self, trace: Trace) -> None:
        if self.mirror is not None:
            trace.digests = self.mirror.digests(trace.caller)

    def _mirrored(self, wire: Format, request: Request | None, trace: Trace) -> None:
        """Offer what was answered to the mirror; the client waits for nothing of it."""
        if self.mirror is not None and request is not None and trace.outcome == "answered":
            self.mirror.offer(wire, request, trace)

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


def _client_left(error: BaseException) -> bool:
    """Whether a cancellation came from outside, and not from a stage that cancelled itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and bool(task and task.cancelling())
