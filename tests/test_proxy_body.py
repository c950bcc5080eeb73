"""JSON bodies: everything that two readers could understand differently is refused."""

import json
import math
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.body import LARGEST, SMALLEST, BodyError, dumps, parse

LIMIT = 1 << 20

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(SMALLEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(alphabet='\\"[]{}ud83'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
objects = st.dictionaries(st.text(), json_values, max_size=5)


def read(raw: bytes, *, max_depth: int = 64) -> dict[str, Any]:
    return parse(raw, max_bytes=LIMIT, max_depth=max_depth)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(objects)
def test_any_object_is_read_as_json_reads_it(body: dict[str, Any]) -> None:
    for raw in (json.dumps(body), json.dumps(body, ensure_ascii=False, indent=1)):
        assert json.dumps(read(raw.encode())) == json.dumps(body)


@given(objects)
def test_what_is_written_again_equals_what_was_read(body: dict[str, Any]) -> None:
    assert json.dumps(read(dumps(body))) == json.dumps(body)


@given(objects)
def test_the_depth_is_counted_exactly(body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    assert read(raw, max_depth=depth(body)) == body
    with pytest.raises(BodyError, match="nested deeper than"):
        read(raw, max_depth=depth(body) - 1)


@given(st.binary(max_size=60) | st.text('{}[]":,\\u019eE.+-naINd8 ', max_size=40).map(str.encode))
@example(b'{"a":"\\ud83d\\\\\\ude00"}')
@example(b'{"a":"\\\\ud83d"}')
def test_any_bytes_are_an_object_or_a_body_error(raw: bytes) -> None:
    try:
        body = read(raw)
    except BodyError:
        return
    assert isinstance(body, dict)
    dumps(body).decode()


escapes = st.lists(
    st.sampled_from(
        ["\\ud83d", "\\uD83D", "\\ude00", "\\uDE00", "\\u00e9", "\\\\", "\\n", "ude00", "x"]
    ),
    max_size=6,
).map("".join)


@given(escapes, st.sampled_from(['{"?":1}', '{"a":["?"]}']))
def test_halves_of_characters_are_refused_wherever_they_hide(text: str, body: str) -> None:
    raw = body.replace("?", text).encode()
    value = json.loads(raw)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        with pytest.raises(BodyError, match="half of a surrogate pair"):
            read(raw)
    else:
        assert read(raw) == value


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a":1,"a":2}', "the same key twice"),
        (b'{"a":1,"\\u0061":2}', "the same key twice"),
        (b'{"m":[{"x":{"Hogwarts":1,"Hogwarts":1}}]}', "the same key twice"),
        (b'{"a":NaN}', "NaN and Infinity"),
        (b'{"a":[Infinity]}', "NaN and Infinity"),
        (b'{"a":-Infinity}', "NaN and Infinity"),
        (b'{"a":1e999}', "too large for a double"),
        (b'{"a":-1E999}', "too large for a double"),
        (b'{"a":' + b"9" * 400 + b".0}", "too large for a double"),
        (b'{"a":18446744073709551616}', "wider than 64 bits"),
        (b'{"a":-9223372036854775809}', "wider than 64 bits"),
        (b'{"a":' + b"9" * 10_000 + b"}", "wider than 64 bits"),
        (b'{"a":"\\ud800"}', "byte 6: half of a surrogate pair"),
        (b'{"\\udfff":1}', "byte 2: half of a surrogate pair"),
        (b'{"a":"\xed\xa0\x80"}', "byte 6: not UTF-8"),
        (b'{"a":"\xff"}', "byte 6: not UTF-8"),
        (b'{"a":"\xe2\x82', "byte 6: not UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "byte 0: begins with a byte order mark"),
        ('{"a":1}'.encode("utf-16"), "byte 0: not UTF-8"),
        ('{"a":1}'.encode("utf-16-be"), "character 0: not JSON"),
        (b'{"a":' + b"[" * 100_000, "nested deeper than 64 levels"),
        (b'{"a":' * 100_000, "nested deeper than 64 levels"),
        (b"[" * 65, "nested deeper than 64 levels"),
        (b"[]", "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"", "character 0: not JSON"),
        (b'{"a":1}{}', "character 7: not JSON"),
        (b'{"a":1} x', "character 8: not JSON"),
        (b'{"a":1}\x00', "character 7: not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":+1}', "not JSON"),
        (b'{"a":.5}', "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b'{"a":"\\x41"}', "not JSON"),
        (b'{"a":"\\u12"}', "not JSON"),
        (b'{"a":"\\ud83d\\u_1"}', "half of a surrogate pair"),
        (b'{"a":1 /* no */}', "not JSON"),
        ('{"a":\u0661}'.encode(), "not JSON"),  # a digit, in Arabic
        (b'{"a":"' + b"x" * LIMIT + b'"}', f"longer than {LIMIT} bytes"),
    ],
)
def test_what_is_doubtful_is_refused_by_its_place(raw: bytes, said: str) -> None:
    with pytest.raises(BodyError, match=re.escape(said)) as refused:
        read(raw)
    assert "Hogwarts" not in str(refused.value)


def test_an_error_quotes_nothing() -> None:
    for raw in (b'{"Hogwarts": Hogwarts}', b'{"Hogwarts\n":1}', b'{"a":"Hogwarts\xff"}'):
        with pytest.raises(BodyError) as refused:
            read(raw)
        assert refused.value.__suppress_context__
        assert "Hogwarts" not in repr(refused.value)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"1", 1),
        (b"1.0", 1.0),
        (b"-0.0", -0.0),
        (b"1e2", 100.0),
        (b"1E+2", 100.0),
        (b"5e-324", 5e-324),
        (b"18446744073709551615", LARGEST),
        (b"-9223372036854775808", SMALLEST),
        (b"0.12345678901234567890123", 0.12345678901234568),
        (b"99999999999999999999.0", 1e20),
        (b'"1e999 99999999999999999999"', "1e999 99999999999999999999"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"[[[[\\"{{{{"', '[[[["{{{{'),
        (b'"\xef\xbb\xbf"', "\ufeff"),
        ("\"\u2028\"".encode(), "\u2028"),
        (b"[true,false,null]", [True, False, None]),
    ],
)  # fmt: skip
def test_values_keep_their_kind(raw: bytes, value: Any) -> None:
    kept = read(b' {"a":%b}\r\n' % raw)["a"]
    assert kept == value
    assert type(kept) is type(value)
    assert not isinstance(value, float) or math.copysign(1, kept) == math.copysign(1, value)


def test_brackets_in_texts_are_no_depth() -> None:
    body = {"a": ["[" * 500, '"' + "{" * 500, "\\" * 3 + "[" * 500]}
    assert read(json.dumps(body).encode(), max_depth=2) == body


def test_many_shallow_lists_are_no_depth() -> None:
    assert read(b'{"a":[' + b"[]," * 1000 + b"[]]}", max_depth=3)["a"] == [[]] * 1001


@pytest.mark.parametrize("body", [{"a": math.nan}, {"a": {1}}, {"a": "\ud800Hogwarts"}])
def test_what_json_cannot_hold_is_not_written(body: object) -> None:
    with pytest.raises(BodyError, match="cannot be written as JSON") as refused:
        dumps(body)
    assert "Hogwarts" not in str(refused.value)


def test_bodies_are_written_compact_and_as_utf8() -> None:
    assert dumps({"a": ["é", 1.0]}) == '{"a":["é",1.0]}'.encode()
