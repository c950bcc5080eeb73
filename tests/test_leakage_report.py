"""Tables, Markdown and JSON say the same, with every number's interval and everything lost."""

import io
import json
from dataclasses import replace
from typing import Any

from rich.console import Console

from leakage import report
from leakage.records import Record
from leakage.summary import Example, Summary, summarise
from tests.leakage_record import RECORD as BASE

RECORD = replace(
    BASE,
    at="2026-01-02T03:04:05.000+00:00",
    scorer=1,
    latency_s=0.01,
    tokens_in=None,
    tokens_out=None,
    answer_sha256="00",
)


def world(arm: str, *, slower_s: float, count: int = 8) -> list[Record]:
    innocent: dict[str, Any] = {
        "arm": arm,
        "split": "world",
        "concept": "x",
        "leak": None,
        "blocked": False,
    }
    return [
        replace(RECORD, **innocent, probe=f"x.{n}", latency_s=0.01 * (n + 1) + slower_s)
        for n in range(count)
    ]


def leaks(arm: str, *, leak: bool) -> list[Record]:
    asked: dict[str, Any] = {"arm": arm, "leak": leak, "answered": leak}
    return [
        replace(RECORD, **asked, probe=f"{concept}.1", concept=concept, kind=kind)
        for concept in "ab"
        for kind in ("direct", "attack:json")
    ]


def measured(*more: Record) -> Summary:
    return summarise(
        [
            *leaks("base", leak=True),
            *leaks("lethe", leak=False),
            *world("base", slower_s=0.0),
            *world("lethe", slower_s=0.002),
            *more,
        ]
    )


def printed(summary: Summary, *, details: bool = False) -> str:
    out = io.StringIO()
    report.render(summary, console=Console(file=out, width=140), details=details)
    return out.getvalue()


def row(text: str, *words: str) -> list[str]:
    """The cells of the first line that holds all the words."""
    found = next(line for line in text.splitlines() if all(word in line for word in words))
    return [cell.strip() for cell in found.replace("\u2502", "|").strip("|").split("|")]


def test_with_more_arms_than_rows_an_arm_is_a_row() -> None:
    others = [f"arm-{n}" for n in range(5)]
    summary = measured(*(record for arm in others for record in leaks(arm, leak=True)))
    assert len(summary.arms) == 7
    text = printed(summary)
    titles = next(at for at, line in enumerate(text.splitlines()) if "leaked: direct" in line)
    assert "blocked: innocent" in text.splitlines()[titles]
    assert row(text, "lethe")[1].startswith("0 of 2 = 0.0 %")
    assert row(text, "arm-4")[1].startswith("2 of 2 = 100.0 %")


def test_a_rate_of_nothing_shows_what_it_may_still_be() -> None:
    assert row(printed(measured()), "leaked: direct")[2] == "0 of 2 = 0.0 % [0.0 - 84.2]"
    cells = row(printed(measured(), details=True).partition("by concept")[2], "lethe", "0 of 2")
    assert cells[1:5] == ["lethe", "0 of 2", "0.0", "0.0 - 84.2"]


def test_every_family_has_a_row_with_a_column_for_each_arm() -> None:
    text = printed(measured())
    for name in ("leaked: direct", "leaked: attacks", "leaked: any attack", "blocked: innocent"):
        assert all("%" in cell for cell in row(text, name)[1:3])
    assert row(text, "added latency")[1:] == ["-", "2.0 ms [2.0 ms, 2.0 ms]"]


def test_details_show_every_arm_on_a_row_of_its_own() -> None:
    text = printed(measured(), details=True).partition("by concept")[2]
    for name in ("leaked: direct", "leaked: attacks", "leaked: any attack", "blocked: innocent"):
        assert row(text, name)[1] == "base"
    assert row(text, "blocked: innocent")[5] == "-"
    assert row(text, "leaked: direct")[5:] == ["15.8 - 100.0", "2 of 2", "0"]


def test_single_attacks_are_shown_if_wanted() -> None:
    assert "leaked: json" not in printed(measured())
    assert "leaked: json" in printed(measured(), details=True)
    assert "at a time" not in printed(summarise(world("base", slower_s=0.0)), details=True)


def test_added_latency_is_shown_with_its_interval() -> None:
    text = printed(measured(), details=True).partition("first token")[2]
    assert row(text, "lethe", "ms")[-1] == "2.0 ms [2.0 ms, 2.0 ms]"
    assert row(text, "base", "ms")[-1] == "-"
    few = summarise([*world("base", slower_s=0.0, count=2), *world("lethe", slower_s=2.0, count=2)])
    assert row(printed(few), "2 pairs")[-1] == "2.00 s, 2 pairs are too few for an interval"


def test_what_was_lost_is_told_and_what_it_could_mean() -> None:
    lost = replace(RECORD, probe="c.1", leak=None, answered=None, error="HTTP 500")
    notes = report.notes(measured(lost))
    assert "1 of 25 draws failed (base 1)." in " ".join(notes)
    assert (
        "leaked: direct, base: 3 of 3, 100.0 % [29.2, 100.0] if every lost probe had been." in notes
    )
    assert not any("failed" in note for note in report.notes(measured()))


def test_an_arm_that_only_failed_has_no_rate() -> None:
    lost = replace(RECORD, leak=None, answered=None, error="HTTP 500")
    assert row(printed(summarise([lost])), "leaked: direct")[1:] == ["-"]
    text = printed(summarise([lost]), details=True)
    assert row(text, "0 of 0")[1:] == ["base", "0 of 0", "-", "-", "-", "0 of 0", "1"]
    assert row(text, "first token") is not None


def test_blocking_is_explained_where_there_is_any() -> None:
    assert any(note.startswith("blocked:") for note in report.notes(measured()))
    assert not any(note.startswith("blocked:") for note in report.notes(summarise([RECORD])))


def test_versions_of_the_matching_are_not_mixed_in_silence() -> None:
    mixed = summarise([RECORD, replace(RECORD, probe="b.1", scorer=2)])
    assert "different versions of the matching (1, 2)" in report.notes(mixed)[-1]


def test_markdown_holds_the_same_cells() -> None:
    text = report.to_markdown(measured())
    assert row(text, "lethe", "0 of 2")[1:5] == ["lethe", "0 of 2", "0.0", "0.0 - 84.2"]
    assert "leaked: json" in text
    assert all(note in text for note in report.notes(measured()))
    assert "json" not in report.to_markdown(summarise([RECORD]))


def test_json_holds_counts_shares_and_intervals() -> None:
    body = json.loads(
        json.dumps(report.to_json(measured(), provenance={"probes": 3}), allow_nan=False)
    )
    assert (body["format"], body["version"]) == ("lethe-leakage-report", 1)
    assert body["provenance"] == {"probes": 3}
    assert body["arms"] == ["base", "lethe"]
    direct = next(c for c in body["cells"] if (c["family"], c["arm"]) == ("direct", "lethe"))
    assert direct["rate"]["share"] == 0.0
    assert direct["rate"]["high"] > 0.8
    comparison = body["comparisons"][0]
    assert (comparison["pairs"]["n"], comparison["pairs"]["first_only"]) == (2, 2)
    assert body["timings"][0]["added"] is None
    assert report.to_json(measured())["provenance"] == {}


def test_examples_stand_side_by_side_and_are_no_markup() -> None:
    out = io.StringIO()
    example = Example("direct", "Where [bold]?", {"base": "x" * 500, "lethe": "[red]no[/red]"})
    report.render_examples([example], console=Console(file=out, width=100))
    text = out.getvalue()
    assert "direct: Where [bold]?" in text
    assert "[red]no[/red]" in text
    assert "\u2026" in text
    assert "x" * 401 not in text.replace("\n", "")
