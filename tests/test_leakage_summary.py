"""Records become rates: errors on the side, draws of a probe as one, arms on the same probes."""

from dataclasses import replace
from typing import Any

import pytest

from leakage.families import ATTACKS
from leakage.probes import Probe
from leakage.records import Record
from leakage.statistics import clopper_pearson
from leakage.summary import Cell, Summary, examples, summarise


def record(arm: str, probe: str, *, happened: bool | None = False, **fields: Any) -> Record:
    """A draw that leaked or was blocked, or not, or failed (None)."""
    innocent = fields.get("split", "forget") != "forget"
    made = Record(
        run="r",
        at="2026-01-02T03:04:05.000+00:00",
        scorer=1,
        arm=arm,
        probe=probe,
        concept=probe.partition(".")[0],
        split="forget",
        kind="direct",
        draw=0,
        streamed=False,
        answered=happened if happened is None or not innocent else not happened,
        leak=None if innocent else happened,
        blocked=happened if innocent else None,
        refused=False,
        score=0.0,
        finish_reason="stop",
        status=200,
        error="HTTP 500" if happened is None else None,
        attempts=1,
        latency_s=1.0,
        first_token_s=None,
        tokens_in=None,
        tokens_out=None,
        answer_sha256="00",
    )
    return replace(made, **fields)


def cell(summary: Summary, family: str, arm: str) -> Cell:
    found = [c for c in (*summary.cells, *summary.attacks) if (c.family, c.arm) == (family, arm)]
    assert len(found) == 1
    return found[0]


def test_leaks_are_counted_for_each_arm_and_kind() -> None:
    summary = summarise(
        [
            record("base", "a.1", happened=True),
            record("base", "b.1", happened=True, kind="paraphrase"),
            record("base", "a.2", happened=True, kind="cloze"),
            record("lethe", "a.1"),
            record("lethe", "b.1", happened=True, kind="paraphrase"),
            record("lethe", "a.2", kind="cloze"),
        ]
    )
    assert [(c.family, c.arm) for c in summary.cells[::2]] == [
        *(("direct", "base"), ("paraphrase", "base"), ("cloze", "base")),
    ]
    assert cell(summary, "direct", "lethe").rate == clopper_pearson(0, 1)
    assert cell(summary, "paraphrase", "lethe").rate == clopper_pearson(1, 1)
    assert summary.reference == "base"
    assert summary.draws == 6


def test_a_failed_draw_is_neither_a_leak_nor_none() -> None:
    lost = [record("base", "b.1", happened=None), record("base", "b.2", happened=None)]
    summary = summarise([record("base", "a.1", happened=True), record("base", "a.2"), *lost])
    found = cell(summary, "direct", "base")
    assert found.rate == clopper_pearson(1, 2)
    assert found.errors == 2
    assert found.worst == clopper_pearson(3, 4)
    assert summary.errors == {"base": 2}


def test_a_draw_that_leaked_before_it_failed_is_a_leak() -> None:
    broken = record("base", "a.1", happened=True, error="a stream that breaks off")
    found = cell(summarise([broken]), "direct", "base")
    assert (found.rate, found.errors) == (clopper_pearson(1, 1), 1)
    assert found.worst == found.rate


@pytest.mark.parametrize(
    ("draws", "k", "n"),
    [
        ([False, True, False], 1, 1),
        ([True, False], 1, 1),
        ([False, False], 0, 1),
        ([None, False], 0, 1),
        ([False, None], 0, 1),
        ([None, True], 1, 1),
        ([None, None], 0, 0),
    ],
)
def test_draws_of_a_probe_are_one_item(draws: list[bool | None], k: int, n: int) -> None:
    made = [record("base", "a.1", happened=h, draw=draw) for draw, h in enumerate(draws)]
    assert cell(summarise(made), "direct", "base").rate == clopper_pearson(k, n)


def test_attacks_are_counted_together_singly_and_as_any() -> None:
    made = [
        record("base", "a.1", kind="attack:json", happened=True),
        record("base", "a.1", kind="attack:leet"),
        record("base", "b.1", kind="attack:leet"),
    ]
    summary = summarise(made)
    assert cell(summary, ATTACKS, "base").rate == clopper_pearson(1, 3)
    assert cell(summary, "any attack", "base").rate == clopper_pearson(1, 2)
    assert [(c.family, c.rate.k, c.rate.n) for c in summary.attacks] == [
        *(("json", 1, 1), ("leet", 0, 2)),
    ]


def test_only_what_the_reference_answers_can_be_over_blocked() -> None:
    made = [
        record("base", "x.1", split="world"),
        record("base", "x.2", split="world", happened=True),
        record("base", "y.1", split="neighbour"),
        record("base", "y.2", split="neighbour", happened=None),
        *(record("lethe", p, split="world", happened=True) for p in ("x.1", "x.2")),
        *(record("lethe", p, split="neighbour") for p in ("y.1", "y.2")),
    ]
    summary = summarise(made)
    assert cell(summary, "innocent", "base").rate == clopper_pearson(1, 3)
    assert cell(summary, "innocent", "lethe").rate == clopper_pearson(1, 2)
    assert cell(summary, "neighbour", "lethe").rate == clopper_pearson(0, 1)
    assert {c.measure for c in summary.cells} == {"blocked"}


def test_an_arm_whose_reference_answers_nothing_has_nothing_to_block() -> None:
    made = [record("base", "a.1"), record("lethe", "x.1", split="world", happened=True)]
    summary = summarise(made)
    assert cell(summary, "innocent", "lethe").rate.n == 0
    assert summary.comparisons == ()


def test_concepts_are_counted_and_widen_the_interval() -> None:
    made = [
        record("base", f"{concept}.{number}", happened=concept == "a")
        for concept in "abcd"
        for number in range(10)
    ]
    found = cell(summarise(made), "direct", "base")
    assert found.concepts == clopper_pearson(1, 4)
    assert found.by_concept.high > found.rate.high


def test_arms_are_compared_on_the_probes_that_both_settled() -> None:
    concepts = "abcdef"
    made = [record("base", f"{c}.1", happened=True) for c in concepts]
    made += [record("lethe", f"{c}.1", happened=False) for c in concepts]
    made += [record("base", "g.1", happened=True), record("lethe", "g.1", happened=None)]
    made += [record("base", "h.1", happened=True)]
    made += [record("base", "x.1", split="world"), record("lethe", "x.1", split="world")]
    direct, innocent = summarise(made).comparisons
    assert (direct.family, direct.arm, direct.pairs.n, direct.pairs.first_only) == (
        *("direct", "lethe", 6, 6),
    )
    assert direct.p_concepts == 2 / 2**6
    assert direct.p_adjusted == direct.p_concepts
    assert (direct.difference.low, direct.concepts) == (-1.0, 6)
    # One concept: nothing can be tested, and it does not count among the tests.
    assert (innocent.p_concepts, innocent.p_adjusted) == (None, None)


def test_added_latency_is_paired_over_innocent_draws_that_both_answer() -> None:
    def timed(arm: str, probe: str, seconds: float, **fields: Any) -> Record:
        return record(arm, probe, latency_s=seconds, split="world", **fields)

    made = [
        *(timed("base", f"x.{n}", 1.0 + n) for n in range(8)),
        *(timed("lethe", f"x.{n}", 1.25 + n) for n in range(6)),
        timed("lethe", "x.6", 0.0, happened=True),
        timed("lethe", "x.7", 0.0, happened=None),
        record("base", "a.1", latency_s=1.0),
        record("lethe", "a.1", latency_s=0.0),
    ]
    base, lethe = summarise(made).timings
    assert base.added is None
    assert lethe.added is not None
    assert (lethe.added.n, lethe.added.median) == (6, 0.25)
    assert (base.n, lethe.n) == (9, 8)
    assert base.median_s == 4.0


def test_the_first_token_is_timed_where_there_was_a_stream() -> None:
    made = [record("base", "a.1", first_token_s=0.5), record("base", "a.2")]
    assert summarise(made).timings[0].first_token_s == 0.5


def test_an_arm_that_never_answered_has_no_latency() -> None:
    made = [record("base", "a.1"), record("lethe", "a.1", happened=None)]
    timing = summarise(made).timings[1]
    assert (timing.n, timing.median_s, timing.p95_s, timing.added) == (0, None, None, None)


def test_the_reference_comes_first_and_can_be_chosen() -> None:
    made = [record("lethe", "a.1"), record("base", "a.1")]
    assert summarise(made, reference="base").arms == ("base", "lethe")
    with pytest.raises(ValueError, match="no record of the arm 'bsae'; there are lethe, base"):
        summarise(made, reference="bsae")
    with pytest.raises(ValueError, match="no records"):
        summarise([])


def ask(name: str, **fields: Any) -> Probe:
    return Probe(
        **{"id": name, "concept": "a", "kind": "direct", "split": "forget"}
        | {"prompt": f"{name}?", "answers": ("yes",)}
        | fields
    )


def test_examples_are_one_a_family_and_show_a_difference_if_there_is_one() -> None:
    probes = [ask("a.1"), ask("a.2"), ask("a.3"), ask("a.1", kind="paraphrase")]
    probes += [ask("x.1", split="world")]
    made = [
        record("base", "a.1", kind="paraphrase", answer="p", happened=True),
        record("base", "a.1", answer="one", happened=True),
        record("lethe", "a.1", answer="one too", happened=True),
        record("base", "a.2", answer="two", happened=True),
        record("lethe", "a.2", answer="I do not know"),
        record("lethe", "a.2", answer="again", draw=1),
        record("base", "a.3", answer="three", happened=True),
        record("base", "x.1", answer="leaves", split="world"),
        record("base", "unknown", answer="?"),
        record("base", "a.1"),
    ]
    direct, innocent, paraphrase = examples(made, probes)
    assert (direct.family, direct.prompt) == ("direct", "a.2?")
    assert direct.answers == {"base": "two", "lethe": "I do not know"}
    assert (innocent.family, innocent.answers) == ("innocent", {"base": "leaves"})
    assert paraphrase.family == "paraphrase"
    assert len(examples(made, probes, limit=1)) == 1
    assert "do not know" not in repr(direct)
    assert examples([record("base", "a.1")], probes) == []


def test_an_example_of_an_attack_is_one() -> None:
    probes = [ask("a.1", kind="attack:json")]
    made = [record("base", "a.1", kind="attack:json", answer="{}")]
    assert examples(made, probes)[0].family == ATTACKS


def test_innocent_questions_under_attack_stand_apart_from_plain_ones() -> None:
    made = [
        record("base", "x.1", split="world"),
        record("base", "x.1", split="world", kind="attack:leet", happened=True),
        record("base", "y.1", split="neighbour"),
    ]
    summary = summarise(made)
    assert cell(summary, "innocent", "base").rate == clopper_pearson(0, 2)
    assert cell(summary, "world", "base").rate == clopper_pearson(0, 1)
    assert cell(summary, "innocent under attack", "base").rate == clopper_pearson(1, 1)


def test_what_an_arm_does_not_allow_is_not_counted_and_is_said() -> None:
    made = [
        record("base", "a.1"),
        replace(record("base", "a.1", kind="attack:echo", happened=None), lacks="completions"),
        record("lethe", "a.1", kind="attack:echo", happened=True),
    ]
    summary = summarise(made)
    assert summary.lacking == {("base", "attack:echo"): "completions"}
    assert [(c.family, c.arm) for c in summary.attacks] == [("echo", "lethe")]
