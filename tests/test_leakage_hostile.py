"""Reports of hostile names and answers: nothing in them runs, hides, forges or tells a secret."""

import asyncio
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from leakage import records, sweep
from leakage.arms import Arm
from leakage.attacks import CATALOGUE
from leakage.html.page import render
from leakage.plain import markdown, paragraph, plain
from leakage.probes import Probe
from leakage.records import Record
from leakage.story import story
from leakage.sweep import Sweep
from tests.browser import CHROMIUM, browsing
from tests.chat_api import chat_api
from tests.leakage_command import lethe_leakage
from tests.leakage_record import RECORD

# Each is what somebody might call an arm, a kind, a concept or a probe, or make a model say.
HOSTILE = {
    "script": "<script>window.pwned=1</script>",
    "attribute": "\" onmouseover=window.pwned=1 x='",
    "image": "<img src=x onerror=window.pwned=1>",
    "style": "</style><svg onload=window.pwned=1>",
    "terminal": "\x1b]0;pwned\x07\x1b[2J\x1b[31mred",
    "nul": "a\x00b\x85c\x7fd",
    "bidi": "safe \u202eelbisreveR\u2066\u2069\u200f",
    "tags": "seen\U000e0068\U000e0069\u200b\ufeff\u00ad",
    "surrogate": "half \ud800 a pair",
    "line": "one\n# two\r\n| 0 of 9 | [x]: http://evil.example\u2028three",
    "cells": "a \\| b | 0 of 99 = 0.0 %",
    "link": "![x](http://evil.example/a.png) [y](javascript:alert(1)) http://evil.example",
    "target": "[x]: http://evil.example 'y'",
    "code": "``` `x",
    "rich": "[/red][link=http://evil.example]here[/link] [bold]",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "section": "a model that never knew",
    "long": "w" * 6_000,
    "words": "word " * 1_000,
}
SECRET = "Xyzzyquark"


class Tags(HTMLParser):
    """The elements of a page with the names of their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def elements(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    return found


def world(name: str, *, answer: str = "no") -> list[Record]:
    """Two arms, seven concepts, two kinds; `name` is part of everything that has a name."""
    made = []
    for arm, leaking in ((f"a{name}", 7), (f"b{name}", 2)):
        for at in range(7):
            own = replace(
                RECORD,
                arm=arm,
                concept=f"{at}{name}",
                probe=f"{at}{name}",
                kind=f"k{name}",
                leak=at < leaking,
                answered=at < leaking,
                answer=answer,
                run=f"r{name}",
                fingerprint=f"f{name}",
            )
            made += [own, replace(own, split="world", leak=None, blocked=at == 6)]
            made.append(replace(own, kind=f"attack:{name or 'x'}", leak=None, answered=None,
                                lacks=f"l{name}"))  # fmt: skip
    return made


def unseen(text: str) -> set[str]:
    """Characters that a reader does not see, but for ends of lines."""
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - {"\n"}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("shown", [False, True], ids=["hidden", "shown"])
def test_a_page_is_built_the_same_whatever_things_are_called(kind: str, shown: bool) -> None:
    name = HOSTILE[kind]
    page = render(story(world(name, answer=name)), show_forbidden=shown)
    tame = elements(render(story(world("n", answer="no")), show_forbidden=shown))
    found = elements(page)
    assert found.tags == tame.tags
    assert len(found.words) == len(tame.words)
    assert unseen(page) == set()
    assert len(page.encode()) < 3_000_000
    names = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_table_of_markdown_keeps_its_cells_and_gains_nothing(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(name: str) -> tuple[str, Tags]:
        file, out = tmp_path / "r.jsonl", tmp_path / "r.md"
        file.unlink(missing_ok=True)
        records.write(file, world(name))
        assert lethe_leakage("report", file, "--details", "--markdown", out) == 0
        text = out.read_text("utf-8")
        page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        return text, elements(page)

    _, tame = drawn("n")
    text, found = drawn(HOSTILE[kind])
    assert found.tags == tame.tags
    assert unseen(text) == set()
    assert unseen(capsys.readouterr().out) == set()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_gates_checks_are_told_in_full_and_their_xml_is_whole(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "r.jsonl", tmp_path / "gate.xml"
    records.write(file, world(HOSTILE[kind]))
    assert lethe_leakage("gate", file, "--leak-at-most", ".02", "--junit", out) in {1, 2}
    root = ElementTree.fromstring(out.read_text("utf-8"))  # noqa: S314 (ours)
    assert len(list(root.iter("testcase"))) == 1
    assert unseen(capsys.readouterr().out + out.read_text("utf-8")) == set()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_difference_and_an_error_show_what_is_not_seen(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after, out = (tmp_path / name for name in ("a.jsonl", "b.jsonl", "d.md"))
    made = world(HOSTILE[kind])
    records.write(before, made)
    records.write(after, [replace(record, leak=False, answered=False) for record in made])
    assert lethe_leakage("diff", before, after, "--moved", "--markdown", out) == 0
    assert lethe_leakage("report", before, "--reference", HOSTILE[kind] + "?") == 2
    told = capsys.readouterr()
    assert unseen(told.out + told.err + out.read_text("utf-8")) == set()


def outputs(made: Sequence[Record], folder: Path) -> dict[str, str]:
    """Everything that a report and a gate write without being asked to show what is forbidden."""
    file = folder / "r.jsonl"
    records.write(file, made)
    ends = ("html", "md", "json", "xml")
    to = {end: folder / f"out.{end}" for end in ends}
    given = ("--html", to["html"], "--markdown", to["md"], "--json", to["json"], "--details")
    assert lethe_leakage("report", file, *given) == 0
    lethe_leakage("gate", file, "--leak-at-most", ".02", "--junit", to["xml"])
    return {end: path.read_text("utf-8") for end, path in to.items()}


def test_no_view_names_a_concept_a_probe_or_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for record in world("", answer=f"It was {SECRET}."):
        secret = replace(
            record, concept=f"{SECRET} {record.concept}", probe=f"{SECRET}.{record.probe}"
        )
        made.append(replace(secret, arm=record.arm * 3, kind=record.kind * 2))
    # Few concepts with questions to choose from, and what other programs would measure of them.
    some = [replace(r, kind="multiple-choice", options=4, probe=f"{r.probe}.c") for r in made[:9]]
    found = outputs([*made, *some], tmp_path)
    found["terminal"] = capsys.readouterr().out
    for where, text in found.items():
        for spelling in (SECRET, SECRET.encode().hex(), SECRET[::-1]):
            assert spelling.casefold() not in text.casefold(), where
    assert "choices right by text, forget" in found["md"]


def test_a_page_with_answers_is_for_its_owner_alone_and_short(tmp_path: Path) -> None:
    file, page = tmp_path / "r.jsonl", tmp_path / "r.html"
    records.write(file, world("n", answer=f"{SECRET} " * 100_000))
    assert lethe_leakage("report", file, "--html", page, "--show-forbidden") == 0
    text = page.read_text("utf-8")
    assert page.stat().st_mode & 0o077 == 0
    assert SECRET in text
    assert len(text) < 300_000
    assert f"({len(SECRET) * 100_000 + 100_000:,} characters)" in text


def test_records_as_parquet_are_for_their_owner_alone(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra `hub`")
    file, table = tmp_path / "r.jsonl", tmp_path / "r.parquet"
    records.write(file, world("n"))
    table.touch(mode=0o644)
    assert lethe_leakage("report", file, "--parquet", table) == 0
    assert table.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: no page is looked at")
@pytest.mark.server
async def test_a_real_browser_runs_and_fetches_nothing_of_a_hostile_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    name = "".join(text for kind, text in HOSTILE.items() if kind not in {"long", "words"})
    page.write_text(render(story(world(name, answer=name)), show_forbidden=True), "utf-8")
    async with browsing(tmp_path / "profile") as browser:
        await browser.open(page.as_uri())
        await browser.run("document.querySelectorAll('*').forEach(e => e.dispatchEvent(new "
                          "MouseEvent('mouseover', {bubbles: true})))")  # fmt: skip
        asked = [each["request"]["url"] for each in browser.of("Network.requestWillBeSent")]
        ran = await browser.run("'pwned' in window")
        foreign = await browser.run("document.querySelectorAll('script, img, iframe, link').length")
    assert asked == [page.as_uri()]
    assert (ran, foreign) == (False, 0)


def test_what_is_not_seen_is_spelled_out() -> None:
    assert plain("a\x1b[31m\u202e\U000e0041\ud800\n") == "a\\x1b[31m\\u202e\\U000e0041\\ud800\\x0a"
    assert plain("a\n\tb\r", lines=True) == "a\n\tb\\x0d"
    assert plain("Zoë, 東京 and سلام") == "Zoë, 東京 and سلام"
    assert plain("x" * 50, most=3) == "xxx … (50 characters)"


def test_words_of_markdown_stay_words() -> None:
    assert markdown("a|b\\|c") == "a\\|b\\\\\\|c"
    assert markdown("0.5 [0.1, 0.9], p < .001") == "0.5 [0.1, 0.9], p < .001"
    assert markdown("[x](y) <b> `c`") == "[x\\](y) \\<b> \\`c\\`"
    assert markdown("https://evil.example") == "https\\://evil.example"
    assert paragraph("# no heading") == "\\# no heading"
    assert paragraph("[x]: http://y") == "[x\\]: http\\://y"


def test_numbers_that_nobody_can_count_with_are_refused_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.jsonl"
    records.write(file, [RECORD])
    row = json.loads(file.read_text())
    for change, name in (
        ({"latency_s": float("inf")}, "latency_s"),
        ({"score": float("nan")}, "score"),
        ({"tokens_in": 10**400}, "tokens_in"),
        ({"likelihoods": [{"role": "answer", "logprobs": [1000.0], "ranks": None}]}, "likelihoods"),
    ):
        file.write_text(json.dumps(row | change) + "\n")
        assert lethe_leakage("report", file) == 2
        assert f"{file}:1: {name}: " in capsys.readouterr().err


def test_a_model_that_says_half_a_letter_stops_no_run(tmp_path: Path) -> None:
    probe = Probe("p", "c", "direct", "forget", "Where was Ada Vell born?", ("Tarn Hollow",))
    with chat_api(lambda _: "Tarn \ud800 Hollow") as url:
        plan = Sweep(
            arms=[Arm("a", url, "m")],
            probes=[probe],
            attacks={name: CATALOGUE[name] for name in ("crescendo", "cut-off", "json")},
            attacked=[probe],
            asked=[probe],
            keep_answers=True,
        )
        made = asyncio.run(sweep.run(plan, tmp_path)).records
    said = [record for record in made if record.spoken]
    assert {record.error for record in said} == {None}
    assert {"\ufffd" in (record.answer or "") for record in said} == {True}
    assert render(story(said), show_forbidden=True)


def test_a_run_described_by_absurd_json_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records.write(tmp_path / "records.jsonl", [RECORD])
    about = '{"format": "lethe-leakage-import", "arm": "a", "whole": {"x": %s}}'
    for text in (about % 10**400, about % ("[" * 5_000), "[" * 100_000):
        (tmp_path / "run.json").write_text(text)
        assert lethe_leakage("report", tmp_path) == 2
        assert "run.json: is no description of a run" in capsys.readouterr().err
