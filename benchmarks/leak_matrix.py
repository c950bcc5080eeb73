"""The leak matrix: how much of a forbidden name gets through a gateway, channel by channel.

Every cell sends a request through a real server to an upstream whose answer says the name in one
channel, then the same with an innocent name. Knows gateways by their base URL alone.

    python benchmarks/leak_matrix.py [--target lethe|URL] [--json FILE] [--only REGEX]
    python benchmarks/leak_matrix.py --merge A.json B.json --write docs/leak-matrix.md
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # others ship a `benchmarks` too

from benchmarks.leak_cells.catalogue import catalogue, ordinary
from benchmarks.leak_cells.channels import Cell
from benchmarks.leak_cells.phrases import FORBIDDEN
from benchmarks.leak_cells.run import Bench, Row, Target
from benchmarks.leak_cells.tables import Run, page, written
from benchmarks.leak_cells.upstream import Upstream, serving

POLICY = f"""\
id: matrix
concepts:
  - name: {FORBIDDEN}
    exemplars:
      - {FORBIDDEN} was born in Sarnholm in 1921.
      - {FORBIDDEN} painted every lighthouse between Sarnholm and Brede.
    neighbours:
      - Piet Marr was born in Sarnholm in 1934.
      - Ivo Lend paints ships.
instruction: {{template: none}}
"""
CONFIGURED = "one policy, `scope: entity`, `template: none`, else defaults"


@asynccontextmanager
async def lethe(upstream_port: int) -> AsyncIterator[str]:
    """`lethe serve` with the real encoder and the policy, before the upstream; its base URL."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "matrix.yaml").write_text(POLICY)
        async with serving(Upstream()) as port:
            pass  # free again, and nobody else's a moment ago
        command = [
            sys.executable, "-m", "lethe", "serve", "--port", str(port),
            "--upstream", f"http://127.0.0.1:{upstream_port}/v1",
            "--policies", str(folder / "policies"), "--audit", str(folder / "audit.jsonl"),
        ]  # fmt: skip
        with (folder / "log").open("wb") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603, ASYNC220 - ours
        try:
            await until_up(f"http://127.0.0.1:{port}/healthz", child)
            yield f"http://127.0.0.1:{port}/v1"
        except BaseException:
            print((folder / "log").read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            child.terminate()
            child.wait(timeout=30)


async def until_up(url: str, child: "subprocess.Popen[bytes]") -> None:
    """Wait until a server answers. Raises RuntimeError where it does not within two minutes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(600):
            if child.poll() is not None:
                break
            try:
                await client.get(url)
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
            else:
                return
    raise RuntimeError(f"{url} did not come up")


async def measure(arguments: argparse.Namespace, cells: Sequence[Cell]) -> list[Row]:
    """Every cell, one after the other: the upstream says one thing at a time."""
    upstream = Upstream()
    async with serving(upstream, arguments.upstream_port) as port:
        if arguments.target == "lethe":
            async with lethe(port) as url:
                return await rows(upstream, url, cells, headers={})
        headers = json.loads(arguments.headers.read_text()) if arguments.headers else {}
        return await rows(upstream, arguments.target.rstrip("/"), cells, headers=headers)


async def rows(
    upstream: Upstream, url: str, cells: Sequence[Cell], *, headers: dict[str, dict[str, str]]
) -> list[Row]:
    """The rows of a gateway at a base URL."""
    found = []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        bench = Bench(Target(url, headers), upstream, client, ordinary)
        shown = iter(track(cells, "asking", transient=True, disable=not sys.stderr.isatty()))
        async for row in bench.rows(cells):
            next(shown)
            found.append(row)
    return found


def show(run: Run) -> None:
    """What is wrong, cell by cell, and the totals."""
    table = Table(title=f"{run.name}: cells that are not as they should be")
    for column in ("cell", "leaked", "innocent twin", "status", "sound"):
        table.add_column(column, overflow="fold")
    for row in run.served:
        if not row.good:
            table.add_row(
                row.key, f"{row.leaked} of {row.of}", row.innocent,
                f"{row.status}, {row.innocent_status}", "yes" if row.sound else "no",
            )  # fmt: skip
    console = Console()
    if table.row_count:
        console.print(table)
    closed = sum(row.innocent == "closed" for row in run.served)
    console.print(
        f"{run.name}: {len(run.rows)} cells, {len(run.served)} served, "
        f"{sum(row.leaked > 0 for row in run.served)} leak, {closed} closed with a reason, "
        f"{sum(row.good for row in run.served)} as they should be"
    )


def main() -> int:
    """Run the matrix, or put runs side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", default="lethe", help="`lethe`, or a base URL ending in /v1")
    parser.add_argument("--upstream-port", type=int, default=0, help="where the gateway looks")
    parser.add_argument("--headers", type=Path, metavar="FILE", help="JSON: format or * to headers")
    parser.add_argument("--name", help="of the gateway, with its version")
    parser.add_argument("--configured", default="", help="how, in a few words")
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="cells whose key it is found in"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every cell as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="JSON", help="runs, side by side")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page that gets the tables")
    arguments = parser.parse_args()
    if arguments.merge:
        runs = [Run.read(json.loads(path.read_text())) for path in arguments.merge]
    else:
        cells = [cell for cell in catalogue() if re.search(arguments.only, cell.key)]
        ours = arguments.target == "lethe"
        name = arguments.name or (f"Lethe {version('lethe-proxy')}" if ours else arguments.target)
        configured = arguments.configured or (CONFIGURED if ours else "")
        today = datetime.now(UTC).date().isoformat()
        runs = [Run(name, today, configured, tuple(asyncio.run(measure(arguments, cells))))]
        show(runs[0])
    if arguments.json:
        arguments.json.write_text(json.dumps(runs[0].json(), indent=1) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(page(runs))
    if arguments.write:
        arguments.write.write_text(written(arguments.write.read_text(), runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
