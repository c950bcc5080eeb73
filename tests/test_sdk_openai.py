"""The official SDK, unmodified, before a real server whose upstream speaks chat completions."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel, Field

from proxy.exchange import Body
from proxy.inject import REFUSALS
from proxy.scripted import Scripted
from tests.listening import proxy_before

pytestmark = pytest.mark.server

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""
SECRET = "Ottoline Vask"
MESSAGES: Any = [{"role": "user", "content": "Who paints?"}]


@dataclass(frozen=True)
class Served:
    client: openai.AsyncOpenAI
    audit: Path

    def records(self) -> list[Body]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@asynccontextmanager
async def serving(
    folder: Path, transport: Scripted, *, policy: str = POLICY
) -> AsyncIterator[Served]:
    """The SDK before a real server on a free port."""
    async with (
        proxy_before(transport, folder, policy=policy) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield Served(client, folder / "audit.jsonl")


@dataclass(frozen=True)
class Heard:
    """An answer as the SDK reads it: parts of choices, the total of tokens, and all of it."""

    messages: dict[int, Body]
    reasons: dict[int, str]
    total: int | None
    everything: str


async def asked(served: Served, *, stream: bool, **fields: Any) -> Heard:
    create: Any = served.client.chat.completions.create
    answer = await create(model="m", messages=MESSAGES, stream=stream, **fields)
    parts = [part async for part in answer] if stream else [answer]
    messages: dict[int, Body] = {}
    reasons = {}
    for choice in [choice for part in parts for choice in part.choices]:
        message = messages.setdefault(choice.index, {})
        delta = (choice.delta if stream else choice.message).to_dict()
        for key, value in delta.items():
            message[key] = (message.get(key) or "") + value if isinstance(value, str) else value
        if choice.finish_reason:
            reasons[choice.index] = choice.finish_reason
    totals = [part.usage.total_tokens for part in parts if part.usage]
    everything = json.dumps([part.to_dict() for part in parts], ensure_ascii=False)
    return Heard(messages, reasons, totals[-1] if totals else None, everything)


STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAMED
async def test_every_choice_arrives_or_is_refused(tmp_path: Path, stream: bool) -> None:
    script = Scripted(
        ["It is ", "raining."],
        ["It was Otto", "line Vask."],
        [{"reasoning": "Hm. "}, {"refusal": "I must not."}],
    )
    async with serving(tmp_path, script) as served:
        heard = await asked(served, stream=stream, n=3)
        record = served.records()[0]
    assert heard.messages[0]["content"] == "It is raining."
    assert heard.messages[1]["content"] in REFUSALS
    assert heard.messages[2]["refusal"] == "I must not."
    assert heard.messages[2]["reasoning"] == "Hm. "
    assert heard.reasons == {0: "stop", 1: "content_filter", 2: "stop"}
    assert "Vask" not in heard.everything
    assert (record["outcome"], record["action"]) == ("answered", "refuse")


@STREAMED
async def test_usage_is_told_unless_an_answer_is_refused(tmp_path: Path, stream: bool) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    options: Any = {"stream_options": {"include_usage": True}} if stream else {}
    for text, total in (("It rains.", 7), (f"By {SECRET}.", 0)):
        async with serving(tmp_path, Scripted([text], extra={"usage": usage})) as served:
            heard = await asked(served, stream=stream, **options)
        assert heard.total == total


class City(BaseModel):
    """Where somebody lives."""

    name: str = Field(min_length=1)
    river: str


@STREAMED
async def test_a_promised_object_is_parsed_or_refused(tmp_path: Path, stream: bool) -> None:
    good, bad = (
        ['{"name": "Par', 'is", "river": "Seine"}'],
        ['{"name": "Otto', 'line", "river": "Vask"}'],
    )
    for parts, refused in ((good, False), (bad, True)):
        async with serving(tmp_path, Scripted(parts)) as served:
            completions = served.client.chat.completions
            if stream:
                async with completions.stream(
                    model="m", messages=MESSAGES, response_format=City
                ) as events:
                    kinds = [event.type async for event in events]
                    parsed = await events.get_final_completion()
                assert ("refusal.done" in kinds) == refused
            else:
                parsed = await completions.parse(model="m", messages=MESSAGES, response_format=City)
            record = served.records()[-1]
        message = parsed.choices[0].message
        assert json.loads(message.content or "")
        assert message.parsed == (None if refused else City(name="Paris", river="Seine"))
        assert (message.refusal in REFUSALS) == refused
        assert parsed.choices[0].finish_reason == "stop"
        assert record["outcome"] == "answered"
        assert record["action"] == ("refuse" if refused else "pass")


class LookUp(BaseModel):
    """Find out about a city."""

    city: str


class Ask(BaseModel):
    """Ask somebody."""

    who: str


TOOLS: Any = [openai.pydantic_function_tool(LookUp), openai.pydantic_function_tool(Ask)]


def fragments(*calls: tuple[str, str]) -> list[Body]:
    """Parallel calls in fragments, names too, in turn; and once more whole."""
    heads = [
        {"index": n, "id": f"c{n}", "type": "function", "function": {"name": name[:2]}}
        for n, (name, _) in enumerate(calls)
    ]
    names = [{"index": n, "function": {"name": name[2:]}} for n, (name, _) in enumerate(calls)]
    longest = max(len(given) for _, given in calls)
    rest = [
        {"index": n, "function": {"arguments": given[at : at + 5]}}
        for at in range(0, longest, 5)
        for n, (_, given) in enumerate(calls)
        if given[at : at + 5]
    ]
    return [{"tool_calls": [part]} for part in (*heads, *names, *rest)]


def whole(*calls: tuple[str, str]) -> Body:
    return {
        "tool_calls": [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": given}}
            for n, (name, given) in enumerate(calls)
        ]
    }


@STREAMED
async def test_parallel_calls_arrive_parsed(tmp_path: Path, stream: bool) -> None:
    calls = (("LookUp", '{"city": "Paris"}'), ("Ask", '{"who": "the mayor"}'))
    deltas = fragments(*calls) if stream else [whole(*calls)]
    script = Scripted(["Let me see.", *deltas], reason="tool_calls")
    async with serving(tmp_path, script) as served:
        completions = served.client.chat.completions
        if stream:
            async with completions.stream(
                model="m", messages=MESSAGES, tools=TOOLS, tool_choice="required"
            ) as events:
                done = [
                    event.name
                    async for event in events
                    if event.type == "tool_calls.function.arguments.done"
                ]
                answer = await events.get_final_completion()
            assert done == ["LookUp", "Ask"]
        else:
            answer = await completions.parse(
                model="m", messages=MESSAGES, tools=TOOLS, tool_choice="required"
            )
    message = answer.choices[0].message
    assert message.content == "Let me see."
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [call.function.parsed_arguments for call in message.tool_calls or []] == [
        LookUp(city="Paris"),
        Ask(who="the mayor"),
    ]


@STREAMED
async def test_calls_that_say_a_name_together_are_refused(tmp_path: Path, stream: bool) -> None:
    calls = (("LookUp", '{"city": "Ottoline"}'), ("Ask", '{"who": "Vask"}'))
    deltas = fragments(*calls) if stream else [whole(*calls)]
    script = Scripted(["Let me see. ", *deltas], reason="tool_calls")
    async with serving(tmp_path, script) as served:
        heard = await asked(served, stream=stream, tools=TOOLS, tool_choice="required")
        assert heard.reasons == {0: "content_filter"}
        assert not heard.messages[0].get("tool_calls")
        assert "Vask" not in heard.everything
        record = served.records()[0]
    assert (record["outcome"], record["action"]) == ("answered", "refuse")


async def test_the_parser_of_the_sdk_tells_a_refused_call_by_its_reason(tmp_path: Path) -> None:
    script = Scripted([whole(("Ask", f'{{"who": "{SECRET}"}}'))], reason="tool_calls")
    async with serving(tmp_path, script) as served:
        with pytest.raises(openai.ContentFilterFinishReasonError):
            await served.client.chat.completions.parse(model="m", messages=MESSAGES, tools=TOOLS)


async def test_a_call_is_answered_and_the_answer_is_screened(tmp_path: Path) -> None:
    """The loop of a client that runs its tools itself: what they find comes through the screens."""
    call = whole(("LookUp", '{"city": "Paris"}'))
    script = Scripted([call], reason="tool_calls")
    async with serving(tmp_path, script) as served:
        create: Any = served.client.chat.completions.create
        named = {"type": "function", "function": {"name": "LookUp"}}
        first = await create(model="m", messages=MESSAGES, tools=TOOLS, tool_choice=named)
        turn = first.choices[0].message
        for found, reason in (("Rain.", "tool_calls"), (f"Home of {SECRET}.", "content_filter")):
            result = {"role": "tool", "tool_call_id": turn.tool_calls[0].id, "content": found}
            turns = [*MESSAGES, turn.model_dump(exclude_none=True), result]
            answer = await create(model="m", messages=turns, tools=TOOLS)
            assert answer.choices[0].finish_reason == reason
    assert [request["messages"][-1]["content"] for request in script.requests] == [
        "Who paints?",
        "Rain.",
    ]


@STREAMED
async def test_a_legacy_function_call_arrives_or_is_refused(tmp_path: Path, stream: bool) -> None:
    functions = [{"name": "f", "parameters": {}}]
    for given, refused in (('{"a": "Paris"}', False), (f'{{"a": "{SECRET}"}}', True)):
        call = {"function_call": {"name": "f", "arguments": given}}
        async with serving(tmp_path, Scripted([call], reason="function_call")) as served:
            heard = await asked(served, stream=stream, functions=functions)
        function = heard.messages[0].get("function_call")
        assert function == (None if refused else call["function_call"])
        assert heard.reasons == {0: "content_filter" if refused else "function_call"}
        assert SECRET not in heard.everything


@STREAMED
async def test_citations_arrive_or_are_left_out(tmp_path: Path, stream: bool) -> None:
    def cited(title: str) -> Body:
        place = {"url": "http://a/", "title": title, "start_index": 0, "end_index": 3}
        return {"type": "url_citation", "url_citation": place}

    for title, kept in (("On Seine", 2), (f"On {SECRET}", 1)):
        message = {"content": "It rains.", "annotations": [cited("Weather"), cited(title)]}
        policy = POLICY + "screens: {output: {action: redact}}\n"
        async with serving(tmp_path, Scripted([message]), policy=policy) as served:
            heard = await asked(served, stream=stream)
            record = served.records()[-1]
        assert heard.messages[0]["content"] == "It rains."
        assert heard.messages[0]["annotations"] == message["annotations"][:kept]
        assert "Vask" not in heard.everything
        assert record["outcome"] == "answered"


@STREAMED
async def test_a_citation_that_must_not_be_told_refuses_where_the_policy_refuses(
    tmp_path: Path, stream: bool
) -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "http://a/", "title": SECRET}}
    script = Scripted([{"content": "It rains.", "annotations": [cited]}])
    async with serving(tmp_path, script) as served:
        heard = await asked(served, stream=stream)
    assert heard.reasons == {0: "content_filter"}
    assert "Vask" not in heard.everything
