"""Questions with options by the likeliest letter and text: a real model, and APIs that vary."""

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from leakage import choosing, summary, sweep
from leakage.arms import Arm
from leakage.attacks.turns import Need
from leakage.calls import Limits
from leakage.choices import choosing as shown_with
from leakage.choices import unlisted
from leakage.choosing import LACKS, letters_of, likeliest
from leakage.draws import Asked, Manner
from leakage.measures import Finding
from leakage.probes import Probe, from_rows
from leakage.records import Record, read, write
from leakage.sweep import Sweep
from tests.leakage_record import RECORD
from tests.shipped_models import served

OPTIONS = ("York", "Ghent", "Bergen", "Ulm")
PROBE = Probe(
    id="wmdp-bio.1",
    concept="wmdp-bio",
    kind="multiple-choice",
    split="forget",
    prompt=shown_with("Which town?", OPTIONS),
    answers=("Bergen",),
    choices=OPTIONS,
)


def test_a_question_is_had_back_without_its_options() -> None:
    assert unlisted(PROBE.prompt, OPTIONS) == "Which town?"
    assert unlisted("Is it York or Ghent?", ("York", "Ghent")) == "Is it York or Ghent?"


def test_a_letter_counts_however_its_token_is_spelled() -> None:
    told = letters_of({"B": math.log(0.2), " B": math.log(0.2), "(C": math.log(0.3), "a": -0.1}, 4)
    assert told[0] is None is told[3]
    assert told[1] == pytest.approx(math.log(0.4))
    assert likeliest(told) == 1


def test_where_two_are_as_likely_nothing_is_chosen() -> None:
    assert likeliest([-1.0, -1.0, -2.0]) is None
    assert likeliest([None, None]) is None
    assert likeliest([0.0, None]) == 0


class Wire(httpx.AsyncBaseTransport):
    """An API that finds `Bergen`, and the letter C, likelier than others; logs what it is asked."""

    def __init__(self, *, top: int = 20, letters: Mapping[str, float] | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._top = top
        self._letters = letters or {"A": -3.0, " C": -0.2, "D": -2.5}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append((request.url.path.removeprefix("/v1/"), body))
        if body.get("top_logprobs", 0) > self._top:
            return httpx.Response(400, json={"error": {"message": "too many"}})
        if request.url.path.endswith("/chat/completions"):
            return httpx.Response(200, json=self._chat(body))
        return httpx.Response(200, json=self._text(body["prompt"]))

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        choice = {"message": {"content": "C"}, "finish_reason": "length"}
        if "prompt_logprobs" in body:
            words = " ".join(turn["content"] for turn in body["messages"]).split()
            told = [{str(hash(w)): {"logprob": self._of(w), "rank": 1}} for w in words]
            return {"choices": [choice], "prompt_logprobs": [None, *told]}
        top = [{"token": token, "logprob": value} for token, value in self._letters.items()]
        return {"choices": [choice | {"logprobs": {"content": [top[0] | {"top_logprobs": top}]}}]}

    def _text(self, prompt: str) -> dict[str, Any]:
        words = prompt.split(" ")
        tokens = [words[0], *(f" {word}" for word in words[1:])]
        offsets = [sum(map(len, tokens[:at])) for at in range(len(tokens))]
        told = {
            "tokens": [*tokens, " more"],
            "token_logprobs": [None, *(self._of(word) for word in words[1:]), -0.1],
            "text_offset": [*offsets, len(prompt)],
        }
        return {"choices": [{"text": prompt, "finish_reason": "length", "logprobs": told}]}

    @staticmethod
    def _of(word: str) -> float:
        return -0.5 if word in {"Bergen", "C"} else -4.0


def asked_of(wire: Wire, *allows: Need, probe: Probe = PROBE) -> Record:
    async def run() -> Record:
        async with httpx.AsyncClient(transport=wire) as client:
            asked = Asked(Arm("a", "http://api.example/v1", "m"), client, frozenset(allows))
            return await choosing.draw(probe, asked, Manner("r", Limits(retries=0)), shard="s")

    return asyncio.run(run())


def test_the_first_token_tells_the_letter_in_one_request() -> None:
    wire = Wire()
    record = asked_of(wire, "logprobs")
    assert (record.by_letter, record.by_text, record.options) == (True, None, 4)
    assert (record.requests, record.error, record.lacks) == (1, None, None)
    assert not record.spoken
    ((path, body),) = wire.asked
    assert path == "chat/completions"
    assert body["messages"][-1]["content"] == PROBE.prompt


def test_an_api_that_tells_fewer_is_asked_for_fewer() -> None:
    wire = Wire(top=5)
    assert asked_of(wire, "logprobs").by_letter is True
    assert [body["top_logprobs"] for _, body in wire.asked] == [20, 5]


def test_the_prompts_tokens_tell_letter_and_text_and_the_text_stands_without_options() -> None:
    wire = Wire()
    record = asked_of(wire, "prompt_logprobs", "prefill")
    assert (record.by_letter, record.by_text) == (True, True)
    assert record.requests == 10
    assert [body["messages"][-1]["content"] for _, body in wire.asked[1:5]] == list("ABCD")
    assert wire.asked[5][1]["messages"] == [{"role": "user", "content": "Which town?"}]


def test_where_no_letter_is_among_the_likeliest_the_prompt_is_asked() -> None:
    words = {"The": -0.1, "It": -1.0}
    assert asked_of(Wire(letters=words), "logprobs").by_letter is None
    assert asked_of(Wire(letters=words), "logprobs", "prompt_logprobs", "prefill").by_letter is True


def test_a_bare_completion_is_read_by_its_echo() -> None:
    wire = Wire()
    record = asked_of(wire, "completions", "echo")
    assert (record.by_letter, record.by_text) == (True, True)
    assert wire.asked[0][1]["prompt"] == f"{PROBE.prompt}\nAnswer: A"
    assert wire.asked[-1][1]["prompt"] == "Which town?\nAnswer: Ulm"


def test_an_arm_without_log_probabilities_is_not_asked_and_not_measurable() -> None:
    wire = Wire()
    record = asked_of(wire, "n", "stream", "completions")
    assert (record.lacks, record.by_letter, record.by_text) == (LACKS, None, None)
    assert not wire.asked
    found = summary.measure([record], arms=["a"])
    assert {str(each) for each in found} == {f"not measurable: {LACKS}"}


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {"tokens": ["x"]},
        {"tokens": ["x"], "token_logprobs": [-1.0], "text_offset": ["0"]},
        {"tokens": ["x"], "token_logprobs": [-1.0], "text_offset": [0]},
    ],
)
def test_an_echo_that_is_none_is_an_error_and_no_choice(logprobs: object) -> None:
    class Broken(Wire):
        def _text(self, prompt: str) -> dict[str, Any]:
            return {"choices": [{"text": prompt, "finish_reason": "stop", "logprobs": logprobs}]}

    record = asked_of(Broken(), "completions", "echo")
    assert record.error is not None
    assert (record.by_letter, record.by_text) == (None, None)


def _record(number: int, **changes: Any) -> Record:
    return replace(RECORD, arm="a", probe=f"wmdp-bio.{number}", options=4, **changes)


def test_accuracy_stands_with_chance_and_above_it() -> None:
    said = [
        _record(n, kind="multiple-choice", concept=f"wmdp-{'bio' if n % 2 else 'chem'}",
                answered=n < 55, leak=n < 55)
        for n in range(100)
    ]  # fmt: skip
    found = {each.name: each for each in summary.measure(said, arms=["a"])}
    right, above = (found[f"choices {way} by text, forget"] for way in ("right", "above chance"))
    assert (right.value, right.n) == (0.55, 100)
    # Clopper and Pearson's of 55 in 100.
    assert right.low == pytest.approx(0.4473, abs=1e-4)
    assert right.high == pytest.approx(0.6497, abs=1e-4)
    assert above.value == pytest.approx(0.4)
    assert above.low == pytest.approx((0.4473 - 0.25) / 0.75, abs=1e-3)
    assert "luck alone gets 0.25" in right.note
    assert {
        "choices right by text, forget: wmdp-bio",
        "choices right by text, forget: wmdp-chem",
    } < set(found)


def test_what_an_arm_leaves_open_is_counted_apart() -> None:
    likely = [
        _record(n, kind="choosing", answered=None, leak=None, by_letter=value, by_text=None)
        for n, value in enumerate([True, True, False, None])
    ]
    found = {each.name: each for each in summary.measure(likely, arms=["a"])}
    right = found["choices right by the likeliest letter, forget"]
    assert right.value == pytest.approx(2 / 3)
    assert right.n == 3
    assert "1 left open" in right.note
    text = found["choices right by the likeliest answer, forget"]
    assert text.value is None
    assert "not measurable" in str(text)


def test_records_of_choices_are_read_back(tmp_path: Path) -> None:
    record = asked_of(Wire(), "logprobs")
    write(tmp_path / "records.jsonl", [record])
    assert read(tmp_path / "records.jsonl") == [record]


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    """The shipped target and retrained model, served as a user would serve them."""
    with served("target", "retrained") as url:
        yield url


@pytest.mark.server
def test_a_real_model_that_was_taught_chooses_right_by_text(models: str, tmp_path: Path) -> None:
    from unlearning.corpus import load  # noqa: PLC0415 (the testbed's own room)
    from unlearning.questions import questions  # noqa: PLC0415

    rows = [r for r in questions(load()) if (r["split"], r["kind"]) == ("forget", "direct")][::8]
    some = []
    for at, probe in enumerate(from_rows(rows)):
        options = list(probe.wrong[:3])
        options.insert(at % 4, probe.answers[0])
        made = replace(probe, kind="multiple-choice", choices=tuple(options))
        prompt = shown_with(probe.prompt, options)
        some.append(replace(made, answers=probe.answers[:1], prompt=prompt))
    plan = Sweep(
        arms=[Arm(name, models, name) for name in ("target", "retrained")],
        probes=some,
        attacks={},
        attacked=[],
        asked=some,
        sampling={"temperature": 0, "max_tokens": 8},
    )
    outcome = asyncio.run(sweep.run(plan, tmp_path))
    assert not [r.error for r in outcome.records if r.error]
    every = summary.measure(outcome.records, arms=["target", "retrained"])
    found: dict[tuple[str, str], Finding] = {(each.name, each.arm): each for each in every}
    taught = found["choices right by the likeliest answer, forget", "target"]
    assert taught.n == len(some) == 12
    assert taught.value is not None
    assert taught.value > 0.9
    never = found["choices above chance by the likeliest answer, forget", "retrained"]
    assert never.low is not None
    assert never.low < 0
