"""Every file in `tests/cases/attacks`: a policy, a conversation, what the model says, what may come out.

A leak that somebody reports becomes one more file. The keys:

    claim     what the case shows, in a sentence
    policy    a policy file without its id (concepts and whatever else it needs)
    request   a chat-completions body without `model` and `stream`
    upstream  one script a choice: strings are deltas of content, mappings whole deltas
    reason    the upstream's finish reason (default stop)
    expect    absent: strings that reach the client nowhere, however cased
              answers: the exact content of each choice; reasons: their finish reasons
              status: the HTTP status; forwarded: whether the upstream was asked
              hits: concepts (by name) that the audit records as hit, no others
    modes     whole, streamed, or both (the default)
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from classifiers import Encoder, load
from policies import compile_policies, load_folder
from proxy.audit import Audit
from proxy.formats import chat
from proxy.framing import Head
from proxy.pipeline import Pipeline
from proxy.screening import Screening
from proxy.scripted import Scripted
from proxy.trace import Caller
from proxy.upstream import Upstream
from proxy.upstreams import Upstreams

pytestmark = pytest.mark.encoder

CASES = sorted((Path(__file__).parent / "cases" / "attacks").glob("*.yaml"))
KEYS = {"claim", "policy", "request", "upstream", "reason", "expect", "modes"}
EXPECTED = {"absent", "answers", "reasons", "status", "forwarded", "hits"}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load()


async def played(case: dict[str, Any], folder: Path, encoder: Encoder, *, stream: bool) -> Any:
    """What the client got (status, text of everything, contents, reasons), and the audit record."""
    (folder / "p.yaml").write_text(yaml.safe_dump({"id": "p", **case["policy"]}))
    policies = compile_policies(load_folder(folder), encoder)
    script = Scripted(*case["upstream"], reason=case.get("reason", "stop"))
    audit = Audit.open(folder / "audit.jsonl")
    screening = Screening(policies.screen)
    async with httpx.AsyncClient(transport=script) as client:
        pipeline = Pipeline(
            policies=policies,
            screening=screening,
            upstreams=Upstreams([Upstream("u", "http://upstream/v1", client)]),
            audit=audit,
        )
        body = {"model": "m", "stream": stream, **case["request"]}
        caller = Caller("r", "default", chat.route)
        outs = [out async for out in pipeline.answer(chat, body, caller)]
    await screening.close()
    audit.close()
    head = outs[0]
    assert isinstance(head, Head)
    events = [head.body] if head.body is not None else []
    for raw in (out for out in outs[1:] if isinstance(out, bytes)):
        data = raw.decode().removeprefix("data: ").strip()
        if data != "[DONE]":
            events.append(json.loads(data))
    contents, reasons = [""] * 8, [None] * 8
    for choice in (c for event in events for c in event.get("choices", ())):
        said = choice.get("message") or choice.get("delta") or {}
        contents[choice["index"]] += said.get("content") or ""
        reasons[choice["index"]] = choice["finish_reason"] or reasons[choice["index"]]
    record = json.loads((folder / "audit.jsonl").read_text().splitlines()[-1])
    return head.status, events, contents, reasons, record, script.requests


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_nothing_forbidden_comes_out(
    path: Path, stream: bool, tmp_path: Path, encoder: Encoder
) -> None:
    case = yaml.safe_load(path.read_text())
    assert KEYS >= set(case)
    expect = case["expect"]
    assert expect
    assert EXPECTED >= set(expect)
    if ("streamed" if stream else "whole") not in case.get("modes", ["whole", "streamed"]):
        pytest.skip(f"{path.name} is about the other mode")
    status, events, contents, reasons, record, asked = asyncio.run(
        played(case, tmp_path, encoder, stream=stream)
    )
    everything = json.dumps(events, ensure_ascii=False).casefold()
    for secret in expect.get("absent", ()):
        assert secret.casefold() not in everything
    for choice, text in enumerate(expect.get("answers", ())):
        assert contents[choice] == text
    for choice, reason in enumerate(expect.get("reasons", ())):
        assert reasons[choice] == reason
    assert status == expect.get("status", 200)
    if "forwarded" in expect:
        assert bool(asked) == expect["forwarded"]
    if "hits" in expect:
        hit = {verdict["concept"] for verdict in record["verdicts"] if verdict["hit"]}
        assert hit == {f"p/{name}" for name in expect["hits"]}


def test_there_are_cases() -> None:
    assert CASES
