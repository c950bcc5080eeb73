"""Part of the leak matrix before Lethe on real sockets: nothing leaks, innocent twins arrive.

The encoder is the double for plumbing, so names alone are found; the whole matrix with the real
encoder is a benchmark, and docs/leak-matrix.md shows it.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.leak_cells.catalogue import catalogue, ordinary
from benchmarks.leak_cells.channels import PATHS, Cell
from benchmarks.leak_cells.run import Bench, Row, Target
from benchmarks.leak_cells.upstream import Upstream, serving
from benchmarks.leak_matrix import POLICY
from proxy.app import FORMATS
from proxy.chain import verify
from tests.listening import proxy_before

pytestmark = pytest.mark.server

SERVED = {wire for wire, path in PATHS.items() if f"/v1{path}" in FORMATS} | {"models"}
# Cells that are not as they should be, and why.
KNOWN: dict[str, str] = {}


@asynccontextmanager
async def lethe(folder: Path, upstream_port: int) -> AsyncIterator[str]:
    """Lethe before the upstream; its base URL."""
    upstream = f"http://127.0.0.1:{upstream_port}/v1"
    async with proxy_before(None, folder, policy=POLICY, base_url=upstream) as url:
        yield f"{url}/v1"


async def measured(folder: Path, cells: list[Cell]) -> list[Row]:
    upstream = Upstream()
    async with (
        serving(upstream) as port,
        lethe(folder, port) as url,
        httpx.AsyncClient(timeout=30, trust_env=False) as client,
    ):
        bench = Bench(Target(url, {}), upstream, client, ordinary)
        return [row async for row in bench.rows(cells)]


def wrong(rows: list[Row]) -> dict[str, tuple[int, str, bool]]:
    return {row.key: (row.leaked, row.innocent, row.sound) for row in rows if not row.good}


@pytest.mark.parametrize("wire", sorted(SERVED))
async def test_no_channel_of_any_mode_leaks(tmp_path: Path, wire: str) -> None:
    cells = [
        cell
        for cell in catalogue()
        if cell.channel.wire == wire and (cell.disguise, cell.chunking) == ("plain", "whole")
    ]
    rows = await measured(tmp_path, cells)
    assert set(wrong(rows)) == {key for key in KNOWN if key.startswith(f"{wire}/")}, wrong(rows)
    assert all(row.why for row in rows if row.innocent == "closed")
    intact = sum(row.innocent == "intact" for row in rows)
    assert intact > 0.75 * len(rows)


async def test_no_disguise_and_no_chunking_of_an_answer_leaks(tmp_path: Path) -> None:
    names = {"content", "text", "output text", "tool input"}
    cells = [
        cell
        for cell in catalogue()
        if cell.channel.wire in SERVED
        and cell.channel.name in names
        and (cell.disguise, cell.chunking) != ("plain", "whole")
    ]
    rows = await measured(tmp_path, cells)
    assert len(rows) > 20
    assert wrong(rows) == {}


async def test_the_record_of_a_cell_says_what_happened(tmp_path: Path) -> None:
    cells = [cell for cell in catalogue() if cell.key == "chat/content/stream/plain/whole"]
    rows = await measured(tmp_path, cells)
    assert [row.good for row in rows] == [True]
    path = tmp_path / "audit.jsonl"
    assert verify(path).first_broken is None
    records = [json.loads(line) for line in path.read_text().splitlines()]
    # A probe whether the format is served, the forbidden name, the innocent one.
    assert [record["action"] for record in records] == ["pass", "refuse", "pass"]
    assert {record["outcome"] for record in records} == {"answered"}
