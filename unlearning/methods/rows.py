"""Rows to forget and rows to keep, read from JSONL and checked. Knows no model."""

import json
from collections.abc import Sequence
from pathlib import Path

from unlearning.methods.batch import Row

QUESTION_KEYS = ("question", "prompt")


class RowsError(ValueError):
    """Rows that cannot be trained on. Says the file and the line, and quotes no row."""


def read(path: Path) -> list[Row]:
    """The rows of a JSONL file.

    A line is an object with `answer`, and `messages` (objects with `role` and `content`) or
    `question` (or `prompt`); `unit` says whose data it is (default: the line is a unit of its
    own). Other keys are ignored. Raises RowsError, also where there is no row.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise RowsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RowsError(f"{path}: not UTF-8") from None
    rows = [
        _row(f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()
    ]
    if not rows:
        raise RowsError(f"{path}: no rows; an empty set can be neither forgotten nor kept")
    return rows


def write(rows: Sequence[Row], path: Path) -> None:
    """One line a row."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row.as_json(), ensure_ascii=False) + "\n" for row in rows)


def check(forget: Sequence[Row], retain: Sequence[Row]) -> None:
    """Raise RowsError unless both sets hold rows and share none."""
    if not forget or not retain:
        empty = "forget" if not forget else "retain"
        raise RowsError(f"the {empty} set is empty; give it at least one row")
    kept = {(row.turns, row.answer): at for at, row in enumerate(retain, start=1)}
    for at, row in enumerate(forget, start=1):
        if (row.turns, row.answer) in kept:
            other = kept[row.turns, row.answer]
            raise RowsError(
                f"row {at} of the forget set is row {other} of the retain set; remove it from one"
            )


def _row(where: str, line: str) -> Row:
    try:
        value = json.loads(line)
    except ValueError:
        raise RowsError(f"{where}: not JSON") from None
    if not isinstance(value, dict):
        raise RowsError(f"{where}: not a JSON object")
    answer = value.get("answer")
    if not isinstance(answer, str) or not answer:
        raise RowsError(f"{where}: answer: a text is needed")
    unit = value.get("unit", where)
    if not isinstance(unit, str):
        raise RowsError(f"{where}: unit: not a text")
    return Row(_turns(where, value), answer, unit)


def _turns(where: str, value: dict[str, object]) -> tuple[tuple[str, str], ...]:
    for key in QUESTION_KEYS:
        if isinstance(question := value.get(key), str) and question:
            return (("user", question),)
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RowsError(f"{where}: messages or question: one of them is needed")
    turns = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(role, str) or not isinstance(content, str):
            raise RowsError(f"{where}: messages: each has a role and a content, both texts")
        turns.append((role, content))
    return tuple(turns)
