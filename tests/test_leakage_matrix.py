"""The matrix: shares of probes with intervals; what was not measured is no zero."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from leakage.families import INNOCENT
from leakage.matrix import Row, rows, table
from leakage.records import Record
from leakage.statistics import Count, clopper_pearson, clustered
from tests.leakage_record import RECORD as BASE

RECORD = replace(BASE, at="", scorer=1, arm="a", probe="p", concept="c", kind="attack:json")


def record(n: int, *, answered: bool | None, **fields: object) -> Record:
    leak = answered if fields.get("split", "forget") == "forget" else None
    return replace(RECORD, probe=f"p{n}", answered=answered, leak=leak, **fields)  # type: ignore[arg-type]


def test_a_row_counts_probes_by_concept_and_says_what_stays_useful() -> None:
    made = [record(n, answered=n < 3, concept=f"c{n % 4}") for n in range(12)]
    made += [record(n, answered=n < 3, split="world", concept="w") for n in range(4)]
    made += [record(n, answered=True, split="retain", concept="w") for n in range(4)]
    forget, world, retain = rows(made)
    expected = clustered([Count(1, 3), Count(1, 3), Count(1, 3), Count(0, 3)])
    assert (forget.arm, forget.attack, forget.split, forget.n) == ("a", "json", "forget", 12)
    assert (forget.leak, forget.low, forget.high) == (0.25, expected.low, expected.high)
    # A probe that stands in two splits under one id would be one; these do.
    assert forget.utility is not None
    exact = clopper_pearson(3, 4)
    assert (world.leak, world.low, world.high) == (0.75, exact.low, exact.high)
    assert (world.utility, retain.utility) == (0.75, 1.0)
    assert set(forget.as_json()) >= set("arm attack split n leak low high utility".split())  # noqa: SIM905


def test_a_probe_leaks_where_any_draw_of_it_does_and_lost_draws_say_nothing() -> None:
    made = [
        record(1, answered=False),
        record(1, answered=True, draw=1),
        record(2, answered=None, error="HTTP 500"),
        record(2, answered=False, draw=1),
        record(3, answered=None, error="HTTP 500"),
    ]
    (row,) = rows(made)
    assert (row.n, row.leak, row.errors, row.lacks) == (2, 0.5, 2, None)


def test_what_an_arm_does_not_allow_is_not_measurable() -> None:
    made = [record(n, answered=None, lacks="logprobs", kind="attack:logprobs") for n in range(3)]
    made += [replace(RECORD, kind="likelihood", lacks="prefill")]
    (row,) = rows(made)
    assert (row.n, row.leak, row.lacks) == (0, None, "logprobs")
    assert "not measurable" in shown([row])


def test_probes_that_were_asked_as_they_are_stand_under_their_kind() -> None:
    (row,) = rows([record(1, answered=False, kind="cloze")])
    assert row.attack == "cloze"
    drawn = shown([row])
    assert "0 [0, 98]" in drawn or "0 [0, 97]" in drawn
    assert table([row], split="world") is None
    assert INNOCENT not in drawn


def shown(found: list[Row]) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(table(found, split="forget"))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
