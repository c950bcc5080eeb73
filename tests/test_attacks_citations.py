"""A name split over citations, or put together by a cut: attacks that came through once."""

from pathlib import Path
from typing import Any

import pytest

from proxy.exchange import Body, Format
from proxy.formats import chat, messages, responses
from tests.test_attacks_formats import (
    FORBIDDEN,
    LONG,
    OTHER,
    Answer,
    C,
    M,
    R,
    S,
    call,
    calls,
    chunks,
    item,
    message,
    play,
    response,
    row,
    said,
    text,
)

WHOLE = (
    "It is known on the whole of this coast that Ottoline Vask painted every pier and boat in it."
)
CUT: Any = {"screens": {"output": {"action": "redact"}}}
AT = {"document_index": 0, "start_char_index": 0, "end_char_index": 6}


def cited(words: str, *pairs: tuple[str, str]) -> Body:
    """A text with citations of titles and words."""
    of = [{"type": "char_location", **AT, "document_title": t, "cited_text": c} for t, c in pairs]
    return {"type": "text", "text": words, "citations": of}


def link(title: str, url: str = "https://a.example") -> Body:
    return {"type": "url_citation", "url_citation": {"url": url, "title": title}}


def of_file(name: str, number: int) -> Body:
    return {"type": "file_citation", "file_id": f"file-{number}", "filename": name, "index": 1}


def linked(*titles: str) -> Body:
    return {"content": "It rains.", "annotations": [link(title) for title in titles]}


SPLIT = [
    row("citation and next block", messages, M,
        message(text("Rain.", "my Ottoline"), text(" Vask is it.")), "my Ottoline", "Vask is it"),
    row("a blank between", messages, M, message(text("Rain.", "my Ottoline", "", "Vask is it")),
        "my Ottoline", "Vask is it"),
    row("a dot between", messages, M, message(text("Rain.", "my Ottoline", ".", "Vask is it")),
        "my Ottoline", "Vask is it"),
    row("two titles", messages, M,
        message(cited("Rain.", ("Ottoline", "boats"), ("Vask", "piers"))), "Ottoline", "Vask"),
    row("words and a title", messages, M,
        message(cited("Rain.", ("Paper", "of Ottoline"), ("Vask", "piers"))), "Ottoline", "Vask"),
    row("two files", responses, R,
        response(item("x", of_file("Ottoline", 1), of_file("Vask", 2))), "Ottoline", "Vask"),
    row("title and link", chat, C, said({"content": "x", "annotations": [
        link("Ottoline", "https://b"), link("piers", "https://vask")]}), "Ottoline", "vask"),
    row("three titles", chat, C, said(linked("Otto", "line", "Vask")), "Otto", "Vask"),
    row("six titles", chat, C, said(linked("Ot", "to", "li", "ne", "Va", "sk")), '"Ot"', '"sk"'),
    row("a reply's words and a title", chat, C | S,
        chunks({"content": "By Ottoline"}, {"annotations": [link("Vask")]}), "Ottoline", "Vask"),
    *(
        row(f"{name} over two", messages, M, message(text("Rain.", one, two)), one, two)
        for name, one, two in (
            ("letters", "O t t o l i n e", "V a s k"), ("points", "O.t.t.o.l.i.n.e", "V.a.s.k"),
            ("leet", "0tt0l1n3", "V4sk"), ("hex", "4f74746f6c696e65", "205661736b"),
            ("percent", "%4F%74%74%6F%6C%69%6E%65", "%20%56%61%73%6B"),
        )
    ),
]  # fmt: skip
TOGETHER = [
    row("titles around one that is cut", chat, C, said(linked("Ottoline", WHOLE, "Vask")),
        "Ottoline", "Vask", **CUT),
    row("words around a citation that is cut", messages, M,
        message(text("Rain.", "my Ottoline", WHOLE, "Vask is it")), "my Ottoline", "Vask is it",
        **CUT),
    row("a thought cut at its end", chat, C | S,
        chunks({"reasoning_content": f"I think of Ottoline. {WHOLE}"},
               {"content": f"Vask did it.{LONG}"}), "of Ottoline", "Vask did", **CUT),
    row("a reply cut at its beginning", chat, C | S,
        chunks({"reasoning_content": "I think of Ottoline."},
               {"content": f"{WHOLE} Vask did it."}), "of Ottoline", "Vask did", **CUT),
    row("words cut before a call", chat, C | S,
        chunks({"content": f"My painter is Ottoline. {WHOLE}"}, calls(call('{"x": "Vask"}'))),
        "is Ottoline", "Vask", **CUT),
    row("an item cut at its end", responses, R,
        response(item(f"My painter is Ottoline. {WHOLE}"), item(f"Vask did it.{LONG}")),
        "is Ottoline", "Vask did", **CUT),
    row("a citation before a block cut at its beginning", messages, M,
        message(text("It rains.", "my Ottoline"), text(f"{WHOLE} Vask did it.")),
        "my Ottoline", "Vask did", **CUT),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "body", "answer", "told", "policy"), [*SPLIT, *TOGETHER])
def test_a_name_does_not_come_through(
    wire: Format, body: Body, answer: Answer, told: tuple[str, ...], policy: Body, tmp_path: Path
) -> None:
    played = play(tmp_path, FORBIDDEN | policy, wire, body, answer)
    assert played.record["outcome"] == "answered"
    assert not all(part in played.told for part in told)


@pytest.mark.parametrize(("wire", "body", "answer", "told", "policy"), [*SPLIT, *TOGETHER])
def test_what_nobody_forbids_comes_through(
    wire: Format, body: Body, answer: Answer, told: tuple[str, ...], policy: Body, tmp_path: Path
) -> None:
    played = play(tmp_path, OTHER | policy, wire, body, answer)
    assert (played.status, played.record["outcome"]) == (200, "answered")
    assert all(part in played.told for part in told)


def test_what_is_said_before_and_behind_a_citation_that_is_cut_stays(tmp_path: Path) -> None:
    answer = said({"content": f"It rains.{LONG}", "annotations": [link("Pier"), link(WHOLE)]})
    played = play(tmp_path, FORBIDDEN | CUT, chat, C, answer)
    assert "It rains." in played.told
    assert "Nobody on the pier" in played.told
    assert "Ottoline" not in played.told
