"""A share of live traffic, asked of a second upstream in the background: scores and digests stay.

Knows no HTTP. It begins once the client has its answer, within a budget, is judged while nobody
else waits for the screen, and whatever goes wrong is noted in its own record alone.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from classifiers import Passage, windows_at
from policies import PolicySet
from proxy.applied import Applied
from proxy.audit import Audit
from proxy.choices import Seen
from proxy.digests import Digests, new_key
from proxy.exchange import Body, Channel, Delta, Format, FormatError, Request
from proxy.prompt import passages
from proxy.screening import Screening, Verdicts
from proxy.trace import Caller, Trace, frames
from proxy.upstream import UpstreamError
from proxy.upstreams import Upstreams

log = logging.getLogger("lethe")

MINUTE_S = 60.0
MOST_JUDGED = 20_000  # characters of an answer
RUN = 4  # sentences that are judged at once: as long may whoever cannot wait have to
# What asks for more than words: asked twice, it is done twice, and its secrets are told twice.
ONCE = {"server_tools", "stored"}


@dataclass(frozen=True, slots=True)
class Mirroring:
    """Which upstream is asked too, of which share of requests, and how much at most."""

    to: str
    share: float
    concurrency: int = 1
    per_minute: int = 30
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Spare:
    """A screen for whoever can wait."""

    screening: Screening

    async def judge(self, passages: Sequence[Passage]) -> list[Verdicts]:
        """Verdicts for each passage, in order."""
        return await self.screening.judge(passages, spare=True)


class Mirror:
    """The second arm of one deployment. Only its own event loop may call it."""

    def __init__(
        self,
        mirroring: Mirroring,
        *,
        policies: PolicySet,
        screening: Screening,
        upstreams: Upstreams,
        audit: Audit,
    ) -> None:
        self.dropped = 0  # sampled and not asked, since the last record: the budget was spent
        self._mirroring = mirroring
        self._policies = policies
        self._screening = _Spare(screening)
        self._upstreams = upstreams
        self._audit = audit
        self._key = new_key()
        self._began: deque[float] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def judge_by(self, policies: PolicySet, screening: Screening) -> None:
        """Judge by other policies from the next request on."""
        self._policies, self._screening = policies, _Spare(screening)

    def digests(self, caller: Caller) -> Digests | None:
        """Digests to be filled with what the client gets, where its request is one of the share."""
        drawn = int.from_bytes(sha256(caller.request_id.encode()).digest()[:8], "big")
        return Digests(self._key) if drawn < self._mirroring.share * 2**64 else None

    def offer(self, wire: Format, request: Request, live: Trace) -> None:
        """Ask the second upstream too, if the budget lets it. Returns at once and never raises."""
        if live.digests is None or not request.speaks or live.upstream == self._mirroring.to:
            return
        if any(channel.name in ONCE for channel in request.side_channels):
            return
        if not self._affordable():
            self.dropped += 1
            return
        task = asyncio.get_running_loop().create_task(self._run(wire, request, live))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settle(self) -> None:
        """Wait for everything that is under way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def close(self) -> None:
        """Cut off what is under way; each that has begun to ask leaves its record."""
        for task in self._running:
            task.cancel()
        await self.settle()

    def _affordable(self) -> bool:
        now = self._mirroring.clock()
        while self._began and self._began[0] <= now - MINUTE_S:
            self._began.popleft()
        if len(self._running) >= self._mirroring.concurrency:
            return False
        if len(self._began) >= self._mirroring.per_minute:
            return False
        self._began.append(now)
        return True

    async def _run(self, wire: Format, request: Request, live: Trace) -> None:
        trace, digests = Trace(live.caller), Digests(self._key)
        try:
            await self._asked(wire, request, trace, digests)
            trace.outcome = "mirrored"
        except (UpstreamError, FormatError) as error:
            failed = isinstance(error, UpstreamError)
            trace.outcome, trace.error = "upstream failed", str(error) if failed else "malformed"
        except asyncio.CancelledError:
            trace.outcome = "cut off"
        except Exception as error:  # noqa: BLE001 - nobody waits for it
            trace.outcome, trace.error = "failed", type(error).__name__
        try:
            self._audit.append(self._record(trace, digests, live))
        except Exception as error:  # noqa: BLE001 - the client has its answer and its own record
            log.critical(
                "request=%s mirror left no audit record: %s",
                live.caller.request_id, frames(error),
            )  # fmt: skip

    async def _asked(self, wire: Format, request: Request, trace: Trace, digests: Digests) -> None:
        """Ask as the client did, whole and with no instruction; judge what comes."""
        compiled, screening = self._policies, self._screening
        to = self._upstreams.named(self._mirroring.to, model=request.model)
        trace.model = request.model
        trace.asks(to.upstream, elsewhere=False)
        policies = compiled.applicable(
            model=request.model, route=wire.route, tenant=trace.caller.tenant
        )
        trace.applies(policies)
        body = to.addressed(_whole(wire, request.body))
        response = await to.upstream.complete(wire.route.removeprefix("/v1"), body)
        trace.mark("upstream_first")
        said: dict[Channel, str] = {}
        for piece in wire.answer(wire.read(body)).whole(response):
            if isinstance(piece, Delta):
                said[piece.channel] = said.get(piece.channel, "") + piece.text
        for channel, text in said.items():
            digests.add(channel, text)
            trace.channels[str(channel)] = {"received": len(text), "screened": 0}
        applied = Applied(
            policies,
            compiled=compiled,
            screening=screening,
            question=request.question,
        )
        parts = await asyncio.to_thread(_parts, said, applied)
        verdicts = await applied.judge([passage for _, passage in parts])
        for channel, size in _judged(said):
            trace.channels[str(channel)]["screened"] = size
        for (channel, _), found in zip(parts, verdicts, strict=True):
            trace.saw(Seen(str(channel), verdict) for verdict in found)

    def _record(self, trace: Trace, digests: Digests, live: Trace) -> dict[str, Any]:
        """The mirror's own record: names, counts, scores and digests."""
        dropped, self.dropped = self.dropped, 0
        theirs = live.digests.found if live.digests else {}
        mirrored = {
            "of": {
                "upstream": live.upstream,
                "role": live.role,
                "lineage": live.lineage,
                "action": live.action,
                "digests": theirs,
            },
            "digests": digests.found,
            "same": bool(theirs) and theirs == digests.found,
            "dropped": dropped,
        }
        return {**trace.record(), "event": "mirror", "mirror": mirrored}


def _whole(wire: Format, body: Body) -> Body:
    """The request for an answer in one piece that the upstream does not keep."""
    asked = {key: value for key, value in body.items() if key != "stream_options"}
    return {**asked, **wire.defaults, "stream": False}


def _judged(said: dict[Channel, str]) -> Iterator[tuple[Channel, int]]:
    """How much of each channel is judged, from its beginning."""
    room = MOST_JUDGED
    for channel, text in said.items():
        size = min(len(text), room)
        room -= size
        yield channel, size


def _parts(said: dict[Channel, str], applied: Applied) -> list[tuple[Channel, Passage]]:
    """Short passages: the screen has one thread, and who is live waits for one of them at most."""
    return [
        (channel, replace(passage, before=applied.question))
        for channel, size in _judged(said)
        for passage, _ in passages(
            said[channel][:size], longest=applied.longest, windows=windows_at, run=RUN
        )
    ]
