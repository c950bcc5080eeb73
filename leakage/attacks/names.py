"""What a question is about, found and respelled. Knows no attack by name."""

import re
from collections.abc import Callable

from leakage.probes import Probe

_FIRST_WORD = re.compile(r"\s*\S+\s*")
_NAME = re.compile(r"[^\W\d_]*[A-Z\u00c0-\u00de][^\W_]*(?:['\u2019-][^\W_]+)*")


def names(probe: Probe) -> list[str]:
    """What the prompt is about: its subject where given, else its runs of capitalised words.

    The first word is capitalised for another reason, so it never counts.
    """
    if probe.subject and probe.subject in probe.prompt:
        return [probe.subject]
    first = _FIRST_WORD.match(probe.prompt)
    runs: list[list[str]] = [[]]
    for word in probe.prompt[first.end() if first else 0 :].split():
        name = _NAME.match(word)
        if name:
            runs[-1].append(name[0].removesuffix("'s").removesuffix("\u2019s"))
        if not name or name[0] != word:
            runs.append([])
    found = (" ".join(run) for run in runs)
    return [name for name in dict.fromkeys(found) if name and name in probe.prompt]


def topic(probe: Probe) -> str:
    """In words, what the question is about; the concept where the prompt does not tell."""
    return " and ".join(names(probe)) or probe.subject or probe.concept


def respelled(probe: Probe, spell: Callable[[str], str]) -> str:
    """The prompt with its names spelled anew; the whole of it where none can be told."""
    prompt = probe.prompt
    for name in names(probe) or [prompt]:
        prompt = prompt.replace(name, spell(name))
    return prompt


def pointed(probe: Probe, word: str = "them") -> str:
    """The prompt with a word in place of its names."""
    prompt = probe.prompt
    for name in names(probe):
        prompt = prompt.replace(name, word)
    return prompt
