"""The mirror: a second arm that no client waits for, within its budget, with no text on record."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifiers import HashEncoder, Passage, Verdict
from policies import compile_policies, load_folder
from proxy.audit import Audit, AuditError
from proxy.formats import completions, messages, responses
from proxy.mirror import MOST_JUDGED, RUN, Mirror, Mirroring
from proxy.rehearsal import CALLER, Rehearsal, rehearsing
from proxy.screening import Screening
from proxy.scripted import Scripted
from tests.test_proxy_asking import DOWN, STREAMED, Speaking

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""


@asynccontextmanager
async def mirrored(
    folder: Path,
    first: httpx.AsyncBaseTransport,
    second: httpx.AsyncBaseTransport,
    *,
    policy: str = POLICY,
    share: float = 1.0,
    concurrency: int = 4,
    per_minute: int = 100,
    clock: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[tuple[Rehearsal, Mirror]]:
    """`u0` answers clients, `u1` is asked too."""
    (folder / "p.yaml").write_text(policy)
    policies = compile_policies(load_folder(folder), HashEncoder())
    async with rehearsing(folder, policies, first, second) as w:
        mirror = Mirror(
            Mirroring("u1", share, concurrency, per_minute, clock),
            policies=policies,
            screening=w.screening,
            upstreams=w.pipeline.upstreams,
            audit=w.audit,
        )
        try:
            yield replace(w, pipeline=replace(w.pipeline, mirror=mirror)), mirror
        finally:
            await mirror.close()


@STREAMED
@pytest.mark.parametrize("mode", ["enforce", "shadow", "off"])
async def test_a_second_arm_leaves_scores_and_digests(
    tmp_path: Path, mode: str, stream: bool
) -> None:
    policy = POLICY + f"mode: {mode}\n"
    second = Scripted(["It was Ottoline ", "Vask."])
    async with mirrored(tmp_path, Scripted(["It ", "rains."]), second, policy=policy) as (w, m):
        heard = await w.ask(stream=stream, stream_options={"include_usage": True})
        await m.settle()
        second._choices = (["It rains."],)
        await w.ask(stream=stream)
        await m.settle()
        live, told, other, same = w.records()
    assert heard.text() == "It rains."
    assert (live.get("event"), told["event"], other.get("event")) == (None, "mirror", None)
    assert told["request_id"] == live["request_id"]
    assert (told["upstream"], told["outcome"], told["model"]) == ("u1", "mirrored", "m")
    assert told["channels"]["0.content"] == {"received": 21, "screened": 21}
    assert any(v["hit"] for v in told["verdicts"]) == (mode != "off")
    assert told["mirror"]["of"]["upstream"] == "u0"
    assert not told["mirror"]["same"]
    assert same["mirror"]["same"]
    assert same["mirror"]["digests"] == told["mirror"]["of"]["digests"]
    assert "rains" not in json.dumps([told, same])
    sent = second.requests[0]
    assert sent["stream"] is False
    assert "stream_options" not in sent
    assert [message["role"] for message in sent["messages"]] == ["user"]
    assert sent["model"] == "theirs"


async def test_what_was_refused_is_asked_of_the_second_arm_without_an_instruction(
    tmp_path: Path,
) -> None:
    second = Scripted(["I do not know."])
    async with mirrored(tmp_path, Scripted(["x"]), second) as (w, m):
        assert (await w.ask("Who is Ottoline Vask?")).reason() == "content_filter"
        await m.settle()
        told = w.records()[1]
    assert told["mirror"]["of"]["action"] == "refuse"
    assert told["mirror"]["of"]["digests"].keys() == {"0.content"}
    assert len(second.requests[0]["messages"]) == 1


async def test_nobody_waits_for_a_second_arm_that_hangs(tmp_path: Path) -> None:
    class Hanging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.release()
            raise await asyncio.get_running_loop().create_future()

    asked = asyncio.Semaphore(0)
    async with mirrored(tmp_path, Scripted(["It rains."]), Hanging()) as (w, m):
        for _ in range(6):
            assert (await w.ask()).text() == "It rains."
        assert m.dropped == 2
        for _ in range(4):
            await asked.acquire()
        await m.close()
        outcomes = [record["outcome"] for record in w.records()]
    assert outcomes == ["answered"] * 6 + ["cut off"] * 4


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        (Scripted([DOWN]), "upstream failed"),
        (Scripted(["x"], status=500), "upstream failed"),
        (Scripted([{"content": 7}]), "upstream failed"),
        (Scripted([ValueError("of ours")]), "failed"),
    ],
)
async def test_a_second_arm_that_fails_fails_alone(
    tmp_path: Path, second: Scripted, outcome: str
) -> None:
    async with mirrored(tmp_path, Scripted(["It rains."]), second) as (w, m):
        assert (await w.ask()).text() == "It rains."
        await m.settle()
        live, told = w.records()
    assert (live["outcome"], live["error"]) == ("answered", None)
    assert (told["outcome"], told["mirror"]["digests"]) == (outcome, {})
    assert "of ours" not in json.dumps(told)


async def test_an_audit_that_fails_behind_the_client_is_the_mirrors_own_affair(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Audit):
        pass

    async with mirrored(tmp_path, Scripted(["It rains."]), Scripted(["x"])) as (w, m):

        def full(record: object) -> None:
            raise AuditError("no space left")

        m._audit = Full.__new__(Full)
        m._audit.append = full  # type: ignore[assignment, method-assign]
        assert (await w.ask()).text() == "It rains."
        await m.settle()
    assert "mirror left no audit record" in caplog.text


async def test_no_more_is_asked_than_the_budget_of_a_minute(tmp_path: Path) -> None:
    now = [0.0]
    second = Scripted(["x"])
    async with mirrored(
        tmp_path, Scripted(["It rains."]), second, per_minute=3, clock=lambda: now[0]
    ) as (w, m):
        for _ in range(5):
            await w.ask()
            await m.settle()
        assert (len(second.requests), m.dropped) == (3, 2)
        now[0] = 60.0
        await w.ask()
        await m.settle()
        assert (len(second.requests), m.dropped) == (4, 0)
        assert w.records()[-1]["mirror"]["dropped"] == 2


async def test_a_share_is_a_share(tmp_path: Path) -> None:
    async with mirrored(tmp_path, Scripted(["x"]), Scripted(["x"]), share=0.25) as (_, m):
        drawn = [m.digests(replace(CALLER, request_id=f"r{n}")) is not None for n in range(4000)]
    assert 0.22 < sum(drawn) / len(drawn) < 0.28


async def test_what_is_no_conversation_or_went_there_anyway_is_not_mirrored(
    tmp_path: Path,
) -> None:
    second = Scripted(["x"])
    async with mirrored(tmp_path, Scripted(["x"], status=500), second) as (w, m):
        assert (await w.ask()).status == 502  # nobody was answered
        assert (await w.ask(logprobs=True)).status == 400
        await w.ask(model="other1")
        await m.settle()
        assert [record.get("event") for record in w.records()] == [None] * 3
    assert len(second.requests) == 1


async def test_what_would_be_done_twice_is_not_mirrored(tmp_path: Path) -> None:
    second, policy = Scripted(["x"]), POLICY + "allow: [server_tools, stored]\n"
    async with mirrored(tmp_path, Scripted(["x"]), second, policy=policy) as (w, m):
        twice: list[dict[str, Any]] = [
            {"web_search_options": {}},
            {"store": True},
            {"mcp_servers": ["x"]},
        ]
        for fields in twice:
            assert (await w.ask(**fields)).status == 200
        await m.settle()
        assert (second.requests, m.dropped) == ([], 0)


async def test_a_long_answer_is_judged_in_short_passages(tmp_path: Path) -> None:
    judged: list[tuple[Passage, bool]] = []
    second = Scripted(["The weather was mild that year. " * 2000 + "Ottoline Vask."])
    async with mirrored(tmp_path, Scripted(["x"]), second) as (w, m):
        inner = w.screening.judge

        async def noted(passages: list[Passage], *, spare: bool = False) -> list[Any]:
            judged.extend((passage, spare) for passage in passages)
            return await inner(passages, spare=spare)

        w.screening.judge = noted  # type: ignore[method-assign, assignment]
        await w.ask()
        await m.settle()
        told = w.records()[1]
    spare = [passage for passage, waits in judged if waits]
    assert max(len(passage.windows) for passage in spare) <= 2 * RUN
    assert max(len(passage.text) for passage in spare) < 1000
    assert all(passage.before for passage in spare)
    assert told["channels"]["0.content"] == {"received": 64_014, "screened": MOST_JUDGED}


@pytest.mark.parametrize(
    ("wire", "fields"),
    [
        (completions, {"prompt": "Who paints?"}),
        (responses, {"input": "Who paints?"}),
        (messages, {"max_tokens": 9, "messages": [{"role": "user", "content": "Who paints?"}]}),
    ],
    ids=lambda part: getattr(part, "route", ""),
)
@STREAMED
async def test_every_wire_format_is_mirrored(
    tmp_path: Path, wire: Any, fields: dict[str, Any], stream: bool
) -> None:
    second = Speaking("It was Ottoline ", "Vask.")
    async with mirrored(tmp_path, Speaking("It rains."), second) as (w, m):
        caller = replace(CALLER, route=wire.route)
        body = {"model": "m", "stream": stream, **fields}
        async for _ in w.pipeline.answer(wire, body, caller):
            pass
        await m.settle()
        live, told = w.records()
    assert (live["outcome"], told["outcome"]) == ("answered", "mirrored")
    assert any(verdict["hit"] for verdict in told["verdicts"])


async def test_whoever_can_wait_is_judged_when_nobody_else_does() -> None:
    order: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        longest = 10

        def judge(self, passages: list[Passage]) -> list[tuple[Verdict, ...]]:
            if passages and passages[0].text == "first":
                entered.set()
                leave.wait(10)
            order.extend(passage.text for passage in passages)
            return [()] * len(passages)

    screening = Screening(Slow())  # type: ignore[arg-type]
    first = asyncio.ensure_future(screening.judge([Passage("first", ())]))
    await asyncio.to_thread(entered.wait, 10)
    spare = [
        asyncio.ensure_future(screening.judge([Passage(f"spare {n}", ())], spare=True))
        for n in range(2)
    ]
    await asyncio.sleep(0)
    live = [asyncio.ensure_future(screening.judge([Passage(f"live {n}", ())])) for n in range(2)]
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(first, *spare, *live)
    await screening.close()
    assert order == ["first", "live 0", "live 1", "spare 0", "spare 1"]
