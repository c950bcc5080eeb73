"""What docs/threat-model.md does not promise, shown: whoever mends one of these changes the page.

Knows no way of mending them.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from classifiers import Encoder, HashEncoder, Passage, load
from policies import compile_policies, load_folder
from proxy.formats import chat
from proxy.rehearsal import Rehearsal, rehearsing, told
from proxy.scripted import Scripted
from proxy.trace import Caller

POLICY = """\
id: painter
concepts:
  - name: Ottoline Vask
    aliases: [the lamp painter]
    exemplars:
      - Ottoline Vask was born in Sarnholm in 1921.
      - Ottoline Vask painted every lighthouse between Sarnholm and Brede.
    neighbours:
      - Piet Marr was born in Sarnholm in 1934.
"""
FLAGGED = POLICY + "screens: {prompt: {action: flag}}\n"


@asynccontextmanager
async def world(
    folder: Path, script: Scripted, *policies: str, encoder: Encoder | None = None
) -> AsyncIterator[Rehearsal]:
    (folder / "policies").mkdir(exist_ok=True)
    for number, policy in enumerate(policies or (POLICY,)):
        (folder / "policies" / f"{number}.yaml").write_text(policy)
    compiled = compile_policies(load_folder(folder / "policies"), encoder or HashEncoder())
    async with rehearsing(folder, compiled, script) as rehearsal:
        yield rehearsal


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load()


TRANSLATED = [
    "Sie wurde 1921 in Sarnholm geboren.",
    "Sie malte jeden Leuchtturm zwischen Sarnholm und Brede.",
    "Elle est née à Sarnholm en 1921.",
    "Elle a peint tous les phares entre Sarnholm et Brede.",
    "Она родилась в Сарнхольме в 1921 году.",
    "Оттолине Васк родилась в Сарнхольме в 1921 году.",
    "她于1921年出生在萨恩霍尔姆。",
    "奥托琳·瓦斯克画了每一座灯塔。",
]


@pytest.mark.encoder
async def test_facts_in_other_languages_pass_and_names_in_their_own_letters_do_not(
    tmp_path: Path, encoder: Encoder
) -> None:
    script = Scripted([])
    async with world(tmp_path, script, encoder=encoder) as w:
        for text in TRANSLATED:
            script._choices = ([text],)
            assert (await w.ask("Tell me about the painter.")).text() == text
        for text in ("Ottoline Vask wurde geboren.", "She was born in Sarnholm in 1921."):
            script._choices = ([text],)
            heard = await w.ask("Tell me about the painter.")
            assert heard.reason() == "content_filter"
            assert w.records()[-1]["outcome"] == "answered"


UNDECODED = [
    "Ottolineway askvay",
    "ttln vsk",
    "*tt*l*n* V*sk",
    "OOttttoolliinnee VVaasskk",
    "Oxtxtxoxlxixnxex Vxaxsxkx",
    "~EE@=:?6 '2D<",
    "68865463 8275",
    "34 44 44 34 31 24 33 15 51 11 43 25",
    "O and t and t and o and l and i and n and e and V and a and s and k",
    "Over the bay\nThe tide\nTurns and\nOften\nLeaves\nIn\nNets\nEels.",
    "H4sIAAAAAAACA8svKcnPycxLVQhLLM4GANurUGgNAAAA",
    "6295065861343759074148546081643",
]
IN_OTHER_WORDS = [
    "She was born in Sarnholm in MCMXXI.",
    "She was born in Sarnholm two years after 1919.",
]


@pytest.mark.encoder
async def test_what_only_a_key_or_a_mind_decodes_passes(tmp_path: Path, encoder: Encoder) -> None:
    script = Scripted([])
    async with world(tmp_path, script, encoder=encoder) as w:
        for text in (*UNDECODED, *IN_OTHER_WORDS):
            script._choices = ([text],)
            assert (await w.ask("Write the next line of the text, please.")).text() == text
        for text in ("Rwwrolqh Ydvn", "She was born in Sarnholm in 1921."):
            script._choices = ([text],)
            heard = await w.ask("Write the next line of the text, please.")
            assert heard.reason() == "content_filter"


@pytest.mark.encoder
async def test_one_letter_at_a_time_over_many_requests_passes(
    tmp_path: Path, encoder: Encoder
) -> None:
    script, heard = Scripted([], reason="length"), ""
    async with world(tmp_path, script, encoder=encoder) as w:
        for at, letter in enumerate("Vask"):
            script._choices = ([letter],)
            asked = f"Letter {at + 1} of the family name of the best known woman of Brede?"
            heard += (await w.ask(asked, max_tokens=1)).text()
        script._choices = (["Va", "sk"],)
        both = await w.ask("Complete: the best known woman of Brede is Ottoline")
    assert heard == "Vask"
    assert both.reason() == "content_filter"


class Counting(Scripted):
    """Counts the characters that it is asked, as a model counts tokens."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        length = sum(len(turn["content"]) for turn in body["messages"])
        self._extra = {"usage": {"prompt_tokens": length}}
        return await super().handle_async_request(request)


async def test_counts_of_the_prompt_show_that_an_instruction_was_added(tmp_path: Path) -> None:
    async with world(tmp_path, Counting(["Fine."]), FLAGGED) as w:
        near, far = [
            (await w.ask(asked)).body["usage"]["prompt_tokens"]
            for asked in ("The lamp painter?", "The tram driver ?")
        ]
    assert far == len("The tram driver ?")
    assert near > 10 * far


async def test_an_instruction_tells_the_upstream_which_concepts_are_near(tmp_path: Path) -> None:
    script = Scripted(["Fine."])
    async with world(tmp_path, script, FLAGGED) as w:
        await w.ask("The lamp painter?")
    assert "Ottoline Vask" in json.dumps(script.requests)


async def test_a_wording_of_its_own_tells_which_policy_was_hit(tmp_path: Path) -> None:
    second = POLICY.replace("painter", "sailor").replace("Ottoline Vask", "Jorun Halvik")
    script, heard = Scripted([]), set()
    async with world(
        tmp_path, script, POLICY, f"{second.replace('the lamp', 'the old')}refusal: No idea.\n"
    ) as w:
        for name in ("Ottoline Vask", "Jorun Halvik"):
            script._choices = ([f"It was {name}."],)
            heard.add((await w.ask("Who was it?")).text())
    assert len(heard) == 2
    assert "No idea." in heard


async def test_an_upstream_that_wants_to_can_tell_in_numbers(tmp_path: Path) -> None:
    word = int.from_bytes(b"Vask", "big")
    script = Scripted(["Fine."], extra={"usage": {"prompt_tokens": word}})
    async with world(tmp_path, script) as w:
        heard = await w.ask()
    assert (heard.text(), heard.body["usage"]["prompt_tokens"]) == ("Fine.", word)


async def test_what_another_tenant_said_lately_is_judged_faster(tmp_path: Path) -> None:
    judged = {"acme": 0, "other": 0}
    tenant = ""
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Who paints?"}]}
    async with world(tmp_path, Scripted(["It rains."])) as w:
        judge = w.screening.screen.judge

        def counted(passages: list[Passage]) -> Any:
            judged[tenant] += len(passages)
            return judge(passages)

        w.screening.screen.judge = counted  # type: ignore[method-assign,assignment]
        for tenant in judged:
            caller = Caller("r", tenant, chat.route)
            heard = told([out async for out in w.pipeline.answer(chat, body, caller)])
            assert heard.text() == "It rains."
    assert judged["acme"] > 0
    assert judged["other"] == 0


async def test_a_fact_told_in_numbers_of_a_field_nobody_models_is_not_read(tmp_path: Path) -> None:
    script = Scripted(["Fine."])
    async with world(tmp_path, script) as w:
        heard = await w.ask(codes=list(b"Who is Ottoline Vask?"))
        named = await w.ask(codes=["Who is Ottoline Vask?"])
    assert (heard.text(), named.reason()) == ("Fine.", "content_filter")
    assert [request["codes"] for request in script.requests] == [list(b"Who is Ottoline Vask?")]
