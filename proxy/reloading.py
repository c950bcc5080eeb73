"""Policies read again while requests are answered, and put in place whole or not at all.

Knows no signal and no wire.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from policies import PolicyErrors, PolicySet
from proxy.config import Config, ConfigError, compiled
from proxy.pipeline import Pipeline

log = logging.getLogger("lethe")


class Reloading:
    """Reads policies again when asked; requests that have begun end under those they began with.

    `serve` is told of the pipeline that every later request passes. Only its own event loop may
    call it.
    """

    def __init__(
        self, config: Config, pipeline: Pipeline, serve: Callable[[Pipeline], None]
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._serve = serve
        self._asked = False
        self._running: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Read them in the background; if that is being done already, once more behind it."""
        self._asked = True
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def settle(self) -> None:
        """Wait until nothing is being read."""
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        while self._asked:
            self._asked = False
            await self._reload()

    async def _reload(self) -> None:
        before = self._pipeline.policies
        try:
            policies = await _aside(lambda: compiled(self._config, like=before))
            if policies.digest == before.digest:
                log.info("policies read again: nothing has changed")
                return
            self._pipeline.audit.append(
                {"event": "policies", "digest": policies.digest, "before": before.digest}
            )
            self._pipeline = self._pipeline.under(policies)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old ones go on
            log.error("policies stay as they were: %s", _told(error))  # noqa: TRY400 - could quote
            return
        self._serve(self._pipeline)
        log.info(
            "policies read again: digest %s, recall %.3f", policies.digest, policies.screen.recall
        )


def _told(error: Exception) -> str:
    """How many problems and where, in a line and without a word of any policy."""
    if isinstance(error, PolicyErrors) and error.problems:
        places = [f"{p.path}:{p.line}" if p.line else str(p.path) for p in error.problems]
        return f"{len(places)} problem(s), the first at {places[0]}"
    if isinstance(error, ConfigError):
        lines = str(error).splitlines()
        return f"{len(lines)} problem(s), the first: {lines[0]}"
    if isinstance(error, OSError):
        return f"1 problem: {error.filename}: {error.strerror}"
    return f"1 problem: {type(error).__name__}; `lethe policy lint` may tell more"


async def _aside(work: Callable[[], PolicySet]) -> PolicySet:
    """Off the event loop, on a thread that nobody waits for when the process stops."""
    done: Future[PolicySet] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            done.set_exception(error)

    threading.Thread(target=run, name="reloading", daemon=True).start()
    return await asyncio.wrap_future(done)
