"""Where judging leaves the event loop: one thread, one batch over whatever requests wait.

Knows no HTTP, no policy and no wire format.
"""

import asyncio
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count

from classifiers import Passage, Screen, Verdict

Verdicts = tuple[Verdict, ...]

MOST_WINDOWS = 64  # a long prompt is judged in slices, so that others need not wait for all of it
MOST_KNOWN = 50_000  # passages whose verdicts are remembered
WAIT_S = 0.002  # for company in a batch
SPARE_WINDOWS = 8  # of what can wait: as long may whoever cannot have to
LIVE, SPARE, STOP = range(3)  # the order in which jobs are taken


@dataclass(frozen=True, slots=True)
class _Job:
    screen: Screen = field(repr=False)
    passages: Sequence[Passage] = field(repr=False)
    answer: "Future[list[Verdicts]]" = field(repr=False)
    rank: int = LIVE


class Screening:
    """A screen behind a queue. The encoder runs here and nowhere else but while one is built."""

    def __init__(
        self, screen: Screen, *, timeout_s: float = 30.0, behind: "_Queue | None" = None
    ) -> None:
        self.screen = screen
        self._timeout_s = timeout_s
        self._known: OrderedDict[bytes, Verdicts] = OrderedDict()
        self._queue = behind or _Queue()

    def under(self, screen: Screen) -> "Screening":
        """Another screen behind the same queue; whoever uses this one goes on with it."""
        return Screening(screen, timeout_s=self._timeout_s, behind=self._queue)

    @property
    def alive(self) -> bool:
        """Whether anything can be judged."""
        return self._queue.alive

    async def judge(self, passages: Sequence[Passage], *, spare: bool = False) -> list[Verdicts]:
        """Verdicts for each passage, in order; `spare`: while nobody else waits.

        Raises TimeoutError when the screen does not answer in time, and whatever it raises.
        """
        keys = [_key(passage) for passage in passages]
        found = {key: self._known[key] for key in keys if key in self._known}
        new = {key: p for key, p in zip(keys, passages, strict=True) if key not in found}
        rank, most = (SPARE, SPARE_WINDOWS) if spare else (LIVE, MOST_WINDOWS)
        async with asyncio.timeout(self._timeout_s):
            judged: list[Verdicts] = []
            for part in _slices(list(new.values()), most=most):
                judged += await self._queue.submit(_Job(self.screen, part, Future(), rank))
        found |= zip(new, judged, strict=True)
        self._remember(found)
        return [found[key] for key in keys]

    def _remember(self, found: Mapping[bytes, Verdicts]) -> None:
        """What a conversation says again, turn after turn, is judged once."""
        for key, verdicts in found.items():
            self._known[key] = verdicts
            self._known.move_to_end(key)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    async def close(self) -> None:
        """Answer what waits, then stop the thread, under whatever screen."""
        await self._queue.close()


class _Queue:
    """Jobs under any screen, and the one thread that does them."""

    def __init__(self) -> None:
        self._jobs: queue.PriorityQueue[tuple[int, int, _Job | None]] = queue.PriorityQueue()
        self._numbers = count()
        self._thread = threading.Thread(target=self._work, name="screening", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    async def submit(self, job: _Job) -> list[Verdicts]:
        """Verdicts for each passage of a job, in order. Raises whatever judging raises."""
        if not self.alive:
            raise RuntimeError("the screening thread has stopped; nothing can be judged")
        self._put(job, rank=job.rank)
        return await asyncio.wrap_future(job.answer)

    async def close(self) -> None:
        """Answer what waits, then stop."""
        self._put(None, rank=STOP)
        await asyncio.to_thread(self._thread.join)

    def _put(self, job: _Job | None, *, rank: int) -> None:
        self._jobs.put((rank, next(self._numbers), job))

    def _work(self) -> None:
        stopping = False
        while not stopping:
            jobs = [self._jobs.get()[-1]]
            deadline = time.monotonic() + WAIT_S
            while jobs[-1] and jobs[-1].rank == LIVE and _size(jobs) < MOST_WINDOWS:
                try:
                    found = self._jobs.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                if found[0] == SPARE:
                    self._jobs.put(found)  # it makes nobody wait, and so is no company
                    break
                jobs.append(found[-1])
            stopping = jobs[-1] is None
            wanted = [job for job in jobs if job and job.answer.set_running_or_notify_cancel()]
            # For a moment there are two screens: while requests under the one before go on.
            for screen in {id(job.screen): job.screen for job in wanted}.values():
                self._answer([job for job in wanted if job.screen is screen])

    def _answer(self, jobs: list[_Job]) -> None:
        try:
            verdicts = jobs[0].screen.judge([p for job in jobs for p in job.passages])
        except BaseException as error:  # noqa: BLE001 - becomes a refusal where it is awaited
            # Whatever it is, the thread goes on: with it every request would end.
            if len(jobs) > 1:
                # One request's text must not fail its neighbours in the batch.
                for job in jobs:
                    self._answer([job])
            else:
                ordinary = isinstance(error, Exception)
                failure = error if ordinary else RuntimeError(f"{type(error).__name__} in a screen")
                jobs[0].answer.set_exception(failure)
            return
        at = 0
        for job in jobs:
            job.answer.set_result(verdicts[at : at + len(job.passages)])
            at += len(job.passages)


def _key(passage: Passage) -> bytes:
    """A digest of all that a verdict depends on: texts are not kept."""
    digest = blake2b(digest_size=16)
    digest.update(f"{len(passage.text)} {len(passage.before)} {passage.cut}".encode())
    for text in (passage.text, passage.before):
        digest.update(text.encode("utf-8", "surrogatepass"))
    digest.update(repr([(w.start, w.end) for w in passage.windows]).encode())
    return digest.digest()


def _size(jobs: Sequence[_Job | None]) -> int:
    return sum(len(passage.windows) for job in jobs if job for passage in job.passages)


def _slices(passages: Sequence[Passage], *, most: int) -> list[list[Passage]]:
    """Passages in runs of at most so many windows, where a single one is not larger."""
    slices: list[list[Passage]] = []
    room = 0
    for passage in passages:
        if not slices or room < len(passage.windows):
            slices.append([])
            room = most
        slices[-1].append(passage)
        room -= len(passage.windows)
    return slices
