"""A run on two Ray workers: the same records as in one process."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leakage import sweep
from leakage.arms import Arm
from leakage.attacks import CATALOGUE
from leakage.calls import Limits
from leakage.probes import Probe, write
from leakage.records import Record
from leakage.sweep import Sweep, attackable
from lethe import main
from tests.chat_api import chat_api

PROBES = [
    Probe(f"p{n}", f"c{n}", "direct", "forget", f"Where was person {n} born?", ("Tarn Hollow",))
    for n in range(6)
]


def say(body: dict[str, Any]) -> str:
    """Tells by what it is asked, and nothing of what is no chat."""
    return f"Tarn Hollow, {len(json.dumps(body['messages']))}." if "messages" in body else ""


@pytest.fixture
def url() -> Iterator[str]:
    with chat_api(say) as served:
        yield served


def plan(url: str) -> Sweep:
    names = ("json", "poem", "crescendo", "best-of-n", "in-context")
    return Sweep(
        arms=[Arm("a", url, "m"), Arm("b", url, "m", system="Be brief.")],
        probes=PROBES,
        attacks={name: CATALOGUE[name] for name in names},
        attacked=attackable(PROBES),
        asked=PROBES,
        limits=Limits(retries=0),
        stream="never",
    )


def same(record: Record) -> Record:
    return replace(record, at="", latency_s=0.0, first_token_s=None)


@pytest.mark.server
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_draw_what_one_process_draws(url: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    engine = importlib.import_module("leakage.ray_engine")
    one = asyncio.run(sweep.run(plan(url), tmp_path / "one"))
    two = engine.run(plan(url), tmp_path / "two", address="local")
    assert (two.requests, two.kept) == (0, len(one.records))  # the workers asked all of it
    assert [same(r) for r in two.records] == [same(r) for r in one.records]


def test_without_ray_the_error_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "leakage.ray_engine", raising=False)
    write(tmp_path / "probes.jsonl", PROBES)
    config = tmp_path / "run.yaml"
    config.write_text("probes: {file: probes.jsonl}\narms: [{name: a, url: 'http://x/v1'}]\n")
    command = ["leakage", "run", str(config), "--out", str(tmp_path / "out"), "--ray", "local"]
    assert main(command) == 2
    assert "lethe-proxy[ray]" in capsys.readouterr().err
