"""Server-sent events: the same events from any chunking, and an error for anything doubtful."""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.sse import DONE, Decoder, Event, StreamError, encode

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(alphabet="\r\n\u2028\u2029\x85\x0b\ud83d:"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

# Streams near enough to real ones that every line of the decoder has something to do.
streams = st.lists(
    st.sampled_from(
        [
            *(
                b"data: a",
                b"data:b",
                b"data",
                b"data:  two",
                b"data: \xe2\x82\xac:",
                b"data: [DONE]",
            ),
            *(
                b"event: x",
                b"event",
                b"id: 7",
                b"retry: 10",
                b"other: y",
                b"datax: z",
                b": comment",
            ),
            *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r"),
            *(b"\xef\xbb\xbf", b"\xff"),
        ]
    ),
    max_size=30,
).map(b"".join)


def heard(decoder: Decoder, chunks: Sequence[bytes]) -> tuple[list[Event], bool]:
    """All events of a stream, and whether it came to a good end."""
    events: list[Event] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.finish()
    except StreamError:
        return events, False
    return events, True


def cut(stream: bytes, points: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(p % (len(stream) + 1) for p in points), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def by_the_book(stream: bytes) -> list[Event]:
    """The specification's own words, for a stream that is whole: section 9.2.6, no shortcuts."""
    text = stream.decode().removeprefix("\ufeff")
    events, data, kind = [], "", ""
    for line in re.split("\r\n|\n|\r", text)[:-1]:
        if line == "":
            if data:
                events.append(Event(kind or "message", data.removesuffix("\n")))
            data, kind = "", ""
        elif line.startswith(":"):
            continue
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data += value + "\n"
            elif name == "event":
                kind = value
    return events


@given(streams, st.lists(st.integers(min_value=0), max_size=20))
@example(b"data: a\r\n\r\ndata: b\r\r\n", list(range(20)))
@example(b"data: a\n\n\xff\n", [])
def test_any_chunking_gives_the_same_events_and_the_same_end(
    stream: bytes, points: list[int]
) -> None:
    whole = heard(Decoder(), [stream])
    assert heard(Decoder(), cut(stream, points)) == whole
    assert heard(Decoder(), [bytes([byte]) for byte in stream]) == whole


@given(streams, st.lists(st.integers(min_value=0), max_size=20), st.integers(1, 40))
def test_any_chunking_stops_at_the_same_oversized_event(
    stream: bytes, points: list[int], limit: int
) -> None:
    assert heard(Decoder(limit), cut(stream, points)) == heard(Decoder(limit), [stream])


@given(streams.filter(lambda stream: b"\xff" not in stream))
def test_a_stream_that_ends_well_is_read_by_the_book(stream: bytes) -> None:
    stream += b"\n\n"
    assert heard(Decoder(), [stream]) == (by_the_book(stream), True)


@given(st.lists(st.tuples(json_values, st.sampled_from([None, "message_start", "ü"]))))
def test_what_is_encoded_is_decoded(sent: list[tuple[Any, str | None]]) -> None:
    stream = b"".join(encode(data, event) for data, event in sent) + DONE
    *events, done = Decoder().feed(stream)
    assert [event.event for event in events] == [event or "message" for _, event in sent]
    assert [json.loads(event.data) for event in events] == [data for data, _ in sent]
    assert done == Event("message", "[DONE]")


@given(json_values)
def test_encoded_json_is_one_line_of_ascii(data: Any) -> None:
    written = encode(data)
    assert written.isascii()
    assert written.count(b"\n") == 2
    assert b"\r" not in written


@pytest.mark.parametrize("event", ["a\ndata: b", "a\r", "\0"])
def test_an_event_type_cannot_smuggle_a_line(event: str) -> None:
    with pytest.raises(ValueError, match="stands on one line"):
        encode({}, event)


def test_what_json_cannot_hold_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [("message", "a")]),
        (b"data:a\n\n", [("message", "a")]),
        (b"data:  a\n\n", [("message", " a")]),
        (b"data: a\ndata: b\n\n", [("message", "a\nb")]),
        (b"data\n\n", [("message", "")]),
        (b"data\ndata\n\n", [("message", "\n")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a"), ("message", "b")]),
        (b"event: x\n\ndata: a\n\n", [("message", "a")]),
        (b": ping\n\nid: 3\nretry: 9\ndata: a\nother\n\n", [("message", "a")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [("message", n) for n in "abc"]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", "a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a")]),
        (b"data: a: b\n\n", [("message", "a: b")]),
        ("data: a\u2028b\x85\n\n".encode(), [("message", "a\u2028b\x85")]),
        (b"\n\n\n", []),
        (b"", []),
        (b"\xef\xbb\xbf\n", []),
    ],
)
def test_events_are_read_as_specified(stream: bytes, expected: list[tuple[str, str]]) -> None:
    events, good = heard(Decoder(), [stream])
    assert [(event.event, event.data) for event in events] == expected
    assert good


@pytest.mark.parametrize(
    "ending",
    [b"data: x", b"data: x\n", b"event: x\n", b"d", b"data: [DONE", b": ping", b"\xe2\x82"],
)
def test_a_stream_cut_off_in_an_event_is_broken(ending: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\n\n" + ending) == [Event("message", "a")]
    for _ in range(2):
        with pytest.raises(StreamError, match="behind event 1: "):
            decoder.finish()


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r", b"\r\n"])
def test_a_last_done_may_lack_its_empty_line(ending: bytes) -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: [DONE]" + ending) == []
    assert decoder.finish() == [Event("message", "[DONE]")]


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x82"])
@pytest.mark.parametrize("line", [b"data: %b\n", b": %b\n", b"%b\n"])
def test_bytes_that_are_no_utf8_are_an_error(line: bytes, bad: bytes) -> None:
    with pytest.raises(StreamError, match="not UTF-8"):
        Decoder().feed(line % bad)


def test_events_before_an_error_are_handed_out_first() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: a\n\ndata: \xff\n\ndata: b\n\n") == [Event("message", "a")]
    for _ in range(2):
        with pytest.raises(StreamError, match="behind event 1: a line is not UTF-8"):
            decoder.feed(b"data: c\n\n")
    with pytest.raises(StreamError, match="not UTF-8"):
        decoder.finish()


def test_an_event_larger_than_allowed_is_an_error() -> None:
    assert Decoder(7).feed(b"data: a\n\ndata: b\n\n") != []
    for stream in (b"data: ab\n\n", b"data: ab", b":\n" * 8, b"data: a\n:\n\n", b"x" * 8):
        with pytest.raises(StreamError, match="larger than 7 bytes"):
            Decoder(7).feed(stream)


def test_an_error_and_an_event_show_no_text() -> None:
    with pytest.raises(StreamError) as raised:
        Decoder().feed(b"data: Hogwarts\xff\n\n")
    assert "Hogwarts" not in repr(raised.value)
    assert "Hogwarts" not in repr(Event("message", "Hogwarts"))
