"""A pydantic model's errors, back at their place in a file; any model, not only a policy."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from policies import PolicyErrors, Problem, read
from policies.border import MESSAGES


class Key(BaseModel):
    model_config = ConfigDict(extra="forbid")
    env: str | None = None
    length: Annotated[int, Field(lt=10)] = 1


class Upstream(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    key: Key | None = None
    limits: dict[str, float] = Field(default_factory=dict)
    folder: Path = Path()


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    upstreams: list[Upstream] = Field(min_length=1, max_length=2)
    mode: Literal["fast", "slow"] | float = "fast"
    verbose: bool = False
    rate: Annotated[float, Field(gt=0)] = 1.0
    word: Annotated[str, Field(max_length=3)] = ""
    pairs: Annotated[int, Field(multiple_of=2)] = 0
    anything: Literal["only"] = "only"


def told(folder: Path, text: str) -> list[str]:
    path = folder / "lethe.yaml"
    path.write_text(text, "utf-8")
    config, problems = read(path, Config)
    assert (config is None) == bool(problems)
    return [str(problem).removeprefix(f"{path}:") for problem in problems]


def test_a_right_file_is_its_model(tmp_path: Path) -> None:
    path = tmp_path / "lethe.yaml"
    path.write_text("upstreams: [{name: one, folder: x, key: {env: KEY}}]\nrate: 0.50\n")
    config, problems = read(path, Config)
    assert config == Config(
        upstreams=[Upstream(name="one", folder=Path("x"), key=Key(env="KEY"))], rate=0.5
    )
    assert problems == []


A_LIST = "must be a list, such as [a, b] or lines that begin with `- `"
ONE = "upstreams: [{name: a}]\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("upstreams: [{nam: a, name: x}]",
         "1:14: upstreams[0].nam: unknown key; did you mean 'name'?"),
        ("upstreams: []", "1:12: upstreams: must have at least 1 item"),
        ("upstreams: [{name: a}, {name: b}, {name: c}]",
         "1:12: upstreams: must have at most 2 items"),
        ("upstreams: {name: a}", f"1:12: upstreams: {A_LIST}"),
        ("upstreams:", "1:11: upstreams: has no value; give it one, or remove the key"),
        ("upstreams: [{name: a, key: {x: 1}}]",
         "1:29: upstreams[0].key.x: unknown key; known here: env, length"),
        ("upstreams: [{name: a, key: {length: 10}}]",
         "1:37: upstreams[0].key.length: must be less than 10"),
        ("upstreams: [{name: a, key: {length: 1.5}}]",
         "1:37: upstreams[0].key.length: must be a whole number"),
        ("upstreams: [{name: a, limits: {x: much}}]",
         "1:35: upstreams[0].limits.x: must be a number"),
        (f"{ONE}verbose: perhaps", "2:10: verbose: must be true or false"),
        (f"{ONE}rate: 0", "2:7: rate: must be greater than 0"),
        (f"{ONE}word: long", "2:7: word: must have at most 3 characters"),
        (f"{ONE}pairs: 3", "2:8: pairs: input should be a multiple of 2"),
        (f"{ONE}anything: [x]", "2:11: anything: must be one of only"),
        ("upstreams: [{name: a, folder: 7}]",
         "1:31: upstreams[0].folder: must be a path"),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what(tmp_path: Path, text: str, line: str) -> None:
    assert told(tmp_path, text) == [line]


def test_every_member_of_a_union_says_what_it_would_take(tmp_path: Path) -> None:
    assert told(tmp_path, "upstreams: [{name: a}]\nmode: fats") == [
        "2:7: mode: 'fats' is none of fast, slow; did you mean 'fast'?",
        "2:7: mode: must be a number",
    ]


def test_items_that_are_wrong_are_not_counted_as_missing(tmp_path: Path) -> None:
    assert told(tmp_path, "upstreams: [{}]") == ["1:13: upstreams[0].name: is missing; add it"]


def test_what_the_yaml_reader_refused_is_told_once(tmp_path: Path) -> None:
    assert told(tmp_path, "upstreams: *all") == [
        "1:12: upstreams: aliases (*name) are not accepted; write the value out, or quote it"
    ]


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    [line] = told(tmp_path, "upstreams: [{name: a, key: sk-secret}]")
    assert line == "1:28: upstreams[0].key: must be a mapping, `key: value` lines"


def test_every_sentence_can_be_written() -> None:
    context = dict.fromkeys(("error", "gt", "ge", "lt", "le", "pattern"), 2)
    context |= {"min_length": 1, "max_length": 2}
    assert all(sentence(context) for sentence in MESSAGES.values())


def test_problems_are_told_in_order_of_their_places() -> None:
    later, earlier = (Problem(Path("b"), line, 1, "k", "x") for line in (9, 2))
    whole = Problem(Path("a"), 0, 0, "", "is empty")
    errors = PolicyErrors([later, earlier, whole])
    assert errors.problems == (whole, earlier, later)
    assert str(errors) == "a: is empty\nb:2:1: k: x\nb:9:1: k: x"
