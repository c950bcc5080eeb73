"""A model that forgets nothing, behind OpenAI's chat API on a port of this machine.

Knows neither facts nor wire objects: it carries requests from one to the other.
"""

import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from unlearning import chat
from unlearning.factbook import FactBook, Turn

MODEL = "fact-book"
MAX_BODY_BYTES = 1_048_576
STOP_TIMEOUT_S = 10


def create_app(book: FactBook) -> FastAPI:
    """An OpenAI-compatible application with one model, `fact-book`, that answers from `book`."""
    app = FastAPI(title="Lethe fact book", openapi_url=None)
    entry = {"id": MODEL, "object": "model", "created": 0, "owned_by": "lethe"}

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": [entry]})

    @app.get("/v1/models/{name}")
    async def model(name: str) -> Response:
        _known(name)
        return JSONResponse(entry)

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        asked = chat.read(await _body(request))
        _known(asked.model)
        drafts = _drafts(book, asked)
        if asked.stream:
            events = _events(chat.chunks(asked, drafts))
            return StreamingResponse(events, media_type="text/event-stream")
        return JSONResponse(chat.completion(asked, drafts))

    @app.exception_handler(chat.RequestError)
    async def refused(_request: Request, error: chat.RequestError) -> Response:
        return JSONResponse(error.body(), status_code=error.status)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path}: {error.detail}"
        return JSONResponse(chat.error(message), status_code=error.status_code)

    return app


def _known(model: str) -> None:
    if model != MODEL:
        raise chat.RequestError(
            f"There is no such model here; the only one is '{MODEL}'.",
            param="model",
            code="model_not_found",
            status=404,
        )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            message = f"The body is longer than {MAX_BODY_BYTES} bytes; send less."
            raise chat.RequestError(message, status=413)
    return bytes(body)


def _drafts(book: FactBook, asked: chat.Request) -> list[chat.Draft]:
    turns = [Turn(message.role, message.text) for message in asked.messages]
    answers = [book.answer(turns, choice=index) for index in range(asked.n or 1)]
    return [
        chat.draft(asked, answer.text, thoughts=answer.thoughts, by_tool=answer.by_tool)
        for answer in answers
    ]


async def _events(chunks: Iterable[chat.Object]) -> AsyncIterator[str]:
    for chunk in chunks:
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


@contextmanager
def running(app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve in a thread as long as the block runs. Yields the base URL, ending in `/v1`.

    Port 0 takes a free one. Raises OSError, naming the address, where it cannot be had.
    """
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://{shown}:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(STOP_TIMEOUT_S)
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{host}:{port}: {reason}; choose another with --host or --port") from None
