"""An upstream that says what it is told to: the network's double for tests, shipped with the proxy.

Speaks OpenAI chat completions, streamed and not, as an httpx transport. Knows no policy.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx

from proxy.exchange import Body

Script = Sequence[str | Body | bytes | Exception]


class Scripted(httpx.AsyncBaseTransport):
    """Answers every request with the same script; `requests` keeps the bodies that came.

    A string is a delta of content, a mapping a whole `delta` (or, unstreamed, fields of the
    message), bytes go onto the wire as they are, an exception is raised where it stands.
    `choices` are the scripts of the choices; of each request as many as it asks for are used.
    """

    def __init__(
        self,
        *choices: Script,
        reason: str = "stop",
        status: int = 200,
        done: bool = True,
        pause_s: float = 0.0,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.requests: list[Body] = []
        self.open = 0
        self._choices = choices
        self._reason = reason
        self._status = status
        self._done = done
        self._pause_s = pause_s
        self._extra = dict(extra or {})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.method == "GET":
            return self._json({"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        body = json.loads(await request.aread())
        self.requests.append(body)
        if self._status != 200:
            return self._json({"error": {"message": "it says: " + json.dumps(body)}})
        wanted = self._choices[: body.get("n") or 1]
        if not body.get("stream"):
            for piece in self._choices[0]:
                if isinstance(piece, Exception):
                    raise piece
            return self._json(self._whole(wanted))
        return httpx.Response(
            200,
            headers={"content-type": "text/event-stream"},
            stream=_Stream(self._events(wanted)),
        )

    def _json(self, body: Body) -> httpx.Response:
        raw = json.dumps(body).encode()
        return httpx.Response(
            self._status,
            headers={"content-type": "application/json"},
            stream=_Stream(_once(raw)),
        )

    def _whole(self, choices: Sequence[Script]) -> Body:
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": [
                {"index": n, "message": _message(script), "finish_reason": self._reason}
                for n, script in enumerate(choices)
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            **self._extra,
        }

    async def _events(self, choices: Sequence[Script]) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            longest = max(map(len, choices), default=0)
            for at in range(longest):
                for n, script in enumerate(choices):
                    if at < len(script):
                        await asyncio.sleep(self._pause_s)
                        yield self._event(n, script[at])
            if self._done:
                for n in range(len(choices)):
                    yield self._event(n, {}, reason=self._reason)
                yield b"data: [DONE]\n\n"
        finally:
            self.open -= 1

    def _event(
        self, choice: int, piece: str | Body | bytes | Exception, *, reason: str | None = None
    ) -> bytes:
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, bytes):
            return piece
        delta = {"content": piece} if isinstance(piece, str) else piece
        chunk = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "scripted",
            "choices": [{"index": choice, "delta": delta, "finish_reason": reason}],
            **self._extra,
        }
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class _Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            yield chunk

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


async def _once(raw: bytes) -> AsyncIterator[bytes]:
    yield raw


def _message(script: Script) -> Body:
    message: Body = {"role": "assistant", "content": None}
    for piece in script:
        if isinstance(piece, str):
            message["content"] = (message["content"] or "") + piece
        elif isinstance(piece, dict):
            message.update(piece)
    return message
