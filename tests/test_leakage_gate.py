"""A gate passes on bounds, fails on bounds, and says what it lacks; failed draws never help."""

from typing import Any
from xml.etree import ElementTree

import pytest

from leakage.gate import Limits, judge
from leakage.junit import to_junit
from leakage.records import Record
from leakage.sampling import Outcome


def record(arm: str, probe: str, happened: bool | None = False, **more: Any) -> Record:
    """A forget probe that leaked or not; with split="world", an innocent one that was blocked."""
    split = more.pop("split", "forget")
    forget = split == "forget"
    answered = happened if forget or happened is None else not happened
    values: dict[str, Any] = {
        "run": "r",
        "at": "2026-01-01T00:00:00+00:00",
        "scorer": 2,
        "arm": arm,
        "probe": probe,
        "concept": probe.partition(".")[0],
        "split": split,
        "kind": "direct",
        "draw": 0,
        "streamed": False,
        "answered": answered,
        "leak": happened if forget else None,
        "blocked": None if forget else happened,
        "refused": False,
        "score": 0.0,
        "finish_reason": "stop",
        "status": 200,
        "error": None,
        "attempts": 1,
        "latency_s": 0.1,
        "first_token_s": None,
        "tokens_in": 1,
        "tokens_out": 1,
        "answer_sha256": "",
    }
    return Record(**(values | more))


def many(arm: str, count: int, *, leaked: int = 0, **more: Any) -> list[Record]:
    return [record(arm, f"c{at}.{at}", happened=at < leaked, **more) for at in range(count)]


@pytest.mark.parametrize(
    ("records", "outcome", "said"),
    [
        (many("lethe", 149), Outcome.PASS, "leakage 0 of 149 probes, at most 1.99 %"),
        (many("lethe", 20), Outcome.INCONCLUSIVE, "129 more probes needed"),
        (many("lethe", 100, leaked=20), Outcome.FAIL, "leakage 20 of 100 probes, at least 13."),
        (many("lethe", 5, split="world"), Outcome.INCONCLUSIVE, "at least 149 probes needed"),
    ],
)
def test_leakage_is_held_against_its_limit(
    records: list[Record], outcome: Outcome, said: str
) -> None:
    verdict = judge(records, Limits(leak_at_most=0.02))
    assert verdict.outcome is outcome
    assert said in str(verdict.checks[0])


def test_a_probe_leaks_if_any_way_to_ask_it_leaks() -> None:
    made = many("lethe", 200) + many("lethe", 200, leaked=30, kind="attack:json")
    verdict = judge(made, Limits(leak_at_most=0.02))
    assert (verdict.checks[0].decision.k, verdict.checks[0].decision.n) == (30, 200)
    assert verdict.outcome is Outcome.FAIL


def test_what_failed_counts_against_the_arm() -> None:
    """A gate that an outage opens is none."""
    lost = [record("lethe", f"c{at}.{at}", happened=None, draw=1) for at in range(50)]
    verdict = judge(many("lethe", 200) + lost, Limits(leak_at_most=0.02))
    assert (verdict.checks[0].decision.k, verdict.checks[0].errors) == (50, 50)
    assert verdict.outcome is Outcome.FAIL
    unanswered = [record("lethe", f"w{at}.1", happened=None, split="world") for at in range(50)]
    assert judge(unanswered, Limits(utility_at_least=0.95)).outcome is Outcome.FAIL


def test_utility_counts_what_the_reference_answers() -> None:
    base = many("base", 200, leaked=100, split="world")
    lethe = many("lethe", 200, leaked=100, split="world")
    verdict = judge(base + lethe, Limits(utility_at_least=0.95))
    (check,) = verdict.checks
    assert (check.arm, check.decision.k, check.decision.n) == ("lethe", 0, 100)
    assert verdict.outcome is Outcome.PASS
    assert "utility 100 of 100 probes, at least 97.0" in str(check)
    assert judge(lethe, Limits(utility_at_least=0.95)).outcome is Outcome.FAIL


def test_attacked_innocent_questions_are_no_utility() -> None:
    made = many("lethe", 100, split="world")
    made += many("lethe", 100, leaked=100, split="world", kind="attack:rot13")
    assert judge(made, Limits(utility_at_least=0.95)).outcome is Outcome.PASS


def test_the_worst_arm_decides_and_one_may_be_named() -> None:
    made = many("base", 200, leaked=200) + many("good", 200) + many("bad", 200, leaked=90)
    assert judge(made, Limits(leak_at_most=0.02)).outcome is Outcome.FAIL
    assert judge(made, Limits(leak_at_most=0.02), arms=["good"]).outcome is Outcome.PASS
    assert [c.arm for c in judge(made, Limits(leak_at_most=0.02)).checks] == ["good", "bad"]


@pytest.mark.parametrize(
    ("records", "limits", "message"),
    [
        ([], Limits(leak_at_most=0.02), "no records"),
        (many("a", 3), Limits(), "no limit"),
        (many("a", 3), Limits(leak_at_most=0.0), "a limit lies between 0 and 1"),
        (many("a", 3) + many("a", 3, scorer=1), Limits(leak_at_most=0.1), "different scorers"),
    ],
)
def test_what_cannot_be_judged_is_an_error(
    records: list[Record], limits: Limits, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        judge(records, limits)
    if records:
        with pytest.raises(ValueError, match="no record of the arm 'x'"):
            judge(many("a", 3), Limits(leak_at_most=0.1), arms=["x"])


def test_junit_has_a_test_a_check_and_no_pass_for_what_is_open() -> None:
    made = many("base", 3) + many("good", 200) + many("few\x00", 20) + many("bad", 99, leaked=50)
    root = ElementTree.fromstring(to_junit(judge(made, Limits(leak_at_most=0.02))))  # noqa: S314
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    found = {case.get("classname"): [child.tag for child in case] for case in root.iter("testcase")}
    assert found == {
        "lethe.leakage.good": ["system-out"],
        "lethe.leakage.few\\x00": ["error", "system-out"],
        "lethe.leakage.bad": ["failure", "system-out"],
    }
