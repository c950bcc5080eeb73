"""Any interleaving of choices and fields, any cut of the bytes: one release, and nothing forbidden.

Each property has its innocent twin, which arrives as it was said.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.exchange import Body
from proxy.formats import chat, completions
from proxy.rehearsal import rehearsing, told
from proxy.trace import Caller

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars: ["Ottoline Vask was born in Sarnholm in 1921."]
    threshold: 0.9
"""
# A name within a longer word is none.
FORBIDDEN = re.compile(r"(?<![^\W_])ottoline\W*vask(?![^\W_])", re.IGNORECASE)
INNOCENT = {"Otto": "Anna", "line": "bel", "Vask": "Wood"}

Step = tuple[int, str, str]  # choice, field, text
Fields = dict[tuple[int, str], str]

WORDS = ["Otto", "line", " ", "Vask", ". ", "It rains", "\n", "!", "é", "雨", "🌧"]
FIELDS = [
    *("content", "content", "reasoning_content", "reasoning", "refusal"),
    *("tool.0.name", "tool.0.arguments", "tool.1.name", "tool.1.arguments"),
    *("function.name", "function.arguments"),
]
CHOICES = 3

steps = st.lists(
    st.tuples(
        st.integers(0, CHOICES - 1),
        st.sampled_from(FIELDS),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("".join),
    ),
    max_size=24,
)
plain_steps = st.lists(
    st.tuples(st.integers(0, CHOICES - 1), st.just("text"), st.sampled_from(WORDS)), max_size=24
)
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=9)
line_ends = st.sampled_from(["\n", "\r\n", "\r"])


class Wire(httpx.AsyncBaseTransport):
    """Sends the same bytes in the chunks that it is given."""

    def __init__(self, kind: str, chunks: Sequence[bytes]) -> None:
        self._kind = kind
        self._chunks = chunks

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        headers = {"content-type": self._kind}
        return httpx.Response(200, headers=headers, stream=_Chunks(self._chunks))


class _Chunks(httpx.AsyncByteStream):
    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def cut_up(raw: bytes, sizes: Sequence[int]) -> list[bytes]:
    chunks, at, turn = [], 0, 0
    while at < len(raw):
        chunks.append(raw[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    return chunks


def delta(field: str, text: str) -> Body:
    """A delta of a chat completion that says a text in a field."""
    kind, _, rest = field.partition(".")
    if kind == "tool":
        index, _, part = rest.partition(".")
        return {"tool_calls": [{"index": int(index), "function": {part: text}}]}
    return {"function_call": {rest: text}} if kind == "function" else {field: text}


def events(script: Sequence[Step]) -> list[Body]:
    """Chunks of a stream: every step, and an ending for every choice behind its last one."""
    last = {choice: at for at, (choice, _, _) in enumerate(script)}
    sent = []
    for at, (choice, field, text) in enumerate(script):
        said = {"text": text} if field == "text" else {"delta": delta(field, text)}
        sent.append({"choices": [{"index": choice, **said}]})
        if last[choice] == at:
            sent.append({"choices": [{"index": choice, "finish_reason": "stop"}]})
    ends = [n for n in range(CHOICES) if n not in last]
    return [*sent, *({"choices": [{"index": n, "finish_reason": "stop"}]} for n in ends)]


def added(script: Sequence[Step]) -> Fields:
    """The text of every field."""
    fields: Fields = {}
    for choice, field, text in script:
        fields[choice, field] = fields.get((choice, field), "") + text
    return fields


def whole(script: Sequence[Step]) -> Body:
    """The same said in one body."""
    choices: list[Body] = [{"index": n, "finish_reason": "stop"} for n in range(CHOICES)]
    for (choice, field), text in added(script).items():
        if field == "text":
            choices[choice]["text"] = text
            continue
        message = choices[choice].setdefault("message", {})
        kind, _, rest = field.partition(".")
        if kind == "tool":
            index, _, part = rest.partition(".")
            calls = message.setdefault("tool_calls", [{"function": {}}, {"function": {}}])
            calls[int(index)]["function"][part] = text
        elif kind == "function":
            message.setdefault("function_call", {})[rest] = text
        else:
            message[field] = text
    return {"choices": choices}


def heard(parts: Sequence[Body]) -> tuple[Fields, dict[int, str]]:
    """Fields and finish reasons as a client has them, of events or of one body."""
    script: list[Step] = []
    reasons: dict[int, str] = {}
    for choice in [choice for part in parts for choice in part["choices"]]:
        index = choice["index"]
        if choice["finish_reason"]:
            reasons[index] = choice["finish_reason"]
        script.append((index, "text", choice.get("text") or ""))
        said = choice.get("delta") or choice.get("message") or {}
        script += [
            (index, key, text)
            for key, text in said.items()
            if key != "role" and isinstance(text, str)
        ]
        for position, call in enumerate(said.get("tool_calls") or ()):
            at = call.get("index", position)
            script += [(index, f"tool.{at}.{key}", t) for key, t in call["function"].items()]
        called = said.get("function_call") or {}
        script += [(index, f"function.{key}", text) for key, text in called.items()]
    return {key: text for key, text in added(script).items() if text}, reasons


def sent(script: Sequence[Step]) -> Fields:
    """Fields as they arrive: calls that nobody spoke of in between are not counted."""
    fields = added(script)
    spoken = {(c, f.split(".")[1]) for c, f in fields if f.startswith("tool.")}
    for choice in range(CHOICES):
        if (choice, "1") in spoken and (choice, "0") not in spoken:
            for part in ("name", "arguments"):
                if (choice, f"tool.1.{part}") in fields:
                    fields[choice, f"tool.0.{part}"] = fields.pop((choice, f"tool.1.{part}"))
    return fields


def together(fields: Fields) -> list[str]:
    """Every field, and all fields of a choice side by side, as somebody may read them."""
    several = [
        glue.join(text for (choice, _), text in fields.items() if choice == n)
        for n in range(CHOICES)
        for glue in ("", " ")
    ]
    return [*fields.values(), *several]


async def answers(folder: Path, wire: Any, wires: Sequence[Wire], *, stream: Sequence[bool]) -> Any:
    """What a client has of each upstream's answer, and the audit's records."""
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(POLICY)
    policies = compile_policies(load_folder(folder / "policies"), HashEncoder())
    prompt: Body = {"messages": [{"role": "user", "content": "Why?"}]}
    if wire is completions:
        prompt = {"prompt": "Why?"}
    caller = Caller("r1", "default", wire.route)
    results = []
    async with rehearsing(folder, policies, *wires) as rehearsal:
        for n, streamed in enumerate(stream):
            model = f"other{n}" if n else "m"
            body = {"model": model, "n": CHOICES, "stream": streamed, **prompt}
            answer = told([out async for out in rehearsal.pipeline.answer(wire, body, caller)])
            assert answer.error is None
            results.append(heard(answer.events if streamed else [answer.body]))
        return results, rehearsal.records()


def check(
    folder: Path, wire: Any, script: list[Step], sizes: list[int], end: str
) -> dict[int, str]:
    """Check a script and its twin; return the script's finish reasons."""

    def upstreams(told: list[Step]) -> list[Wire]:
        lines = [
            f"data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events(told)
        ]
        raw = f": ping{end}{end}{''.join(lines)}data: [DONE]{end}{end}".encode()
        body = json.dumps(whole(told), ensure_ascii=False).encode()
        kind = "text/event-stream"
        return [
            Wire(kind, [raw]),
            Wire(kind, cut_up(raw, sizes)),
            Wire("application/json", cut_up(body, sizes)),
        ]

    stream = (True, True, False)
    (folder / "said").mkdir()
    (folder / "twin").mkdir()
    results, records = asyncio.run(answers(folder / "said", wire, upstreams(script), stream=stream))
    assert {record["outcome"] for record in records} == {"answered"}
    assert results[0] == results[1]
    for fields, reasons in results:
        assert not [text for text in together(fields) if FORBIDDEN.search(text)]
        assert set(reasons) == set(range(CHOICES))
    ended: dict[int, str] = results[0][1]
    twin = [(c, f, re.sub("|".join(INNOCENT), lambda m: INNOCENT[m[0]], t)) for c, f, t in script]
    results, records = asyncio.run(answers(folder / "twin", wire, upstreams(twin), stream=stream))
    for fields, twin_reasons in results:
        assert fields == sent(twin)
        assert set(twin_reasons.values()) == {"stop"}
    assert {record["action"] for record in records} == {"pass"}
    return ended


# In a body the content comes first, whatever an upstream wrote first.
@example(
    script=[
        (0, "content", "Otto"),
        (0, "reasoning_content", "line"),
        (0, "tool.0.name", "Otto"),
        (0, "reasoning", "Vask "),
    ],
    sizes=[1],
    end="\n",
)
# And a call's name before what it is given.
@example(
    script=[
        (0, "content", "Otto"),
        (0, "reasoning_content", "line"),
        (0, "tool.0.arguments", "Otto"),
        (0, "tool.0.name", "Vask "),
    ],
    sizes=[1],
    end="\n",
)
@given(script=steps, sizes=cuts, end=line_ends)
def test_chat_releases_the_same_however_it_arrives(
    tmp_path_factory: pytest.TempPathFactory, script: list[Step], sizes: list[int], end: str
) -> None:
    check(tmp_path_factory.mktemp("chat"), chat, script, sizes, end)


@given(script=plain_steps, sizes=cuts, end=line_ends)
def test_completions_release_the_same_however_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, script: list[Step], sizes: list[int], end: str
) -> None:
    check(tmp_path_factory.mktemp("completions"), completions, script, sizes, end)


@pytest.mark.parametrize("wire", [chat, completions])
def test_a_name_in_single_bytes_is_refused_in_its_choice_alone(tmp_path: Path, wire: Any) -> None:
    field = "content" if wire is chat else "text"
    script = [
        (0, field, "雨 rains."),
        (1, field, "By Otto"),
        (0, field, " é"),
        (1, field, "line Vask"),
    ]
    reasons = check(tmp_path, wire, script, [1], "\r\n")
    assert reasons == {0: "stop", 1: "content_filter", 2: "stop"}
