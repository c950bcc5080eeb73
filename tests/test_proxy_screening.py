"""One thread judges for everybody, in batches, and one request's failure is its own."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from classifiers import Concept, HashEncoder, Passage, Screen, Span, Verdict
from proxy.screening import MOST_WINDOWS, Screening

CONCEPT = Concept("p/c", aliases=("Ottoline Vask",), exemplars=("She paints lighthouses.",))


class Watched(Screen):
    """A screen that notes who calls it with how much, and fails on demand."""

    def __init__(self, *, slow_s: float = 0.0) -> None:
        super().__init__([CONCEPT], HashEncoder())
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.slow_s = slow_s

    def judge(self, passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        self.batches.append(len(passages))
        self.threads.add(threading.current_thread().name)
        time.sleep(self.slow_s)
        if any("poison" in passage.text for passage in passages):
            raise ValueError("poison")
        return super().judge(passages)


def passage(text: str) -> Passage:
    return Passage(text, (Span(0, len(text)),))


async def test_concurrent_requests_share_a_batch_off_the_event_loop() -> None:
    screen = Watched(slow_s=0.05)
    screening = Screening(screen)
    texts = ["Ottoline Vask", "nobody", "OTTOLINE VASK", *["x"] * 20]
    found = await asyncio.gather(*(screening.judge([passage(text)]) for text in texts))
    await screening.close()
    assert [bool(verdicts[0]) for verdicts in found[:3]] == [True, False, True]
    assert len(screen.batches) < len(texts)
    assert screen.threads == {"screening"}


async def test_one_poisonous_text_fails_alone() -> None:
    screening = Screening(Watched(slow_s=0.02))
    jobs = [screening.judge([passage(text)]) for text in ("a", "poison", "Ottoline Vask")]
    first, second, third = await asyncio.gather(*jobs, return_exceptions=True)
    await screening.close()
    assert first == [()]
    assert isinstance(second, ValueError)
    assert isinstance(third, list)
    assert third[0][0].hit


async def test_a_screen_that_does_not_answer_times_out() -> None:
    screening = Screening(Watched(slow_s=0.5), timeout_s=0.05)
    with pytest.raises(TimeoutError):
        await screening.judge([passage("a")])
    await screening.close()


async def test_a_cancelled_request_takes_nobody_with_it() -> None:
    screening = Screening(Watched(slow_s=0.05))
    leaving = asyncio.ensure_future(screening.judge([passage("a")]))
    staying = asyncio.ensure_future(screening.judge([passage("Ottoline Vask")]))
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert (await staying)[0][0].hit
    await screening.close()


async def test_a_long_prompt_is_judged_in_slices() -> None:
    screen = Watched()
    screening = Screening(screen)
    verdicts = await screening.judge([passage(f"text {n}") for n in range(MOST_WINDOWS * 2 + 1)])
    await screening.close()
    assert len(verdicts) == MOST_WINDOWS * 2 + 1
    assert max(screen.batches) <= MOST_WINDOWS


async def test_after_closing_nothing_can_be_judged() -> None:
    screening = Screening(Watched())
    await screening.close()
    assert not screening.alive
    with pytest.raises(RuntimeError, match="stopped"):
        await screening.judge([passage("a")])
