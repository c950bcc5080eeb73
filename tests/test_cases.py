"""Every file in `tests/cases/attacks`: policy, conversation, upstream, and what may come out.

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
from pathlib import Path
from typing import Any

import pytest
import yaml

from classifiers import Encoder, load
from policies import compile_policies, load_folder
from proxy.rehearsal import Told, rehearsing
from proxy.scripted import Scripted

pytestmark = pytest.mark.encoder

CASES = sorted((Path(__file__).parent / "cases" / "attacks").glob("*.yaml"))
KEYS = {"claim", "policy", "request", "upstream", "reason", "expect", "modes"}
EXPECTED = {"absent", "answers", "reasons", "status", "forwarded", "hits"}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load()


async def played(
    case: dict[str, Any], folder: Path, encoder: Encoder, *, stream: bool
) -> tuple[Told, dict[str, Any], Scripted]:
    """What the client got, the audit record, and the upstream that was asked or not."""
    (folder / "p.yaml").write_text(yaml.safe_dump({"id": "p", **case["policy"]}))
    policies = compile_policies(load_folder(folder), encoder)
    script = Scripted(*case["upstream"], reason=case.get("reason", "stop"))
    async with rehearsing(folder, policies, script) as rehearsal:
        told = await rehearsal.ask(stream=stream, **case["request"])
        return told, rehearsal.records()[-1], script


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_nothing_forbidden_comes_out(
    path: Path, stream: bool, tmp_path: Path, encoder: Encoder
) -> None:
    case = yaml.safe_load(path.read_text())
    assert set(case) <= KEYS
    expect = case["expect"]
    assert expect
    assert set(expect) <= EXPECTED
    if ("streamed" if stream else "whole") not in case.get("modes", ["whole", "streamed"]):
        pytest.skip(f"{path.name} is about the other mode")
    told, record, script = asyncio.run(played(case, tmp_path, encoder, stream=stream))
    for secret in expect.get("absent", ()):
        assert secret.casefold() not in told.everything.casefold()
    for choice, text in enumerate(expect.get("answers", ())):
        assert told.text(choice) == text
    for choice, reason in enumerate(expect.get("reasons", ())):
        assert told.reason(choice) == reason
    assert told.status == expect.get("status", 200)
    if "forwarded" in expect:
        assert bool(script.requests) == expect["forwarded"]
    if "hits" in expect:
        hit = {verdict["concept"] for verdict in record["verdicts"] if verdict["hit"]}
        assert hit == {f"p/{name}" for name in expect["hits"]}


def test_there_are_cases() -> None:
    assert CASES
