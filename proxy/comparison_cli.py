"""`lethe compare`: a question to several arms of a running proxy, answers and verdicts in a table.

Knows the proxy by its HTTP interface alone. The key comes from the environment.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

PATH = "/lethe/v1/compare"
KEY_VARIABLE = "LETHE_API_KEY"
PATIENCE_S = 600.0

Object = dict[str, Any]


def register(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lethe compare`."""
    parser.add_argument("question", help="what every arm is asked")
    parser.add_argument(
        "--url", default="http://127.0.0.1:8484", help="where the proxy listens (%(default)s)"
    )
    parser.add_argument(
        "--arm", action="append", metavar="NAME", help="an arm to ask; several; default: all"
    )
    parser.add_argument(
        "--model",
        default="any",
        help="model name in the request, for upstreams that serve any name (%(default)s)",
    )
    parser.add_argument("--system", metavar="TEXT", help="a system message before the question")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="bound on each answer")
    parser.add_argument(
        "--key-env",
        default=KEY_VARIABLE,
        metavar="NAME",
        help="environment variable that holds the tenant's key (%(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the comparison there too")
    parser.set_defaults(run=compare)


def compare(arguments: argparse.Namespace) -> int:
    """Ask and print. Returns 1 where an arm failed, 2 where nothing could be compared."""
    try:
        found = _asked(arguments)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        print(f"lethe compare: {_plain(str(error))}", file=sys.stderr)
        return 2
    arms: list[Object] = found["arms"]
    Console().print(table(arms))
    return 0 if all(arm["outcome"] == "answered" for arm in arms) else 1


def table(arms: list[Object]) -> Table:
    """The arms side by side: who answered, what, and the strongest verdict."""
    made = Table(show_lines=True)
    for column in ("arm", "upstream", "screen", "pretend", "action", "answer", "found in it"):
        made.add_column(column, overflow="fold")
    for arm in arms:
        kind = f"{arm['upstream']} ({arm['method'] or arm['role']})"
        said = "\n".join(arm["text"]) if arm["outcome"] == "answered" else str(arm["error"])
        if arm["shown"] != "as released":
            said += f"\n({arm['shown']})"
        flags = ("yes" if arm[key] else "no" for key in ("screen", "pretend"))
        cells = (arm["arm"], kind, *flags, arm["action"], said, _strongest(arm["verdicts"]))
        made.add_row(*(Text(_plain(str(cell))) for cell in cells))
    return made


def _asked(arguments: argparse.Namespace) -> Object:
    """The comparison. Raises ValueError with what the proxy says where it is none."""
    turns = [{"role": "system", "content": arguments.system}] if arguments.system else []
    request: Object = {
        "model": arguments.model,
        "messages": [*turns, {"role": "user", "content": arguments.question}],
    }
    if arguments.max_tokens is not None:
        request["max_tokens"] = arguments.max_tokens
    body: Object = {"request": request}
    if arguments.arm:
        body["arms"] = arguments.arm
    key = os.environ.get(arguments.key_env, "")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = arguments.url.rstrip("/").removesuffix("/v1") + PATH
    response = httpx.post(url, json=body, headers=headers, timeout=PATIENCE_S, trust_env=False)
    found = response.json()
    if response.status_code == 404:
        raise ValueError(f"{url}: nobody with this key may compare; see `compare` in lethe.yaml")
    if response.status_code != 200:
        raise ValueError(f"{url}: {found['error']['message']}")
    if not isinstance(found, dict) or found.get("object") != "lethe.comparison":
        raise ValueError(f"{url}: answers with no comparison; is it a Lethe?")
    return found


def _strongest(verdicts: list[Object]) -> str:
    """The verdict on the answer that says most: hits before what is only near, then by score."""
    said = [verdict for verdict in verdicts if verdict["where"][:1].isdigit()]
    if not said:
        return ""
    best = max(said, key=lambda verdict: (verdict["hit"], verdict["score"]))
    grade = "hit" if best["hit"] else "near"
    return f"{grade}: {best['concept']} ({best['kind']} {best['score']:.2f})"


def _plain(text: str) -> str:
    """A text without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)
