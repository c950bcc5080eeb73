"""What stands around an answer: comments, names of events, headers, errors, broken framing.

The same for each wire format that speaks; knows of each its ordinary answer and its error.
"""

import json
from collections.abc import Callable

from benchmarks.leak_cells.channels import STREAMED, WHOLE, Body, Channel, Voice
from benchmarks.leak_cells.upstream import Script

Framed = Callable[[Script, Voice], Script]


def _between(script: Script, frame: bytes, *, at: int = 1) -> Script:
    frames = (*script.frames[:at], frame, *script.frames[at:])
    return Script(script.body, frames, headers=script.headers)


def _comment(script: Script, v: Voice) -> Script:
    return _between(script, f": {v.text}\n\n".encode())


def _event_name(script: Script, v: Voice) -> Script:
    first, *rest = script.frames
    bare = first[first.index(b"data:") :]
    return Script(script.body, (f"event: {v.slug}\n".encode() + bare, *rest))


def _id_line(script: Script, v: Voice) -> Script:
    first, *rest = script.frames
    return Script(script.body, (f"id: {v.said}\n".encode() + first, *rest))


def _header(script: Script, v: Voice) -> Script:
    return Script(
        script.body, script.frames, headers=(("x-note", v.said), ("x-request-id", v.slug))
    )


def _after(script: Script, v: Voice) -> Script:
    frame = b"data: " + json.dumps({"note": v.text}).encode() + b"\n\n"
    return _between(script, frame, at=len(script.frames))


def _no_json(_: Script, v: Voice) -> Script:
    page = f"<html><body>{v.text}</body></html>".encode()
    return Script(page, (page,))


def _half_an_event(script: Script, v: Voice) -> Script:
    half = f'data: {{"choices": [{{"index": 0, "delta": {{"content": "{v.text}\n\n'.encode()
    return Script(script.body, (*script.frames[:1], half))


def _error_body(v: Voice, wire: str, kind: str) -> Body:
    said = {
        "message": f"Cannot serve this: {v.text}",
        "type": kind,
        "param": v.slug,
        "code": v.slug,
    }
    return {"type": "error", "error": said} if wire == "messages" else {"error": said}


def _error_event(v: Voice, wire: str) -> bytes:
    body = _error_body(v, wire, "overloaded_error" if wire == "messages" else "server_error")
    if wire == "responses":
        body = {**body["error"], "type": "error", "sequence_number": 9}
    name = "" if wire in ("chat", "completions") else "event: error\n"
    return f"{name}data: {json.dumps(body)}\n\n".encode()


ASIDES: dict[str, tuple[Framed, tuple[bool, ...]]] = {
    "comment": (_comment, (STREAMED,)),
    "name of an event": (_event_name, (STREAMED,)),
    "id of an event": (_id_line, (STREAMED,)),
    "event behind the end": (_after, (STREAMED,)),
    "response headers": (_header, (WHOLE, STREAMED)),
}
BROKEN: dict[str, tuple[Framed, tuple[bool, ...]]] = {
    "a page instead of an answer": (_no_json, (WHOLE, STREAMED)),
    "half an event": (_half_an_event, (STREAMED,)),
}
STATUSES = {400: "invalid_request_error", 429: "rate_limit_error", 500: "server_error"}


def framing(wire: str, ordinary: Callable[[], Script]) -> list[Channel]:
    """The channels around the answers of a wire format."""
    channels = []

    def add(name: str, group: str, framed: Framed, modes: tuple[bool, ...]) -> None:
        channels.append(
            Channel(
                name=name, wire=wire, group=group, modes=modes,
                kind="aside" if group == "framing" else "error",
                reply=lambda v: framed(ordinary(), v),
            )
        )  # fmt: skip

    for name, (framed, modes) in ASIDES.items():
        add(name, "framing", framed, modes)
    for name, (framed, modes) in BROKEN.items():
        add(name, "errors", framed, modes)
    for status, kind in STATUSES.items():
        add(f"HTTP {status}", "errors", _failing(wire, status, kind), (WHOLE, STREAMED))
    add(
        "error in the midst of a stream", "errors",
        lambda script, v: Script(script.body, (script.frames[0], _error_event(v, wire))),
        (STREAMED,),
    )  # fmt: skip
    return channels


def _failing(wire: str, status: int, kind: str) -> Framed:
    def failing(_: Script, v: Voice) -> Script:
        headers = (("x-note", v.said), ("retry-after", "1"))
        return Script(_error_body(v, wire, kind), status=status, headers=headers)

    return failing
