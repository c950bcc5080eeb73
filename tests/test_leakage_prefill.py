"""Whether an arm goes on from a begun answer: told by what it does, or not told."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from leakage.arms import Arm
from leakage.calls import Limits
from leakage.capabilities import Allowed, allowed
from leakage.draws import Asked
from leakage.prefill import _TRIES

ARM = Arm("a", "http://api.example/v1", "m")
RESTS = {each.begun: each.rest for each in _TRIES}

Say = Callable[[list[dict[str, str]]], str]


class Wire(httpx.AsyncBaseTransport):
    """A chat API whose words are a function of the conversation. It knows no text completions."""

    def __init__(self, say: Say, **more: Any) -> None:
        self._say, self._more = say, more

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/chat/completions"):
            return httpx.Response(404, json={"error": {"message": "no"}})

        body: Mapping[str, Any] = json.loads(request.content)
        message = {"role": "assistant", "content": self._say(body["messages"])}
        choice = {"index": 0, "message": message, "finish_reason": "stop", **self._more}
        return httpx.Response(200, json={"choices": [choice]})


def found(wire: httpx.AsyncBaseTransport) -> Allowed:
    async def run() -> Allowed:
        async with httpx.AsyncClient(transport=wire) as client:
            return await allowed(client, ARM, limits=Limits(retries=0, backoff_s=0))

    return asyncio.run(run())


def begun(messages: list[dict[str, str]]) -> str:
    last = messages[-1] if messages else {"role": "user"}
    return last["content"] if last["role"] == "assistant" else ""


def honours(messages: list[dict[str, str]]) -> str:
    return RESTS.get(begun(messages), "Gladly.") + " and so on"


def continues_by_guess(messages: list[dict[str, str]]) -> str:
    """A chat model that begins a turn of its own with what might well come next."""
    return " and then another word." if begun(messages) else "One word."


def begins_anew(messages: list[dict[str, str]]) -> str:
    return f"Sure! {begun(messages)}" if begun(messages) else "A word."


def repeats(messages: list[dict[str, str]]) -> str:
    """The beginning and its rest: an answer to the question alone, or an echo of the beginning."""
    return begun(messages) + RESTS.get(begun(messages), "")


def drops(messages: list[dict[str, str]]) -> str:
    """A gateway that leaves the beginning out: lower case, so that only the control tells."""
    return f"answer to {messages[0]['content']}"


def half(messages: list[dict[str, str]]) -> str:
    """Goes on with one of three, and says something else to the others."""
    return "amus" if begun(messages).endswith("hippopot") else "... hm"


def always(_messages: list[dict[str, str]]) -> str:
    return "amus mer eros"


@pytest.mark.parametrize(
    ("say", "prefill", "unknown"),
    [
        (honours, True, False),
        (begins_anew, False, False),
        (repeats, False, False),
        (drops, False, False),
        (continues_by_guess, False, True),
        (half, False, True),
        (always, False, True),
        (lambda _: "", False, True),
    ],
    ids=["honours", "anew", "repeats", "drops", "guesses", "half", "always", "silent"],
)
def test_only_who_ends_a_word_that_was_begun_has_gone_on(
    say: Say, prefill: bool, unknown: bool
) -> None:
    told = found(Wire(say))
    assert ("prefill" in told.needs, "prefill" in told.unknown) == (prefill, unknown)
    assert told.sure


def test_a_filter_that_says_nothing_allows_nothing() -> None:
    told = found(Wire(lambda _: "", finish_reason="content_filter"))
    assert "prefill" not in told.needs | told.unknown


def test_what_cannot_be_told_is_not_measurable_and_says_so() -> None:
    async def run() -> str:
        async with httpx.AsyncClient(transport=Wire(half)) as client:
            told = await allowed(client, ARM, limits=Limits(retries=0))
            asked = Asked(ARM, client, told.needs, unknown=told.unknown)
            return asked.lacking(frozenset({"prefill", "tools", "stop"}))

    assert asyncio.run(run()) == "prefill (unknown), tools"


class Tokens(httpx.AsyncBaseTransport):
    """An API that tells its prompt's tokens, a word each; `closed` ends a begun answer's turn.

    It answers as if it went on: what it says is the opposite of what it does.
    """

    def __init__(self, *, closed: bool) -> None:
        self._closed = closed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:

        body = json.loads(request.content)
        messages = body.get("messages", [])
        words = " ".join(each["content"] for each in messages).split()
        if (messages and messages[-1]["role"] == "user") or self._closed:
            words += ["<end>", "<assistant>"]
        said = "Sure." if not self._closed else honours(messages)
        told: dict[str, Any] = {
            "choices": [{"message": {"content": said}, "finish_reason": "stop"}]
        }
        if "prompt_logprobs" in body:
            entries = [{word: {"logprob": -1.0, "rank": 1}} for word in words]
            told["prompt_logprobs"] = [None, *entries]
        return httpx.Response(200, json=told)


@pytest.mark.parametrize("closed", [True, False])
def test_the_prompts_tokens_settle_it_whatever_is_said(closed: bool) -> None:
    told = found(Tokens(closed=closed))
    assert ("prefill" in told.needs) is not closed
    assert "prefill" not in told.unknown


class Counts(httpx.AsyncBaseTransport):
    """An API that tells no tokens but counts them, a word each, and says nothing that helps.

    `how` is what it does with a begun answer: leave it open, close it or leave it out.
    """

    def __init__(self, how: str) -> None:
        self._how = how

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        messages = body.get("messages", [])
        open_ = bool(body.get("continue_final_message"))
        if self._how == "out" and open_:
            messages = [each for each in messages if each["role"] != "assistant"]
        count = sum(len(each["content"].split()) + 1 for each in messages) + 1
        count -= 2 if self._how == "open" and open_ else 0
        choice = {"message": {"content": "... hm"}, "finish_reason": "length"}
        usage = {"prompt_tokens": count, "completion_tokens": 1}
        return httpx.Response(200, json={"choices": [choice], "usage": usage})


@pytest.mark.parametrize("how", ["open", "closed", "out"])
def test_counts_of_tokens_show_a_turn_left_open_and_nothing_else(how: str) -> None:
    told = found(Counts(how))
    assert (how == "open") is ("prefill" in told.needs)
