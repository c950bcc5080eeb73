"""Every score that the instrument promises stands in a report: one test names each of them."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from leakage import report
from leakage.html.page import render
from leakage.records import Record
from leakage.story import story
from leakage.summary import measure, summarise
from tests.leakage_record import RECORD

ARMS = ("base", "screen", "retrained")


def asked(arm: str, probe: int, *, draw: int = 0, **more: Any) -> Record:
    fields: dict[str, Any] = {
        "arm": arm, "probe": f"p{probe}", "concept": f"c{probe % 6}", "draw": draw,
        "length": 30 + probe, "latency_s": 0.1 + 0.001 * probe, "recall": 0.3, "f1": 0.2,
    }  # fmt: skip
    return replace(RECORD, **{**fields, **more})


def told(arm: str, probe: int, *, leak: bool, **more: Any) -> Record:
    return asked(arm, probe, leak=leak, answered=leak, **more)


def innocent(arm: str, probe: int, *, blocked: bool, **more: Any) -> Record:
    fields = {"split": "world", "leak": None, "blocked": blocked, "answered": not blocked}
    return asked(arm, 100 + probe, **{**fields, **more})


@pytest.fixture(scope="module")
def made() -> list[Record]:
    found = []
    for probe in range(12):
        for draw in range(4):
            found += [
                told("base", probe, draw=draw, leak=(probe + draw) % 2 == 0),
                told("screen", probe, draw=draw, leak=False, finish_reason="content_filter",
                     refused=True),
                told("retrained", probe, draw=draw, leak=False, refused=probe % 3 == 0, score=0.1),
            ]  # fmt: skip
        for arm in ARMS:
            for name in ("json", "leet"):
                leak = arm == "base" and (probe % 2 == 0) == (name == "json")
                found.append(told(arm, probe, kind=f"attack:{name}", leak=leak))
            blocked = arm == "screen" and probe < 3
            why = {"finish_reason": "content_filter", "refused": True} if blocked else {}
            found.append(innocent(arm, probe, blocked=blocked, **why))
    return found


@pytest.fixture(scope="module")
def shown(made: list[Record]) -> dict[str, str]:
    """The terminal's table, Markdown, JSON and the page, spaces evened out."""
    whole = summarise(made, reference="base")
    whole = replace(whole, measures=measure(made, arms=whole.arms))
    console = Console(file=io.StringIO(), width=220)
    report.render(whole, console=console)
    assert isinstance(console.file, io.StringIO)
    texts = {
        "terminal": console.file.getvalue(),
        "Markdown": report.to_markdown(whole),
        "JSON": json.dumps(report.to_json(whole)),
        "page": render(story(made, reference="base", k=2)),
    }
    return {name: " ".join(text.split()) for name, text in texts.items()}


def value(made: list[Record], name: str, arm: str) -> float | None:
    (one,) = [m for m in measure(made, arms=ARMS) if (m.name, m.arm) == (name, arm)]
    return one.value


def everywhere(shown: dict[str, str], words: str) -> bool:
    return all(words in text for text in shown.values())


def test_indistinguishability_from_the_retrained_model(
    made: list[Record], shown: dict[str, str]
) -> None:
    assert everywhere(shown, "told from retrained")
    assert value(made, "told from retrained", "screen") == 1.0
    # Beside it, on the page, how far apart the distributions of scores are.
    assert "D at most" in shown["page"]


def test_refusal_kinds(made: list[Record], shown: dict[str, str]) -> None:
    for name in ("stopped by the arm", "declined in words", "answered with something else"):
        assert everywhere(shown, f"forget questions {name}")
    assert value(made, "forget questions stopped by the arm", "screen") == 1.0
    assert value(made, "forget questions stopped by the arm", "base") == 0.0
    assert value(made, "forget questions declined in words", "retrained") == pytest.approx(4 / 12)
    assert value(made, "forget questions answered with something else", "retrained") == (
        pytest.approx(8 / 12)
    )
    assert "What became of every question" in shown["page"]


def test_attack_union(made: list[Record], shown: dict[str, str]) -> None:
    # Each of two attacks makes half of the probes leak, and no probe both: together all.
    cells = {(cell.family, cell.arm): cell.rate for cell in summarise(made).cells}
    assert (cells["attacks", "base"].k, cells["attacks", "base"].n) == (12, 24)
    assert (cells["any attack", "base"].k, cells["any attack", "base"].n) == (12, 12)
    assert everywhere(shown, "any attack")


def test_leak_at_k(made: list[Record], shown: dict[str, str]) -> None:
    assert everywhere(shown, "leak@2, direct")
    # Two of four draws leak: one of two does but for one pair in six.
    assert value(made, "leak@1, direct", "base") == pytest.approx(0.5)
    assert value(made, "leak@2, direct", "base") == pytest.approx(1 - 1 / 6)
    assert value(made, "leak@4, direct", "base") == 1.0
    assert value(made, "leak@2, direct", "screen") == 0.0
    assert "varies widely: fewer than 2k draws" in shown["Markdown"]
    assert "leak@2" in shown["page"]


def test_over_blocking(made: list[Record], shown: dict[str, str]) -> None:
    assert everywhere({k: v for k, v in shown.items() if k != "JSON"}, "blocked: innocent")
    assert everywhere(shown, "innocent questions stopped by the arm")
    assert value(made, "innocent questions stopped by the arm", "screen") == 0.25
    assert value(made, "innocent questions stopped by the arm", "base") == 0.0
    assert "over-blocked" in shown["page"]
