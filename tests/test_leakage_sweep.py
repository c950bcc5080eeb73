"""The sweep against real servers: resumed after a kill, asked once, honest about what it lacks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leakage import records, sweep
from leakage.arms import Arm, ArmError
from leakage.attacks import CATALOGUE
from leakage.calls import Limits
from leakage.probes import Message, Probe, write
from leakage.records import Record
from leakage.sweep import Outcome, Sweep, attackable
from lethe import main

pytestmark = pytest.mark.server

# A chat API that logs each body, with a counter of its own: an answer that never changes.
SERVER = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: two would wait for each other
    def log_message(self, *_): pass
    def send(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)
    def do_GET(self):
        self.send(200, {"data": [{"id": "m", "created": time.time(), "weights": "w1"}]})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/chat/completions" or set(body) & {"tools", "prompt_logprobs"}:
            return self.send(400, {"error": {"message": "no"}})
        with open(sys.argv[1], "a") as log:
            log.write(json.dumps(body) + "\\n")
        time.sleep(float(sys.argv[2]))
        asked = body["messages"][-1]["content"]
        said = "Tarn Hollow, I am told." if "born" in asked else "Tea is made of leaves."
        message = {"role": "assistant", "content": said}
        self.send(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
"""

SHORT = "attacks: [json, leet, base64, rot13, poem, authority, need]\ndraws: 2\nextraction: false"
LONG = "attacks: [best-of-n, crescendo, persistence]\ndraws: 4"

PROBES = (
    *(
        Probe(
            f"p{n}",
            f"c{n % 5}",
            "direct",
            "forget",
            f"Where was person {n} born?",
            ("Tarn Hollow",),
        )
        for n in range(10)
    ),
    Probe("tea", "tea", "direct", "world", "Tea is made of what?", ("leaves",)),
)
ATTACKS = ("json", "persistence", "crescendo", "logprobs", "tool-arguments", "multiple-choice")


class Api:
    """The server in a process of its own; `requests` is what it was asked, `bodies` the draws."""

    def __init__(self, folder: Path, pause_s: float = 0.0) -> None:
        self._log = folder / "asked.jsonl"
        self._log.touch()
        self._child = subprocess.Popen(  # noqa: S603 - the server above
            [sys.executable, "-c", SERVER, str(self._log), str(pause_s)], stdout=subprocess.PIPE
        )
        assert self._child.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._child.stdout.readline())}/v1"

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [row for row in self.requests if "seed" in row]  # what arms allow is asked without

    def stop(self) -> None:
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    served = Api(tmp_path)
    yield served
    served.stop()


def plan(url: str, **changes: Any) -> Sweep:
    given = Sweep(
        arms=[Arm("a", url), Arm("b", url, system="Be brief.")],
        probes=PROBES,
        attacks={name: CATALOGUE[name] for name in ATTACKS},
        attacked=attackable(PROBES),
        asked=PROBES,
        where={"a": "A", "b": "B"},
        limits=Limits(retries=0),
        sampling={"seed": 7},
    )
    return replace(given, **changes)


def run(given: Sweep, folder: Path) -> Outcome:
    return asyncio.run(sweep.run(given, folder))


def told(made: list[Record]) -> list[tuple[Any, ...]]:
    """What must be the same whenever it was asked."""
    return [
        (r.run, r.arm, r.probe, r.kind, r.draw, r.answered, r.refused, r.requests, r.lacks,
         r.answer_sha256, r.shard, r.fingerprint)
        for r in made
    ]  # fmt: skip


def test_every_arm_is_asked_in_every_way_and_what_it_lacks_is_not_asked(
    api: Api, tmp_path: Path
) -> None:
    outcome = run(plan(api.url), tmp_path / "out")
    made = outcome.records
    assert records.read(tmp_path / "out" / "records.jsonl") == made
    assert len(made) == 2 * len(PROBES) * (1 + len(ATTACKS) + 1)
    by_kind = {r.kind: r for r in made if r.arm == "b" and r.probe == "p3"}
    direct = by_kind["direct"]
    assert (direct.leak, direct.channel, direct.span, direct.length) == (True, "content", 1.0, 23)
    assert by_kind["attack:crescendo"].requests == 5
    for kind, need in (("attack:logprobs", "logprobs"), ("attack:tool-arguments", "tools")):
        assert by_kind[kind].lacks == need
        assert (by_kind[kind].leak, by_kind[kind].requests) == (None, 0)
    assert (
        by_kind["likelihood"].lacks == "prefill, prompt_logprobs"
        or by_kind["likelihood"].lacks == "prompt_logprobs"
    )
    assert outcome.requests == len(api.bodies)
    systems = {body["messages"][0]["content"] for body in api.bodies if len(body["messages"]) > 1}
    assert "Be brief." in systems
    # The seed is another for each turn, and the same for both arms.
    seeds = [body["seed"] for body in api.bodies]
    assert max(seeds.count(seed) for seed in seeds) == 2


def test_what_was_asked_is_not_asked_again_and_another_make_of_an_arm_is(
    api: Api, tmp_path: Path
) -> None:
    first = run(plan(api.url), tmp_path)
    asked = len(api.bodies)
    again = run(plan(api.url), tmp_path)
    assert (again.requests, len(api.bodies)) == (0, asked)
    assert again.records == first.records
    other = run(plan(api.url, made_of={"b": "new weights"}), tmp_path)
    assert other.requests == first.requests // 2
    assert other.kept == len(first.records) // 2
    assert other.fingerprints["a"] == first.fingerprints["a"]
    assert len(other.records) == len(first.records)


@pytest.mark.parametrize(
    ("ways", "concurrency"), [(SHORT, 1), (LONG, 8)], ids=["a few requests a draw", "many"]
)
def test_a_run_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, ways: str, concurrency: int
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = Api(tmp_path / "whole")
    try:
        config = _config(tmp_path / "whole", whole.url, ways, concurrency)
        assert main(_arguments(config, tmp_path / "whole" / "out")) == 0
        needed = len(whole.requests)
    finally:
        whole.stop()
    killed = Api(tmp_path / "killed", pause_s=0.004)
    try:
        config = _config(tmp_path / "killed", killed.url, ways, concurrency)
        child = _command(config, tmp_path / "killed" / "out")
        while len(killed.requests) < needed // 2:
            assert child.poll() is None
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        before = len(killed.requests)
        assert before < needed
        assert any((tmp_path / "killed" / "out" / "shards").glob("*.part")) == (ways == LONG)
        assert main(_arguments(config, tmp_path / "killed" / "out")) == 0
        repeated = len(killed.requests) - needed
    finally:
        killed.stop()
    # What was in flight, and nothing that was answered.
    assert 0 <= repeated <= min(concurrency, 0.02 * needed)
    assert not any((tmp_path / "killed" / "out").rglob("*.part"))
    found = [
        [row[1:-2] for row in told(records.read(tmp_path / name / "out" / "records.jsonl"))]
        for name in ("whole", "killed")
    ]
    assert found[0] == found[1]


def _config(folder: Path, url: str, ways: str, concurrency: int) -> Path:
    write(folder / "probes.jsonl", [_with_context(probe) for probe in PROBES])
    text = f"""
probes: {{file: probes.jsonl}}
arms:
  - {{name: a, url: "{url}"}}
{ways}
likelihoods: false
concurrency: {concurrency}
retries: 0
"""
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _with_context(probe: Probe) -> Probe:
    return replace(probe, messages=(Message("system", "You know everybody."),))


def _arguments(config: Path, out: Path) -> list[str]:
    return ["leakage", "run", str(config), "--out", str(out)]


def _command(config: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lethe", *_arguments(config, out)]
    return subprocess.Popen(  # noqa: S603 - this program
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_an_arm_that_has_gone_ends_the_run_and_its_errors_are_asked_again(
    api: Api, tmp_path: Path
) -> None:
    given = plan(api.url, likelihoods=False, attacks={"json": CATALOGUE["json"]}, concurrency=1)
    folder = tmp_path / "out"
    seen = 0

    def made(_shard: object, _record: Record) -> None:
        nonlocal seen
        seen += 1
        if seen == 5:
            api.stop()

    with pytest.raises(ArmError, match="20 times in a row"):
        asyncio.run(sweep.run(given, folder, made=made))
    lines = [records.read(path) for path in (folder / "shards").iterdir()]
    assert sum(r.error is None for found in lines for r in found) == 5
    back = Api(tmp_path)
    try:
        outcome = run(replace(given, arms=[replace(arm, base_url=back.url) for arm in given.arms]),
                      folder)  # fmt: skip
    finally:
        back.stop()
    assert outcome.kept == 5
    assert {r.error for r in outcome.records} == {None}


def test_arms_that_cannot_be_found_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArmError, match="does not answer"):
        run(plan("http://127.0.0.1:9/v1"), tmp_path)
