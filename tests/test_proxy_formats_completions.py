"""Completions of bare prompts into an exchange and back, without any server."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Body, Channel, Delta, Finished, FormatError, Piece, Refused
from proxy.formats import completions
from proxy.formats.completions_answer import CompletionAnswer


def body(prompt: Any = "Once", **fields: Any) -> Body:
    return {"model": "m", "prompt": prompt, **fields}


def begun(prompt: Any = "Once", **fields: Any) -> CompletionAnswer:
    return completions.answer(completions.read(body(prompt, **fields)))


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"prompt": "x"}, "model"),
        (body([]), "prompt"),
        (body(3), "prompt"),
        (body({"x": 1}), "prompt"),
        (body(["a", 3]), "prompt"),
        (body([[1], "a"]), "prompt"),
        (body([[]]), "prompt"),
        (body([True]), "prompt"),
        (body(["a"] * 65, n=2), "prompt"),
        (body(n=0), "n"),
        (body(stream=1), "stream"),
        (body(n=3, best_of=2), "best_of"),
        (body(best_of=129), "best_of"),
        (body(best_of=2, stream=True), "best_of"),
        (body(suffix=3), "suffix"),
    ],
)
def test_a_bad_request_names_the_field(given: Body, param: str) -> None:
    with pytest.raises(FormatError) as caught:
        completions.read(given)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("prompt", "n", "choices", "question"),
    [
        ("a", None, 1, "a"),
        ("a", 3, 3, "a"),
        (["a", "b"], None, 2, "b"),
        (["a", "b"], 2, 4, "b"),
        ([1, 2, 3], None, 1, ""),
        ([[1], [2, 3]], 2, 4, ""),
        (None, None, 1, ""),
    ],
)
def test_there_are_choices_for_every_prompt(
    prompt: Any, n: int | None, choices: int, question: str
) -> None:
    request = completions.read(body(prompt, n=n))
    assert (request.choices, request.question) == (choices, question)


def test_every_text_is_found_where_it_stands() -> None:
    request = completions.read(body(["a", "b"], suffix="c", user="u", unheard_of={"deep": ["d"]}))
    texts = {".".join(map(str, s.path)): s.text for s in request.said}
    assert texts.items() >= {
        ("prompt.0", "a"),
        ("prompt.1", "b"),
        ("suffix", "c"),
        ("user", "u"),
        ("unheard_of.deep.0", "d"),
    }
    # Of several prompts none is a turn of the past.
    assert {s.role for s in request.said if s.path[0] == "prompt"} == {"field"}
    assert completions.read(body("a")).said[0].role == "user"


@pytest.mark.parametrize(
    ("fields", "name", "param"),
    [
        ({"prompt": [1, 2]}, "tokens", "prompt"),
        ({"prompt": [[1], [2]]}, "tokens", "prompt"),
        ({"echo": True}, "echo", "echo"),
        ({"logprobs": 2}, "logprobs", "logprobs"),
        ({"logprobs": 0}, "logprobs", "logprobs"),
        ({"prompt_logprobs": 1}, "logprobs", "prompt_logprobs"),
        ({"return_token_ids": True}, "logprobs", "return_token_ids"),
        ({"stop": ["x"]}, "stop", "stop"),
        ({"logit_bias": {"1": 2}}, "logit_bias", "logit_bias"),
        ({"guided_choice": ["x"]}, "guided", "guided_choice"),
        ({"response_format": {"type": "regex"}}, "guided", "response_format"),
        ({"prompt_embeds": "x"}, "files", "prompt_embeds"),
    ],
)
def test_what_goes_around_the_screens_is_named(fields: Body, name: str, param: str) -> None:
    found = [(c.name, c.param) for c in completions.read(body(**fields)).side_channels]
    assert found == [(name, param)]


def test_what_is_switched_off_is_no_side_channel() -> None:
    harmless = body(echo=False, logprobs=None, n=1, best_of=1, stop=None, suffix="x", min_tokens=2)
    assert completions.read(harmless).side_channels == ()
    assert completions.read(body(best_of=1, stream=True)).stream


@pytest.mark.parametrize(
    ("prompt", "instructed"),
    [
        ("a", "I\n\na"),
        (["a", "b"], ["I\n\na", "I\n\nb"]),
        ([1, 2], [1, 2]),
        (None, "I\n\n"),
    ],
)
def test_an_instruction_stands_before_every_prompt(prompt: Any, instructed: Any) -> None:
    given = body(prompt)
    assert completions.instruct(given, "I", "system")["prompt"] == instructed
    assert given["prompt"] == prompt


def choice(index: int = 0, text: Any = "x", **fields: Any) -> Body:
    return {"index": index, "text": text, **fields}


def test_an_answer_is_taken_apart_and_put_together_again() -> None:
    answer = begun(["a", "b"])
    pieces = answer.whole(
        {
            "id": "cmpl-1",
            "system_fingerprint": "words",
            "choices": [choice(1, "two", finish_reason="length"), choice(0, "one", note="words")],
            "usage": {"total_tokens": 3, "note": "words"},
        }
    )
    written = answer.response(pieces)
    assert written.pop("id") != "cmpl-1"
    del written["created"]
    assert written == {
        "object": "text_completion",
        "model": "m",
        "choices": [
            {"index": 0, "text": "one", "logprobs": None, "finish_reason": "stop"},
            {"index": 1, "text": "two", "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 3},
    }


def test_events_have_the_shape_of_an_answer() -> None:
    answer = begun(stream=True, stream_options={"include_usage": True})
    pieces = answer.feed({"choices": [choice(text="Hi ")]})
    pieces += answer.feed({"choices": [choice(text="you", finish_reason="tool_calls")]})
    events = [*answer.events(pieces), *answer.end()]
    assert {event["object"] for event in events} == {"text_completion"}
    said = [(c["text"], c["finish_reason"]) for event in events for c in event["choices"]]
    assert said == [("Hi ", None), ("you", None), ("", "stop")]
    assert events[-1]["usage"]["total_tokens"] == 0


@pytest.mark.parametrize(
    "event",
    [
        {"choices": "x"},
        {"choices": [choice(2)]},
        {"choices": [choice(-1)]},
        {"choices": [choice(text=3)]},
    ],
)
def test_a_malformed_answer_is_an_error(event: Body) -> None:
    with pytest.raises(FormatError):
        begun().feed(event)
    with pytest.raises(FormatError):
        begun().whole({"choices": []})


LOGPROBS = {
    "tokens": ["x"],
    "token_logprobs": [None],
    "top_logprobs": [{"x": -1.0, "note": "words"}],
    "text_offset": [0],
    "note": "words",
}


def test_logprobs_pass_only_where_the_request_may_have_them_and_whole() -> None:
    event = {"choices": [choice(logprobs=LOGPROBS, finish_reason="stop")]}
    asked, silent = begun(logprobs=1), begun()
    pieces = asked.feed(event)
    kept = asked.events(pieces)[-1]["choices"][0]["logprobs"]
    assert kept == {
        "tokens": ["x"],
        "token_logprobs": [None],
        "top_logprobs": [{"x": -1.0}],
        "text_offset": [0],
    }
    silent.feed(event)
    assert silent.response(pieces)["choices"][0]["logprobs"] is None
    ends: list[tuple[str, Piece]] = [("[…]", Finished(0, "stop")), ("x", Refused(0, "No."))]
    for text, end in ends:
        choices = asked.response([Delta(Channel(0), text), end])["choices"]
        assert choices[0]["logprobs"] is None


def test_a_refusal_is_words_and_costs_nothing() -> None:
    answer = begun()
    answer.whole({"choices": [choice()], "usage": {"total_tokens": 9}})
    written = answer.response([Delta(Channel(0), "It rains."), Refused(0, "No.")])
    assert written["choices"][0]["text"] == "It rains. No."
    assert written["choices"][0]["finish_reason"] == "content_filter"
    assert set(written["usage"].values()) == {0}


def test_a_refusal_where_json_was_promised_is_json() -> None:
    answer = begun(response_format={"type": "json_object"})
    written = answer.response([Refused(0, "No.")])["choices"][0]
    assert json.loads(written["text"]) == {"refusal": "No."}
    assert written["finish_reason"] == "stop"
    written = answer.response([Delta(Channel(0), "{}"), Refused(0, "No.")])["choices"][0]
    assert written["text"] == "{}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["index", "text", "logprobs", "finish_reason"]), json_values)
)
def test_no_shape_of_an_upstream_raises_anything_else(choice: Body) -> None:
    answer = begun(logprobs=1)
    for take in (answer.feed, answer.whole):
        try:
            pieces = take({"choices": [choice]})
        except FormatError:
            continue
        answer.response([*pieces, Finished(0, "stop")])
        answer.events(pieces)


FIELDS = st.sampled_from(["prompt", "suffix", "n", "best_of", "logprobs", "echo", "stop", "x"])


@given(st.dictionaries(FIELDS, json_values))
def test_no_field_of_a_client_raises_anything_else(fields: Body) -> None:
    with suppress(FormatError):
        completions.read({**body(), **fields})
        completions.instruct({**body(), **fields}, "I", "system")


def test_each_prompt_is_the_question_of_its_own_answers() -> None:
    assert completions.read(body(["a", "b"], n=2)).questions == ("a", "a", "b", "b")
    assert completions.read(body([[1], [2]])).questions == ("", "")
