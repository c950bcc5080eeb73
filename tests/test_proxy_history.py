"""Hits in earlier turns: answered around or refused, and judged once however long the talk."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from classifiers import Passage, Verdict
from classifiers.hashing import HashEncoder
from policies import PolicySet, compile_policies, load_folder
from proxy.rehearsal import Rehearsal, rehearsing
from proxy.scripted import Scripted

OLD = [
    {"role": "user", "content": "It rains today. Who is Ottoline Vask?"},
    {"role": "assistant", "content": "I don't know that name."},
    {"role": "user", "content": "Then tell me about the ferry."},
]


def policies(folder: Path, *, history: str = "around", action: str = "refuse") -> PolicySet:
    folder.mkdir(exist_ok=True)
    (folder / "p.yaml").write_text(
        "id: p\n"
        "concepts: [{name: Ottoline Vask}]\n"
        "instruction: {template: none}\n"
        f"screens: {{prompt: {{action: {action}, history: {history}}}}}\n"
    )
    return compile_policies(load_folder(folder), HashEncoder())


def asking(
    tmp_path: Path, upstream: Scripted, **wanted: str
) -> AbstractAsyncContextManager[Rehearsal]:
    return rehearsing(tmp_path, policies(tmp_path / "policies", **wanted), upstream)


async def test_an_old_hit_is_left_out_and_the_talk_goes_on(tmp_path: Path) -> None:
    upstream = Scripted(["It leaves at nine."])
    async with asking(tmp_path, upstream) as w:
        heard = await w.ask(messages=OLD)
    assert heard.text() == "It leaves at nine."
    sent = upstream.requests[0]["messages"]
    assert sent[0]["content"] == "It rains today. […]"
    assert sent[1:] == OLD[1:]
    record = w.records()[0]
    assert (record["action"], record["outcome"]) == ("redact", "answered")
    assert [v["where"] for v in record["verdicts"] if v["hit"]] == [
        "messages.0.content",
        "joined",
    ]


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        pytest.param(OLD, {"history": "refuse"}, id="the policy says so"),
        pytest.param([*OLD, OLD[0]], {}, id="asked again"),
        pytest.param([{"role": "system", "content": "Ottoline Vask"}, OLD[2]], {}, id="system"),
        pytest.param(
            [OLD[2], {"role": "tool", "tool_call_id": "c", "content": "Ottoline Vask"}],
            {},
            id="behind the question",
        ),
        pytest.param(
            [
                OLD[0] | {"content": "Hello."},
                {"role": "assistant", "content": None, "name": "Ottoline Vask"},
                OLD[2],
            ],
            {},
            id="a name is no sentence",
        ),
    ],
)
async def test_what_is_refused_all_the_same(
    tmp_path: Path, messages: list[dict[str, Any]], wanted: dict[str, str]
) -> None:
    upstream = Scripted(["It leaves at nine."])
    async with asking(tmp_path, upstream, **wanted) as w:
        heard = await w.ask(messages=messages)
    assert heard.reason() == "content_filter"
    assert upstream.requests == []


async def test_a_name_split_over_two_turns_loses_its_older_half(tmp_path: Path) -> None:
    upstream = Scripted(["It leaves at nine."])
    split = [
        {"role": "user", "content": "Remember this. Ottoline"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Vask is the rest of it."},
    ]
    glued = [
        {"role": "user", "content": "Remember: Otto"},
        {"role": "user", "content": "line Vask"},
    ]
    async with asking(tmp_path, upstream) as w:
        await w.ask(messages=[split[0], split[2]])
        await w.ask(messages=glued)
    assert [m["content"] for m in upstream.requests[0]["messages"]] == [
        "Remember this. […]",
        "Vask is the rest of it.",
    ]
    assert [m["content"] for m in upstream.requests[1]["messages"]] == ["[…]", "line Vask"]


FIRST, REST = "Remember this. Ottoline", "Vask is the rest of it."
TURN = {"role": "assistant", "content": "Yes."}
CALLS = [
    {"id": name, "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    for name in ("c1", "c2")
]


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        pytest.param(
            [{"role": "user", "content": FIRST}, TURN, {"role": "user", "content": REST}],
            "Remember this. […]",
            id="an answer",
        ),
        pytest.param(
            [
                {"role": "user", "content": letters}
                for letters in ("O", "t", "t", "o", "l", "i", "n", "e", "V", "a", "s", "k")
            ],
            "[…]",
            id="nothing, letter for letter",
        ),
        pytest.param(
            [
                {"role": "user", "content": "Look."},
                {"role": "assistant", "content": None, "tool_calls": CALLS},
                {"role": "tool", "tool_call_id": "c1", "content": "Ottoline"},
                {"role": "tool", "tool_call_id": "c2", "content": "Vask"},
                OLD[2],
            ],
            "Look.",
            id="an identifier",
        ),
    ],
)
async def test_a_name_over_two_turns_is_seen_whatever_stands_between(
    tmp_path: Path, messages: list[dict[str, Any]], left: str
) -> None:
    upstream = Scripted(["It leaves at nine."])
    async with asking(tmp_path, upstream) as w:
        assert (await w.ask(messages=messages)).text() == "It leaves at nine."
    sent = upstream.requests[0]["messages"]
    assert sent[0]["content"] == left
    words = " ".join(turn["content"] or "" for turn in sent if turn["role"] != "assistant")
    assert "ottolinevask" not in words.lower().replace(" ", "")


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(
            [{"role": "system", "content": FIRST}, TURN, {"role": "user", "content": REST}],
            id="system and user",
        ),
        pytest.param(
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": FIRST, "cache_control": {"type": "ephemeral"}},
                        {"type": "text", "text": REST},
                    ],
                }
            ],
            id="parts with a field between",
        ),
    ],
)
async def test_a_name_that_reaches_into_the_question_is_refused(
    tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    upstream = Scripted(["It leaves at nine."])
    async with asking(tmp_path, upstream) as w:
        assert (await w.ask(messages=messages)).reason() == "content_filter"
    assert upstream.requests == []


async def test_turns_of_two_people_are_left_alone(tmp_path: Path) -> None:
    upstream = Scripted(["It leaves at nine."])
    talk = [
        {"role": "user", "content": "My aunt is called Ottoline."},
        TURN,
        {"role": "user", "content": "Her neighbour is Piet Vask. When does the ferry leave?"},
    ]
    async with asking(tmp_path, upstream) as w:
        assert (await w.ask(messages=talk)).text() == "It leaves at nine."
        assert w.records()[0]["action"] == "pass"
    assert upstream.requests[0]["messages"] == talk


async def test_an_old_call_loses_its_arguments_and_stays_json(tmp_path: Path) -> None:
    upstream = Scripted(["It leaves at nine."])
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"who": "Ottoline Vask"}'},
    }
    messages = [
        {"role": "user", "content": "Look it up."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": '["Ottoline Vask"]'},
        OLD[2],
    ]
    async with asking(tmp_path, upstream) as w:
        assert (await w.ask(messages=messages)).text() == "It leaves at nine."
    sent = upstream.requests[0]["messages"]
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert sent[2]["content"] == "[]"


@pytest.fixture
async def counting(tmp_path: Path) -> AsyncIterator[tuple[Rehearsal, list[int]]]:
    seen: list[int] = []
    async with asking(tmp_path, Scripted(["It leaves at nine."])) as w:
        judge = w.screening.screen.judge

        def counted(passages: list[Passage]) -> list[tuple[Verdict, ...]]:
            seen.append(sum(len(p.text) for p in passages))
            return judge(passages)

        w.screening.screen.judge = counted  # type: ignore[method-assign,assignment]
        yield w, seen


async def test_a_long_talk_costs_its_new_turn(counting: tuple[Rehearsal, list[int]]) -> None:
    w, seen = counting
    messages: list[dict[str, Any]] = []
    costs: list[int] = []
    for turn in range(40):
        words = " ".join(f"Ferry {turn} leaves from pier {n}." for n in range(20))
        messages.append({"role": "user", "content": words})
        seen.clear()
        await w.ask(messages=messages)
        costs.append(sum(seen))
        messages.append({"role": "assistant", "content": f"Noted {turn}."})
    size = sum(len(m["content"]) for m in messages)
    assert size > 20_000
    # The new turn, what stands around it in the joined texts, and the answer.
    assert max(costs[5:]) < size / 2
    assert max(costs[30:]) < 1.5 * max(costs[5:15])
