"""What one request leaves behind: a record for the audit, a line for the log.

Knows no HTTP. Holds counts, scores and names; of the texts only what `keep_text` lets it.
"""

import json
import logging
import re
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from policies import LoadedPolicy
from proxy.choices import SEVERITY, Action, Choices, Seen
from proxy.digests import Digests
from proxy.exchange import Channel, Delta, Refused
from proxy.framing import Raw, Words
from proxy.lineage import Role
from proxy.upstream import Upstream

log = logging.getLogger("lethe")

MOST_VERDICTS = 100
NAME = re.compile(r"[A-Za-z0-9_.:/@+\[\]-]{1,128}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the front door sees it."""

    request_id: str
    tenant: str
    route: str


@dataclass(slots=True)
class Trace:
    """The story of one request, filled in as it happens."""

    caller: Caller
    keep_text: bool = False
    model: str | None = None
    upstream: str | None = None
    role: Role | None = None
    lineage: str | None = None
    rerouted: str | None = None
    down: dict[str, str] = field(default_factory=dict)
    comparison: dict[str, Any] | None = None
    stream: bool = False
    enforced: bool = False
    default: str | None = None
    action: Action | Literal["pass"] = "pass"
    would: Action | None = None
    outcome: str = "unfinished"
    error: str | None = None
    reason: str | None = None
    client_at_fault: bool = False
    attempts: int = 0
    failed_open: int = 0
    injected: int = 0
    policies: list[dict[str, Any]] = field(default_factory=list)
    channels: dict[str, dict[str, int]] = field(default_factory=dict)
    side_channels: list[str] = field(default_factory=list)
    text: dict[str, list[str]] = field(default_factory=dict, repr=False)
    timings: dict[str, float] = field(default_factory=dict)
    digests: Digests | None = None
    written: bool = False
    _verdicts: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)

    def applies(self, policies: Iterable[LoadedPolicy]) -> None:
        """Note the policies by id, digest and mode, with the request each answers."""
        self.policies = [
            {
                "id": loaded.policy.id,
                "digest": loaded.digest,
                "mode": loaded.policy.mode,
                "request": loaded.policy.request,
            }
            for loaded in policies
        ]

    def asks(self, upstream: Upstream, *, elsewhere: bool | None = None) -> None:
        """Note who is asked, whose answer it will be; `elsewhere` than the policies found it.

        None: nobody is asked yet.
        """
        if elsewhere is not None:
            self.attempts += 1
            self.rerouted = (self.rerouted or self.upstream) if elsewhere else None
        self.upstream, self.role = upstream.name, upstream.role
        self.lineage = upstream.lineage.digest if upstream.lineage else None

    def went_down(self, upstream: Upstream, why: str) -> None:
        """Note an upstream that failed where a policy says what happens then."""
        self.down[upstream.name] = why
        log.warning("request=%s upstream=%s down: %s", self.caller.request_id, upstream.name, why)

    def saw(self, items: Iterable[Seen]) -> None:
        """Note verdicts: the highest score of each concept, kind and place."""
        for item in items:
            verdict = item.verdict
            key = (item.where, verdict.concept, verdict.kind)
            known = self._verdicts.get(key)
            if known and known["score"] >= verdict.score and known["hit"] >= verdict.hit:
                continue
            if known or len(self._verdicts) < MOST_VERDICTS:
                self._verdicts[key] = {
                    "where": item.where,
                    "concept": verdict.concept,
                    "kind": verdict.kind,
                    "view": verdict.view,
                    "score": round(verdict.score, 4),
                    "margin": None if verdict.margin is None else round(verdict.margin, 4),
                    "threshold": round(verdict.threshold, 4),
                    "hit": verdict.hit,
                }

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """The verdicts noted so far, as records hold them: scores and names, no text."""
        return list(self._verdicts.values())

    def heard(self, choices: Choices, *, left: bool = True) -> None:
        """Add the counts of an answer: characters received, screened, held at most, released.

        `left` is false for an answer that was thrown away to ask again.
        """
        self.saw(choices.seen)
        for channel, window in choices.windows.items():
            counts = self.channels.setdefault(
                str(channel), {"received": 0, "screened": 0, "held": 0, "released": 0}
            )
            counts["received"] += window.received
            counts["screened"] += min(choices.screened.get(channel, 0), window.received)
            counts["held"] = max(counts["held"], window.most_held)
            counts["released"] += window.released if left else 0

    def acted(self, actions: Iterable[Action]) -> None:
        """Note what was done; the most severe action of the whole story stands in the record."""
        known = [a for a in (*actions, self.action) if a in SEVERITY]
        self.action = min(known, key=SEVERITY.index, default=self.action)

    def hear(self, released: Words | Raw) -> None:
        """Take digests of what is released, where it will be held against another answer."""
        if self.digests is None or isinstance(released, Raw):
            return
        for piece in released.pieces:
            if isinstance(piece, Delta):
                self.digests.add(piece.channel, piece.text)
            elif isinstance(piece, Refused):
                self.digests.add(Channel(piece.choice), piece.words)

    def keep(self, released: Words | Raw) -> None:
        """Keep what is released, where the operator wants texts on record."""
        if not self.keep_text:
            return
        if isinstance(released, Raw):
            self.text.setdefault("released", []).append(json.dumps(released.body))
        else:
            said = [
                piece.text if isinstance(piece, Delta) else piece.words
                for piece in released.pieces
                if isinstance(piece, Delta | Refused)
            ]
            self.text.setdefault("released", []).extend(said)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that a block takes to a stage, in milliseconds."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - began) * 1000
            self.timings[stage] = round(self.timings.get(stage, 0.0) + spent, 3)

    def mark(self, event: str) -> None:
        """Note when something happened for the first time, in milliseconds since the beginning."""
        self.timings.setdefault(event, round((time.perf_counter() - self._began) * 1000, 3))

    def record(self) -> dict[str, Any]:
        """The audit record: names, counts and scores."""
        self.timings["total"] = round((time.perf_counter() - self._began) * 1000, 3)
        record = {
            "request_id": self.caller.request_id,
            "tenant": self.caller.tenant,
            "route": self.caller.route,
            "model": _name(self.model),
            "upstream": self.upstream,
            "role": self.role,
            "lineage": self.lineage,
            "rerouted": self.rerouted,
            "down": self.down,
            "stream": self.stream,
            "policies": self.policies,
            "default": self.default,
            "action": self.action,
            "would": self.would,
            "outcome": self.outcome,
            "error": self.error,
            "reason": self.reason,
            "attempts": self.attempts,
            "failed_open": self.failed_open,
            "injected": self.injected,
            "side_channels": self.side_channels,
            "channels": self.channels,
            "verdicts": self.verdicts,
            "timings_ms": self.timings,
        }
        if self.comparison is not None:
            record["comparison"] = self.comparison
        return {**record, "text": self.text} if self.keep_text else record

    def log(self) -> None:
        """One line: at ERROR where something failed, unless the client's request was at fault."""
        failed = self.error and not self.client_at_fault
        level = logging.ERROR if failed else logging.INFO
        ids = ",".join(policy["id"] for policy in self.policies) or f"default:{self.default}"
        log.log(
            level,
            "request=%s route=%s tenant=%s model=%r upstream=%s policies=%s action=%s outcome=%s "
            "reason=%s error=%s ms=%.0f",
            self.caller.request_id,
            self.caller.route,
            self.caller.tenant,
            _name(self.model),
            self.upstream,
            ids,
            self.action,
            self.outcome,
            self.reason,
            self.error,
            self.timings.get("total", 0.0),
        )


def _name(model: str | None) -> str | None:
    """A model's name as the client gave it, if it is one and no message."""
    return model if model is None or NAME.fullmatch(model) else "(not a name)"


def frames(error: BaseException) -> str:
    """Where an error was raised, innermost last; its message stays out, it may quote a text."""
    stack = traceback.extract_tb(error.__traceback__)[-6:]
    places = " > ".join(f"{frame.name}:{frame.lineno}" for frame in stack)
    return f"{type(error).__name__} at {places}"
