"""Answers of a draw that is still being made: given out again after a kill, and gone with it."""

from pathlib import Path

import pytest

from leakage.journal import Journal, Kept, digest


def kept(asked: str, *taken: str) -> Kept:
    return Kept(asked, 200, None, 1, 0.5, None, list(taken))


def left_by_a_kill(path: Path, *asked: str) -> None:
    """A run that was killed while it waited for the last of these."""
    journal = Journal(path)
    for each in asked:
        assert journal.answer(each) is None
        journal.keep(kept(each, f'{{"to": "{each}"}}', "[]"))


def test_what_was_answered_before_another_request_is_given_out_again(tmp_path: Path) -> None:
    path = tmp_path / "draw.part"
    left_by_a_kill(path, "a", "b", "c")
    journal = Journal(path)
    assert [journal.answer(asked) for asked in "ab"] == [
        kept(asked, f'{{"to": "{asked}"}}', "[]") for asked in "ab"
    ]
    assert journal.answer("c") is None
    assert journal.replayed == 2
    journal.keep(kept("c"))
    assert journal.answer("d") is None
    again = Journal(path)
    assert [again.answer(asked) is not None for asked in "abcd"] == [True, True, True, False]
    journal.close()
    assert not path.exists()


def test_what_is_behind_another_request_is_not(tmp_path: Path) -> None:
    path = tmp_path / "draw.part"
    left_by_a_kill(path, "a", "b", "c")
    journal = Journal(path)
    assert journal.answer("a") is not None
    assert journal.answer("other") is None
    assert journal.answer("b") is None
    journal.keep(kept("b"))
    assert journal.answer("c") is None
    again = Journal(path)
    assert [again.answer(asked) is not None for asked in "abc"] == [True, True, False]


@pytest.mark.parametrize("end", [b'["b", 200', b"\n", b"[]\n", b"no JSON\n", b"\xff\xfe\n"])
def test_a_line_that_was_cut_off_counts_for_nothing(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "draw.part"
    left_by_a_kill(path, "a", "b")
    path.write_bytes(path.read_bytes() + end)
    journal = Journal(path)
    assert journal.answer("a") is not None
    assert journal.answer("b") is None
    journal.keep(kept("b"))
    assert journal.answer("c") is None
    assert len(path.read_bytes().splitlines()) == 2


def test_a_draw_of_one_request_writes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none" / "draw.part")
    assert journal.answer("a") is None
    journal.keep(kept("a"))
    journal.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    left_by_a_kill(tmp_path / "draw.part", "a", "b")
    assert (tmp_path / "draw.part").stat().st_mode & 0o777 == 0o600


def test_a_request_is_the_same_whatever_the_port() -> None:
    one = digest("http://127.0.0.1:1/v1/completions", {"a": 1, "b": 2})
    assert one == digest("http://127.0.0.1:2/v1/completions", {"b": 2, "a": 1})
    assert one != digest("http://127.0.0.1:1/v1/completions", {"a": 1, "b": 3})
    assert one != digest("http://127.0.0.1:1/v1/embeddings", {"a": 1, "b": 2})
