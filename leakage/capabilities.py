"""What an arm allows beside whole answers, found out by asking; and what it is made of.

Knows no attack: the questions are harmless, and an arm that declines them allows nothing.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from leakage.arms import Arm
from leakage.attacks.turns import Need
from leakage.calls import Attempt, Limits, call
from leakage.chat import ReplyError, parse
from leakage.prefill import goes_on
from leakage.prompt_tokens import TOP

_QUESTION = [{"role": "user", "content": "Name three colours of the rainbow."}]
_TEXT = "The colours of the rainbow are"
_TOOL = {
    "type": "function",
    "function": {
        "name": "record_colour",
        "description": "Writes a colour down.",
        "parameters": {
            "type": "object",
            "properties": {"colour": {"type": "string"}},
            "required": ["colour"],
        },
    },
}
_CHAT: Mapping[Need, Mapping[str, Any]] = {
    "n": {"messages": _QUESTION, "n": 2, "temperature": 1.0},
    "stream": {"messages": _QUESTION, "stream": True},
    "stop": {"messages": _QUESTION, "stop": ["\n"]},
    "logprobs": {"messages": _QUESTION, "logprobs": True, "top_logprobs": 2},
    "prompt_logprobs": {"messages": _QUESTION, "prompt_logprobs": 0, "max_tokens": 1},
    "prompt_top": {"messages": _QUESTION, "prompt_logprobs": TOP, "max_tokens": 1},
    "tools": {
        "messages": _QUESTION,
        "tools": [_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "record_colour"}},
    },
}
_TEXTS: Mapping[Need, Mapping[str, Any]] = {
    "completions": {"prompt": _TEXT},
    "echo": {"prompt": _TEXT, "echo": True},
}
_TOKENS = 8
_SHORT_S = 30.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """Everything of `Need` that an arm does; `sure` where no request failed in passing.

    `unknown` is what it may do: what it answered does not tell.
    """

    needs: frozenset[Need]
    sure: bool = True
    unknown: frozenset[Need] = frozenset()


async def allowed(client: httpx.AsyncClient, arm: Arm, *, limits: Limits) -> Allowed:
    """What the arm does when it is asked for it; one request each, and up to eleven for prefill."""
    found: set[Need] = set()
    unknown: set[Need] = set()
    sure = True

    async def ask(path: str, fields: Mapping[str, Any]) -> Attempt:
        nonlocal sure
        body = {"model": arm.model, "max_tokens": _TOKENS, **fields}
        attempt = await call(client, f"{arm.base_url}/{path}", body, limits=limits)
        sure = sure and not attempt.transient and attempt.status is not None
        return attempt

    for path, asked in (("chat/completions", _CHAT), ("completions", _TEXTS)):
        for need, fields in asked.items():
            attempt = await ask(path, fields)
            if attempt.error is None and attempt.status == 200 and _DONE[need](attempt):
                found.add(need)
    begun = await goes_on(
        lambda fields: ask("chat/completions", fields), tells_tokens="prompt_logprobs" in found
    )
    if begun is not False:
        (unknown if begun is None else found).add("prefill")
    return Allowed(frozenset(found), sure, frozenset(unknown))


async def listed(client: httpx.AsyncClient, arm: Arm) -> Mapping[str, Any]:
    """What the arm says about its model at `/models`; empty where it says nothing.

    Times are left out: they change while the model does not.
    """
    try:
        answer = await client.get(f"{arm.base_url}/models", timeout=_SHORT_S)
        entries = parse(answer.content).get("data", [])
    except (httpx.HTTPError, ReplyError):
        return {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("id") == arm.model:
            return {key: value for key, value in entry.items() if key != "created"}
    return {}


def fingerprint(arm: Arm, *, where: str, entry: Mapping[str, Any], made_of: Any) -> str:  # noqa: ANN401
    """Of an arm: where it is, its model, what `/models` tells of it, and what its owner names.

    `made_of` is any JSON value, such as digests of the policy and the weights. The values of
    headers are secrets and do not count; their names do. 16 hexadecimal digits of a SHA-256.
    """
    seen = [where, arm.model, arm.system, sorted(arm.headers), dict(entry), made_of]
    text = json.dumps(seen, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _choices(attempt: Attempt) -> list[Mapping[str, Any]]:
    given = attempt.reply.body.get("choices")
    return [c for c in given if isinstance(c, dict)] if isinstance(given, list) else []


def _says(attempt: Attempt, field: str) -> bool:
    message = [c.get("message") for c in _choices(attempt)]
    return any(isinstance(m, dict) and bool(m.get(field)) for m in message)


def _tells_alternatives(attempt: Attempt) -> bool:
    given = attempt.reply.body.get("prompt_logprobs")
    return isinstance(given, list) and any(isinstance(e, dict) and len(e) > 2 for e in given)


_DONE: Mapping[Need, Callable[[Attempt], bool]] = {
    "n": lambda attempt: len(_choices(attempt)) == 2,
    "stream": lambda attempt: attempt.reply.spoke or attempt.reply.finish_reason is not None,
    # Nothing at all may come, if the answer begins with what ends it.
    "stop": lambda attempt: bool(_choices(attempt)),
    "logprobs": lambda attempt: any(attempt.reply.alternatives),
    "prompt_logprobs": lambda attempt: bool(attempt.reply.body.get("prompt_logprobs")),
    "prompt_top": _tells_alternatives,
    "tools": lambda attempt: _says(attempt, "tool_calls"),
    "completions": lambda attempt: any(isinstance(c.get("text"), str) for c in _choices(attempt)),
    "echo": lambda attempt: attempt.reply.content.startswith(_TEXT),
}
