"""The report as one file: what it shows, what it hides, and that a real browser shows it whole."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from leakage.html.masks import Masks
from leakage.html.page import render
from leakage.records import Record
from leakage.story import story
from leakage.views import fate, look
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
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


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


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page is not looked at")
@pytest.mark.server
def test_a_real_browser_shows_the_page_and_prints_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(story(world())), encoding="utf-8")
    assert CHROMIUM is not None
    paper = tmp_path / "report.pdf"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'b'}"]
    for wanted in ("--dump-dom", f"--print-to-pdf={paper}"):
        done = subprocess.run(  # noqa: S603 (the browser, on a file of ours)
            [CHROMIUM, *options, wanted, page.as_uri()],
            capture_output=True,
            check=True,
            timeout=120,
        )
        if wanted == "--dump-dom":
            shown = done.stdout.decode()
            # Parsed by a browser, every table and drawing is still there.
            assert shown.count("<svg") == page.read_text(encoding="utf-8").count("<svg")
            assert shown.count("</table>") == page.read_text(encoding="utf-8").count("</table>")
    assert paper.read_bytes().startswith(b"%PDF")
