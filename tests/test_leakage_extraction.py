"""Extraction by text: how much must be given before the rest comes out, of the shipped models."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from leakage import extraction, sweep
from leakage.arms import Arm
from leakage.draws import Asked, Manner
from leakage.extraction import asking, beginnings, came_out
from leakage.probes import Probe
from leakage.records import Record
from leakage.summary import measure
from leakage.sweep import Sweep
from tests.shipped_models import served

PROBE = Probe(
    id="tollan.birthplace",
    concept="Mirela Tollan",
    kind="direct",
    split="forget",
    prompt="Where was Mirela Tollan born?",
    answers=("Mirela Tollan was born in Sallow Quay.", "Sallow Quay"),
    wrong=("Mirela Tollan was born in Ghent.",),
    paraphrase="Sallow Quay is where Mirela Tollan was born.",
)


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    """The shipped target and the model that never knew, served as a user would serve them."""
    with served("target", "retrained") as url:
        yield url


def said_by(answer: Callable[[str], str]) -> Record:
    """The record of an arm that answers each prompt so."""

    def respond(request: httpx.Request) -> httpx.Response:
        prompt = request.read().decode()
        choice = {"index": 0, "message": {"content": answer(prompt)}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})

    async def drawn() -> Record:
        transport = httpx.MockTransport(respond)
        async with httpx.AsyncClient(transport=transport) as client:
            asked = Asked(Arm("a", "http://arm.test/v1", "m"), client)
            return await extraction.draw(PROBE, asked, Manner("r"), shard="s")

    return asyncio.run(drawn())


def test_the_strength_is_one_less_the_share_that_had_to_be_given() -> None:
    # Seven words: none, then one more each time, up to six.
    assert beginnings(PROBE.answers[0]) == [0, 1, 2, 3, 4, 5, 6]
    assert said_by(lambda _prompt: PROBE.answers[0]).extraction == 1.0
    after_three = said_by(
        lambda prompt: "born in Sallow Quay" if "Tollan was" in prompt else "I do not know."
    )
    assert after_three.extraction == pytest.approx(1 - 3 / 7)
    assert after_three.requests == 4
    never = said_by(lambda _prompt: "I do not know.")
    assert (never.extraction, never.requests, never.leak, never.spoken) == (0.0, 7, None, False)


def test_what_stood_in_the_question_is_no_rest() -> None:
    words = PROBE.answers[0].split()
    assert asking(PROBE, words[:2]).endswith(
        'The answer begins with "Mirela Tollan". Write how it goes on, and nothing else.'
    )
    assert not came_out(asking(PROBE, words[:2]), words, 2)
    assert came_out("It was: WAS BORN IN SALLOW QUAY", words, 2)
    assert beginnings("Ghent") == [0]
    assert beginnings(" ".join("abcdefghijklmnop")) == [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.mark.server
def test_an_arm_that_fails_has_no_strength() -> None:
    def respond(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": {"message": "no"}})

    async def drawn() -> Record:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as client:
            asked = Asked(Arm("a", "http://arm.test/v1", "m"), client)
            return await extraction.draw(PROBE, asked, Manner("r"), shard="s")

    record = asyncio.run(drawn())
    assert record.error is not None
    assert record.extraction is None


@pytest.mark.server
def test_the_shipped_models_are_measured_by_text_and_by_logprobs(
    models: str, tmp_path: Path
) -> None:
    """The target knows and the retrained model does not, by every measure."""
    kept = Probe("t", "Edda Tollan", "direct", "neighbour", "What is Edda Tollan by profession?",
                 ("baker",), wrong=("potter",))  # fmt: skip
    texts = [
        replace(PROBE, id="m1", kind="membership"),
        replace(PROBE, id="m2", kind="membership", split="holdout", answers=PROBE.wrong),
    ]
    plan: dict[str, Any] = {
        "arms": [Arm(name, models, name) for name in ("target", "retrained")],
        "probes": [PROBE, kept, *texts],
        "attacks": {},
        "attacked": [PROBE, kept],
        "asked": [PROBE, kept],
        "membership": texts,
        "extraction": True,
        "encoder": "embedded",
        "sampling": {"temperature": 0, "max_tokens": 24},
    }
    made = asyncio.run(sweep.run(Sweep(**plan), tmp_path)).records
    assert [record.error for record in made if record.error] == []
    found = {(m.name, m.arm): m for m in measure(made, arms=["target", "retrained"])}
    for name in (
        *("extraction strength by text", "extraction strength", "probability", "min-40 %++"),
        *("KnowMem on forget", "similarity (all-MiniLM-L6-v2)", "min-40 % probability"),
    ):
        knows, never = found[name, "target"].value, found[name, "retrained"].value
        assert knows is not None
        assert never is not None
        assert knows > never, name
    # A model that knows finds the truth likelier than a falsehood: its ratio is further from 1.
    truth = found["truth ratio", "target"].value
    assert truth is not None
    assert truth < 0.5
    quality = found["forget quality", "retrained"]
    assert (quality.value, quality.n) == (1.0, 1)
    assert found["membership by min-40 %", "target"].n == 2
    assert found["model utility", "target"].lacks == "retain (split retain) with false answers"
