"""Policies read again by a running server: nothing is dropped, nothing is judged by half."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.app import Door, through
from proxy.chain import verify
from proxy.config import AuditConfig, Config, UpstreamConfig, building
from proxy.exchange import Body
from proxy.reloading import Reloading
from proxy.scripted import Scripted
from tests.listening import listening

ANSWER = "She met Cyrus Pell in Brede, and nobody else."


def policy(name: str, concept: str) -> str:
    return f"""\
id: {name}
concepts:
  - name: {concept}
    exemplars: ["{concept} was born in Sarnholm in 1921."]
    threshold: 0.9
"""


class Held(Scripted):
    """Answers once it may."""

    def __init__(self) -> None:
        super().__init__([ANSWER])
        self.may = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        await self.may.wait()
        return answer


@dataclass(frozen=True)
class Running:
    url: str
    reloading: Reloading
    upstream: Held
    folder: Path

    async def ask(self, client: httpx.AsyncClient) -> Body:
        body = {"model": "m", "messages": [{"role": "user", "content": "Whom did she meet?"}]}
        response = await client.post(f"{self.url}/v1/chat/completions", json=body)
        assert response.status_code == 200
        choice: Body = response.json()["choices"][0]
        return choice

    async def begun(self, client: httpx.AsyncClient) -> "asyncio.Task[Body]":
        """A request that the upstream has and has not answered."""
        asked = asyncio.ensure_future(self.ask(client))
        count = len(self.upstream.requests)
        while len(self.upstream.requests) == count:  # noqa: ASYNC110 - it grows, that is all
            await asyncio.sleep(0.01)
        return asked

    async def reload(self) -> None:
        self.reloading.ask()
        await self.reloading.settle()

    async def digest(self, client: httpx.AsyncClient) -> str:
        found: str = (await client.get(f"{self.url}/readyz")).json()["policies"]
        return found

    def records(self) -> list[Body]:
        lines = (self.folder / "audit.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(policy("p", "Ottoline Vask"))
    config = Config(
        policies=folder / "policies",
        upstreams=[UpstreamConfig(name="u", base_url="http://upstream/v1")],
        audit=AuditConfig(path=folder / "audit.jsonl"),
    )
    policies, upstream = compile_policies(load_folder(config.policies), HashEncoder()), Held()
    async with (
        building(config, policies, transport=upstream) as pipeline,
        httpx.AsyncClient(timeout=30) as client,
    ):
        door = Door(pipeline, config.entry())
        async with listening(through(door)) as url:
            yield Running(url, Reloading(config, pipeline, door.serve), upstream, folder), client
    assert verify(folder / "audit.jsonl").first_broken is None


async def test_a_request_ends_under_the_policies_it_began_with(tmp_path: Path) -> None:
    async with running(tmp_path) as (proxy, client):
        before, first = await proxy.digest(client), await proxy.begun(client)
        (tmp_path / "policies" / "q.yaml").write_text(policy("q", "Cyrus Pell"))
        await proxy.reload()
        assert not first.done()
        assert await proxy.digest(client) != before
        second = await proxy.begun(client)
        proxy.upstream.may.set()
        old, new = await first, await second
        assert old["message"]["content"] == ANSWER
        assert new["finish_reason"] == "content_filter"
        assert "Pell" not in json.dumps(new)
        records = proxy.records()
    changed = [record for record in records if record.get("event") == "policies"]
    assert [record["before"] for record in changed] == [before]
    judged = {
        record["outcome"] + str(record["action"]): {
            p["id"]: p["digest"] for p in record["policies"]
        }
        for record in records
        if "policies" in record
    }
    (one,), (p, q) = sorted(judged.values(), key=len)
    assert (one, p, q) == ("p", "p", "q")
    assert len({found["p"] for found in judged.values()}) == 1


async def test_no_request_is_dropped_while_policies_come_and_go(tmp_path: Path) -> None:
    async with running(tmp_path) as (proxy, client):
        proxy.upstream.may.set()
        other = tmp_path / "policies" / "q.yaml"

        async def changing() -> None:
            for _ in range(4):
                other.write_text(policy("q", "Cyrus Pell"))
                await proxy.reload()
                other.unlink()
                await proxy.reload()

        changed = asyncio.ensure_future(changing())
        answers = []
        while not changed.done():
            answers += await asyncio.gather(*(proxy.ask(client) for _ in range(4)))
        await changed
        answers.append(await proxy.ask(client))
    assert {answer["finish_reason"] for answer in answers} <= {"stop", "content_filter"}
    assert answers[-1]["message"]["content"] == ANSWER
    for answer in answers:
        assert ("Pell" in json.dumps(answer)) == (answer["finish_reason"] == "stop")


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("q.yaml", "id: q\nconcept: [Cyrus Pell]\nmode: never\n", "q.yaml:"),
        ("q.yaml", policy("p", "Cyrus Pell"), "q.yaml:"),
        ("q.yaml", policy("q", "P"), "1 problem(s), the first at "),
        ("p.yaml", None, "no policy file"),
    ],
)
async def test_what_is_wrong_changes_nothing_and_is_told_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, content: str | None, told: str
) -> None:
    async with running(tmp_path) as (proxy, client):
        before = await proxy.digest(client)
        path = tmp_path / "policies" / file
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with caplog.at_level(logging.ERROR, "lethe"):
            await proxy.reload()
        (line,) = [record.getMessage() for record in caplog.records if record.name == "lethe"]
        assert line.startswith("policies stay as they were: ")
        assert told in line
        assert "problem" in line
        assert "Pell" not in line
        assert "\n" not in line
        assert await proxy.digest(client) == before
        proxy.upstream.may.set()
        assert (await proxy.ask(client))["message"]["content"] == ANSWER
        # Mended, it is taken.
        path.write_text(policy(path.stem, "Cyrus Pell"))
        await proxy.reload()
        assert (await proxy.ask(client))["finish_reason"] == "content_filter"


async def test_asked_twice_while_it_reads_it_reads_once_more(tmp_path: Path) -> None:
    async with running(tmp_path) as (proxy, client):
        other = tmp_path / "policies" / "q.yaml"
        other.write_text(policy("q", "Ottoline Marr"))
        proxy.reloading.ask()
        await asyncio.sleep(0)
        other.write_text(policy("q", "Cyrus Pell"))
        proxy.reloading.ask()
        proxy.reloading.ask()
        await proxy.reloading.settle()
        proxy.upstream.may.set()
        assert (await proxy.ask(client))["finish_reason"] == "content_filter"
