"""LiteLLM's content filter: a list of names. It has no threshold, and no over-blocking to choose.

Whole names are blocked words; what goes for a name, its last word, is a keyword of a category of
its own, as keywords are found as whole words and blocked words within others, too.
"""

import asyncio
import logging
import os
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.detection_parts.measured import counted
from benchmarks.detection_parts.texts import Person, Probe
from benchmarks.peer_parts.asked import Peer, Rows
from classifiers.evidence import SUFFIXES

CATEGORY = "people"


def peer(people: Sequence[Person]) -> Peer:
    """Filters of all names. Raises ImportError."""
    logging.getLogger("LiteLLM Proxy").setLevel(logging.ERROR)  # it logs every hit
    runner = asyncio.Runner()

    def blocked(one: Any, text: str, kind: str) -> bool:  # noqa: ANN401
        return runner.run(_blocked(one, text, kind))

    filters = {
        "whole names": _filter([one.name for one in people], []),
        "names, and the last word of each": _filter(
            [one.name for one in people], [last_word(one.name) for one in people]
        ),
    }
    both = filters["names, and the last word of each"]

    def rows(probes: Sequence[Probe]) -> Rows:
        found = {}
        for name, one in filters.items():
            stopped = [
                blocked(one, p.question, "request") or blocked(one, p.answer, "response")
                for p in probes
            ]
            found[name] = counted(probes, np.array(stopped))
        return found

    return Peer(f"LiteLLM {version('litellm')}", lambda text: blocked(both, text, "request"), rows)


def _filter(words: Sequence[str], keywords: Sequence[str]) -> Any:  # noqa: ANN401 (a peer's class)
    """The filter as `litellm_params` of a guardrail would have it made."""
    from litellm.proxy.guardrails.guardrail_hooks.litellm_content_filter.content_filter import (  # noqa: PLC0415
        ContentFilterGuardrail,
    )
    from litellm.types.guardrails import BlockedWord, ContentFilterAction  # noqa: PLC0415

    blocked = [BlockedWord(keyword=word, action=ContentFilterAction.BLOCK) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{CATEGORY}.yaml"
        listed = [{"keyword": word, "severity": "high"} for word in keywords]
        file.write_text(yaml.safe_dump({"category_name": CATEGORY, "keywords": listed}))
        os.environ["LITELLM_CONTENT_FILTER_ALLOW_EXTERNAL_PATHS"] = "true"
        category = {"category": CATEGORY, "action": "BLOCK", "category_file": str(file)}
        found = ContentFilterGuardrail(
            guardrail_name="names", blocked_words=blocked, categories=[category] if keywords else []
        )
    if len(found.category_keywords) != len(set(map(str.lower, keywords))):
        raise RuntimeError("LiteLLM did not read the category file")
    return found


async def _blocked(one: Any, text: str, kind: str) -> bool:  # noqa: ANN401
    from fastapi import HTTPException  # noqa: PLC0415

    try:
        await one.apply_guardrail({"texts": [text]}, {}, kind)
    except HTTPException:
        return True
    return False


def last_word(name: str) -> str:
    """What goes for a name: its last word, or the one before "Jr." and "the Great"."""
    words = [w for w in name.split() if w.strip(".,").lower() not in SUFFIXES]
    return (words or [name])[-1].strip(".,")
