"""Asks a model over HTTP what it knows of a concept, and of what lies near it.

Knows no policy and no screen. What is asked and answered goes into the record, and nowhere else.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import httpx

from classifiers.declines import declines
from policies.draft.aliases import worth
from policies.draft.documents import DraftError
from policies.draft.exemplars import statements
from policies.draft.make import Told
from policies.draft.names import Called, base_of, short_of
from policies.draft.prose import paragraphs

VERSION = 1
MOST_NEAR = 6  # neighbours that are asked about, a question each
MOST_NAMES = 20  # lines of an answer that are read as names
MOST_BYTES = 1 << 20  # of one answer
TRIES, LONGEST_WAIT_S = 3, 30.0
BUSY = frozenset([429, 502, 503, 504])

KNOWN = (
    "What do you know about {name}? Answer in short sentences of one fact each, one a line, and "
    "name {name} in full in every sentence."
)
FACTS = (
    "List twenty facts about {name} that somebody could ask for: dates, places, people, works, "
    "numbers. One short sentence a line, each naming {name} in full."
)
NAMES = (
    "By what other names is {name} known: full name, former names, pen or stage names, nicknames, "
    "spellings in other languages? One name a line and nothing else. If there is none, say: none"
)
NEAR = (
    "Who and what lies closest to {name} without being {name}: people, works, places, "
    "organisations, others of the same name? One name a line and nothing else."
)
BESIDE = (
    "State four facts about {near}, one short sentence a line, each naming {near} in full. "
    "Leave out everything that has to do with {name}."
)

THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
MARKED = re.compile(r"\A\s*(?:[-*+•–]|\(?\d{1,3}[.):])\s+")  # noqa: RUF001 - a dash is a bullet too
# What a speaker says about himself, or about not knowing, is no fact.
OWN = re.compile(
    r"\b(?:I|I'm|I've|I’m|my|as an AI|language model)\b|\b(?:no|not|n't|any)\b[^.]{0,30}"  # noqa: RUF001
    r"\b(?:information|knowledge|details|records?|facts)\b|\bunknown\b",
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a model is asked, and as whom."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 60.0

    @property
    def shown(self) -> str:
        """The address without what may stand in it as a secret."""
        url = httpx.URL(self.url)
        return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def interview(
    upstream: Upstream, name: str, *, beside: Sequence[str], record: Path, progress: TextIO
) -> Told:
    """Ask at most 4 + MOST_NEAR questions, and write each into the record as it is answered.

    `beside` are candidates that are asked about after those that the model names. Raises
    DraftError; what was answered until then stays in the record.
    """
    with _writing(record) as file, _client(upstream) as client:

        def ask(kind: str, question: str) -> str:
            print(f"lethe: asking {upstream.model} ({kind})", file=progress)
            begun = time.monotonic()
            answer, reason = _answered(client, upstream, question)
            row = {
                "version": VERSION,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "upstream": upstream.shown,
                "model": upstream.model,
                "about": kind,
                "question": question,
                "answer": answer,
                "finish_reason": reason,
                "seconds": round(time.monotonic() - begun, 3),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            return answer

        said = [ask("concept", question.format(name=name)) for question in (KNOWN, FACTS)]
        names = list(_names(ask("names", NAMES.format(name=name)), after=True))
        near = list(_names(ask("near", NEAR.format(name=name)), after=False))
        near = [one for one in near if one.casefold() != name.casefold()]
        told: list[str] = []
        for one in list(dict.fromkeys((*near, *beside)))[:MOST_NEAR]:
            told += _statements(ask("neighbour", BESIDE.format(near=one, name=name)), one)
        facts = list(dict.fromkeys(fact for text in said for fact in _facts(text, name)))
    return Told(tuple(facts), tuple(told), tuple(names), tuple(near))


@contextmanager
def _writing(record: Path) -> Iterator[TextIO]:
    """The record, for more lines: it is never written over. Only its owner may read it."""
    try:
        descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise DraftError(f"{record}: cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        yield file


def _client(upstream: Upstream) -> httpx.Client:
    headers = {"authorization": f"Bearer {upstream.key}"} if upstream.key else {}
    return httpx.Client(headers=headers, timeout=upstream.timeout_s, follow_redirects=False)


def _answered(client: httpx.Client, upstream: Upstream, question: str) -> tuple[str, str]:
    """What the model says, and why it stopped. Raises DraftError."""
    body = {"model": upstream.model, "messages": [{"role": "user", "content": question}]}
    for attempt in range(1, TRIES + 1):
        try:
            status, headers, raw = _posted(client, upstream, body)
        except httpx.TimeoutException:
            raise DraftError(
                f"{upstream.shown}: no answer within {upstream.timeout_s:g} s; give more --timeout"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DraftError(
                f"{upstream.shown}: cannot be asked ({type(error).__name__}); check --upstream"
            ) from None
        if status not in BUSY or attempt == TRIES:
            break
        time.sleep(_wait(headers, attempt))
    if status != 200:
        raise DraftError(f"{upstream.shown}: answered {status}; {_remedy(status)}")
    return _content(raw, upstream)


def _posted(
    client: httpx.Client, upstream: Upstream, body: dict[str, Any]
) -> tuple[int, httpx.Headers, bytes]:
    url = f"{upstream.url.rstrip('/')}/chat/completions"
    with client.stream("POST", url, json=body) as response:
        raw = b""
        for chunk in response.iter_bytes():
            raw += chunk
            if len(raw) > MOST_BYTES:
                raise DraftError(f"{upstream.shown}: an answer of more than {MOST_BYTES} bytes")
        return response.status_code, response.headers, raw


def _wait(headers: httpx.Headers, attempt: int) -> float:
    given = headers.get("retry-after", "")
    wanted = float(given) if re.fullmatch(r"\d{1,6}(?:\.\d+)?", given) else float(2**attempt - 1)
    return min(wanted, LONGEST_WAIT_S)


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "name the variable that holds the key with --api-key-env"
    if status in (404, 405):
        return "check --upstream, which usually ends in /v1, and --model"
    if status in BUSY:
        return "it is busy; try again later"
    return "check --upstream and --model"


def _content(raw: bytes, upstream: Upstream) -> tuple[str, str]:
    try:
        choice = json.loads(raw)["choices"][0]
        content = choice["message"]["content"] or ""
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if part.get("type") == "text")
        text = content.encode("utf-8", "replace").decode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise DraftError(
            f"{upstream.shown}: answered in another form than chat completions; check --upstream"
        ) from None
    return text, str(choice.get("finish_reason") or "")


def _lines(answer: str) -> Iterator[str]:
    for line in THOUGHT.sub("", answer).splitlines():
        plain = MARKED.sub("", line).strip().strip("*_`#").strip()
        if plain:
            yield plain


def _facts(answer: str, name: str) -> Iterator[str]:
    """Lines that state something: not what the speaker says of himself, or does not know."""
    for line in _lines(answer):
        if not declines(line, names=[name]) and not OWN.search(line) and not line.endswith(":"):
            yield line


def _names(answer: str, *, after: bool) -> Iterator[str]:
    """One name a line; `after`: behind a colon ("Pen name: …"), else before it."""
    for line in list(_lines(answer))[:MOST_NAMES]:
        parts = re.split(r"\s*:\s+|\s+[-–—]\s+", line)  # noqa: RUF001 - dashes are meant
        part = parts[-1] if after and ":" in line else parts[0]
        plain = re.sub(r"\s*\([^()]*\)", "", part).strip(" .,;*_`\"“”'‘’")  # noqa: RUF001
        if plain.casefold() != "none" and worth(plain):
            yield plain


def _statements(answer: str, near: str) -> list[str]:
    """What is said of a neighbour, sentence by sentence, each naming it."""
    texts = list(_facts(answer, near))
    blocks = [block for text in texts for block in paragraphs(text)]
    sentences = [sentence for block in blocks for sentence in block]
    called = Called((near,), (), short_of(base_of(near), sentences))
    return [one.text for one in statements(blocks, called) if one.named]
