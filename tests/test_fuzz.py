"""Each target of the fuzzer: its seeds, some bytes at random, and a bounded run guided by coverage.

By hand, for longer: `python -m tests.fuzz.run --seconds 600 way`.
"""

import importlib.util
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.app import FORMATS
from proxy.exchange import Format
from tests.fuzz.mutation import SECRET
from tests.fuzz.targets import TARGETS, client_bytes, seeds, texts, written
from tests.fuzz.wires import REQUESTS, STREAMS, two_choices

ROOT = Path(__file__).parents[1]
SECONDS = int(os.environ.get("LETHE_FUZZ_SECONDS", "10"))
SAID = [
    (route, number)
    for route in STREAMS
    if route in FORMATS
    for number in range(len(STREAMS[route]))
]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_seeds_and_any_bytes_break_nothing(target: str) -> None:
    draw = random.Random(4711)
    for seed in seeds(target):
        TARGETS[target](seed)
    for _ in range(300):
        TARGETS[target](draw.randbytes(draw.randrange(200)))


async def _client(wire: Format, number: int, pieces: list[str]) -> list[str]:
    make = STREAMS[wire.route][number]
    many = {"n": 2} if make is two_choices else {}
    request = wire.read({**REQUESTS[wire.route][0], "stream": True, **many})
    told = [piece for piece in pieces for _ in range(2 if many else 1)]  # to both alike
    stream = written(make(told), typed=wire.typed)
    return list(texts(await client_bytes(wire, request, [stream])).values())


@pytest.mark.parametrize(("route", "number"), SAID)
async def test_the_way_lets_an_innocent_answer_through_and_no_other(
    route: str, number: int
) -> None:
    # Or a way that lets nothing through would pass for a safe one.
    innocent = "|".join(await _client(FORMATS[route], number, ["It ", "rains."]))
    assert "It" in innocent
    assert "rains." in innocent
    assert not innocent.startswith("the upstream failed")
    guilty = await _client(FORMATS[route], number, ["It rains. ", "Hog", "warts."])
    assert SECRET not in "".join(guilty)
    assert "warts." not in "".join(guilty)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no build for this Python"
)
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_run_guided_by_coverage_finds_nothing(target: str, tmp_path: Path) -> None:
    options = ["--seconds", str(SECONDS), "--findings", str(tmp_path), target]
    run = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "tests.fuzz.run", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS * 3 + 120,
        check=False,
    )
    found = [path.read_bytes().hex() for path in tmp_path.iterdir()]
    assert (run.returncode, found) == (0, []), run.stderr[-4000:]
    counted = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    assert counted
    assert int(counted[1]) > len(seeds(target))
