"""One request to several arms at once: their answers and verdicts side by side, for who may.

Knows no wire format and no socket. What an arm without a screen said is shown with every hit left
out, unless the operator opens that; every arm leaves an audit record.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from policies import LoadedPolicy
from proxy.applied import Applied, Treatment
from proxy.audit import AuditError
from proxy.exchange import Answer, Body, Delta, Format, FormatError, Piece, Refused, Request
from proxy.fields import check_destinations
from proxy.framing import Head, Out
from proxy.pipeline import Pipeline
from proxy.talk import Talk
from proxy.trace import Caller, Trace, frames
from proxy.upstream import UpstreamError

log = logging.getLogger("lethe")

ROUTE = "/lethe/v1/compare"
FIELDS = ("arms", "request", "route")


@dataclass(frozen=True, slots=True)
class Arm:
    """An upstream, and what is done on the way there and back."""

    name: str
    upstream: str
    screen: bool = True
    pretend: bool = True


@dataclass(frozen=True, slots=True)
class Comparing:
    """What an operator lets be compared, by whom (globs of tenants), and how it is shown.

    `bare`: what arms without a screen say is shown as it came. `concurrency` bounds the arms that
    are asked at the same time, of all comparisons together.
    """

    arms: tuple[Arm, ...]
    tenants: tuple[str, ...]
    bare: bool = False
    concurrency: int = 4


class Comparison:
    """The comparisons of one deployment, over its pipeline."""

    def __init__(
        self, pipeline: Pipeline, comparing: Comparing, formats: Mapping[str, Format]
    ) -> None:
        self._pipeline = pipeline
        self._arms = {arm.name: arm for arm in comparing.arms}
        self._comparing = comparing
        self._formats = formats
        self._turns = asyncio.Semaphore(comparing.concurrency)

    def open_to(self, tenant: str) -> bool:
        """Whether a tenant may compare."""
        return any(fnmatchcase(tenant, glob) for glob in self._comparing.tenants)

    async def answer(self, body: Body, caller: Caller) -> AsyncGenerator[Out, None]:
        """One JSON answer: a comparison, or an error in the shape of the chat API."""
        wire = next(iter(self._formats.values()))
        try:
            yield Head(200, await self._compared(body, caller))
        except FormatError as error:
            shape = wire.error(str(error), status=error.status, param=error.param, code=error.code)
            yield Head(error.status, shape)
        except AuditError as error:
            log.critical("request=%s left no audit record: %s", caller.request_id, error)
            message = "the comparison could not be completed"
            yield Head(500, wire.error(message, status=500))

    async def _compared(self, body: Body, caller: Caller) -> Body:
        if body.keys() - set(FIELDS):
            raise FormatError(f"unknown field; a comparison has {', '.join(FIELDS)}")
        wire, request = self._read(body)
        caller = replace(caller, route=wire.route)
        # Whatever model is named: arms say who is asked, and a name may lead around no policy.
        policies = self._pipeline.policies.applicable(
            model=None, route=wire.route, tenant=caller.tenant
        )
        if not policies and self._pipeline.default == "refuse":
            raise FormatError("no policy applies to this request", status=403)
        asking = [self._one(arm, wire, request, caller, policies) for arm in self._wanted(body)]
        found = await asyncio.gather(*asking, return_exceptions=True)
        arms: list[Body] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            arms.append(one)
        return {
            "object": "lethe.comparison",
            "id": caller.request_id,
            "route": wire.route,
            "model": request.model,
            "arms": arms,
        }

    def _read(self, body: Body) -> tuple[Format, Request]:
        route, inner = body.get("route", next(iter(self._formats))), body.get("request")
        wire = self._formats.get(route) if isinstance(route, str) else None
        if wire is None:
            known = ", ".join(self._formats)
            raise FormatError(f"route: is none of {known}", param="route")
        if not isinstance(inner, dict):
            raise FormatError("request: must be the body of a request", param="request")
        check_destinations(inner)
        request = wire.read(inner)
        if not request.speaks:
            raise FormatError("route: its answers have no words to compare", param="route")
        if request.stream:
            raise FormatError("stream: a comparison is answered whole", param="request.stream")
        return wire, request

    def _wanted(self, body: Body) -> list[Arm]:
        names = body.get("arms", list(self._arms))
        if not isinstance(names, list) or not names or len(names) > len(self._arms):
            raise FormatError("arms: must be a list of names, each once", param="arms")
        known = [name for name in names if isinstance(name, str) and name in self._arms]
        if len(set(known)) < len(names):
            there = ", ".join(self._arms)
            raise FormatError(f"arms: each must be one of {there}, and once", param="arms")
        return [self._arms[name] for name in known]

    async def _one(
        self,
        arm: Arm,
        wire: Format,
        request: Request,
        caller: Caller,
        policies: Sequence[LoadedPolicy],
    ) -> Body:
        """An arm's answer. It fails alone; only what is not on record is not told at all."""
        trace = self._trace(arm, request, caller, policies)
        talk = Talk(wire, request, self._applied(arm, request, policies), trace)
        answer, pieces = None, list[Piece]()
        async with self._turns:
            began = time.perf_counter()
            try:
                answer, pieces = await self._told(arm, talk)
                trace.outcome = "answered"
            except FormatError as error:
                trace.outcome, trace.reason = "rejected", error.param or error.code
                trace.error = str(error)
            except UpstreamError as error:
                trace.outcome, trace.error = "upstream failed", str(error)
            except asyncio.CancelledError:
                trace.outcome = "client left"
                raise
            except Exception as error:  # noqa: BLE001 - an arm fails alone, and shows nothing
                log.error(  # noqa: TRY400 - a traceback could quote the text
                    "request=%s arm=%s failed: %s", caller.request_id, arm.name, frames(error)
                )
                trace.outcome, trace.action, trace.error = "failed", "refuse", type(error).__name__
            finally:
                self._pipeline.audit.append(trace.record())
                trace.log()
        entry = self._entry(arm, trace, milliseconds=(time.perf_counter() - began) * 1000)
        told = answer if trace.outcome == "answered" else None
        body = told.response(pieces) if told else None
        return {**entry, "text": _texts(pieces) if told else [], "answer": body}

    async def _told(self, arm: Arm, talk: Talk) -> tuple[Answer | None, list[Piece]]:
        to = self._pipeline.upstreams.named(arm.upstream, model=talk.request.model)
        talk.trace.asks(to.upstream)
        answer, pieces = None, list[Piece]()
        async with aclosing(self._pipeline.enforced(talk, to)) as told:
            async for words in told:
                answer = words.answer
                pieces += words.pieces
                talk.trace.keep(words)
        return answer, pieces

    def _applied(self, arm: Arm, request: Request, policies: Sequence[LoadedPolicy]) -> Applied:
        return Applied(
            policies,
            compiled=self._pipeline.policies,
            screening=self._pipeline.screening,
            question=request.question,
            treatment=Treatment(arm.screen, arm.pretend, bare=self._comparing.bare),
        )

    def _trace(
        self, arm: Arm, request: Request, caller: Caller, policies: Sequence[LoadedPolicy]
    ) -> Trace:
        trace = Trace(caller, keep_text=self._pipeline.keep_text)
        trace.model, trace.enforced = request.model, True
        trace.comparison = {
            "arm": arm.name,
            "screen": arm.screen,
            "pretend": arm.pretend,
            "shown": self._shown(arm),
        }
        trace.applies(policies)
        if not policies:
            trace.default = self._pipeline.default
        if self._pipeline.keep_text:
            trace.text["prompt"] = [said.text for said in request.said]
        return trace

    def _shown(self, arm: Arm) -> str:
        if arm.screen:
            return "as released"
        return "as it came" if self._comparing.bare else "hits left out"

    def _entry(self, arm: Arm, trace: Trace, *, milliseconds: float) -> dict[str, Any]:
        upstream = self._pipeline.upstreams.named(trace.upstream or arm.upstream, model="").upstream
        return {
            **(trace.comparison or {}),
            "upstream": trace.upstream,
            "role": trace.role,
            "lineage": trace.lineage,
            "method": upstream.lineage.method or None if upstream.lineage else None,
            "outcome": trace.outcome,
            "action": trace.action,
            "error": trace.error,
            "attempts": trace.attempts,
            "injected": trace.injected,
            "rerouted": trace.rerouted,
            "down": trace.down,
            "verdicts": trace.verdicts,
            "milliseconds": round(milliseconds, 1),
        }


def _texts(pieces: Sequence[Piece]) -> list[str]:
    """What each choice says, in order of the choices."""
    said: dict[int, str] = {}
    for piece in pieces:
        if isinstance(piece, Refused):
            said[piece.choice] = said.get(piece.choice, "") + piece.words
        elif isinstance(piece, Delta) and piece.channel.kind == "content":
            choice = piece.channel.choice
            said[choice] = said.get(choice, "") + piece.text
    return [said[choice] for choice in sorted(said)]
