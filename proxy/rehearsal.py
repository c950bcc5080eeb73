"""A pipeline over scripted upstreams, and answers as a client reads them: for tests, no network.

Knows no real upstream. Whoever reports a leak can show it with this and nothing else.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from policies import PolicySet
from proxy.audit import Audit
from proxy.chain import verify
from proxy.exchange import Body
from proxy.formats import chat
from proxy.framing import Head, Out
from proxy.pipeline import Pipeline
from proxy.screening import Screening
from proxy.trace import Caller
from proxy.upstream import Limits, Upstream
from proxy.upstreams import Upstreams

CALLER = Caller("r1", "default", chat.route)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as a client reads it: one body, or the events of a stream that ended well."""

    status: int
    headers: dict[str, str]
    body: Body = field(repr=False)
    events: tuple[Body, ...] = field(repr=False)

    @property
    def everything(self) -> str:
        """All that reached the client, as JSON text."""
        return json.dumps([self.body, *self.events], ensure_ascii=False)

    @property
    def error(self) -> Body | None:
        """The error that the answer is or ends with."""
        return next((part["error"] for part in (*self.events, self.body) if "error" in part), None)

    def text(self, choice: int = 0) -> str:
        """The content of a choice."""
        parts = [said.get("content") or "" for said, _ in self._said(choice)]
        return "".join(parts)

    def reason(self, choice: int = 0) -> str | None:
        """The finish reason of a choice."""
        return next((reason for _, reason in self._said(choice) if reason), None)

    def _said(self, choice: int) -> list[tuple[Body, str | None]]:
        return [
            (found.get("message") or found.get("delta") or {}, found["finish_reason"])
            for part in (self.body, *self.events)
            for found in part.get("choices", ())
            if found["index"] == choice
        ]


def told(outs: Sequence[Out]) -> Told:
    """Read what a pipeline sent. Raises ValueError for a stream that does not end in `[DONE]`."""
    head, *rest = outs
    if not isinstance(head, Head):
        raise TypeError("an answer begins with a head")
    headers = dict(head.headers)
    if head.body is not None:
        return Told(head.status, headers, head.body, ())
    lines = b"".join(out for out in rest if isinstance(out, bytes)).decode().split("\n\n")
    if lines[-2:] != ["data: [DONE]", ""]:
        raise ValueError("the stream does not end in [DONE]")
    events = tuple(json.loads(line.removeprefix("data: ")) for line in lines[:-2])
    return Told(head.status, headers, {}, events)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A pipeline with its audit file, and one client."""

    pipeline: Pipeline
    screening: Screening
    audit: Audit
    audit_path: Path

    async def ask(self, content: str = "Who paints?", **fields: Any) -> Told:  # noqa: ANN401
        """Send one user turn, or whatever body the fields make of it."""
        body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
        return told([out async for out in self.pipeline.answer(chat, body, CALLER)])

    def records(self) -> list[dict[str, Any]]:
        """What the audit holds. Raises ValueError where the chain is broken."""
        if verify(self.audit_path).first_broken is not None:
            raise ValueError("the audit does not verify")
        return [json.loads(line) for line in self.audit_path.read_text().splitlines()]


@asynccontextmanager
async def rehearsing(
    folder: Path,
    policies: PolicySet,
    *transports: httpx.AsyncBaseTransport,
    limits: Limits | None = None,
) -> AsyncIterator[Rehearsal]:
    """Put a pipeline before upstreams `u0` (any model), `u1` (`other1`), … over the transports."""
    upstreams = [
        Upstream(
            f"u{n}",
            "http://upstream/v1",
            httpx.AsyncClient(transport=transport),
            models={} if n == 0 else {f"other{n}": "theirs"},
            limits=limits or Limits(),
        )
        for n, transport in enumerate(transports)
    ]
    path = folder / "audit.jsonl"
    audit, screening = Audit.open(path), Screening(policies.screen, timeout_s=30.0)
    pipeline = Pipeline(
        policies=policies, screening=screening, upstreams=Upstreams(upstreams), audit=audit
    )
    try:
        yield Rehearsal(pipeline, screening, audit, path)
    finally:
        await screening.close()
        audit.close()
        for upstream in upstreams:
            await upstream.client.aclose()
