"""Bytes of a chat completion: cut anywhere, every word in them is heard."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakage.chat import Events, Reply, ReplyError, is_filtered, parse

STREAM = (
    "\ufeff: hello\r\nevent: message\r\ndata: one\r\ndata:two\r\n\r\n"
    "id: 3\n\ndata: caf\u00e9 \U0001f600\n\nretry\rdata\r\rdata: [DONE]\n\n"
).encode()


def said(*bodies: dict[str, Any]) -> Reply:
    reply = Reply()
    for body in bodies:
        reply.take(json.dumps(body))
    return reply


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, **fields}]}


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    events = Events()
    heard = [
        data for start, end in itertools.pairwise(places) for data in events.feed(STREAM[start:end])
    ]
    assert heard == ["one\ntwo", "caf\u00e9 \U0001f600", "", "[DONE]"]
    assert not events.open


@pytest.mark.parametrize("rest", [b"data: half", b"data: whole line\n", b"dat"])
def test_a_stream_that_ends_inside_an_event_is_open(rest: bytes) -> None:
    events = Events()
    events.feed(b"data: one\n\n" + rest)
    assert events.open


def test_every_field_speaks() -> None:
    reply = said(
        choice(
            message={
                "role": "assistant",
                "content": "in content",
                "reasoning_content": "in reasoning",
                "refusal": "in refusal",
                "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "in arguments"}}],
                "annotations": [{"type": "url_citation", "url_citation": {"title": "in a title"}}],
            },
            logprobs={"content": [{"token": "in "}, {"token": "log-probabilities"}]},
            finish_reason="stop",
        )
    )
    for place in ("content", "reasoning", "refusal", "arguments", "a title", "log-probabilities"):
        assert f"in {place}" in reply.text
    assert "assistant" not in reply.text
    assert reply.finish_reason == "stop"


def test_deltas_of_a_field_join_and_those_of_others_do_not_come_between() -> None:
    def call(at: int, arguments: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": at, "function": {"arguments": arguments}}]}

    reply = said(
        choice(delta={"role": "assistant", "content": "Tarn "}),
        choice(delta={"reasoning": "hmm", **call(0, "North")}),
        choice(delta={"content": "Hollow", **call(1, "Quay")}),
        choice(delta=call(0, " Gate")),
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
        choice(delta={}, finish_reason="stop"),
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    )
    assert reply.text.splitlines() == [
        *("Tarn Hollow", "hmm", "North Gate", "Quay", "another choice"),
    ]
    assert (reply.tokens_in, reply.tokens_out) == (7, 3)
    assert reply.spoke


def test_content_in_parts_and_text_completions_are_heard() -> None:
    parts = said(choice(message={"content": [{"type": "text", "text": "in a part"}, "bare"]}))
    assert parts.text.splitlines() == ["in a part", "bare"]
    assert said(choice(text="plain")).text == "plain"


def test_null_content_is_an_answer_that_says_nothing() -> None:
    reply = said(choice(message={"content": None}, finish_reason="stop"))
    assert reply.text == ""
    assert not reply.spoke
    assert reply.finish_reason == "stop"


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": "7"}, {"prompt_tokens": True, "completion_tokens": None}]
)
def test_tokens_that_are_not_counted_stay_unknown(usage: object) -> None:
    reply = said({**choice(message={"content": "x"}), "usage": usage})
    assert (reply.tokens_in, reply.tokens_out) == (None, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no object"),
        ("{}", "without choices"),
        ('{"choices": 3}', "without choices"),
        ('{"choices": ["x"]}', "a choice that is no object"),
        ('{"error": {"message": "Tarn Hollow"}}', "an error in place of an answer"),
        ('{"error": "Tarn Hollow", "choices": []}', "an error in place of an answer"),
        ('{"choices": [{"a": ' + "[" * 40 + "]" * 40 + "}]}", "nested too deeply"),
    ],
)
def test_what_is_no_answer_is_an_error_that_quotes_nothing(data: str, message: str) -> None:
    with pytest.raises(ReplyError, match=message) as caught:
        Reply().take(data)
    assert "Tarn" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [{"code": "content_filter"}, {"type": "content_policy_violation"}],
)
def test_a_refusal_in_the_shape_of_an_error_is_an_answer(error: dict[str, str]) -> None:
    reply = said({"error": error})
    assert reply.finish_reason == "content_filter"
    assert is_filtered({"error": error})


def test_other_errors_are_no_refusals() -> None:
    assert not is_filtered({"error": {"code": "server_error"}})
    assert not is_filtered({"error": "content_filter"})
    assert not is_filtered({})


def test_an_error_of_null_is_none() -> None:
    assert said({**choice(text="x"), "error": None}).text == "x"


def test_bytes_are_parsed_too() -> None:
    assert parse(b'{"a": 1}') == {"a": 1}
    with pytest.raises(ReplyError):
        parse(b"\xff")


def test_what_stands_where_a_word_of_the_protocol_should_was_said() -> None:
    reply = said(choice(message={"content": "No."}, finish_reason="Tarn Hollow"))
    assert (reply.finish_reason, reply.text) == ("other", "Tarn Hollow\nNo.")
    assert set(reply.channels) == {"content", "other"}
    assert said(choice(finish_reason="content_filter")).finish_reason == "content_filter"


def test_a_field_that_a_model_named_is_no_name_of_a_channel() -> None:
    reply = said(choice(message={"Tarn Hollow": "Tarn Hollow", "content": "No."}))
    assert reply.channels == {"other": "Tarn Hollow", "content": "No."}


def test_half_a_surrogate_pair_is_no_letter() -> None:
    assert said(choice(message={"content": "a\ud800b \U0001f600"})).text == "a\ufffdb \U0001f600"


@pytest.mark.parametrize("count", [10**400, -1, True, "3", 2**40])
def test_tokens_that_nobody_can_count_with_are_not_counted(count: object) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 3}
    reply = said({**choice(message={"content": "x"}), "usage": usage})
    assert (reply.tokens_in, reply.tokens_out) == (None, 3)
