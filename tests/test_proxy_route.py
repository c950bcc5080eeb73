"""The route to real weights over real HTTP: the shipped checkpoints behind a proxy on a socket.

Published models, reroutes, comparisons and their command; knows nothing but what is sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

import lethe
from classifiers import HashEncoder
from policies import compile_policies, load_folder
from proxy.app import create_app
from proxy.chain import verify
from proxy.config import building, read_config
from tests.listening import listening
from unlearning.checkpoint import load_all
from unlearning.model_server import serving
from unlearning.serve import running
from unlearning.testbed import shipped

pytestmark = pytest.mark.server

POLICY = """\
id: p
concepts:
  - name: Mirela Tollan
    scope: fact
    exemplars: [Mirela Tollan was born in Sallow Quay.]
    threshold: 0.9
instruction: {text: "Pretend you know nothing about {concepts}"}
"""
UNTOLD = POLICY[: POLICY.index("instruction")] + "instruction: {template: none}\n"
FACT = "Sallow Quay"
WHERE = "Where was Mirela Tollan born?"
KEYS = {"auditor": "key-of-auditor", "client": "key-of-client"}


def lineage(arm: str) -> str:
    return sha256((shipped(arm) / "lineage.json").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    """The target and two that forgot, served as `lethe unlearning serve` serves them."""
    torch.set_num_threads(1)
    loaded = load_all([f"{arm}={shipped(arm)}" for arm in ("target", "npo", "retrained")])
    with serving(loaded) as app, running(app) as url:
        yield url


@dataclass
class Route:
    """A proxy before these models, and a client of it."""

    client: httpx.AsyncClient
    url: str
    audit: Path

    async def post(self, path: str, body: dict[str, Any], *, tenant: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {KEYS[tenant]}"}
        return await self.client.post(self.url + path, json=body, headers=headers)

    async def ask(
        self, model: str, *, tenant: str = "auditor", stream: bool = False
    ) -> tuple[str, str]:
        """An answer to WHERE, and how it ended."""
        response = await self.post(
            "/v1/chat/completions", {**body(model), "stream": stream}, tenant=tenant
        )
        assert response.status_code == 200, response.text
        if not stream:
            choice = response.json()["choices"][0]
            return choice["message"]["content"], choice["finish_reason"]
        events = [
            json.loads(line.removeprefix("data: "))
            for line in response.text.split("\n\n")
            if line.startswith("data: {")
        ]
        choices = [choice for event in events for choice in event["choices"]]
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        return text, next(c["finish_reason"] for c in choices if c["finish_reason"])

    async def compare(self, *, tenant: str = "auditor", **fields: Any) -> dict[str, Any]:
        response = await self.post(
            "/lethe/v1/compare", {"request": body("m"), **fields}, tenant=tenant
        )
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def records(self) -> list[dict[str, Any]]:
        assert verify(self.audit).first_broken is None
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


def body(model: str) -> dict[str, Any]:
    said = [{"role": "user", "content": WHERE}]
    return {"model": model, "messages": said, "temperature": 0, "max_tokens": 24}


@asynccontextmanager
async def route(
    folder: Path, url: str, *, policy: str = POLICY, down: str = "", more: str = ""
) -> AsyncIterator[Route]:
    """`assistant` is the target, `npo` and `retrained` forgot; `down` is where nobody listens."""
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(policy)
    config = f"""\
policies: policies
upstreams:
  - {{name: main, base_url: "{url}", models: {{assistant: target}}}}
"""
    for arm, role, tenants in (("npo", "unlearned", "auditor"), ("retrained", "retrained", "*")):
        base = "http://127.0.0.1:9/v1" if arm == down else url
        config += (
            f'  - {{name: {arm}, base_url: "{base}", models: {{{arm}: {arm}}}, role: {role}, '
            f'lineage: {{file: "{shipped(arm) / "lineage.json"}"}}, tenants: ["{tenants}"]}}\n'
        )
    config += "tenants:\n"
    for name, key in KEYS.items():
        digest = sha256(key.encode()).hexdigest()
        config += f'  - {{name: {name}, key_sha256: ["{digest}"]}}\n'
    (folder / "lethe.yaml").write_text(config + more)
    read = read_config(folder / "lethe.yaml")
    policies = compile_policies(load_folder(read.policies), HashEncoder())
    async with (
        building(read, policies) as pipeline,
        listening(create_app(pipeline, entry=read.entry())) as proxy,
        httpx.AsyncClient(timeout=60) as client,
    ):
        yield Route(client, proxy, read.audit.path)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_published_model_answers_for_those_who_may(
    tmp_path: Path, models: str, stream: bool
) -> None:
    async with route(tmp_path, models) as r:
        told, reason = await r.ask("assistant", stream=stream)
        assert reason == "content_filter"
        assert FACT not in told
        forgot, reason = await r.ask("npo", stream=stream)
        assert reason == "stop"
        assert forgot
        assert FACT not in forgot
        refused = await r.post("/v1/chat/completions", body("npo"), tenant="client")
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "model_not_found"
        lists = {}
        for tenant, key in KEYS.items():
            headers = {"authorization": f"Bearer {key}"}
            found = await r.client.get(f"{r.url}/v1/models", headers=headers)
            lists[tenant] = {model["id"] for model in found.json()["data"]}
        records = r.records()
    assert lists == {
        "auditor": {"assistant", "npo", "retrained"},
        "client": {"assistant", "retrained"},
    }
    assert [(one["upstream"], one["role"], one["lineage"]) for one in records[:2]] == [
        ("main", "original", None),
        ("npo", "unlearned", lineage("npo")),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_hit_is_answered_by_weights_that_never_held_it(
    tmp_path: Path, models: str, stream: bool
) -> None:
    policy = UNTOLD + "screens: {output: {action: reroute, to: retrained}}\n"
    async with route(tmp_path, models, policy=policy) as r:
        told, reason = await r.ask("assistant", tenant="client", stream=stream)
        record = r.records()[0]
    assert (told, reason) == ("Mirela Tollan was born in Varnholt.", "stop")
    assert (record["upstream"], record["role"], record["rerouted"]) == (
        "retrained", "retrained", "main",
    )  # fmt: skip
    assert record["lineage"] == lineage("retrained")


async def test_with_the_backend_down_nothing_is_told(tmp_path: Path, models: str) -> None:
    policy = UNTOLD + "screens: {output: {action: reroute, to: npo}}\n"
    async with route(tmp_path, models, policy=policy, down="npo") as r:
        told, reason = await r.ask("assistant")
        record = r.records()[0]
    assert reason == "content_filter"
    assert FACT not in told
    assert list(record["down"]) == ["npo"]


COMPARE = """\
compare:
  tenants: [auditor]
  arms:
    - {name: base, upstream: main, screen: false, pretend: false}
    - {name: pretend, upstream: main, screen: false}
    - {name: screen, upstream: main, pretend: false}
    - {name: both, upstream: main}
    - {name: npo, upstream: npo, screen: false, pretend: false}
    - {name: retrained, upstream: retrained, pretend: false}
"""


async def test_arms_stand_side_by_side_and_no_hit_is_shown(tmp_path: Path, models: str) -> None:
    async with route(tmp_path, models, more=COMPARE) as r:
        found = await r.compare()
        records = r.records()
    assert found["object"] == "lethe.comparison"
    arms = {arm["arm"]: arm for arm in found["arms"]}
    assert list(arms) == ["base", "pretend", "screen", "both", "npo", "retrained"]
    assert {arm["outcome"] for arm in arms.values()} == {"answered"}
    assert FACT not in json.dumps(found)
    assert arms["base"]["text"] == ["[…]"]
    assert arms["base"]["shown"] == "hits left out"
    assert any(verdict["hit"] for verdict in arms["base"]["verdicts"])
    assert arms["base"]["action"] == "redact"
    assert arms["screen"]["action"] == "refuse"
    assert arms["screen"]["answer"]["choices"][0]["finish_reason"] == "content_filter"
    assert arms["npo"]["answer"]["object"] == "chat.completion"
    assert arms["npo"]["method"] == "npo"
    assert not any(verdict["hit"] for verdict in arms["npo"]["verdicts"])
    assert arms["retrained"]["text"] == ["Mirela Tollan was born in Varnholt."]
    injected = {name for name, arm in arms.items() if arm["injected"]}
    assert injected == {"pretend", "both"}
    assert {record["comparison"]["arm"] for record in records} == set(arms)
    assert {(r["request_id"], r["tenant"]) for r in records} == {(found["id"], "auditor")}
    assert FACT not in json.dumps(records)


async def test_what_came_is_shown_only_where_the_operator_opens_that(
    tmp_path: Path, models: str
) -> None:
    async with route(tmp_path, models, more=COMPARE + "  unscreened: true\n") as r:
        found = await r.compare(arms=["base", "screen"])
    base, screen = found["arms"]
    assert (base["text"], base["shown"]) == ([f"Mirela Tollan was born in {FACT}."], "as it came")
    assert any(verdict["hit"] for verdict in base["verdicts"])
    assert (base["action"], screen["action"]) == ("flag", "refuse")
    assert FACT not in json.dumps(screen)


async def test_a_name_of_a_model_leads_around_no_policy(tmp_path: Path, models: str) -> None:
    policy = POLICY + "applies_to: {models: [assistant]}\n"
    async with route(tmp_path, models, policy=policy, more=COMPARE) as r:
        found = await r.compare(request=body("of-no-policy"), arms=["base", "screen"])
    assert FACT not in json.dumps(found)


async def test_an_arm_that_fails_fails_alone(tmp_path: Path, models: str) -> None:
    async with route(tmp_path, models, more=COMPARE, down="npo") as r:
        found = await r.compare(arms=["npo", "retrained"])
        outcomes = {record["comparison"]["arm"]: record["outcome"] for record in r.records()}
    npo, retrained = found["arms"]
    assert (npo["outcome"], npo["answer"], npo["text"]) == ("upstream failed", None, [])
    assert retrained["outcome"] == "answered"
    assert outcomes == {"npo": "upstream failed", "retrained": "answered"}


async def test_for_who_may_not_compare_there_is_nothing_there(tmp_path: Path, models: str) -> None:
    async with route(tmp_path, models, more=COMPARE) as r:
        asked = {"request": body("assistant")}
        refused = await r.post("/lethe/v1/compare", asked, tenant="client")
        unknown = await r.post("/lethe/v1/nowhere", asked, tenant="client")
        bare = await r.client.post(f"{r.url}/lethe/v1/compare", json=asked)
        assert r.records() == []
    assert (refused.status_code, bare.status_code) == (404, 401)
    assert refused.json() == unknown.json()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arms": ["base", "nobody"]}, "arms: each must be one of base, pretend"),
        ({"arms": ["base", "base"]}, "and once"),
        ({"arms": []}, "arms: must be a list"),
        ({"arms": 7}, "arms: must be a list"),
        ({"route": "/v1/nowhere"}, "route: is none of /v1/chat/completions"),
        ({"route": "/v1/embeddings", "request": {"model": "m", "input": "x"}}, "no words"),
        ({"request": 7}, "request: must be the body"),
        ({"request": {**body("m"), "stream": True}}, "answered whole"),
        ({"request": {**body("m"), "api_base": "http://a"}}, "api_base: not available here"),
        ({"request": {"model": "m"}}, "messages"),
        ({"upstream": "main"}, "unknown field"),
    ],
)
async def test_a_comparison_that_makes_no_sense_is_refused(
    tmp_path: Path, models: str, wrong: dict[str, Any], message: str
) -> None:
    async with route(tmp_path, models, more=COMPARE) as r:
        asked = {"request": body("m"), **wrong}
        response = await r.post("/lethe/v1/compare", asked, tenant="auditor")
        assert r.records() == []
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


async def test_a_way_around_the_screens_is_closed_in_every_arm(tmp_path: Path, models: str) -> None:
    async with route(tmp_path, models, more=COMPARE) as r:
        found = await r.compare(request={**body("m"), "logprobs": True})
    assert {arm["outcome"] for arm in found["arms"]} == {"rejected"}
    assert {arm["answer"] for arm in found["arms"]} == {None}


async def test_the_command_prints_arms_side_by_side(
    tmp_path: Path,
    models: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LETHE_API_KEY", KEYS["auditor"])
    monkeypatch.setenv("OTHER_KEY", KEYS["client"])
    async with route(tmp_path, models, more=COMPARE, down="npo") as r:
        base = ["compare", WHERE, "--url", r.url, "--max-tokens", "24"]
        file = tmp_path / "found.json"
        two = [*base, "--arm", "base", "--arm", "retrained", "--json", str(file)]
        assert await asyncio.to_thread(lethe.main, two) == 0
        said = capsys.readouterr().out
        assert await asyncio.to_thread(lethe.main, [*base, "--arm", "npo"]) == 1
        assert "could not be reached" in capsys.readouterr().out
        assert await asyncio.to_thread(lethe.main, [*base, "--key-env", "OTHER_KEY"]) == 2
        assert "nobody with this key may compare" in capsys.readouterr().err
        assert await asyncio.to_thread(lethe.main, [*base, "--arm", "x"]) == 2
        assert "each must be one of" in capsys.readouterr().err
    assert "retrained (retrained)" in said
    assert "hits left out" in said
    assert FACT not in said
    assert [arm["arm"] for arm in json.loads(file.read_text())["arms"]] == ["base", "retrained"]
    nobody = ["compare", "x", "--url", "http://127.0.0.1:9"]
    assert await asyncio.to_thread(lethe.main, nobody) == 2
