"""What YAML means here, and where things stand in a file."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.document import DEEPEST, MOST_BYTES, Document, parse, written

AWKWARD = st.text("abé: -?[]{},&*!|>'\"%@`#\n\t \\~0x1.<=", max_size=60)


def document(folder: Path, text: str | bytes) -> Document:
    path = folder / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse(path)


@pytest.mark.parametrize(
    ("written_as", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("2026-01-02", "2026-01-02"),
        ("12:30", "12:30"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        ("1.10", "1.10"),
        ("1.1", 1.1),
        ("-7", -7),
        ("-0", "-0"),
        (".inf", ".inf"),
        ("9" * 5000, "9" * 5000),
        ("'true'", "true"),
        ('"12"', "12"),
    ],
)
def test_only_true_and_false_are_truth_values_and_numbers_print_as_written(
    tmp_path: Path, written_as: str, value: object
) -> None:
    found = document(tmp_path, f"key: {written_as}\n")
    assert found.problems == ()
    assert found.value == {"key": value}
    assert type(found.value["key"]) is type(value)


def test_keys_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    assert document(tmp_path, "off: 1\n12: 2\nnull: 3\n").value == {"off": 1, "12": 2, "null": 3}


def test_keys_and_values_keep_their_places(tmp_path: Path) -> None:
    found = document(tmp_path, "a:\n  - b: 1\n  - [c]\n")
    assert (found.keys["a", 0, "b"].line, found.keys["a", 0, "b"].column) == (2, 5)
    assert (found.values["a", 1, 0].line, found.values["a", 1, 0].column) == (3, 6)


def test_a_problem_with_a_key_that_is_not_there_stands_where_its_mapping_begins(
    tmp_path: Path,
) -> None:
    found = document(tmp_path, "a:\n  b: 1\n")
    assert str(found.problem(("a", "c", "d"), "is missing")).endswith(":2:3: a.c.d: is missing")


def test_a_path_is_written_as_people_write_it() -> None:
    assert written(()) == ""
    assert written(("concepts", 0, "exemplars", 12, "file")) == "concepts[0].exemplars[12].file"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    found = document(tmp_path, b"\xef\xbb\xbfid: a\n")
    assert found.value == {"id": "a"}
    assert found.keys["id",].column == 1


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", ": is empty"),
        (b"a: b\nc: d\xff", ":2:5: is not UTF-8; save it as UTF-8"),
        (b"a: b\nc: \x07d", ":2:4: holds the control character U+0007; remove it"),
        (b"#" * (MOST_BYTES + 1), f": is larger than {MOST_BYTES} bytes; split it, or keep the"),
        (b"[" * 100_000, f":1:{DEEPEST + 2}: is nested deeper than {DEEPEST} levels; flatten it"),
        (b"%YAML " + b"9" * 5000 + b".1\n--- a", ":1:1: is not YAML: an escape or a number"),
        (b"a: [1, 2", ":1:9: is not YAML: "),
        (b"*a", ":1:1: aliases (*name) are not accepted"),
    ],
)
def test_what_is_no_yaml_of_ours_is_told_with_its_place(
    tmp_path: Path, raw: bytes, told: str
) -> None:
    found = document(tmp_path, raw)
    assert told in str(found.problems[0])
    assert not found.value


def test_a_file_that_cannot_be_read_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    [problem] = parse(tmp_path / "gone.yaml").problems
    assert str(problem) == f"{tmp_path / 'gone.yaml'}: cannot be read: No such file or directory"
    [problem] = parse(tmp_path).problems
    assert "Is a directory" in problem.message


@pytest.mark.parametrize("bomb", ["a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "a: &a [*a]\n"])
def test_references_are_refused_before_anything_grows(tmp_path: Path, bomb: str) -> None:
    found = document(tmp_path, bomb)
    assert len(found.problems) == bomb.count("&") + bomb.count("*")


def test_what_a_file_says_is_not_in_its_repr(tmp_path: Path) -> None:
    assert "Tollan" not in repr(document(tmp_path, "name: Mira Tollan\n"))


@given(text=AWKWARD | st.text(max_size=200) | st.binary(max_size=200))
def test_any_file_gives_a_value_or_problems_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    found = document(folder, raw)
    assert found.problems or found.readable
    lines = raw.count(b"\n") + raw.count(b"\r") + 3 * len(raw)
    assert all(0 <= problem.line <= lines + 1 for problem in found.problems)
    assert os.fspath(folder) in str(found.problems[0] if found.problems else found.path)
