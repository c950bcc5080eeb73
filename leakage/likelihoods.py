"""How likely an arm finds the answer, its paraphrase and false answers, or a text it may have seen.

One record a probe. Knows no shard and no metric: it brings log-probabilities, and what they say is
counted elsewhere.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from leakage.attacks.turns import Need
from leakage.chat import ReplyError
from leakage.continuations import Asking
from leakage.draws import Asked, Manner
from leakage.probes import MEMBERSHIP, Message, Probe
from leakage.records import LIKELIHOOD, Likelihood, Record, Role

NEEDS: frozenset[Need] = frozenset({"prompt_logprobs", "prefill"})


async def draw(probe: Probe, asked: Asked, manner: Manner, *, shard: str) -> Record:
    """A record of kind `likelihood`: of every text, the log-probability of each of its tokens.

    Of a probe of kind `membership`, one of that kind: of the text alone.
    """
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    lacks = asked.lacking(NEEDS) or None
    asking = Asking(asked, manner)
    found: list[Likelihood] = []
    error = None
    if lacks is None:
        try:
            found = await _found(probe, asking)
        except ReplyError as failed:
            error = str(failed)
    kind = LIKELIHOOD if probe.asked else MEMBERSHIP
    return replace(
        asking.record(probe, kind=kind, at=at, shard=shard, error=error),
        lacks=lacks,
        likelihoods=None if error or lacks else tuple(found),
    )


def _texts(probe: Probe) -> Iterator[tuple[Role, str]]:
    yield "answer", probe.whole(probe.answers[0])
    if not probe.asked:
        return
    if probe.paraphrase:
        yield "paraphrase", probe.paraphrase
    for text in probe.wrong:
        yield "wrong", probe.whole(text)


async def _found(probe: Probe, asking: Asking) -> list[Likelihood]:
    """Raises ReplyError."""
    roles, texts = zip(*_texts(probe), strict=True)
    question = (*probe.messages, Message("user", probe.prompt))
    found = []
    for role, tokens in zip(roles, await asking.behind(question, texts), strict=True):
        logprobs = tuple(token.logprob for token in tokens if token.logprob is not None)
        ranks = tuple(token.rank for token in tokens if token.rank is not None)
        scores = tuple(token.standard for token in tokens if token.standard is not None)
        found.append(
            Likelihood(
                role,
                logprobs,
                ranks if len(ranks) == len(logprobs) else None,
                scores if len(scores) == len(logprobs) else None,
            )
        )
    return found
