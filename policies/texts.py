"""A file of exemplars or neighbours as a list of sentences. Knows no policy and no YAML."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from classifiers import segment
from policies.document import SURROGATE

MOST_BYTES = 8 << 20
MOST_TEXTS = 20_000
LONGEST = 2000  # characters of one text

ITEM = re.compile(r"(?:[-*+]|\d{1,3}[.)])\s+")
RULE = re.compile(r"[-*_=]{3,}")


class TextsError(ValueError):
    """A file that gives no texts, and what to do about it. Never holds a text."""


def read_texts(folder: Path, name: str) -> list[str]:
    """Read the texts of a file inside a folder, links followed.

    `.txt`: every line, cut into sentences; `.md`: every paragraph and list item likewise;
    `.jsonl`: the `text` of every line. Blank lines and lines beginning with `#` are skipped.
    Raises TextsError.
    """
    # JSON may hold other line ends than these within a text.
    lines = content(_inside(folder, name)).split("\n")
    kind = Path(name).suffix.lower()
    if kind == ".jsonl":
        texts = [_json_text(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    else:
        blocks = _paragraphs(lines) if kind == ".md" else _lines(lines)
        texts = [sentence for block in blocks for sentence in _sentences(block)]
    if not texts:
        raise TextsError("holds no text; write a sentence a line into it")
    if len(texts) > MOST_TEXTS:
        raise TextsError(f"holds {len(texts)} texts, at most {MOST_TEXTS} are read; split it")
    return texts


def read_whole(folder: Path, name: str) -> list[str]:
    """Read a file inside a folder as it stands: one text, of `.jsonl` one a line, of any length.

    Raises TextsError.
    """
    whole = content(_inside(folder, name))
    if Path(name).suffix.lower() != ".jsonl":
        return [whole] if whole.strip() else []
    lines = enumerate(whole.split("\n"), 1)
    return [_json_text(line, number, most=MOST_BYTES) for number, line in lines if line.strip()]


def content(path: Path) -> str:
    """The text of a file of bounded size. Raises TextsError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise TextsError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise TextsError(f"line {line} is not UTF-8; save the file as UTF-8") from None
    if len(raw) > MOST_BYTES:
        raise TextsError(f"is larger than {MOST_BYTES} bytes; split it")
    return text


def _inside(folder: Path, name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name or "\0" in name:
        raise TextsError("must be a path inside the policy's folder, without .. or \\")
    try:
        path = (folder / name).resolve(strict=True)
        within, readable = path.is_relative_to(folder.resolve()), path.is_file()
    except FileNotFoundError:
        raise TextsError(f"there is no such file in {folder}") from None
    except (OSError, RuntimeError) as error:  # a circle of links is a RuntimeError before 3.13
        reason = getattr(error, "strerror", None) or "its links lead in a circle"
        raise TextsError(f"cannot be read: {reason}") from None
    if not within:
        raise TextsError("is a link that leads out of the policy's folder; copy the file into it")
    if not readable:
        raise TextsError("is no file")
    return path


def _json_text(line: str, number: int, *, most: int = LONGEST) -> str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise TextsError(f"line {number} is not JSON") from None
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise TextsError(f'line {number} has no text; write {{"text": "…"}}')
    text = " ".join(text.split())
    if len(text) > most:
        raise TextsError(f"line {number} is longer than {most} characters; split it")
    if SURROGATE.search(text):
        raise TextsError(f"line {number} holds half of a surrogate pair; write the character")
    return text


def _lines(lines: list[str]) -> Iterator[str]:
    return (line for line in lines if not line.lstrip().startswith("#"))


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Lines of one paragraph joined; a list item begins one."""
    paragraph: list[str] = []
    for line in (*(line.strip() for line in lines), ""):
        item = ITEM.match(line)
        breaks = not line or line.startswith("#") or RULE.fullmatch(line)
        if breaks or item:
            yield " ".join(paragraph)
            paragraph = []
        if not breaks:
            paragraph.append(line[item.end() :] if item else line)


def _sentences(block: str) -> Iterator[str]:
    for span in segment(block):
        sentence = " ".join(block[span.start : span.end].split())
        if sentence:
            yield sentence
