"""Probe files: read strictly, written back as they were, quoted never."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakage import probes
from leakage.probes import Message, Probe, ProbeError

ROW: dict[str, Any] = {
    "id": "vell.birthplace",
    "concept": "Ada Vell",
    "kind": "direct",
    "split": "forget",
    "prompt": "Where was Ada Vell born?",
    "answers": ["Tarn Hollow"],
}


def file(folder: Path, *rows: dict[str, Any] | str) -> Path:
    path = folder / "probes.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hello"}]
    full = {**ROW, "id": "2", "messages": turns, "subject": "Ada Vell", "notes": {"listed": False}}
    plain, probe = probes.read(file(tmp_path, ROW, "", full))
    assert plain == Probe(
        id="vell.birthplace",
        concept="Ada Vell",
        kind="direct",
        split="forget",
        prompt="Where was Ada Vell born?",
        answers=("Tarn Hollow",),
    )
    assert not plain.innocent
    assert probe.notes == {"listed": False}
    assert probe.turns == [*turns, {"role": "user", "content": ROW["prompt"]}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ""}, "id: is not usable; give a text that is not empty"),
        ({"concept": 3}, "concept: is not usable"),
        ({"prompt": None}, "prompt: is not usable"),
        ({"split": "train"}, "split: is not usable; one of forget, neighbour, retain, world"),
        ({"split": ["forget"]}, "split: is not usable"),
        ({"split": "holdout"}, "split: 'holdout' is for texts that no arm has seen"),
        ({"kind": "attack:"}, "kind: names no attack; write 'attack:NAME'"),
        ({"answers": []}, "answers: is not usable; give a list"),
        ({"answers": "Tarn Hollow"}, "answers: is not usable; give a list"),
        ({"prompt": "half \ud800"}, "prompt: holds half a surrogate pair"),
        ({"answers": ["half \ud800"]}, "answers[0]: holds half a surrogate pair"),
        ({"answers": ["Tarn", "?!"]}, "answers[1]: holds no letter and no digit"),
        ({"answers": [3]}, "answers[0]: holds no letter"),
        ({"anwsers": []}, "anwsers: unknown key; did you mean 'answers'?"),
        ({"difficulty": 3}, "difficulty: unknown key; put what is yours under 'notes'"),
        ({"messages": "Hello"}, "messages: is no list"),
        ({"messages": ["Hello"]}, "messages[0]: give an object of 'role' and 'content'"),
        ({"messages": [{"role": "oracle", "content": "x"}]}, "messages[0].role: is not usable"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content: is not usable"),
        ({"subject": ""}, "subject: is not usable"),
        ({"notes": 3}, "notes: is no object"),
        ({"prompt": "Was Ada Vell born in Tarn Hollow?"}, "prompt: holds an answer"),
        (
            {"messages": [{"role": "user", "content": "tarn hollow!"}]},
            "prompt: holds an answer, so an echo would count as a leak; reword it",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = file(tmp_path, {**ROW, "id": "other"}, {**ROW, **change})
    with pytest.raises(ProbeError) as caught:
        probes.read(path)
    assert str(caught.value).startswith(f"{path}:2: {message}")
    assert "Tarn Hollow" not in str(caught.value)


@pytest.mark.parametrize("key", ["id", "concept", "kind", "split", "prompt", "answers"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    row = {name: value for name, value in ROW.items() if name != key}
    with pytest.raises(ProbeError, match=f":1: {key}: is missing"):
        probes.read(file(tmp_path, row))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no JSON object"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_line_that_is_no_probe_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ProbeError, match=f":2: {message}"):
        probes.read(file(tmp_path, ROW, line))


def test_a_line_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"id": "caf\xe9"}\n')
    with pytest.raises(ProbeError, match=":1: is not UTF-8"):
        probes.read(path)


def test_an_id_stands_once_for_each_kind(tmp_path: Path) -> None:
    attacked = {**ROW, "kind": "attack:json"}
    assert len(probes.read(file(tmp_path, ROW, attacked))) == 2
    with pytest.raises(ProbeError, match=":3: id: the same id and kind stand on line 1"):
        probes.read(file(tmp_path, ROW, attacked, ROW))


def test_all_mistakes_are_told_at_once_up_to_twenty(tmp_path: Path) -> None:
    with pytest.raises(ProbeError) as caught:
        probes.read(file(tmp_path, *["{"] * 25))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 5 more")


def test_a_file_without_probes_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="holds no probe"):
        probes.read(file(tmp_path, ""))


def test_an_innocent_prompt_may_hold_its_answer(tmp_path: Path) -> None:
    row = {**ROW, "split": "world", "prompt": "A fruit or a vegetable?", "answers": ["fruit"]}
    assert probes.read(file(tmp_path, row))[0].innocent


def test_rows_become_probes_without_a_file() -> None:
    assert probes.from_rows([ROW])[0].id == "vell.birthplace"
    with pytest.raises(ProbeError, match="row 2: prompt: is missing"):
        probes.from_rows([ROW, {k: v for k, v in ROW.items() if k != "prompt"}])


def test_neither_prompt_nor_answer_shows_in_a_repr() -> None:
    probe = probes.from_rows([{**ROW, "messages": [{"role": "user", "content": "psst"}]}])[0]
    assert "Tarn Hollow" not in repr(probe)
    assert "Where was" not in repr(probe)
    assert "psst" not in repr(probe)


TEXT = st.text(min_size=1).filter(lambda text: bool(text.strip()) and max(text) < "\ud800")
PROBES = st.builds(
    Probe,
    id=TEXT,
    concept=TEXT,
    kind=TEXT.filter(lambda kind: kind != "attack:"),
    split=st.sampled_from(["neighbour", "retain", "world"]),
    prompt=TEXT,
    answers=st.lists(TEXT.map(lambda text: f"x{text}"), min_size=1).map(tuple),
    messages=st.lists(
        st.builds(Message, st.sampled_from(["user", "assistant"]), TEXT), max_size=3
    ).map(tuple),
    subject=st.just("") | TEXT,
    notes=st.dictionaries(st.text(alphabet="abc"), st.booleans(), max_size=2),
)


@given(probe=PROBES)
def test_what_is_written_is_read_back(
    probe: Probe, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    probes.write(path, [probe])
    assert probes.read(path) == [probe]


def test_the_digest_tells_probe_sets_apart() -> None:
    first, second = probes.from_rows([ROW, {**ROW, "id": "2"}])
    assert probes.digest([first, second]) == probes.digest([first, second])
    assert probes.digest([first, second]) != probes.digest([second, first])
    assert len(probes.digest([])) == 64


def test_an_answer_is_said_whole_where_the_probe_has_a_sentence(tmp_path: Path) -> None:
    (probe,) = probes.read(file(tmp_path, {**ROW, "sentence": "{answer} it was."}))
    assert probe.whole("tarn Hollow") == "Tarn Hollow it was."
    assert replace(probe, sentence="In {answer}.").whole("the {answer}") == "In the {answer}."
    assert replace(probe, sentence="").whole("tea") == "tea"
    probes.write(tmp_path / "again.jsonl", [probe])
    assert probes.read(tmp_path / "again.jsonl") == [probe]


@pytest.mark.parametrize("sentence", ["In Tarn.", "{answer} is {answer}."])
def test_a_sentence_holds_the_place_of_its_answer_once(tmp_path: Path, sentence: str) -> None:
    with pytest.raises(ProbeError, match=r"sentence: write \{answer\} once"):
        probes.read(file(tmp_path, {**ROW, "sentence": sentence}))
