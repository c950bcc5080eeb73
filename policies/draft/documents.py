"""Files that somebody hands in, as passages: what was said, behind which question.

Knows no concept and no policy. Errors never hold a text.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.document import SURROGATE
from policies.texts import LONGEST, TextsError, content

PROSE = (".txt", ".md")
ROWS = (".jsonl", ".json")
# The first of these that a row has is its text, and its question.
TEXTS = ("text", "answer", "answers", "passage", "intro", "content")
QUESTIONS = ("question", "query", "prompt", "before")
ABOUT = ("subject", "title", "entity", "target", "concept")
FORMS = '{"text": …}, {"question": …, "answer": …} or {"messages": […]}'
MOST_ROWS = 100_000


class DraftError(ValueError):
    """Why there is no draft, and what to do about it. Never holds a text of a document."""


@dataclass(frozen=True, slots=True)
class Said:
    """One passage, the question that it answers, and whom its row says it is about, if any."""

    text: str = field(repr=False)
    before: str = field(default="", repr=False)
    about: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in one file: prose is a single passage, of rows each is one."""

    path: Path
    passages: tuple[Said, ...] = field(repr=False)


def read_sources(paths: Iterable[Path]) -> list[Source]:
    """Read every file, one that is named twice once. Raises DraftError."""
    return [_source(path) for path in dict.fromkeys(paths)]


def _source(path: Path) -> Source:
    kind = path.suffix.lower()
    if kind not in (*PROSE, *ROWS):
        kinds = ", ".join((*PROSE, *ROWS))
        raise DraftError(f"{path}: documents end in {kinds}; save it as text")
    try:
        text = content(path)
    except TextsError as error:
        raise DraftError(f"{path}: {error}") from None
    if "\0" in text:
        raise DraftError(f"{path}: is not text; save it as UTF-8 text")
    try:
        found = (
            [Said(text)] if kind in PROSE else [said for row in _rows(text, kind) for said in row]
        )
    except TextsError as error:
        raise DraftError(f"{path}: {error}") from None
    if not any(said.text.strip() for said in found):
        raise DraftError(f"{path}: holds no text; give a file with sentences in it")
    return Source(path, tuple(found))


def _rows(text: str, kind: str) -> Iterator[list[Said]]:
    if kind == ".json":
        yield from _listed(text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if number > MOST_ROWS:
            raise TextsError(f"holds more than {MOST_ROWS} lines; split it")
        if line.strip():
            yield _row(_parsed(line, f"line {number}"), f"line {number}")


def _listed(text: str) -> Iterator[list[Said]]:
    """A list of rows, a row, or a mapping that holds one list of rows."""
    whole = _parsed(text, "the file")
    if isinstance(whole, dict) and not _said(whole):
        lists = [value for value in whole.values() if isinstance(value, list)]
        whole = lists[0] if len(lists) == 1 else whole
    rows = whole if isinstance(whole, list) else [whole]
    for number, row in enumerate(rows, 1):
        yield _row(row, f"row {number}")


def _parsed(text: str, where: str) -> Any:  # noqa: ANN401 - what JSON holds is anything
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise TextsError(f"{where} is not JSON; mend it, or save the file as .txt") from None


def _row(row: object, where: str) -> list[Said]:
    found = [Said(row.strip())] if isinstance(row, str) else []
    found = _said(row) if isinstance(row, dict) else found
    if not any(said.text for said in found):
        raise TextsError(f"{where} has no text; write {FORMS}")
    if any(SURROGATE.search(said.text + said.before) for said in found):
        raise TextsError(f"{where} holds half of a surrogate pair; write the character")
    return found


def _said(row: dict[str, Any]) -> list[Said]:
    if isinstance(messages := row.get("messages"), list):
        return list(_turns(messages))
    values = (row.get(key) for key in TEXTS)
    text = next((value for value in values if value not in (None, "", [])), None)
    if isinstance(text, list):  # several answers say the same
        text = text[0]
    if not isinstance(text, str) or not text.strip():
        return []
    before, about = (
        next((value for key in keys if isinstance(value := row.get(key), str)), "")
        for keys in (QUESTIONS, ABOUT)
    )
    return [Said(text.strip(), before.strip()[-LONGEST:], about.strip())]


def _turns(messages: list[Any]) -> Iterator[Said]:
    """Every turn of the assistant, behind the user's before it."""
    before = ""
    for message in messages:
        said = message.get("content") if isinstance(message, dict) else None
        if not isinstance(said, str) or not said.strip():
            continue
        if message.get("role") == "user":
            before = said.strip()[-LONGEST:]
        elif message.get("role") == "assistant":
            yield Said(said.strip(), before)
