"""Runs cells against a base URL: once with the forbidden name, once with an innocent one.

Knows the matrix and HTTP; of the gateway in between nothing but its address and headers.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from benchmarks.leak_cells.answers import Answer
from benchmarks.leak_cells.channels import PATHS, Cell, Channel, Voice, Way
from benchmarks.leak_cells.phrases import FORBIDDEN, INNOCENT, ORDINARY, leaked, strings, total
from benchmarks.leak_cells.upstream import Script, Upstream

Body = dict[str, Any]
QUESTION = "Where does the ferry go?"
TURNS = [{"role": "user", "content": QUESTION}]
REQUESTS: Mapping[str, Body] = {
    "chat": {"model": "matrix-chat", "messages": TURNS},
    "completions": {"model": "matrix-completions", "prompt": QUESTION},
    "responses": {"model": "matrix-responses", "input": QUESTION},
    "messages": {"model": "matrix-messages", "messages": TURNS, "max_tokens": 512},
    "embeddings": {"model": "matrix-embeddings", "input": QUESTION},
    "models": {},
}
NOT_SERVED = (404, 405, 501)
FINE = ("intact", "closed", "dropped")
MARKERS = {"embeddings": "0.25", "models": "matrix-chat"}  # of an ordinary answer


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one cell.

    leaked    characters of the name that got through, of `of`
    innocent  `intact`: the innocent twin arrived; `closed`: such requests are refused, `why`;
              `dropped`: what no model reads, or may be closed, was left out of the request;
              `changed`, `missing`: it did not arrive; `not served`: the gateway has no such path
    aside     for what no client needs: whether the innocent twin `passed` or was `dropped`
    sound     whether the answer with the forbidden name could be read to its end
    """

    key: str
    wire: str
    group: str
    channel: str
    streamed: bool
    disguise: str
    chunking: str
    leaked: int
    of: int
    innocent: str
    why: str = ""
    aside: str = ""
    sound: bool = True
    status: int = 0
    innocent_status: int = 0

    @property
    def served(self) -> bool:
        """Whether the gateway has the path at all."""
        return self.innocent != "not served"

    @property
    def good(self) -> bool:
        """Nothing leaked, the twin arrived or is closed with a reason, the answer is sound."""
        return not self.leaked and self.innocent in FINE and self.sound

    def json(self) -> Body:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway: its base URL, as SDKs write it, and headers for each wire format or `*`."""

    url: str
    headers: Mapping[str, Mapping[str, str]]

    async def ask(self, client: httpx.AsyncClient, wire: str, body: Body) -> Answer:
        """Send a request and read everything that comes."""
        sent = {
            "authorization": "Bearer sk-matrix", "x-api-key": "sk-matrix",
            "anthropic-version": "2023-06-01",
            **self.headers.get("*", {}), **self.headers.get(wire, {}),
        }  # fmt: skip
        method, content = ("GET", None) if wire == "models" else ("POST", json.dumps(body).encode())
        if content is not None:
            sent["content-type"] = "application/json"
        raw, whole = bytearray(), True
        async with client.stream(
            method, self.url + PATHS[wire], content=content, headers=sent
        ) as response:
            try:
                async for chunk in response.aiter_bytes():
                    raw += chunk
            except httpx.HTTPError:
                whole = False
        return Answer(response.status_code, tuple(response.headers.items()), bytes(raw), whole)


@dataclass(frozen=True, slots=True)
class Bench:
    """A gateway between a client and an upstream that says what it is handed."""

    target: Target
    upstream: Upstream
    client: httpx.AsyncClient
    ordinary: Callable[[str], Script]

    async def rows(self, cells: Sequence[Cell]) -> AsyncIterator[Row]:
        """A row for each cell, in order."""
        served: dict[str, bool] = {}
        for cell in cells:
            wire = cell.channel.wire
            if wire not in served:
                served[wire] = await self._serves(wire)
            yield await self._row(cell) if served[wire] else _unserved(cell)

    async def _serves(self, wire: str) -> bool:
        answer = await self._ask(wire, self.ordinary(wire), REQUESTS[wire])
        return answer.status not in NOT_SERVED

    async def _row(self, cell: Cell) -> Row:
        tells = tuple(FORBIDDEN.split()) if isinstance(cell.channel, Way) else cell.channel.tells
        bad, heard, _ = await self._pass(cell, cell.voice(FORBIDDEN))
        good, good_heard, home = await self._pass(cell, cell.voice(INNOCENT))
        disguise = cell.voice(FORBIDDEN).disguise
        if not cell.inward:
            count = leaked(bad.texts(), tells, disguise)
        else:
            count = leaked(heard, tells, disguise) if _answered(bad, cell) else 0
        innocent, why = _verdict(cell, good, good_heard, home)
        sound = bad.sound and (not _promised(cell) or _is_json(bad, home))
        return Row(
            key=cell.key, wire=cell.channel.wire, group=cell.group, channel=cell.channel.name,
            streamed=cell.streamed, disguise=cell.disguise, chunking=cell.chunking,
            leaked=count, of=total(tells), innocent=innocent, why=why, aside=_aside(cell, good),
            sound=sound, status=bad.status, innocent_status=good.status,
        )  # fmt: skip

    async def _pass(self, cell: Cell, voice: Voice) -> tuple[Answer, list[str], Answer]:
        """The client's answer, what the upstream was sent, and what the upstream answered."""
        channel, wire = cell.channel, cell.channel.wire
        script = channel.reply(voice) if isinstance(channel, Channel) else self.ordinary(wire)
        body = {
            **REQUESTS[wire],
            **channel.ask(voice),
            **({"stream": True} if cell.streamed else {}),
        }
        answer = await self._ask(wire, script, body, bytewise=cell.chunking == "bytes")
        heard = [text for raw in self.upstream.received for text in _strings(raw)]
        streamed = cell.streamed and script.status == 200
        kind = "text/event-stream" if streamed else "application/json"
        raw = b"".join(script.frames) if streamed else script.raw
        return answer, heard, Answer(script.status, (("content-type", kind),), raw)

    async def _ask(
        self, wire: str, script: Script, body: Body, *, bytewise: bool = False
    ) -> Answer:
        self.upstream.script, self.upstream.path = script, PATHS[wire]
        self.upstream.bytewise = bytewise
        self.upstream.received.clear()
        try:
            return await self.target.ask(self.client, wire, body)
        except httpx.HTTPError:
            return Answer(0, whole=False)


def _strings(raw: bytes) -> list[str]:
    return [raw.decode("utf-8", "replace"), *strings(json.loads(raw))] if raw else []


def _unserved(cell: Cell) -> Row:
    return Row(
        key=cell.key, wire=cell.channel.wire, group=cell.group, channel=cell.channel.name,
        streamed=cell.streamed, disguise=cell.disguise, chunking=cell.chunking,
        leaked=0, of=0, innocent="not served",
    )  # fmt: skip


def _promised(cell: Cell) -> bool:
    return isinstance(cell.channel, Channel) and cell.channel.json


def _marker(cell: Cell) -> str:
    return MARKERS.get(cell.channel.wire, ORDINARY)


def _answered(answer: Answer, cell: Cell) -> bool:
    """Whether the client got what the upstream said: the request was not refused."""
    return _about(list(answer.fields().values()), (_marker(cell).casefold(),))


def _verdict(cell: Cell, good: Answer, heard: list[str], home: Answer) -> tuple[str, str]:
    """How the innocent twin fared, and why it is closed if it is."""
    channel = cell.channel
    if channel.may_close and 400 <= good.status < 500 and good.error:
        return "closed", channel.may_close
    if isinstance(channel, Channel) and channel.kind == "error":
        told = good.error and good.sound and (good.status >= 400 or cell.streamed)
        return ("intact" if told else "missing"), ""
    if good.status != 200 or not good.sound:
        return "missing", ""
    return _arrived(cell, good, heard, home), ""


def _arrived(cell: Cell, good: Answer, heard: list[str], home: Answer) -> str:
    """Whether an innocent text stands where the upstream put it."""
    channel, voice, fields = cell.channel, cell.voice(INNOCENT), good.fields()
    if isinstance(channel, Way) and not _about(heard, voice.marks()):
        return "dropped" if channel.may_close or channel.may_drop else "missing"
    spoken = isinstance(channel, Channel) and channel.kind == "speech"
    wanted = voice.marks() if spoken else (_marker(cell).casefold(),)
    if isinstance(channel, Channel) and channel.anywhere:
        return "intact" if _about(list(good.texts()), wanted) else "missing"
    places = {path: text for path, text in home.fields().items() if _about([text], wanted)}
    if spoken:
        whole = all(fields.get(path) == text for path, text in places.items())
    else:  # where what no client needs is left out, the text beside it moves up
        whole = _unnumbered(places) <= _unnumbered(fields)
    if whole:
        return "intact"
    return "changed" if any(path in fields for path in places) else "missing"


def _unnumbered(fields: dict[str, str]) -> set[tuple[str, str]]:
    return {(re.sub(r"(?<=[./])\d+", "#", path), text) for path, text in fields.items()}


def _about(texts: list[str], marks: tuple[str, ...]) -> bool:
    return any(mark in text.casefold() for text in texts for mark in marks)


def _aside(cell: Cell, good: Answer) -> str:
    channel = cell.channel
    if isinstance(channel, Way) or channel.kind != "aside":
        return ""
    return "passed" if _about(list(good.texts()), cell.voice(INNOCENT).marks()) else "dropped"


def _is_json(bad: Answer, home: Answer) -> bool:
    """Whether what stands where JSON was promised is JSON, or nothing but a refusal stands."""
    if bad.status != 200:
        return bad.error
    fields = bad.fields()
    places = [path for path, text in home.fields().items() if text.startswith("{")]
    texts = [fields[path] for path in places if path in fields]
    refused = any("refusal" in path for path in fields)
    return (bool(texts) or refused or bad.error) and all(map(_parses, texts))


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
