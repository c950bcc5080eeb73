"""The report as one file: what it shows, what it hides, and that a real browser shows it whole."""

import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from leakage.html.masks import Masks
from leakage.html.page import render
from leakage.records import Record
from leakage.sheets import Sheet
from leakage.story import story
from leakage.views import fate, look
from tests.browser import CHROMIUM, browsing
from tests.leakage_record import RECORD as BASE

RECORD = replace(
    BASE,
    probe="vell.1",
    concept="Ada Vell",
    tokens_in=9,
    tokens_out=3,
    answer="In Tarn Hollow <b>.",
)
SECRETS = ("Ada Vell", "vell.", "Tarn Hollow")


def world() -> list[Record]:
    """Three arms, seven concepts, four draws of two kinds, and innocent questions."""
    made = []
    for arm, leaking in (("base", 7), ("lethe", 1), ("retrained", 0)):
        for at in range(7):
            leak = at < leaking
            own = replace(
                RECORD,
                arm=arm,
                concept=f"Ada Vell {at}",
                probe=f"vell.{at}",
                leak=leak,
                answered=leak,
                score=1.0 if leak else 0.2,
                finish_reason="stop" if leak or arm != "lethe" else "content_filter",
            )
            made += [replace(own, draw=draw) for draw in range(4)]
            made.append(replace(own, kind="attack:json"))
            kept = replace(own, split="world", probe=f"tea.{at}", leak=None, blocked=at == 6)
            made.append(kept)
        lacking = replace(RECORD, arm=arm, kind="attack:prefill", lacks="prefill")
        made.append(replace(lacking, leak=None, answered=None))
    return made


def test_names_and_answers_are_hidden_unless_they_are_asked_for() -> None:
    told = story(world())
    hidden, shown = render(told), render(told, show_forbidden=True)
    assert [secret for secret in SECRETS if secret in hidden] == []
    assert [secret for secret in SECRETS if secret not in shown] == []
    assert "In Tarn Hollow &lt;b&gt;." in shown
    assert Masks().text("Tarn Hollow") == "hidden, 11 characters"


def test_the_page_has_every_view_and_nothing_from_elsewhere() -> None:
    page = render(story(world(), seconds={"retrained": 9.0}))
    for name in (
        *("Overview", "Attacks", "Forgetting against keeping", "Over several draws", "By concept"),
        *("Against base", "Against a model that never knew", "What became of every question"),
        *("Costs", "Leaks", "How to read this", "Provenance"),
    ):
        assert f"<h2>{name}</h2>" in page
    assert re.findall(r"<script|https?://|url\(|@import|\bsrc=", page) == []
    assert "not measurable: prefill" in page
    names = re.findall(r'id="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(names)


def test_every_question_has_one_fate() -> None:
    views = look(world(), arms=("base", "lethe", "retrained"), retrained="retrained")
    expected = {"leaked": 14, "wrong": 1, "answered": 6, "not measurable": 1}
    assert views.fates["base"] == expected
    assert views.fates["lethe"]["stopped"] == 12
    assert fate(replace(RECORD, leak=None, error="timeout")) == "failed"
    assert fate(replace(RECORD, leak=False, refused=True)) == "declined"
    assert fate(replace(RECORD, leak=False)) == "invented"


def test_what_is_left_over_the_retrained_model_is_a_share_of_what_there_was() -> None:
    views = look(world(), arms=("base", "lethe", "retrained"), retrained="retrained")
    found = views.excesses["lethe"]
    assert found.share == pytest.approx(1 / 7)
    assert views.threshold == pytest.approx(0.2)
    gaps = {sample.arm: sample.gap for sample in views.samples}
    assert gaps["retrained"] is None
    assert gaps["base"] is not None
    assert gaps["base"].d == 1.0
    with pytest.raises(ValueError, match="no record of the arm 'x'"):
        look(world(), arms=("base",), retrained="x")


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: no page is looked at")

# Everything that the tab key should stop at, in the order in which it stands; not what is folded.
STOPS = """[...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
    .filter(e => e.checkVisibility())"""
NAMED = "(e => e.getAttribute('href') || e.getAttribute('aria-label') || e.tagName)"


@needs_browser
@pytest.mark.server
async def test_a_real_browser_shows_every_section_and_asks_for_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    beside = Sheet(("benchmark", "value"), [["RWKU", "12.8"]])
    page.write_text(render(story(world(), published=beside)), encoding="utf-8")
    async with browsing(tmp_path / "profile") as browser:
        await browser.open(page.as_uri())
        asked = [each["request"]["url"] for each in browser.of("Network.requestWillBeSent")]
        heights = await browser.run(
            "[...document.querySelectorAll('main > section')]"
            ".map(s => [s.querySelector('h2').innerText, s.getBoundingClientRect().height])"
        )
        drawn = await browser.run(
            "[...document.querySelectorAll('figure svg, table')]"
            ".every(e => e.getBoundingClientRect().width > 50)"
        )
        paper = await browser.do("Page.printToPDF")
        said = [*browser.of("Log.entryAdded"), *browser.of("Runtime.consoleAPICalled")]
        thrown = browser.of("Runtime.exceptionThrown")
    assert asked == [page.as_uri()]
    assert (said, thrown) == ([], [])
    assert [name for name, height in heights if height < 40] == []
    assert [name for name, _ in heights][:3] == [
        "Overview",
        "Attacks",
        "Forgetting against keeping",
    ]
    assert "Published elsewhere, not measured here" in [name for name, _ in heights]
    assert len(heights) == 14
    assert drawn
    assert b64decode(paper["data"]).startswith(b"%PDF")


@needs_browser
@pytest.mark.server
async def test_the_keyboard_reaches_everything_in_its_order_and_on_a_narrow_screen(
    tmp_path: Path,
) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(story(world())), encoding="utf-8")
    async with browsing(tmp_path / "profile") as browser:
        await browser.open(page.as_uri())
        expected = await browser.run(f"{STOPS}.map({NAMED})")
        reached = []
        for _ in expected:
            await browser.press("Tab", 9)
            reached.append(await browser.run(f"{NAMED}(document.activeElement)"))
            ring = "getComputedStyle(document.activeElement).outlineStyle"
            assert await browser.run(ring) == "solid", reached[-1]
        await browser.run("document.querySelectorAll('nav a')[1].focus()")
        await browser.press("Enter", 13)
        went = await browser.run("location.hash")
        await browser.run("document.querySelector('summary').focus()")
        await browser.press("Enter", 13)
        opened = await browser.run("document.querySelector('details').open")
        await browser.do(
            "Emulation.setDeviceMetricsOverride",
            width=360, height=740, deviceScaleFactor=1, mobile=True,
        )  # fmt: skip
        wide = await browser.run("document.documentElement.scrollWidth")
    assert expected[0] == "#main"
    assert reached == expected
    assert (went, opened) == ("#attacks", True)
    assert wide <= 360
