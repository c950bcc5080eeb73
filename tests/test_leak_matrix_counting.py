"""The leak matrix counts what it says: planted leaks are found, innocent twins are seen."""

import base64
import json
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # others ship a `benchmarks` too

from benchmarks.leak_cells.answers import Answer
from benchmarks.leak_cells.catalogue import catalogue, ordinary
from benchmarks.leak_cells.channels import PATHS, Cell, Channel
from benchmarks.leak_cells.phrases import DISGUISES, FORBIDDEN, INNOCENT, leaked, strings
from benchmarks.leak_cells.run import Bench, Row, Target
from benchmarks.leak_cells.upstream import Upstream

WORDS = FORBIDDEN.split()
PLAIN = DISGUISES["plain"]
EVENTS = (("Content-Type", "text/event-stream"),)


async def straight(cells: list[Cell]) -> list[Row]:
    """The matrix with nobody between the client and the upstream."""
    upstream = Upstream()
    transport = httpx.ASGITransport(app=upstream)
    async with httpx.AsyncClient(transport=transport) as client:
        bench = Bench(Target("http://upstream/v1", {}), upstream, client, ordinary)
        return [row async for row in bench.rows(cells)]


async def test_without_a_gateway_every_cell_leaks_all_of_it() -> None:
    rows = await straight(catalogue())
    assert len(rows) >= 300
    assert [row.key for row in rows if row.leaked != row.of] == []
    assert {row.of for row in rows} == {14, 7}


async def test_without_a_gateway_every_innocent_twin_arrives() -> None:
    rows = await straight(catalogue())
    broken = {row.channel for row in rows if not row.good and row.leaked == row.of}
    wrong = {row.channel for row in rows if row.innocent != "intact"}
    # What is no answer at all is only mended by a gateway.
    assert wrong == {"a page instead of an answer", "half an event", "words for numbers"}
    assert broken >= wrong


def test_cells_are_many_and_each_is_itself() -> None:
    cells = catalogue()
    assert len({cell.key for cell in cells}) == len(cells)
    wires = Counter(cell.channel.wire for cell in cells)
    assert set(wires) == set(PATHS)
    for wire in ("chat", "completions", "responses", "messages"):
        assert {cell.disguise for cell in cells if cell.channel.wire == wire} == set(DISGUISES)
        assert any(cell.chunking == "bytes" for cell in cells if cell.channel.wire == wire)
        assert {cell.streamed for cell in cells if cell.channel.wire == wire} == {True, False}


def test_what_may_be_closed_says_why() -> None:
    for cell in catalogue():
        if "asked for" in cell.channel.name and isinstance(cell.channel, Channel):
            assert cell.channel.may_close, cell.key


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_name_is_found_and_another_is_not(name: str) -> None:
    disguise = DISGUISES[name]
    text = f"The letter for {disguise.hide(FORBIDDEN)} is here."
    assert leaked([text], WORDS, disguise) == 14
    assert leaked([f"For {disguise.hide(INNOCENT)}."], WORDS, disguise) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("quorvik", 7),
        ("it was QUORV", 5),
        ("Quorvik Zelm", 11),
        ("Quo Zel", 0),
        ("", 0),
        ("Zelmothy", 7),
    ],
)
def test_the_longest_run_of_each_word_counts(text: str, count: int) -> None:
    assert leaked([text], WORDS, PLAIN) == count


def test_words_in_two_texts_count_both() -> None:
    assert leaked(["Quorvik", "Zelmoth"], WORDS, PLAIN) == 14


def test_base64_cut_off_is_read_as_far_as_it_goes() -> None:
    said = base64.b64encode(FORBIDDEN.encode()).decode()[:13]
    assert leaked([f"It is {said}"], WORDS, DISGUISES["base64"]) == 8 - 1


def test_json_within_json_is_unescaped_even_cut_off() -> None:
    inner = json.dumps({"to": "\u200b".join(FORBIDDEN)})
    assert leaked(strings({"arguments": inner}), WORDS, DISGUISES["zero-width"]) == 14
    cut = inner[: inner.rindex("\\")]
    assert leaked(strings({"arguments": cut}), WORDS, DISGUISES["zero-width"]) >= 12


def test_letters_spread_over_events_are_joined() -> None:
    frames = [
        {"choices": [{"index": 0, "delta": {"content": letter}}]} for letter in f"{FORBIDDEN}."
    ]
    raw = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)
    answer = Answer(200, EVENTS, raw)
    assert leaked(answer.texts(), WORDS, PLAIN) == 14


@pytest.mark.parametrize(
    "raw",
    [
        b": Quorvik Zelmoth\n\n",
        b"event: quorvik_zelmoth\ndata: {}\n\n",
        b"id: Quorvik Zelmoth\ndata: {}\n\n",
        b'data: {"Quorvik Zelmoth": 1}\n\n',
        b"data: Quorvik Zelmoth",
    ],
)
def test_what_no_parser_shows_is_found_too(raw: bytes) -> None:
    assert leaked(Answer(200, EVENTS, raw).texts(), WORDS, PLAIN) == 14


def test_headers_are_looked_at() -> None:
    answer = Answer(200, (("x-note", FORBIDDEN),), b"{}")
    assert leaked(answer.texts(), WORDS, PLAIN) == 14


@pytest.mark.parametrize(
    ("answer", "sound"),
    [
        (Answer(200, (), b"{}"), True),
        (Answer(200, (), b'{"a"'), False),
        (Answer(200, (), b"[]"), False),
        (Answer(200, EVENTS, b"data: {}\n\ndata: [DONE]\n\n"), True),
        (Answer(200, EVENTS, b"data: {}\n\n"), False),
        (Answer(200, EVENTS, b"data: {}\n\ndata: {\n\ndata: [DONE]\n\n"), False),
        (Answer(200, EVENTS, b"data: {}\n\ndata: [DONE]\n\n", whole=False), False),
        (Answer(200, EVENTS, b'event: a\ndata: {"type": "message_stop"}\n\n'), True),
        (Answer(200, EVENTS, b'data: {"error": {"message": "no"}}\n\n'), True),
    ],
)
def test_a_broken_answer_is_called_broken(answer: Answer, sound: bool) -> None:
    assert answer.sound is sound
