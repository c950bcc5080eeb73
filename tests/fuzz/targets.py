"""What is fuzzed: functions of bytes that return where all is well and raise where it is not.

sse        any bytes, any chunking: the same events and the same end
body       any bytes: an object that is read and written alike, or a BodyError
formats    any request and any answer near a real one: pieces and bodies, or a FormatError
way        the bytes of a stream, all the way to the bytes of the client: nothing forbidden in them
"""

import asyncio
import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from classifiers import Passage, Verdict
from proxy.app import FORMATS
from proxy.body import BodyError, dumps, parse
from proxy.choices import Bounds, Choices, Consequence
from proxy.exchange import (
    Body,
    Finished,
    Format,
    FormatError,
    Piece,
    Request,
    choice_of,
    replace_texts,
)
from proxy.framing import Framing, Head, Words
from proxy.release import HeldTooLongError
from proxy.sse import Decoder, Event, StreamError
from proxy.upstream import UpstreamError
from tests.fuzz.mutation import SECRET, Taker, mutated
from tests.fuzz.wires import REQUESTS, STREAMS, WHOLES

REFUSAL = "I know nothing of that."
_runner = asyncio.Runner()


def sse(data: bytes) -> None:
    taker = Taker(data[:64])
    stream = data[64:]
    whole, parts = heard([stream]), heard(taker.cut(stream))
    assert whole == parts, "chunking changes what is heard"
    assert heard([stream[n : n + 1] for n in range(len(stream))]) == whole, "bytewise differs"


def heard(chunks: Sequence[bytes], *, most: int = 4096) -> tuple[list[Event], bool]:
    decoder = Decoder(most)
    events: list[Event] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.finish()
    except StreamError:
        return events, False
    return events, True


# What JSON is made of, and what makes it doubtful: an odd first byte has the rest pick these.
TOKENS = [
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b'"a"', b'"a":', b'"b":', b" ", b"\n", b"\\"),
    *(b'\\"', b"\\\\", b"\\u", b"\\ud83c", b"\\udff0", b"\\uDC00", b"\\u0061", b"d800", b"\x7f"),
    *(b"1", b"-", b"0", b".5", b"e9", b"E999", b"9" * 20, b"18446744073709551615", b"1e-400"),
    *(b"true", b"null", b"NaN", b"-Infinity", b"\xef\xbb\xbf", b"\xc3", b"\xa9", b"\x00", b"//"),
    *(b'{"a":', b'[{"a":[', b"]}]", b"}}}}", b"[" * 30, b"]" * 30, b'{"a":1,"a":2}', b'""'),
]


def body(data: bytes) -> None:
    if data[:1] and data[0] % 2:
        data = b"{" + b"".join(TOKENS[byte % len(TOKENS)] for byte in data[1:])
    try:
        value = parse(data, max_bytes=1 << 16, max_depth=24)
    except BodyError as error:
        _quotes_nothing(error)
        return
    assert value == json.loads(data), "another reader reads it otherwise"
    written = dumps(value)
    assert parse(written, max_bytes=1 << 20, max_depth=24) == value, "written otherwise than read"


def _quotes_nothing(error: Exception) -> None:
    assert SECRET not in str(error), "an error quotes"


def formats(data: bytes) -> None:
    taker = Taker(data)
    wire = FORMATS[taker.pick(sorted(FORMATS))]
    request = _request(wire, taker)
    if request is None:
        return
    answer = wire.answer(request)
    pieces: list[Piece] = []
    try:
        if request.stream and wire.route in STREAMS:
            events = taker.pick(STREAMS[wire.route])(taker.pieces() or ["It rains."])
            changed = mutated(events, taker)
            for event in changed if isinstance(changed, list) else []:
                if isinstance(event, dict):
                    told = _open(answer.feed(event), pieces)
                    pieces += told
                    dumps(answer.events(told))
        else:
            response = mutated(WHOLES[wire.route](taker.pieces()), taker)
            pieces = _open(answer.whole(response) if isinstance(response, dict) else [], [])
    except FormatError as error:
        _quotes_nothing(error)
        return
    dumps(answer.end())
    dumps(answer.response([*pieces, *_open([Finished(0, "stop")], pieces)]))


def _open(pieces: Sequence[Piece], before: Sequence[Piece]) -> list[Piece]:
    """Pieces of choices that have not finished: no others reach an answer."""
    finished = {piece.choice for piece in before if isinstance(piece, Finished)}
    kept: list[Piece] = []
    for piece in pieces:
        if choice_of(piece) not in finished:
            kept.append(piece)
        if isinstance(piece, Finished):
            finished.add(piece.choice)
    return kept


def _request(wire: Format, taker: Taker) -> Request | None:
    """A request near a real one, if the format takes it; what it found is where it says."""
    given = mutated(taker.pick(REQUESTS[wire.route]), taker, most=4)
    if not isinstance(given, dict):
        return None
    before = copy.deepcopy(given)
    try:
        request = wire.read(given)
    except FormatError as error:
        _quotes_nothing(error)
        return None
    for said in request.said:
        node: Any = given
        for step in said.path:
            node = node[step]
        assert said.role == "keys" or node == said.text, "a text stands elsewhere"
    texts = {said.path: "…" for said in request.said if said.role != "keys"}
    dumps(replace_texts(given, texts))
    for placement in ("system", "developer", "before-last-user"):
        told = wire.instruct(given, "Pretend.", placement)
        dumps(told)
        tokens = any(channel.name == "tokens" for channel in request.side_channels)
        if request.speaks and not tokens:  # to numbers, no words can be added
            assert "Pretend." in json.dumps(told), "an instruction is lost"
    wire.error("No.", status=400)
    assert given == before, "a request was changed while it was read"
    return request


def way(data: bytes) -> None:
    taker = Taker(data)
    wire = FORMATS[taker.pick(sorted(STREAMS.keys() & FORMATS.keys()))]
    given = {**taker.pick(REQUESTS[wire.route]), "stream": True}
    request = wire.read(given)
    events = taker.pick(STREAMS[wire.route])(taker.pieces() or ["It rains. ", "It pours."])
    changed = mutated(events, taker, most=4)
    stream = written(changed if isinstance(changed, list) else [changed], typed=wire.typed)
    told = _runner.run(client_bytes(wire, request, [stream]))
    again = _runner.run(client_bytes(wire, wire.read(given), taker.cut(stream)))
    check(wire, told)
    check(wire, again)
    assert texts(told) == texts(again), "chunking changes what is released"


def written(events: Sequence[Any], *, typed: bool) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "" if typed else "data: [DONE]\n\n"]).encode()


async def judge(passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
    return [
        tuple(
            Verdict("p/c", "alias", at, at + len(SECRET), 1.0, 1.0, hit=True, near=True)
            for at in range(len(p.text))
            if p.text.startswith(SECRET, at)
        )
        for p in passages
    ]


async def client_bytes(wire: Format, request: Request, chunks: Sequence[bytes]) -> bytes:
    """What a client is sent for an upstream's bytes, as the pipeline would have it."""
    framing = Framing(wire)
    framing.request = request
    outs: list[Head | bytes] = []
    try:
        await _told(wire, request, chunks, framing, outs)
        outs += framing.end()
    except (StreamError, BodyError, FormatError, UpstreamError) as error:
        _quotes_nothing(error)
        outs += framing.broken(UpstreamError("the upstream failed", status=502))
    except HeldTooLongError:
        outs += framing.refuse()
    return b"".join(out if isinstance(out, bytes) else dumps(out.body or {}) for out in outs)


async def _told(
    wire: Format,
    request: Request,
    chunks: Sequence[bytes],
    framing: Framing,
    outs: list[Head | bytes],
) -> None:
    answer, decoder = wire.answer(request), Decoder(1 << 20)
    choices = Choices(
        judge=judge,
        decide=lambda _: Consequence("redact", REFUSAL),
        bounds=Bounds(longest=len(SECRET)),
        questions=lambda _: [request.question],
        json_promised=request.json_promised,
    )

    def take(event: Event) -> bool:
        if event.data == "[DONE]":
            return False
        parsed = parse(event.data.encode(), max_bytes=1 << 20)
        pending.extend(answer.feed(parsed))
        kind = parsed.get("type")
        return not (isinstance(kind, str) and kind in wire.last)

    pending: list[Any] = []
    going = True
    for chunk in chunks:
        for event in decoder.feed(chunk) if going else ():
            going = going and take(event)
            for piece in pending:
                outs += framing.write(Words(answer, await choices.take(piece)))
            pending.clear()
    if going:
        raise UpstreamError("the upstream's stream broke off", status=502)
    for choice in choices.open():
        outs += framing.write(Words(answer, await choices.take(Finished(choice, "stop"))))
    if not choices.closed:
        raise UpstreamError("the upstream's stream holds no answer", status=502)


def check(wire: Format, told: bytes) -> None:
    """Hold what a client gets against what must never be in it."""
    if told.startswith(b"{}"):
        events, good = heard([told[2:]], most=1 << 20)
        assert good, "a broken stream is sent"
        for event in events:
            if event.data != "[DONE]":
                said: Body = json.loads(event.data)
                assert not wire.typed or event.event == said.get("type"), "a wrong name"
    for path, text in texts(told).items():
        assert SECRET not in text, f"forbidden text in {path}"
    assert SECRET.encode() not in told, "forbidden bytes"


def texts(told: bytes) -> dict[str, str]:
    """Everything that is said, joined by where it is said; identifiers and times are ours."""
    found: dict[str, str] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            number = node.get("index", node.get("output_index", ""))
            for key, value in node.items():
                walk(value, f"{path}.{number}.{key}")
        elif isinstance(node, list):
            for item in node:
                walk(item, path)
        elif isinstance(node, str) and not path.endswith(("id", "created", "object", "type")):
            found[path] = found.get(path, "") + node

    raw = told.removeprefix(b"{}").decode()
    for line in raw.split("\n"):
        if line.startswith(("data: {", "{")):
            walk(json.loads(line.removeprefix("data: ")), "")
    return found


TARGETS: dict[str, Callable[[bytes], None]] = {
    "sse": sse,
    "body": body,
    "formats": formats,
    "way": way,
}


def seeds(target: str) -> list[bytes]:
    """Inputs to begin with."""
    streams = [
        written(make(["It ", "rains."]), typed=route == "/v1/messages")
        for route, makes in STREAMS.items()
        for make in makes
    ]
    if target == "sse":
        ends = [
            b"data: a\r\n\r\n: c\r\rdata\n\nevent: x\ndata: [DONE]",
            b"\xef\xbb\xbfdata: \xff\n",
        ]
        return [bytes(64) + stream for stream in [*streams, *ends]]
    if target == "body":
        odd = [b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":1e999,"b":[[[{}]]]}']
        bodies = [json.dumps(b).encode() for found in REQUESTS.values() for b in found]
        return [*bodies, *odd]
    return [bytes([n, m]) * 24 for n in range(8) for m in range(0, 256, 37)]
