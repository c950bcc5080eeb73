"""Every way a request's story can go wrong ends in a refusal or an error, and in a record."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.formats import chat
from proxy.formats.chat_answer import ChatAnswer
from proxy.rehearsal import Rehearsal, rehearsing
from proxy.scripted import Scripted
from proxy.upstream import Limits, Upstream

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    aliases: [the lamp painter]
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
request: {ticket: T-1, received: 2026-01-02}
"""
SECRET = "Ottoline Vask"
FLAGGED = POLICY + "screens: {prompt: {action: flag}, output: {action: refuse}}\n"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@asynccontextmanager
async def world(
    folder: Path, *scripts: Scripted, policy: str = POLICY, limits: Limits | None = None
) -> AsyncIterator[Rehearsal]:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "p.yaml").write_text(policy)
    policies = compile_policies(load_folder(folder / "policies"), HashEncoder())
    async with rehearsing(folder, policies, *scripts, limits=limits) as made:
        yield made


CLEARED = "The ferry left the harbour late again. "
LONG = CLEARED + "Nobody at the market had seen such rain since early autumn began in town. " * 2

BROKEN: list[tuple[str, Scripted, int]] = [
    ("breaks off", Scripted([LONG, "Three"], done=False), 502),
    ("malformed JSON", Scripted([LONG + "Th", b"data: {nope\n\n"]), 502),
    ("no event", Scripted([LONG + "Th", b"data: \xff\xfe\n\n"]), 502),
    ("oversized", Scripted([LONG + "Th", b"data: " + b"x" * 5000]), 502),
    ("error event", Scripted([LONG + "Th", b'data: {"error": {"message": "Ottoline"}}\n\n']), 502),
    ("connection", Scripted([LONG + "Th", httpx.ReadError("Ottoline Vask")]), 502),
    ("stalls", Scripted([LONG, "Th", "ree"], pause_s=0.15), 504),
    ("wrong index", Scripted([LONG + "Th", b'data: {"choices": [{"index": 9}]}\n\n']), 502),
]


@pytest.mark.parametrize("early", [False, True], ids=["midway", "at once"])
@pytest.mark.parametrize(("how", "script", "status"), BROKEN, ids=[b[0] for b in BROKEN])
async def test_a_broken_stream_ends_cleanly_with_nothing_unscreened(
    tmp_path: Path, how: str, script: Scripted, status: int, early: bool
) -> None:
    limits = Limits(event_bytes=4096, idle_s=0.35, answer_s=0.4)
    policy = POLICY + "release: {max_segment: 400}\n"
    if early:
        script = Scripted(
            *(c[1:] if how != "breaks off" else [] for c in script._choices),
            done=script._done,
            pause_s=script._pause_s * 2,
        )
    async with world(tmp_path, script, limits=limits, policy=policy) as w:
        heard = await w.ask(stream=True)
        record = w.records()[0]
    assert heard.error
    assert heard.text() == ("" if early else CLEARED)
    assert heard.status == (status if early else 200)
    assert heard.reason() is None
    assert "Ottoline" not in heard.everything
    assert record["outcome"] == "upstream failed"
    assert script.open == 0


@pytest.mark.parametrize(
    ("upstream", "client"),
    [(400, 400), (401, 502), (403, 502), (404, 404), (429, 429), (500, 502), (529, 529)],
)
@STREAMED
async def test_an_upstreams_error_is_told_without_its_words(
    tmp_path: Path, upstream: int, client: int, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lethe")
    async with world(tmp_path, Scripted([""], status=upstream), policy=FLAGGED) as w:
        heard = await w.ask(f"Who is {SECRET}?", stream=stream)
    assert heard.status == client
    assert "Vask" not in heard.everything + caplog.text
    # Nobody is woken for a request that the upstream would not take.
    assert caplog.records[-1].levelname == ("INFO" if client < 500 else "ERROR")


def raising(_: object) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise RuntimeError(f"about {SECRET}")

    return fail


def cancelling(_: object) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise asyncio.CancelledError

    return fail


def late(_: object) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise TimeoutError

    return fail


STAGES: dict[str, Callable[[Rehearsal], tuple[Any, str]]] = {
    "policies": lambda w: (type(w.pipeline.policies), "applicable"),
    "upstreams": lambda w: (w.pipeline.upstreams, "of"),
    "screen": lambda w: (w.screening.screen, "judge"),
    "screening": lambda w: (w.screening, "judge"),
    "instruct": lambda w: (chat, "instruct"),
    "upstream, whole": lambda w: (Upstream, "complete"),
    "upstream, streamed": lambda w: (Upstream, "stream"),
    "answer, whole": lambda w: (ChatAnswer, "whole"),
    "answer, streamed": lambda w: (ChatAnswer, "feed"),
    "audit": lambda w: (w.audit, "append"),
}


@pytest.mark.parametrize(
    "failure", [raising, late, cancelling], ids=["raises", "late", "cancelled"]
)
@pytest.mark.parametrize(
    ("stage", "stream"),
    [
        (stage, stream)
        for stage in STAGES
        for stream in (False, True)
        if not stage.endswith("whole" if stream else "streamed")
    ],
)
async def test_every_stage_that_fails_ends_in_a_refusal_and_a_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stage: str,
    failure: Callable[..., Any],
    stream: bool,
) -> None:
    script = Scripted(["Nothing at all. It is fine."])
    async with world(tmp_path, script, policy=FLAGGED) as w:
        target, name = STAGES[stage](w)
        original = getattr(target, name)
        replacement = failure(original)
        if stage == "audit":
            calls = iter([failure(original)])

            def replacement(*a: Any, **k: Any) -> Any:
                return next(calls, original)(*a, **k)

        with monkeypatch.context() as patch:
            patch.setattr(target, name, replacement)
            heard = await asyncio.wait_for(w.ask("The lamp painter?", stream=stream), timeout=10)
        record = w.records()[-1]
    assert heard.reason() == "content_filter" or heard.error
    assert heard.error is None or (stage in ("audit", "upstream, whole") and stream)
    assert record["error"]
    assert record["outcome"] == "failed"
    assert SECRET not in caplog.text
    assert "Nothing at all" not in heard.text() or stage == "audit"


async def test_a_screen_that_fails_passes_only_where_every_policy_says_so(tmp_path: Path) -> None:
    async with world(tmp_path, Scripted(["Fine."]), policy=POLICY + "on_error: pass\n") as w:
        await w.screening.close()
        heard = await w.ask()
        record = w.records()[0]
    assert heard.text() == "Fine."
    assert record["failed_open"] > 0


async def test_a_client_that_leaves_stops_the_upstream_and_is_recorded(tmp_path: Path) -> None:
    script = Scripted([f"Part {n}. " for n in range(100)], pause_s=0.02)
    async with world(tmp_path, script) as w:
        asking = asyncio.ensure_future(w.ask(stream=True))
        await asyncio.sleep(0.3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        record = w.records()[0]
    assert record["outcome"] == "client left"
    assert script.open == 0


async def test_invisible_text_without_end_is_doubt_and_no_pass(tmp_path: Path) -> None:
    script = Scripted(["x"])
    async with world(tmp_path, script) as w:
        heard = await w.ask("!\n" * 20_000)
        assert w.records()[0]["error"] == "UnreadableError"
    assert heard.reason() == "content_filter"
    assert script.requests == []


async def test_a_prompt_full_of_names_is_answered_like_any_other(tmp_path: Path) -> None:
    async with world(tmp_path, Scripted(["x"]), policy=FLAGGED) as w:
        heard = await w.ask("Ottoline Vask. " * 300)
    assert heard.reason() == "stop"


async def test_every_field_of_a_record_is_documented(tmp_path: Path) -> None:
    async with world(tmp_path, Scripted(["x"])) as w:
        await w.ask()
        record = w.records()[0]
    page = (Path(__file__).parent.parent / "docs" / "audit.md").read_text("utf-8")
    assert [key for key in record if f"`{key}`" not in page] == []
