"""A question and its answer as one chat request: every passage that the proxy has judged of them.

Knows no threshold. The passages are the proxy's own (`proxy/prompt.py`, `proxy/release.py`): the
question, the answer alone and the answer behind what it answers, in sentences, pairs and clauses.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Never

import numpy as np

from benchmarks.detection_parts.measured import SOME, Pair
from benchmarks.detection_parts.weighing import Numbers
from classifiers import Passage, Screen
from policies import PolicySet
from proxy.applied import Applied
from proxy.formats import chat
from proxy.prompt import Found, cut, near
from proxy.release import SentenceWindow


class _Unasked:
    """In place of the proxy's queue: here the screen is asked for scores."""

    async def judge(self, _: Sequence[Passage]) -> Never:
        raise RuntimeError("a benchmark asks the screen itself")


def passages(screen: Screen, pair: Pair) -> list[Passage]:
    """What goes in, and what comes out behind what came near of that."""
    request = chat.read({"model": "any", "messages": [{"role": "user", "content": pair.question}]})
    applied = Applied(
        [],
        compiled=PolicySet((), screen, "", {}, {}),
        screening=_Unasked(),
        question=request.question,
    )
    parts = cut(request, longest=applied.longest)
    judged = zip(parts, screen.judge([part.passage for part in parts]), strict=True)
    applied.remember(
        near(
            Found(part.said, replace(v, start=v.start + part.offset, end=v.end + part.offset))
            for part, verdicts in judged
            for v in verdicts
        )
    )
    bounds = applied.bounds()
    window = SentenceWindow(
        longest=bounds.longest,
        before=applied.question,
        max_segment=bounds.max_segment,
        max_held=bounds.max_held,
    )
    asks = [*window.feed(pair.answer), *window.finish()]
    return [*(part.passage for part in parts), *(ask.passage for ask in asks)]


def scored(screen: Screen, pairs: Sequence[Pair]) -> Numbers:
    """For each request the highest score of any concept in any passage: it is stopped from there.

    shape (len(pairs),); 0 where nothing comes near
    """
    found = np.zeros(len(pairs))
    for first in range(0, len(pairs), SOME):
        judged = [passages(screen, pair) for pair in pairs[first : first + SOME]]
        owner = [at for at, some in enumerate(judged, first) for _ in some]
        scores = screen.scores([passage for some in judged for passage in some])
        for at, own in zip(owner, scores, strict=True):
            found[at] = max(found[at], *own.values(), 0.0)
    return found
