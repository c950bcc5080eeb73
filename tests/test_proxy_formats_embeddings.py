"""Embeddings into an exchange and back, without any server."""

import base64
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Body, Finished, FormatError, Refused
from proxy.formats import embeddings
from proxy.formats.embeddings import Embeddings


def body(given: Any = "Hello", **fields: Any) -> Body:
    return {"model": "m", "input": given, **fields}


def begun(given: Any = "Hello", **fields: Any) -> Embeddings:
    return embeddings.answer(embeddings.read(body(given, **fields)))


def coded(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, dtype="<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "m"}, "input"),
        (body([]), "input"),
        (body([{"text": "x"}]), "input"),
        (body(["x"] * 2049), "input"),
        (body(encoding_format="bytes"), "encoding_format"),
        (body(encoding_format=["float"]), "encoding_format"),
        (body(dimensions=0), "dimensions"),
        (body(stream=True), "stream"),
    ],
)
def test_a_bad_request_names_the_field(given: Body, param: str) -> None:
    with pytest.raises(FormatError) as caught:
        embeddings.read(given)
    assert caught.value.param == param


def test_every_text_is_found_and_tokens_are_named() -> None:
    request = embeddings.read(body(["a", "b"], user="u", encoding_format="base64"))
    texts = {".".join(map(str, s.path)): s.text for s in request.said}
    assert texts == {"input.0": "a", "input.1": "b", "user": "u"}
    assert (request.question, request.speaks, request.side_channels) == ("b", False, ())
    for tokens in ([1, 2], [[1], [2]]):
        channels = embeddings.read(body(tokens)).side_channels
        assert [(c.name, c.param) for c in channels] == [("tokens", "input")]


def test_numbers_follow_no_instruction() -> None:
    assert embeddings.instruct(body(), "I", "system") == body()


def test_an_answer_is_vectors_and_counts() -> None:
    answer = begun(["a", "b"])
    data = [
        {"index": 1, "embedding": coded(0.5, -2), "note": "words"},
        {"index": 0, "embedding": [0.25, 1], "object": "words"},
    ]
    usage = {"prompt_tokens": 3, "note": "words"}
    pieces = answer.whole({"data": data, "model": "words", "usage": usage})
    assert pieces == [Finished(0, "stop")]
    assert answer.response(pieces) == {
        "object": "list",
        "model": "m",
        "data": [
            {"object": "embedding", "index": 1, "embedding": coded(0.5, -2)},
            {"object": "embedding", "index": 0, "embedding": [0.25, 1]},
        ],
        "usage": {"prompt_tokens": 3, "total_tokens": 0},
    }


def test_a_refused_answer_holds_none() -> None:
    answer = begun()
    answer.whole({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3}})
    assert answer.response([Refused(0, "No.")])["data"] == []
    assert answer.events([]) == answer.end() == []
    assert answer.broken({"error": {}}) == {"error": {}}
    with pytest.raises(FormatError):
        answer.feed({})


@pytest.mark.parametrize(
    "embedding",
    [
        None,
        {},
        [],
        ["words"],
        [True],
        [0.5, None],
        [1e7],
        [float("nan")],
        [10**400],
        [0.0] * 65_537,
        "",
        "words in here",
        "QUJD",
        base64.b64encode(b"Ottoline Vask paints").decode(),
        coded(float("inf")),
        coded(float("nan")),
    ],
)
def test_what_is_no_vector_is_an_error(embedding: Any) -> None:
    with pytest.raises(FormatError):
        begun().whole({"data": [{"index": 0, "embedding": embedding}]})


def test_bits_behind_the_last_float_are_lost() -> None:
    plain = coded(0.5)  # eight characters, the last of data with four bits to spare
    assert plain == "AAAAPw=="
    answer = begun()
    answer.whole({"data": [{"embedding": "AAAAPx=="}]})
    assert answer.response([])["data"][0]["embedding"] == plain


@pytest.mark.parametrize(
    "data",
    [
        [],
        "x",
        [{"index": 1, "embedding": [0.5]}],
        [{"index": "0", "embedding": [0.5]}],
        [{"embedding": [0.5]}, {"embedding": [0.5]}],
    ],
)
def test_other_than_one_vector_for_each_input_is_an_error(data: Any) -> None:
    with pytest.raises(FormatError):
        begun().whole({"data": data})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values, json_values)
def test_no_shape_raises_anything_else(given: Any, answer: Any) -> None:
    with suppress(FormatError):
        embeddings.read(body(given))
    with suppress(FormatError):
        begun().whole({"data": [{"index": 0, "embedding": answer}]})
    with suppress(FormatError):
        begun().whole({"data": answer, "usage": given})
