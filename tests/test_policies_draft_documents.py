"""Documents that somebody hands in: what is read of them, and why one is refused."""

import json
from pathlib import Path

import pytest

from policies.draft.documents import DraftError, Said, read_sources
from policies.draft.prose import paragraphs


def read(path: Path, content: str | bytes) -> tuple[Said, ...]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    [source] = read_sources([path])
    return source.passages


def test_prose_is_one_passage_and_rows_are_one_each(tmp_path: Path) -> None:
    prose = "Ottoline Vask paints.\n\nShe lives in Brede."
    assert read(tmp_path / "a.txt", prose) == (Said(prose),)
    rows = [
        {"text": "Ottoline Vask paints.", "subject": "Ottoline Vask"},
        {"question": "Where does she live?", "answer": "In Brede."},
        {"query": "She lives in ___.", "answers": ["Brede", "Brede, Marrland"]},
        {
            "messages": [
                {"role": "user", "content": "Who paints?"},
                {"role": "assistant", "content": "Ottoline Vask does."},
            ]
        },
    ]
    wanted = (
        Said("Ottoline Vask paints.", about="Ottoline Vask"),
        Said("In Brede.", "Where does she live?"),
        Said("Brede", "She lives in ___."),
        Said("Ottoline Vask does.", "Who paints?"),
    )
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert read(tmp_path / "a.jsonl", lines) == wanted
    assert read(tmp_path / "a.json", json.dumps(rows)) == wanted
    assert read(tmp_path / "b.json", json.dumps({"version": 1, "rows": rows})) == wanted
    assert read(tmp_path / "c.json", json.dumps(rows[0])) == wanted[:1]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.pdf", b"%PDF", "documents end in .txt, .md, .jsonl, .json; save it as text"),
        ("a.txt", b"", "holds no text"),
        ("a.txt", b"  \n\n ", "holds no text"),
        ("a.txt", b"Ottoline \xff Vask", "line 1 is not UTF-8"),
        ("a.md", b"Ottoline\0Vask", "is not text"),
        ("a.txt", b"x" * ((8 << 20) + 1), "is larger than"),
        ("a.jsonl", b'{"text": "fine"}\n{"text": ', "line 2 is not JSON"),
        ("a.jsonl", b'{"title": "Vask"}\n', "line 1 has no text; write"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "line 1 holds half of a surrogate pair"),
        ("a.json", b"[1]", "row 1 has no text; write"),
        ("a.json", b"[" * 100_000, "the file is not JSON"),
        ("missing.txt", None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_document_is_told_where_and_why(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DraftError) as raised:
        read_sources([path])
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)
    assert "Vask" not in str(raised.value)


def test_a_document_is_sentences_without_headings_marks_and_pointers() -> None:
    document = (
        "== Early life ==Ottoline Vask (; born 1921) was born in Brede.[1] She painted.[citation "
        "needed]\nHer *first* picture hangs in [the hall](https://x.example/hall).\n\n"
        "## Works\n- *The Lamp* (1950)\n- The Ferry,\n  unfinished\n\n"
        "== See also ==\nList of painters of Brede.\n"
    )
    assert paragraphs(document) == [
        [
            "Ottoline Vask (born 1921) was born in Brede.",
            "She painted.",
            "Her first picture hangs in the hall.",
        ],
        ["The Lamp (1950)"],
        ["The Ferry, unfinished"],
    ]


def test_the_dot_of_a_day_ends_no_sentence() -> None:
    document = "Ida Marr (* 12. Juni 1938 in Brede) baute Orgeln. Er hatte 12. In 1965 he left."
    assert paragraphs(document) == [
        ["Ida Marr (* 12. Juni 1938 in Brede) baute Orgeln.", "Er hatte 12.", "In 1965 he left."]
    ]
