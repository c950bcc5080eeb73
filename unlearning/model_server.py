"""Local models by name behind OpenAI's API: chat and text completions, tokens, health.

Knows neither files nor sampling: it carries requests to the models' queues and pieces back.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from unlearning import chat
from unlearning.chat import Object, RequestError
from unlearning.checkpoint import Checkpoint
from unlearning.generation import GenerationError, Job, Piece, PromptError
from unlearning.generation_queue import BusyError, Queue
from unlearning.model_answer import Answering, ChatAnswering, TextAnswering
from unlearning.model_wire import Ask, ChatAsk, DetokenizeAsk, TextAsk, TokenizeAsk, checked, read

MAX_BODY_BYTES = 16 * 1_048_576
_CLOSED = 499  # what nginx writes where the client went away


@contextmanager
def serving(checkpoints: Mapping[str, Checkpoint]) -> Iterator[FastAPI]:
    """An application that answers for these models, by name, as long as the block runs."""
    on_cpu = any(each.device.type == "cpu" for each in checkpoints.values())
    turn = threading.Lock() if on_cpu and len(checkpoints) > 1 else None
    with ExitStack() as stack:
        queues = {
            name: stack.enter_context(Queue(each, turn=turn)) for name, each in checkpoints.items()
        }
        yield create_app(queues)


def create_app(queues: Mapping[str, Queue]) -> FastAPI:
    """The application over running queues."""
    app = FastAPI(title="Lethe local models", openapi_url=None)

    @app.get("/healthz")
    async def health() -> Response:
        well = all(queue.alive for queue in queues.values())
        return JSONResponse({"status": "ok" if well else "failed"}, 200 if well else 503)

    @app.get("/v1/models")
    async def models() -> Response:
        data = [_entry(name, queue) for name, queue in queues.items()]
        return JSONResponse({"object": "list", "data": data})

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        return JSONResponse(_entry(name, _named(queues, name)))

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        asked = read(await _body(request), ChatAsk)
        queue = _named(queues, asked.model)
        return await _answer(request, asked, queue, ChatAnswering(asked, queue))

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        asked = read(await _body(request), TextAsk)
        queue = _named(queues, asked.model)
        return await _answer(request, asked, queue, TextAnswering(asked, queue))

    _tell_tokens(app, queues)
    _tell_errors(app)
    return app


def _tell_tokens(app: FastAPI, queues: Mapping[str, Queue]) -> None:
    """What vLLM tells of a tokenizer, so that a client needs none of its own."""

    @app.post("/tokenize")
    async def tokenize(request: Request) -> Response:
        asked = read(await _body(request), TokenizeAsk)
        return JSONResponse(await asyncio.to_thread(_tokenized, _only(queues, asked.model), asked))

    @app.post("/detokenize")
    async def detokenize(request: Request) -> Response:
        asked = read(await _body(request), DetokenizeAsk)
        queue = _only(queues, asked.model)
        if any(token >= queue.checkpoint.vocabulary for token in asked.tokens):
            raise RequestError("tokens: one lies outside the vocabulary", param="tokens")
        return JSONResponse({"prompt": queue.vocabulary.decode(asked.tokens, special=True)})

    @app.get("/tokenizer_info")
    async def tokenizer_info(model: str | None = None) -> Response:
        return JSONResponse(_info(_only(queues, model)))


def _tell_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(_request: Request, error: RequestError) -> Response:
        return JSONResponse(error.body(), status_code=error.status)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        message = f"{request.method}: {error.detail}"
        return JSONResponse(chat.error(message), status_code=error.status_code)

    @app.exception_handler(GenerationError)
    async def failed(_request: Request, error: GenerationError) -> Response:
        return JSONResponse(_failure(error), status_code=500)


def _failure(error: Exception) -> Object:
    return {"error": {"message": str(error), "type": "server_error", "param": None, "code": None}}


def _named(queues: Mapping[str, Queue], name: str) -> Queue:
    if name not in queues:
        raise RequestError(
            "There is no such model here; GET /v1/models lists those there are.",
            param="model",
            code="model_not_found",
            status=404,
        )
    return queues[name]


def _only(queues: Mapping[str, Queue], name: str | None) -> Queue:
    """The model of this name, or the only one where the client names none."""
    if name is not None:
        return _named(queues, name)
    if len(queues) != 1:
        raise RequestError("model: several models are served; name one", param="model")
    return next(iter(queues.values()))


def _entry(name: str, queue: Queue) -> Object:
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "lethe",
        "max_model_len": queue.checkpoint.context,
        "lineage": queue.checkpoint.lineage,
    }


def _tokenized(queue: Queue, asked: TokenizeAsk) -> Object:
    if (asked.prompt is None) == (asked.messages is None):
        raise RequestError("Send a prompt or messages, and not both.")
    if asked.prompt is not None:
        tokens = queue.vocabulary.encode(asked.prompt, special=asked.add_special_tokens)
    else:
        body: Object = {"model": "", "messages": asked.messages}
        body["add_generation_prompt"] = asked.add_generation_prompt
        tokens = ChatAnswering(checked(body, ChatAsk), queue).prompts()[0]
    strings = [queue.vocabulary.spell(token) for token in tokens]
    return {
        "count": len(tokens),
        "max_model_len": queue.checkpoint.context,
        "tokens": tokens,
        "token_strs": strings if asked.return_token_strs else None,
    }


def _info(queue: Queue) -> Object:
    tokenizer: Any = queue.checkpoint.tokenizer
    names = ("bos_token", "eos_token", "pad_token", "unk_token", "chat_template")
    return {
        "tokenizer_class": type(tokenizer).__name__,
        "model_max_length": queue.checkpoint.context,
        **{name: getattr(tokenizer, name, None) for name in names},
    }


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            message = f"The body is longer than {MAX_BODY_BYTES} bytes; send less."
            raise RequestError(message, status=413)
    return bytes(body)


class _Hearing:
    """What the queue says to one request, brought from its thread into the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._said: asyncio.Queue[tuple[int, Piece | GenerationError]] = asyncio.Queue()
        self.jobs: list[Job] = []
        self._choices = 0

    def ask(self, queue: Queue, prompts: Sequence[Sequence[int]], answering: Answering) -> None:
        """Put the prompts into the queue. Raises RequestError."""
        choices = answering.asked.choices
        for number, prompt in enumerate(prompts):

            def hear(
                choice: int, heard: Piece | GenerationError, first: int = number * choices
            ) -> None:
                try:
                    self._loop.call_soon_threadsafe(self._said.put_nowait, (first + choice, heard))
                except RuntimeError:  # the loop is closed, and with it the server
                    self.cancel()

            self.jobs.append(Job(prompt, answering.settings(prompt), hear, choices=choices))
        self._choices = len(prompts) * choices
        try:
            queue.submit(self.jobs)
        except PromptError as error:
            raise RequestError(str(error), param="prompt", code="context_length_exceeded") from None
        except BusyError as error:
            raise RequestError(str(error), code="busy", status=503) from None

    async def pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """Pieces with the number of their choice, until every choice has ended."""
        left = self._choices
        while left:
            choice, heard = await self._said.get()
            if isinstance(heard, GenerationError):
                raise heard
            left -= heard.reason is not None
            yield choice, heard

    def cancel(self) -> None:
        """Nobody listens any more."""
        for job in self.jobs:
            job.cancelled = True


async def _answer(request: Request, asked: Ask, queue: Queue, answering: Answering) -> Response:
    prompts = await asyncio.to_thread(answering.prompts)
    hearing = _Hearing()
    hearing.ask(queue, prompts, answering)
    answering.jobs = hearing.jobs
    if asked.stream:
        return StreamingResponse(_events(hearing, answering), media_type="text/event-stream")
    whole = asyncio.create_task(_whole(hearing, answering))
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({whole, gone}, return_when=asyncio.FIRST_COMPLETED)
        return JSONResponse(whole.result()) if whole.done() else Response(status_code=_CLOSED)
    finally:
        hearing.cancel()
        for task in (whole, gone):
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _whole(hearing: _Hearing, answering: Answering) -> Object:
    async for choice, piece in hearing.pieces():
        answering.add(choice, piece)
    return answering.whole()


async def _events(hearing: _Hearing, answering: Answering) -> AsyncIterator[str]:
    try:
        for chunk in answering.opening():
            yield _event(chunk)
        async for choice, piece in hearing.pieces():
            for chunk in answering.chunks(choice, piece):
                yield _event(chunk)
        if asked_usage := answering.closing():
            yield _event(asked_usage)
        yield "data: [DONE]\n\n"
    except GenerationError as error:
        yield _event(_failure(error))
    finally:
        hearing.cancel()


def _event(chunk: Object) -> str:
    return f"data: {json.dumps(chunk)}\n\n"
