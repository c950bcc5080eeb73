"""Every file in `tests/cases/attacks`: policy, conversation, upstream, and what may come out.

A leak that somebody reports becomes one more file; one that is not mended yet stands in
`tests/cases/known-leaks` until it is. The keys:

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

FOLDER = Path(__file__).parent / "cases"
CASES = sorted((FOLDER / "attacks").glob("*.yaml"))
KNOWN = sorted((FOLDER / "known-leaks").glob("*.yaml"))
MODES = {"whole": False, "streamed": True}
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


def unmet(case: dict[str, Any], folder: Path, encoder: Encoder, *, stream: bool) -> list[str]:
    """The expectations of a case that do not hold."""
    assert set(case) <= KEYS
    expect = case["expect"]
    assert set(expect) <= EXPECTED
    assert expect
    told, record, script = asyncio.run(played(case, folder, encoder, stream=stream))
    everything = told.everything.casefold()
    found = [f"absent: {one}" for one in expect.get("absent", ()) if one.casefold() in everything]
    for key, heard in (("answers", told.text), ("reasons", told.reason)):
        wanted = expect.get(key, ())
        found += [f"{key}: {heard(n)}" for n, value in enumerate(wanted) if heard(n) != value]
    if told.status != expect.get("status", 200):
        found.append(f"status: {told.status}")
    if bool(script.requests) != expect.get("forwarded", bool(script.requests)):
        found.append(f"forwarded: {bool(script.requests)}")
    hit = {verdict["concept"] for verdict in record["verdicts"] if verdict["hit"]}
    if "hits" in expect and hit != {f"p/{name}" for name in expect["hits"]}:
        found.append(f"hits: {sorted(hit)}")
    # A refusal out of doubt is one too, any other failure would prove nothing.
    if record["outcome"] == "failed" and record["error"] != "UnreadableError":
        found.append(f"failed: {record['error']}")
    return found


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        pytest.param(path, stream, id=f"{path.stem}-{mode}")
        for path in CASES
        for mode, stream in MODES.items()
        if mode in yaml.safe_load(path.read_text("utf-8")).get("modes", MODES)
    ],
)
def test_nothing_forbidden_comes_out(
    path: Path, stream: bool, tmp_path: Path, encoder: Encoder
) -> None:
    case = yaml.safe_load(path.read_text("utf-8"))
    assert unmet(case, tmp_path, encoder, stream=stream) == []


@pytest.mark.parametrize("path", KNOWN, ids=[path.stem for path in KNOWN])
def test_a_known_leak_is_still_one(path: Path, tmp_path: Path, encoder: Encoder) -> None:
    case = yaml.safe_load(path.read_text("utf-8"))
    assert unmet(case, tmp_path, encoder, stream=True), f"mended: move {path.name} to attacks/"


def test_there_are_cases() -> None:
    assert len(CASES) > 20
