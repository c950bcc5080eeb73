"""Two runs on the same questions: what moved, and whether concepts say so."""

from dataclasses import replace
from typing import Any

import pytest

from leakage.contrasts import changes, remarks
from leakage.diff import compare
from leakage.records import Record
from tests.leakage_record import RECORD as BASE

RECORD = replace(BASE, arm="lethe", answered=False, leak=False, refused=True, score=0.0)


def asked(concepts: int, *, leaked: int = 0, **more: Any) -> list[Record]:
    return [
        replace(RECORD, concept=f"c{at}", probe=f"c{at}.1", leak=at < leaked, **more)
        for at in range(concepts)
    ]


def test_a_run_that_leaks_more_is_worse() -> None:
    found = compare(asked(12), asked(12, leaked=9))
    (contrast,) = found.contrasts
    assert (contrast.before.rate.k, contrast.after.rate.k) == (0, 9)
    assert contrast.comparison.p_adjusted == pytest.approx(2 / 2**9)
    assert found.worse == (contrast,)
    assert compare(asked(12, leaked=9), asked(12)).worse == ()
    assert [(m.probe, m.worse) for m in found.moved] == [(f"c{at}.1", True) for at in range(9)]
    (row,) = changes(found).rows
    assert row[:5] == ["leaked: direct", "lethe", "0.0 [0.0 - 26.5]", "75.0 [42.8 - 94.5]", "12"]
    assert row[5].startswith("+75.0 [+")
    assert row[6] == "0.004"
    assert "lethe: 9 questions came out worse, 0 better." in remarks(found)


def test_few_concepts_are_not_tested() -> None:
    found = compare(asked(5), asked(5, leaked=5))
    assert found.contrasts[0].comparison.p_adjusted is None
    assert found.worse == ()
    assert any("below six concepts" in remark for remark in remarks(found))


def test_arms_are_paired_by_name_and_a_single_one_whatever_its_name() -> None:
    renamed = asked(6, arm="lethe-2")
    assert [c.arm for c in compare(asked(6), renamed).contrasts] == ["lethe"]
    both = compare(asked(6) + asked(6, arm="base"), asked(6) + renamed)
    assert [c.arm for c in both.contrasts] == ["lethe"]
    assert (both.only_before, both.only_after) == (("base",), ("lethe-2",))
    with pytest.raises(ValueError, match="no arm is in both runs"):
        compare(asked(6) + asked(6, arm="base"), renamed)


def test_questions_of_one_run_only_and_other_scorers_are_said() -> None:
    found = compare(asked(6), asked(8, scorer=3))
    assert found.unpaired == {"lethe": 2}
    said = " ".join(remarks(found))
    assert "2 questions were asked in one run only" in said
    assert "different versions of the matching (2, 3)" in said


def test_a_run_against_itself_differs_in_nothing_even_where_innocent_questions_are_blocked() -> (
    None
):
    innocent: dict[str, Any] = {"split": "world", "leak": None, "kind": "attack:json"}
    blocked = [replace(record, blocked=True, **innocent) for record in asked(3)]
    run = blocked + [
        replace(record, probe=f"{record.probe}.b", blocked=False, **innocent) for record in asked(9)
    ]
    (contrast,) = compare(run, run).contrasts
    assert contrast.before.rate == contrast.after.rate
    assert (contrast.after.rate.k, contrast.after.rate.n) == (3, 12)
