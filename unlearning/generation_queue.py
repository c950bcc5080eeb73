"""Answers for many who ask at once: one thread a checkpoint, which batches what waits for it.

Knows no wire. `generate` is the same without a thread, for whoever has all prompts at hand.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from unlearning.checkpoint import Checkpoint
from unlearning.generation import Batch, GenerationError, Job, Piece, Scored, Settings, check
from unlearning.generation_text import Vocabulary

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 30


class BusyError(RuntimeError):
    """So many answers are waiting that one more is not taken on."""


@dataclass(slots=True)
class Answer:
    """A whole answer. `scored` are the prompt's tokens from the second on, where asked for."""

    text: str = field(default="", repr=False)
    tokens: list[Scored] = field(default_factory=list)
    count: int = 0
    reason: str | None = None
    scored: tuple[Scored, ...] = ()

    def add(self, piece: Piece) -> None:
        """Append what was heard."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.count, self.reason = piece.count, piece.reason


def generate(
    checkpoint: Checkpoint,
    prompts: Sequence[Sequence[int]],
    settings: Settings,
    *,
    choices: int = 1,
) -> list[list[Answer]]:
    """The answers to prompts (token ids), in order: a list a prompt, with `choices` in each.

    Raises PromptError before anything is generated, and GenerationError.
    """
    for prompt in prompts:
        check(checkpoint, prompt, settings.max_tokens)
    answers = [[Answer() for _ in range(choices)] for _ in prompts]
    failures: list[GenerationError] = []
    batch = Batch(checkpoint)
    jobs = []
    for prompt, row in zip(prompts, answers, strict=True):

        def hear(choice: int, heard: Piece | GenerationError, row: list[Answer] = row) -> None:
            if isinstance(heard, GenerationError):
                failures.append(heard)
            else:
                row[choice].add(heard)

        jobs.append(Job(prompt, settings, hear, choices=choices))
        batch.add(jobs[-1])
    while batch.size:
        batch.step()
        if failures:
            raise failures[0]
    for job, row in zip(jobs, answers, strict=True):
        for answer in row:
            answer.scored = job.scored
    return answers


class Queue:
    """A checkpoint that answers in a thread of its own, between `with` and its end.

    Several that are given the same `turn`, a lock, take turns token by token: on one processor
    they would only wait for each other. `max_waiting` answers may wait or be in the making.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        turn: AbstractContextManager[object] | None = None,
        max_waiting: int = 4096,
    ) -> None:
        self.checkpoint = checkpoint
        self.vocabulary = Vocabulary(checkpoint.tokenizer)
        self._batch = Batch(checkpoint, self.vocabulary)
        self._turn = turn or nullcontext()
        self._max_waiting = max_waiting
        self._came: list[Job] = []
        self._held = 0
        self._wake = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name=checkpoint.name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join(_STOP_TIMEOUT_S)

    @property
    def alive(self) -> bool:
        """Whether anybody is there to answer."""
        return self._thread.is_alive()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Answer these, as soon as there is room; `hear` is called in the queue's own thread.

        Raises PromptError where the model cannot take one of them, BusyError where too many wait.
        """
        for job in jobs:
            check(self.checkpoint, job.prompt, job.settings.max_tokens)
        wanted = sum(job.choices for job in jobs)
        with self._wake:
            waiting = self._held + sum(job.choices for job in self._came)
            if self._ending or not self.alive or waiting + wanted > self._max_waiting:
                raise BusyError("too many answers are waiting; ask again later")
            self._came += jobs
            self._wake.notify()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._held = self._batch.size
                while not (self._came or self._held or self._ending):
                    self._wake.wait()
                came, self._came = self._came, []
                self._held += sum(job.choices for job in came)
                ending = self._ending
            for job in came:
                self._batch.add(job)
            if ending:
                self._batch.abandon()
                return
            try:
                with self._turn:
                    self._batch.step()
            except Exception as error:  # noqa: BLE001 (nobody may be left waiting)
                # No trace: what a library says may quote what it was given.
                log.error("The batch of a model is lost: %s", type(error).__name__)  # noqa: TRY400
                self._batch.abandon()
