"""Files of harmless responses, and the passages that a response is judged as. Knows no screen."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from classifiers import Passage, Span, segment, windows_at
from classifiers.background import BACKGROUND
from policies.draft.documents import DraftError, Said, read_sources
from policies.texts import TextsError, content

Response = tuple[Passage, ...]


class ResponsesError(ValueError):
    """A file that gives no responses, and what to do about it. Never holds a text."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Harmless responses, each once: somebody's own, or the sentences that come with Lethe."""

    responses: tuple[Said, ...] = field(repr=False)
    given: bool

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the responses in their order."""
        said = json.dumps([(one.before, one.text) for one in self.responses])
        return hashlib.sha256(said.encode()).hexdigest()


def read_traffic(paths: Iterable[Path]) -> Traffic:
    """Every response of every file, the same one twice once; without files the background.

    `.txt`: a line each; `.jsonl` and `.json`: `{"question": …, "answer": …}`, `{"text": …}` or
    `{"messages": […]}` each. Raises ResponsesError.
    """
    files = dict.fromkeys(paths)
    found = (said for path in files for said in _read(path))
    # With somebody's traffic the background would only water down its rate.
    texts = found if files else map(Said, BACKGROUND)
    return Traffic(tuple(dict.fromkeys(texts)), given=bool(files))


def response(said: Said) -> Response:
    """The question, if there is one, as what goes in, and the answer as what comes out."""
    answer = passage(said.text, before=said.before)
    return (passage(said.before), answer) if said.before else (answer,)


def passage(text: str, *, before: str = "") -> Passage:
    """A whole text with every window that a proxy compares."""
    spans = segment(text)
    found: dict[Span, None] = {}
    for at in range(len(spans)):
        found |= dict.fromkeys(windows_at(text, spans, at))
    return Passage(text, tuple(found), before)


def _read(path: Path) -> list[Said]:
    try:
        if path.suffix.lower() == ".txt":
            lines = (line.strip() for line in content(path).split("\n"))
            found = [Said(line) for line in lines if line]
        elif path.suffix.lower() in (".jsonl", ".json"):
            found = [said for source in read_sources([path]) for said in source.passages]
        else:
            raise ResponsesError(f"{path}: harmless responses end in .txt, .jsonl or .json")
    except TextsError as error:
        raise ResponsesError(f"{path}: {error}") from None
    except DraftError as error:
        raise ResponsesError(str(error)) from None
    if not found:
        raise ResponsesError(f"{path}: holds no response; write one a line")
    return found
