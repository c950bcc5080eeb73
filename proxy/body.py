"""JSON objects read strictly: what two readers could understand differently is refused.

Knows no wire format. A duplicate key, a lone surrogate or a number out of range can mean one thing
to the screen and another to the model behind it; errors name a position and quote nothing.
"""

import json
import math
import re
from typing import Any, NoReturn

import numpy as np

# Between these, the widest integers of C, Go and Rust, every reader sees the same number.
SMALLEST, LARGEST = -(1 << 63), (1 << 64) - 1

_BOM = b"\xef\xbb\xbf"
_HIGH, _LOW = rb"[89abAB][0-9a-fA-F]{2}", rb"[c-fC-F][0-9a-fA-F]{2}"
# A high half without a low one behind it, or a low half without a high one before it.
_LONE = re.compile(
    rb"\\u[dD](?:%b(?!\\u[dD]%b)|%b(?<!\\u[dD]%b\\u[dD]%b))" % (_HIGH, _LOW, _LOW, _HIGH, _LOW)
)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = np.zeros(256, dtype=np.int8)
_STEP[list(b"[{")] = 1
_STEP[list(b"]}")] = -1
_DIGITS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")


class BodyError(ValueError):
    """A body is not acceptable JSON. The message says where and quotes nothing of it."""


def parse(raw: bytes, *, max_bytes: int, max_depth: int = 64) -> dict[str, Any]:
    """Read one JSON object (RFC 8259), integers as int and other numbers as float.

    `max_depth` counts the brackets around the innermost value, the object's own included.
    Raises BodyError.
    """
    if len(raw) > max_bytes:
        raise BodyError(f"longer than {max_bytes} bytes; send less")
    text = _decoded(raw)
    # As long as `raw`, so that positions hold; what is behind a backslash no longer misleads.
    plain = raw.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    if lone := _LONE.search(plain):
        raise BodyError(f"byte {lone.start()}: half of a surrogate pair; escape whole characters")
    outside = b"".join(plain.split(b'"')[::2])
    if _depth(outside) > max_depth:
        raise BodyError(f"nested deeper than {max_depth} levels; send it flatter")
    decoder = _CAREFUL if _extreme(outside) else _QUICK
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        # The decoder's own message can quote a character.
        raise BodyError(f"character {error.pos}: not JSON from here on") from None
    if not isinstance(value, dict):
        raise BodyError("not a JSON object; put the fields between { and }")
    return value


def dumps(body: object) -> bytes:
    """Write JSON as compact UTF-8. Raises BodyError for what JSON cannot hold."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BodyError(f"cannot be written as JSON ({type(error).__name__})") from None


def _decoded(raw: bytes) -> str:
    if raw.startswith(_BOM):
        raise BodyError("byte 0: begins with a byte order mark; leave it out")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BodyError(f"byte {error.start}: not UTF-8") from None


def _depth(outside: bytes) -> int:
    """The most brackets open at once; right up to the place where a body stops being JSON."""
    brackets = outside.translate(None, _NOT_BRACKETS)
    steps = _STEP[np.frombuffer(brackets, dtype=np.uint8)]
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def _extreme(outside: bytes) -> bool:
    """Whether any number could be out of range: a call for each number costs more than the rest."""
    alike = outside.translate(_DIGITS_ALIKE)
    return b"0e" in alike or b"0" * 19 in alike


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BodyError("an object has the same key twice; keep one")
    return fields


def _integer(digits: str) -> int:
    if len(digits) > 20 or not SMALLEST <= (number := int(digits)) <= LARGEST:
        raise BodyError("an integer is wider than 64 bits; send it as a string")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BodyError("a number is too large for a double; send a smaller one")
    return number


def _constant(_name: str) -> NoReturn:
    raise BodyError("NaN and Infinity are not JSON; leave the field out")


_QUICK = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_CAREFUL = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
)
