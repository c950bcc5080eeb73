"""Rerouting: who is asked, who answers when nobody is there, and no circles."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.exchange import Format
from proxy.formats import chat, completions, embeddings, messages, responses
from proxy.framing import Head
from proxy.lineage import Lineage
from proxy.rehearsal import CALLER, Rehearsal, rehearsing
from proxy.scripted import Scripted
from proxy.upstreams import Upstreams
from tests.fuzz.wires import STREAMS, WHOLES

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
CHANNEL = pytest.mark.parametrize("channel", ["prompt", "output"])

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""
ASKED = {"prompt": "Who is Ottoline Vask?", "output": "Who paints?"}
DOWN = httpx.ConnectError("nobody there")


@asynccontextmanager
async def world(
    folder: Path, *scripts: httpx.AsyncBaseTransport, screens: str, more: Sequence[str] = ()
) -> AsyncIterator[Rehearsal]:
    """Upstreams `u0` (original), `u1` and so on, which publish `other1`, … and have forgotten."""
    (folder / "p.yaml").write_text(POLICY + f"screens: {screens}\n")
    for number, text in enumerate(more):
        (folder / f"p{number}.yaml").write_text(text)
    policies = compile_policies(load_folder(folder), HashEncoder())
    async with rehearsing(folder, policies, *scripts) as w:
        ups = [w.pipeline.upstreams.named(f"u{n}", model="m").upstream for n in range(len(scripts))]
        lineage = Lineage("ab" * 32, "npo", "cd" * 32)
        forgot = [replace(up, role="unlearned", lineage=lineage) for up in ups[1:]]
        pipeline = replace(w.pipeline, upstreams=Upstreams([ups[0], *forgot]))
        yield replace(w, pipeline=pipeline)


def rerouting(channel: str, to: str = "u1", **more: str) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{{channel}: {{action: reroute, to: {to}{extra}}}}}"


@CHANNEL
@STREAMED
async def test_the_record_says_which_arm_answered(
    tmp_path: Path, channel: str, stream: bool
) -> None:
    scripts = Scripted(["Ottoline Vask."]), Scripted(["I never met her."])
    async with world(tmp_path, *scripts, screens=rerouting(channel)) as w:
        heard = await w.ask(ASKED[channel], stream=stream)
        assert heard.text() == "I never met her."
        assert "other1" not in heard.everything
        assert "theirs" not in heard.everything
        await w.ask("What is two and two?" if channel == "prompt" else "", stream=stream)
        rerouted, other = w.records()
    assert (rerouted["upstream"], rerouted["role"], rerouted["rerouted"]) == (
        "u1", "unlearned", "u0",
    )  # fmt: skip
    assert rerouted["lineage"] == "ab" * 32
    assert scripts[1].requests[0]["model"] == "theirs"  # what it calls its only model
    assert rerouted["attempts"] == (1 if channel == "prompt" else 2)
    if channel == "prompt":
        assert (other["upstream"], other["role"], other["rerouted"]) == ("u0", "original", None)


@CHANNEL
@STREAMED
async def test_what_is_hit_again_elsewhere_is_refused_and_nobody_else_is_asked(
    tmp_path: Path, channel: str, stream: bool
) -> None:
    again = "{prompt: {action: reroute, to: u1}, output: {action: reroute, to: u2}}"
    screens = again if channel == "prompt" else rerouting("output")
    scripts = [Scripted(["It was Ottoline Vask."]) for _ in range(3)]
    async with world(tmp_path, *scripts, screens=screens) as w:
        heard = await w.ask(ASKED[channel], stream=stream)
        record = w.records()[0]
    assert heard.reason() == "content_filter"
    assert "Vask" not in heard.everything
    assert record["action"] == "refuse"
    assert [len(script.requests) for script in scripts] == (
        [0, 1, 0] if channel == "prompt" else [1, 1, 0]
    )


@STREAMED
async def test_a_model_asked_by_name_is_not_asked_again_by_its_own_policy(
    tmp_path: Path, stream: bool
) -> None:
    scripts = Scripted(["x"]), Scripted(["It was Ottoline Vask."])
    async with world(tmp_path, *scripts, screens=rerouting("output")) as w:
        heard = await w.ask(model="other1", stream=stream)
    assert heard.reason() == "content_filter"
    assert [len(script.requests) for script in scripts] == [0, 1]


@CHANNEL
@STREAMED
@pytest.mark.parametrize("how", ["unreachable", "busy", "malformed"])
async def test_an_upstream_that_is_down_means_a_refusal(
    tmp_path: Path, channel: str, stream: bool, how: str
) -> None:
    down = {
        "unreachable": Scripted([DOWN]),
        "busy": Scripted(["x"], status=503),
        "malformed": Scripted([b"data: [1]\n\n"]) if stream else Scripted([{"content": 7}]),
    }[how]
    first = Scripted(["It was Ottoline Vask."])
    async with world(tmp_path, first, down, screens=rerouting(channel)) as w:
        heard = await w.ask(ASKED[channel], stream=stream)
        record = w.records()[0]
    assert (heard.status, heard.reason()) == (200, "content_filter")
    assert heard.error is None
    assert "Vask" not in heard.everything
    assert (record["action"], record["outcome"]) == ("refuse", "answered")
    assert list(record["down"]) == ["u1"]
    assert record["channels"].get("0.content", {"released": 0})["released"] == 0
    assert len(first.requests) == (0 if channel == "prompt" else 1)


@CHANNEL
@STREAMED
@pytest.mark.parametrize("tells", [False, True], ids=["obeys", "tells"])
async def test_the_original_answers_under_its_screen_where_the_policy_says_so(
    tmp_path: Path, channel: str, stream: bool, tells: bool
) -> None:
    answers = ["It was Ottoline Vask." if tells or channel == "output" else "I do not know."]
    first, down = Scripted(answers), Scripted([DOWN])
    if channel == "output" and not tells:
        first = Obeying()
    screens = rerouting(channel, on_down="original")
    async with world(tmp_path, first, down, screens=screens) as w:
        heard = await w.ask(ASKED[channel], stream=stream)
        record = w.records()[0]
    assert heard.reason() == ("content_filter" if tells else "stop")
    assert "Vask" not in heard.everything
    assert (record["upstream"], record["rerouted"]) == ("u0", None)
    assert record["down"] == {"u1": "the upstream could not be reached (ConnectError)"}
    assert len(first.requests) == (1 if channel == "prompt" else 2)
    if channel == "prompt":
        assert "A first draft" in first.requests[-1]["messages"][0]["content"]


class Obeying(Scripted):
    """Tells, and obeys when it is asked again."""

    def __init__(self) -> None:
        super().__init__(["It was Ottoline Vask."])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.requests:
            self._choices = (["I do not know."],)
        return await super().handle_async_request(request)


async def test_when_the_original_is_down_too_the_client_hears_of_it(tmp_path: Path) -> None:
    screens = rerouting("prompt", on_down="original")
    async with world(tmp_path, Scripted([DOWN]), Scripted([DOWN]), screens=screens) as w:
        heard = await w.ask(ASKED["prompt"])
        assert w.records()[0]["outcome"] == "upstream failed"
    assert heard.status == 502


async def test_a_break_behind_the_first_word_is_an_error_and_no_second_answer(
    tmp_path: Path,
) -> None:
    said = "Nobody of that name is known to me, nor has anybody ever asked for her. "
    breaking = Scripted([*[said] * 9, DOWN])
    screens = rerouting("prompt", on_down="original")
    async with world(tmp_path, Scripted(["x"]), breaking, screens=screens) as w:
        heard = await w.ask(ASKED["prompt"], stream=True)
        assert w.records()[0]["outcome"] == "upstream failed"
    assert heard.text().startswith("Nobody of that name")
    assert heard.error is not None


async def test_two_policies_that_point_two_ways_mean_a_refusal(tmp_path: Path) -> None:
    other = (
        "id: q\nconcepts: [{name: Bram Oldacre}]\n"
        "screens: {prompt: {action: reroute, to: u2, on_down: original}}\n"
    )
    scripts = [Scripted(["I never met anybody."]) for _ in range(3)]
    screens = rerouting("prompt")
    async with world(tmp_path, *scripts, screens=screens, more=[other]) as w:
        both = await w.ask("Who are Ottoline Vask and Bram Oldacre?")
        one = await w.ask("Who is Bram Oldacre?")
    assert (both.reason(), one.reason()) == ("content_filter", "stop")
    assert [len(script.requests) for script in scripts] == [0, 0, 1]


@pytest.mark.parametrize("down", [False, True])
async def test_what_another_policy_leaves_out_is_left_out_elsewhere_too(
    tmp_path: Path, down: bool
) -> None:
    other = (
        "id: q\nconcepts: [{name: Bram Oldacre}]\ninstruction: {template: none}\n"
        "screens: {prompt: {action: redact}}\n"
    )
    scripts = Scripted(["Four."]), Scripted(["I never met her."], status=500 if down else 200)
    screens = rerouting("prompt", on_down="original")
    async with world(tmp_path, *scripts, screens=screens, more=[other]) as w:
        await w.ask("Bram Oldacre sings. Who is Ottoline Vask?")
        tool = {"type": "function", "function": {"name": "call_Bram_Oldacre"}}
        uncut = await w.ask(ASKED["prompt"], tools=[tool])
    assert uncut.reason() == "content_filter"
    assert [len(script.requests) for script in scripts] == [int(down), 1]
    sent = json.dumps([request for script in scripts for request in script.requests])
    assert "Who is Ottoline Vask?" in sent
    assert "Oldacre" not in sent


async def test_what_is_left_out_of_history_sends_nobody_elsewhere(tmp_path: Path) -> None:
    scripts = Scripted(["Four."]), Scripted(["x"])
    said = [
        {"role": "user", "content": "Who is Ottoline Vask?"},
        {"role": "assistant", "content": "I do not know."},
        {"role": "user", "content": "What is two and two?"},
    ]
    async with world(tmp_path, *scripts, screens=rerouting("prompt")) as w:
        heard = await w.ask(messages=said)
    assert heard.text() == "Four."
    assert "Vask" not in str(scripts[0].requests[0]["messages"][1:])
    assert scripts[1].requests == []


async def test_a_model_that_forgot_need_not_be_told_to_pretend(tmp_path: Path) -> None:
    scripts = Scripted(["x"]), Scripted(["Who?"])
    async with world(tmp_path, *scripts, screens=rerouting("prompt")) as w:
        await w.ask(ASKED["prompt"])
        ups = [w.pipeline.upstreams.named(name, model="m").upstream for name in ("u0", "u1")]
        plain = Upstreams([ups[0], replace(ups[1], instruct=False)])
        await replace(w, pipeline=replace(w.pipeline, upstreams=plain)).ask(ASKED["prompt"])
        told, untold = w.records()
    first, second = scripts[1].requests
    assert [m["role"] for m in first["messages"]] == ["system", "user"]
    assert [m["role"] for m in second["messages"]] == ["user"]
    assert told["injected"] > 0
    assert untold["injected"] == 0


@dataclass(frozen=True)
class Wire:
    """A format and a question in it."""

    format: Format
    fields: dict[str, Any]


WIRES = [
    Wire(chat, {"messages": [{"role": "user", "content": ASKED["prompt"]}]}),
    Wire(completions, {"prompt": ASKED["prompt"]}),
    Wire(responses, {"input": ASKED["prompt"]}),
    Wire(messages, {"max_tokens": 9, "messages": [{"role": "user", "content": ASKED["prompt"]}]}),
]


class Speaking(httpx.AsyncBaseTransport):
    """Says the same in every wire format, or nothing at all."""

    def __init__(self, *pieces: str, there: bool = True) -> None:
        self.asked = 0
        self._pieces = pieces
        self._there = there

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._there:
            raise DOWN
        self.asked += 1
        route = request.url.path
        if b'"stream":true' not in await request.aread():
            raw = [json.dumps(WHOLES[route](self._pieces)).encode()]
            return httpx.Response(200, stream=Once(raw))
        raw = [b"data: %b\n\n" % json.dumps(e).encode() for e in STREAMS[route][0](self._pieces)]
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=kind, stream=Once([*raw, b"data: [DONE]\n\n"]))


class Once(httpx.AsyncByteStream):
    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


async def said(w: Rehearsal, wire: Wire, *, stream: bool) -> str:
    body = {"model": "m", "stream": stream, **wire.fields}
    caller = replace(CALLER, route=wire.format.route)
    outs = [out async for out in w.pipeline.answer(wire.format, body, caller)]
    return "".join(out.decode() if isinstance(out, bytes) else str(out.body) for out in outs)


@STREAMED
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.format.route)
async def test_every_wire_format_is_rerouted_and_refused_when_nobody_is_there(
    tmp_path: Path, wire: Wire, stream: bool
) -> None:
    first, second = Speaking("It was Ottoline Vask."), Speaking("Sarnholm is a town.")
    async with world(tmp_path, first, second, screens=rerouting("prompt")) as w:
        assert "Sarnholm is a town." in await said(w, wire, stream=stream)
        second._pieces = ("It was Ottoline ", "Vask.")
        assert "Vask" not in await said(w, wire, stream=stream)
        second._there = False
        refused = await said(w, wire, stream=stream)
        kinds = [record["action"] for record in w.records()]
    assert "Vask" not in refused
    assert kinds == ["reroute", "refuse", "refuse"]
    assert first.asked == 0


async def test_an_embedding_is_rerouted_too_and_an_error_when_nobody_is_there(
    tmp_path: Path,
) -> None:
    second = Speaking("x")
    async with world(tmp_path, Speaking("x"), second, screens=rerouting("prompt")) as w:
        for there, status in ((True, 200), (False, 400)):
            second._there = there
            caller = replace(CALLER, route=embeddings.route)
            body = {"model": "m", "input": ASKED["prompt"]}
            outs = [out async for out in w.pipeline.answer(embeddings, body, caller)]
            assert isinstance(outs[0], Head)
            assert outs[0].status == status
