"""An answer passed on as it comes, where no policy enforces; shadow policies look on afterwards.

Knows no HTTP. Nothing that a shadow policy does, its failure included, reaches the client.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from classifiers import Passage, segment, windows
from proxy import prompt
from proxy.choices import SEVERITY, Seen
from proxy.exchange import Answer, Body, Channel, Delta, FormatError
from proxy.framing import Raw
from proxy.talk import Talk
from proxy.upstream import Upstream

log = logging.getLogger("lethe")

PATIENCE_S = 5.0  # that the end of a stream may wait for shadow verdicts
MOST_WATCHED = 200_000  # characters of a channel


async def relay(talk: Talk, body: Body, upstream: Upstream) -> AsyncGenerator[Raw, None]:
    """Pass on every event, or the whole body, and note what shadow policies would have done.

    Raises UpstreamError.
    """
    request, trace = talk.request, talk.trace
    answer = talk.wire.answer(request)
    heard: dict[Channel, list[str]] = {}
    path = talk.wire.route.removeprefix("/v1")
    if request.stream:
        async with aclosing(upstream.stream(path, body, last=talk.wire.last)) as events:
            async for event in events:
                yield Raw(event)
                _listen(answer, event, heard, whole=False)
    else:
        response = await upstream.complete(path, body)
        yield Raw(response)
        _listen(answer, response, heard, whole=True)
    said = {channel: "".join(texts) for channel, texts in heard.items()}
    for channel, text in said.items():
        counts = {"received": len(text), "screened": 0, "held": 0, "released": len(text)}
        trace.channels[str(channel)] = counts
        if trace.digests is not None:
            trace.digests.add(channel, text)
    if talk.applied.policies:
        await _watch(talk, {channel: text[:MOST_WATCHED] for channel, text in said.items()})


def _listen(answer: Answer, event: Body, heard: dict[Channel, list[str]], *, whole: bool) -> None:
    try:
        pieces = answer.whole(event) if whole else answer.feed(event)
    except FormatError:
        return  # not ours to judge: what is relayed may have any shape
    for piece in pieces:
        if isinstance(piece, Delta):
            heard.setdefault(piece.channel, []).append(piece.text)


async def _watch(talk: Talk, said: dict[Channel, str]) -> None:
    """Judge both sides and note it. A failure is noted too, and changes nothing else."""
    applied, trace = talk.applied, talk.trace
    answers = [Passage(text, windows(segment(text)), applied.question) for text in said.values()]
    try:
        async with asyncio.timeout(PATIENCE_S):
            prompts = await prompt.judged(talk.request, applied)
            outputs = await applied.judge(answers)
    except Exception as error:  # noqa: BLE001 - a shadow never fails a request
        log.warning("request=%s shadow failed: %s", trace.caller.request_id, type(error).__name__)
        trace.error = f"shadow: {type(error).__name__}"
        return
    for channel, text in said.items():
        trace.channels[str(channel)]["screened"] = len(text)
    came_in = [Seen(found.where, found.verdict) for found in prompts]
    came_out = [
        Seen(str(channel), verdict)
        for channel, found in zip(said, outputs, strict=True)
        for verdict in found
    ]
    trace.saw([*came_in, *came_out])
    actions = [
        applied.would(item.verdict, channel=channel)
        for channel, seen in (("prompt", came_in), ("output", came_out))
        for item in seen
        if item.verdict.hit
    ]
    trace.would = min(actions, key=SEVERITY.index, default=None)
