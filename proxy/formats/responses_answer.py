"""One response taken apart into pieces, and put together again from what was released.

Knows no policy, no HTTP and no request but the few facts of it that shape an answer. Shapes: the
page named in `proxy.formats.responses`.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.exchange import Body, FormatError, Piece, Request
from proxy.formats.reading import an_object, counts
from proxy.formats.responses_heard import Heard
from proxy.formats.responses_shapes import KEPT
from proxy.formats.responses_written import Writer

TIERS = {"auto", "default", "flex", "scale", "priority", "standard"}
NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
COUNTS = frozenset(NO_USAGE) | {"cached_tokens", "cache_write_tokens", "reasoning_tokens"}
ENDINGS = {"response.completed", "response.incomplete"}
FAILURES = {"response.failed", "error"}
# What a response says of its request: told as the client asked, since an upstream was asked more.
ECHOED: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "auto",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}


class ResponsesAnswer:
    """One upstream answer, taken apart and put together again from what was released."""

    def __init__(self, request: Request) -> None:
        granted = frozenset(channel.name for channel in request.side_channels)
        self._kept = "stored" in granted
        self._json_promised = request.json_promised
        self._head: Body = {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": request.model,
        }
        self._echoed = _echoed(request.body)
        self._usage: Body | None = None
        self._heard = Heard(namespaces=_namespaces(request.body), side_channels=granted)
        self._writer = self._new_writer()
        self._sent = 0

    def feed(self, event: Body) -> list[Piece]:
        """Take one event apart. Raises FormatError on a shape that is not the format's."""
        kind = event.get("type")
        if not isinstance(kind, str):
            raise FormatError("type: must be a string")
        if kind in FAILURES:
            raise FormatError("the response failed")
        if kind in ("response.created", "response.in_progress", *ENDINGS):
            response = an_object(event, "response")
            self._read_head(response)
            if kind in ENDINGS:
                ended = {**response, "status": kind.removeprefix("response.")}
                return list(self._heard.whole(ended))
            return []
        return list(self._heard.event(kind, event))

    def whole(self, response: Body) -> list[Piece]:
        """Take a complete response apart. Raises FormatError likewise."""
        if not isinstance(response.get("output"), list):
            raise FormatError("output: must be an array of objects")
        self._read_head(response)
        return list(self._heard.whole(response))

    def events(self, pieces: Sequence[Piece]) -> list[Body]:
        """Released pieces as events."""
        events = [event for piece in pieces for event in self._writer.take(piece)]
        if pieces and not self._sent:
            begun = self._response("in_progress", output=[])
            events[:0] = [
                {"type": "response.created", "response": begun},
                {"type": "response.in_progress", "response": begun},
            ]
        return [self._numbered(event) for event in events]

    def end(self) -> list[Body]:
        """The response as a whole, as it was released."""
        event = {"type": f"response.{self._writer.status}", "response": self._written(self._writer)}
        return [self._numbered(event)]

    def response(self, pieces: Sequence[Piece]) -> Body:
        """Released pieces as one response."""
        writer = self._new_writer()
        for piece in pieces:
            for _ in writer.take(piece):
                pass  # nobody listens: all of it is told at once
        return self._written(writer)

    def broken(self, error: Body) -> Body:
        """An error as an event of its own."""
        told = error["error"]
        return self._numbered(
            {
                "type": "error",
                "code": told["code"] or told["type"],
                "message": told["message"],
                "param": told["param"],
            }
        )

    def _new_writer(self) -> Writer:
        return Writer(self._heard.items, json_promised=self._json_promised)

    def _numbered(self, event: Body) -> Body:
        number = self._sent
        self._sent += 1
        return {"type": event["type"], "sequence_number": number, **event}

    def _read_head(self, response: Body) -> None:
        tier = response.get("service_tier")
        if isinstance(tier, str) and tier in TIERS:
            self._echoed["service_tier"] = tier
        if isinstance(response.get("usage"), dict):
            self._usage = _filled(counts(response["usage"], COUNTS))
        name = response.get("id")
        if self._kept and not self._sent and isinstance(name, str) and KEPT.fullmatch(name):
            self._head["id"] = name  # by which a conversation that is kept goes on

    def _written(self, writer: Writer) -> Body:
        body = self._response(writer.status, output=list(writer.output))
        body["incomplete_details"] = writer.details
        body["usage"] = NO_USAGE if writer.refused else self._usage
        return body

    def _response(self, status: str, *, output: list[Body]) -> Body:
        return {
            **self._head,
            "status": status,
            "error": None,
            "incomplete_details": None,
            **self._echoed,
            "output": output,
            "usage": None,
        }


def _echoed(body: Body) -> Body:
    """What the client asked for, and otherwise what the API does unasked."""
    told = {key: usual if body.get(key) is None else body[key] for key, usual in ECHOED.items()}
    kept = body.get("conversation")
    if kept is not None:
        told["conversation"] = {"id": kept} if isinstance(kept, str) else kept
    return told


def _filled(usage: Body) -> Body:
    """Counts with zeros for those that an upstream leaves out: SDKs read them all."""
    filled: Body = {}
    for key, none in NO_USAGE.items():
        given = usage.get(key)
        if isinstance(none, dict):
            filled[key] = {**none, **(given if isinstance(given, dict) else {})}
        else:
            filled[key] = given if type(given) in (int, float) else none
    return filled


def _namespaces(body: Body) -> frozenset[str]:
    """The names that the client gave groups of its tools."""
    tools = body.get("tools")
    return frozenset(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if tool.get("type") == "namespace" and isinstance(tool.get("name"), str)
    )
