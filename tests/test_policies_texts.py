"""Files of exemplars: what counts as a text, and what may be read."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.texts import LONGEST, MOST_BYTES, MOST_TEXTS, TextsError, read_texts


def texts(folder: Path, name: str, content: str | bytes) -> list[str]:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(raw)
    return read_texts(folder, name)


def test_a_line_of_text_is_cut_into_sentences(tmp_path: Path) -> None:
    content = "# Mira\n\n  \nShe was born in Port Vell. She  writes.\r\n  She has a cat.\n"
    assert texts(tmp_path, "a.txt", content) == [
        "She was born in Port Vell.",
        "She writes.",
        "She has a cat.",
    ]


def test_markdown_joins_the_lines_of_a_paragraph_and_takes_list_items_alone(tmp_path: Path) -> None:
    content = (
        "# Mira\nShe was born\nin Port Vell.\n\n---\n- She writes\n  novels\n2. She has a cat\n"
    )
    assert texts(tmp_path, "a.MD", content) == [
        "She was born in Port Vell.",
        "She writes novels",
        "She has a cat",
    ]


def test_json_lines_give_their_text_whole(tmp_path: Path) -> None:
    content = '{"text": "She was born. She\u2028writes.", "source": 1}\n\n{"text": "x"}\n'
    assert texts(tmp_path, "a.jsonl", content) == ["She was born. She writes.", "x"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", "", "holds no text"),
        ("a.md", "# only\n## headings\n", "holds no text"),
        ("a.txt", b"one\ntwo\xff", "line 2 is not UTF-8"),
        ("a.txt", "x\n" * (MOST_TEXTS + 1), f"holds {MOST_TEXTS + 1} texts"),
        ("a.txt", "x" * (MOST_BYTES + 1), "is larger than"),
        ("a.jsonl", '{"text": "x"}\n{"text": ', "line 2 is not JSON"),
        ("a.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("a.jsonl", '["x"]', "line 1 has no text"),
        ("a.jsonl", '{"text": 1}', "line 1 has no text"),
        ("a.jsonl", '{"text": " "}', "line 1 has no text"),
        ("a.jsonl", '{"text": "\\ud800"}', "line 1 holds half of a surrogate pair"),
        ("a.jsonl", json.dumps({"text": "x" * (LONGEST + 1)}), "line 1 is longer than"),
    ],
)
def test_a_file_that_gives_no_texts_says_why(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    with pytest.raises(TextsError, match=told):
        texts(tmp_path, name, content)


@pytest.mark.parametrize(
    "name", ["../a.txt", "x/../../a.txt", "/etc/a.txt", "..\\a.txt", "a\0.txt"]
)
def test_a_path_may_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(TextsError, match=r"inside the policy's folder"):
        read_texts(tmp_path, name)


def test_a_link_may_not_leave_the_folder_and_may_stay_in_it(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("A secret.")
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "a.txt").write_text("Known.")
    (folder / "in.txt").symlink_to(folder / "a.txt")
    assert read_texts(folder, "in.txt") == ["Known."]
    with pytest.raises(TextsError, match="leads out of the policy's folder") as raised:
        read_texts(folder, "out.txt")
    assert "secret" not in str(raised.value)


def test_a_file_that_is_not_there_or_no_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(TextsError, match="is no file"):
        read_texts(tmp_path, "folder.txt")
    with pytest.raises(TextsError, match="there is no such file"):
        read_texts(tmp_path, "gone.txt")


@pytest.mark.parametrize(
    ("name", "told"), [("loop.txt", "links"), ("ü" * 190 + ".txt", "too long")]
)
def test_a_file_that_the_system_does_not_open_says_why(
    tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    with pytest.raises(TextsError, match=f"cannot be read: .*{told}"):
        read_texts(tmp_path, name)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_file_that_breaks_off_while_it_is_read_says_so() -> None:
    with pytest.raises(TextsError, match="cannot be read: Input/output error"):
        read_texts(Path("/proc/self"), "mem")


@given(content=st.text(max_size=300) | st.binary(max_size=300))
def test_any_file_gives_texts_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    for name in ("any.txt", "any.md", "any.jsonl"):
        with suppress(TextsError):
            found = texts(folder, name, raw)
            assert all(text == " ".join(text.split()) and text for text in found)
