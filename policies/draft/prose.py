"""Documents into paragraphs of clean sentences: headings, markup and footnote marks left out.

Knows no concept and no file.
"""
# ruff: noqa: RUF001 - typographic quotes and dashes are meant

import re
from collections.abc import Iterator

from classifiers import fold, segment
from classifiers.fingerprint_terms import FRAME

LONGEST = 1000  # characters of a sentence, before it is looked at
SKIPPED = frozenset(
    ["external links", "see also", "references", "further reading", "notes", "sources", "footnotes"]
)  # sections that hold pointers, and no sentences

WIKI = re.compile(r"(?:^|\n)[ \t]*(={2,6})[ \t]*([^=\n]+?)[ \t]*\1[ \t]*")
MARKDOWN = re.compile(r"(?:^|\n)[ \t]*#{1,6}[ \t]+([^\n]+)")
FENCE = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)
LINKED = re.compile(r"!?\[([^\]\[]*)\]\([^()\s]*(?:\s[^()]*)?\)")
FOOTNOTE = re.compile(r"\[(?:\d{1,3}|[a-z]|citation needed|note \d+)\]")
EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
GLUED = re.compile(r"([a-z0-9)\]\"”]{2}[.!?][\"”]?)(?=[A-Z][a-z])")
EMPTY = re.compile(r"\(\s*[;,]\s*|\(\s*\)")
ENDED = re.compile(r"[.!?…][\"'”’)\]]*\Z")
# "12. Juni 1938", as many languages write a day: its dot ends no sentence.
DAY = re.compile(r"(?<!\d)\d{1,2}\.\Z")
MONTH = re.compile(r"([^\W\d_]+)\.?\s\d{4}\b")
WRAPPED = 50  # characters of a line that may have been broken for its length


def paragraphs(document: str) -> list[list[str]]:
    """The sentences of each paragraph, as written but for white space; a heading begins one.

    A list item is a paragraph. Text under headings such as "See also" is left out.
    """
    text = FENCE.sub("\n\n", document.replace("\r\n", "\n").replace("\u00a0", " "))
    found = [
        sentences(block)
        for heading, body in _sections(text)
        if heading.casefold() not in SKIPPED
        for block in _blocks(body)
    ]
    return [block for block in found if block]


def sentences(block: str) -> list[str]:
    """A paragraph's sentences; a line without an end, such as a caption, is one too."""
    text = GLUED.sub(r"\1 ", " ".join(_plain(block).split()))
    found: list[str] = []
    for span in segment(text, limit=LONGEST):
        said = text[span.start : span.end].strip()
        month = MONTH.match(said) if found and DAY.search(found[-1]) else None
        if month and fold(month[1]) not in FRAME:
            found[-1] += f" {said}"
        elif said:
            found.append(said)
    return found


def _plain(block: str) -> str:
    text = LINKED.sub(r"\1", block)
    text = FOOTNOTE.sub("", text)
    text = EMPHASIS.sub(r"\2", text)
    return EMPTY.sub(lambda match: "(" if ")" not in match[0] else "", text)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Each heading with what stands under it; of Wikipedia's extracts also glued ones."""
    heading, at = "", 0
    marks = sorted([*WIKI.finditer(text), *MARKDOWN.finditer(text)], key=lambda m: m.start())
    for mark in marks:
        yield heading, text[at : mark.start()]
        heading, at = mark[mark.lastindex or 0].strip(), mark.end()
    yield heading, text[at:]


def _blocks(body: str) -> Iterator[str]:
    """Lines joined where they were wrapped, apart where they are items or end a sentence."""
    block: list[str] = []
    for line in (*(line.strip() for line in body.split("\n")), ""):
        item = ITEM.match(line)
        alone = bool(block) and not _continues(block[-1], line)
        if block and (not line or item or alone):
            yield " ".join(block)
            block = []
        if line:
            block.append(line[item.end() :] if item else line)


def _continues(before: str, line: str) -> bool:
    if ENDED.search(before):
        return True  # one paragraph, whether it is wrapped or a sentence a line
    return line[:1].islower() or len(before) >= WRAPPED
