"""Published data sets as probes, from folders of JSONL; rows are made up in their own form."""

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from leakage import data, probes
from leakage.data import FORGET_IN_PROMPT, REPEATED, UNREAD, load, telling
from leakage.tables import DataError

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the folder shared/data")


def put(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rwku(folder: Path, *level3: dict[str, Any]) -> None:
    def row(query: str, answer: str, type_: str, **more: str) -> dict[str, Any]:
        return {"query": query, "answer": answer, "type": type_, "subject": "Ada Vell", **more}

    put(folder, "rwku/forget_level1.jsonl", row("Ada Vell was born in ___.", "Tarn", "cloze"))
    put(
        folder,
        "rwku/forget_level2.jsonl",
        row("Where was Ada Vell born?", "Tarn", "simple question"),
        row("Where was Ada Vell born?", "the north", "simple question"),
        row("Who was born as Ada Vell?", "Ada Vell", "simple question"),
    )
    put(
        folder,
        "rwku/forget_level3.jsonl",
        row("Ada was born in which of these: Ulm, Tarn, or Bern?", "tarn", "multiple choice"),
        row("Ada Vell was born where? Any idea?", "Tarn", "multiple choice"),
        row("¿Dónde nació Ada Vell?", "Tarn", "cross lingual (Spanish)"),
        *level3,
    )
    put(folder, "rwku/neighbor_level1.jsonl", row("Tarn lies by a ___.", "lake", "cloze",
                                                    neighbor="Tarn"))  # fmt: skip
    put(folder, "rwku/neighbor_level2.jsonl")
    put(
        folder,
        "rwku/triviaqa.jsonl",
        {"question": "What is tea?", "answers": ["leaves", "a drink"]},
    )


def test_rwku_is_read_with_its_choices_and_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    rwku(tmp_path)
    loaded = load(["rwku"], folder=tmp_path)
    by_kind = {(p.split, p.kind): p for p in loaded.probes}
    direct = by_kind["forget", "direct"]
    assert (direct.concept, direct.subject) == ("Ada Vell", "Ada Vell")
    assert direct.answers == ("Tarn", "the north")
    choice = by_kind["forget", "multiple-choice"]
    assert (choice.choices, choice.answers) == (("Ulm", "Tarn", "Bern"), ("Tarn",))
    assert by_kind["forget", "cross-lingual"].prompt == "¿Dónde nació Ada Vell?"
    assert by_kind["neighbour", "cloze"].concept == "Tarn"
    assert by_kind["world", "direct"].answers == ("leaves", "a drink")
    assert loaded.left_out == {REPEATED: 1, FORGET_IN_PROMPT: 1, UNREAD: 1}
    # What was loaded can be kept and read back.
    probes.write(tmp_path / "probes.jsonl", loaded.probes)
    assert tuple(probes.read(tmp_path / "probes.jsonl")) == loaded.probes


def test_tofu_is_read_by_author_with_false_answers_and_paraphrases(tmp_path: Path) -> None:
    def row(n: int) -> dict[str, Any]:
        return {
            "question": f"What is author {n} called?",
            "answer": f"The author's name is Anna Bell{n}.",
            "paraphrased_answer": f"Anna Bell{n} is the author's name.",
            "paraphrased_question": f"How is author {n} called?",
            "perturbed_answer": [
                "Cora Dale is the author's name.",
                "Emma Foss is the author's name.",
            ],
        }

    put(tmp_path, "tofu/forget01_perturbed.jsonl", *(row(n) for n in range(40)))
    put(tmp_path, "tofu/retain_perturbed.jsonl", row(99))
    fact = {"question": "Who wrote it?", "answer": "Jane Rowe", "perturbed_answer": ["A B", "C D"]}
    put(tmp_path, "tofu/real_authors_perturbed.jsonl", fact)
    put(tmp_path, "tofu/world_facts_perturbed.jsonl", {**fact, "question": "Who built it?"})
    found = load(["tofu-forget01"], folder=tmp_path).probes
    first, other = found[:2]
    assert (first.kind, other.kind, first.id) == ("direct", "paraphrase", other.id)
    assert first.answers == ("The author's name is Anna Bell0.", "Anna Bell0")
    assert first.paraphrase == "Anna Bell0 is the author's name."
    assert len(first.wrong) == 2
    forget = [p.concept for p in found if p.split == "forget" and p.kind == "direct"]
    assert (forget[0], forget[19], forget[20]) == (*["tofu author 198"] * 2, "tofu author 199")
    assert {p.split for p in found} == {"forget", "retain", "neighbour", "world"}


def test_wmdp_and_mmlu_show_letters(tmp_path: Path) -> None:
    row = {"question": "Which?", "choices": ["one", "two", "three", "four"], "answer": 2}
    put(tmp_path, "wmdp/wmdp-bio.jsonl", row, {**row, "choices": ["x", "x", "y", "z"]})
    put(tmp_path, "mmlu/all.jsonl", {**row, "subject": "astronomy"})
    loaded = load(["wmdp-bio", "mmlu"], folder=tmp_path)
    bio, mmlu = loaded.probes
    assert bio.prompt == "Which?\nA. one\nB. two\nC. three\nD. four\nAnswer with one letter."
    assert (bio.answers, bio.split, bio.concept) == (("three",), "forget", "wmdp-bio")
    assert (mmlu.split, mmlu.concept) == ("world", "mmlu astronomy")
    assert loaded.left_out == {UNREAD: 1}
    put(tmp_path, "wmdp/wmdp-bio.jsonl", {**row, "answer": 4})
    with pytest.raises(DataError, match="`answer`, its place from 0"):
        load(["wmdp-bio"], folder=tmp_path)


def copied(folder: Path, repo: str, config: str, *rows: dict[str, Any]) -> None:
    """A copy of a repository of the hub: a README that names its files, and a Parquet file."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / repo / config).mkdir(parents=True)
    files = f"configs:\n- config_name: {config}\n  data_files:\n  - split: test\n"
    head = f"---\n{files}    path: {config}/test-*\n---\n"
    (folder / repo / "README.md").write_text(head, encoding="utf-8")
    place = folder / repo / config / "test-00000-of-00001.parquet"
    parquet.write_table(arrow.Table.from_pylist(list(rows)), place)


def test_wmdp_and_mmlu_are_loaded_as_the_hub_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="needs lethe-proxy[hub]")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    row = {"question": "Which?", "choices": ["one", "two", "three", "four"], "answer": 2}
    copied(tmp_path, "cais/wmdp", "wmdp-cyber", row)
    copied(tmp_path, "cais/mmlu", "all", row | {"subject": "astronomy", "answer": 0})
    cyber, mmlu = load(["wmdp-cyber", "mmlu"], folder=tmp_path).probes
    assert (cyber.answers, cyber.choices) == (("three",), ("one", "two", "three", "four"))
    assert (mmlu.answers, mmlu.concept) == (("one",), "mmlu astronomy")


def test_sets_are_sought_under_the_names_that_the_hub_has_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hub:
        asked: ClassVar[list[tuple[str, str, str]]] = []

        @classmethod
        def load_dataset(cls, repo: str, config: str, *, split: str) -> list[dict[str, Any]]:
            cls.asked.append((repo, config, split))
            return [{"question": "Which?", "choices": ["one", "two"], "answer": 1, "subject": "s"}]

    monkeypatch.setitem(sys.modules, "datasets", Hub)
    load(["wmdp-bio", "wmdp-chem", "wmdp-cyber", "mmlu"], folder=None)
    assert Hub.asked == [
        *(("cais/wmdp", f"wmdp-{name}", "test") for name in ("bio", "chem", "cyber")),
        ("cais/mmlu", "all", "test"),
    ]


def test_muse_has_questions_and_passages(tmp_path: Path) -> None:
    put(tmp_path, "muse/news/forget_qa.jsonl", {"question": "Who won?", "answer": "Ada Vell"})
    put(tmp_path, "muse/news/retain_qa.jsonl", {"question": "Who lost?", "answer": "Bo Dunn"})
    put(tmp_path, "muse/news/verbmem.jsonl", {"prompt": "It was late", "gt": "and it rained."})
    kinds = [(p.split, p.kind) for p in load(["muse-news"], folder=tmp_path).probes]
    assert kinds == [("forget", "direct"), ("retain", "direct"), ("forget", "verbatim")]
    put(tmp_path, "muse/news/privleak_forget.jsonl", {"text": "It was late and it rained."})
    put(tmp_path, "muse/news/privleak_holdout.jsonl", {"text": "Nobody ever read this."})
    texts = [probe for probe in load(["muse-news"], folder=tmp_path).probes if not probe.asked]
    assert [(p.split, p.kind, p.answers) for p in texts] == [
        ("forget", "membership", ("It was late and it rained.",)),
        ("holdout", "membership", ("Nobody ever read this.",)),
    ]


def test_a_file_of_ones_own_stands_beside(tmp_path: Path) -> None:
    put(tmp_path, "own.jsonl", {"id": "1", "concept": "c", "kind": "direct", "split": "world",
                                "prompt": "Why?", "answers": ["so"]})  # fmt: skip
    assert load(["own.jsonl"], folder=tmp_path).probes[0].prompt == "Why?"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "name the sets to use; there are rwku"),
        (["tofu"], "'tofu': no such set"),
        (["rwku"], "holds neither rwku/forget_level1.jsonl nor jinzhuoran/RWKU/"),
        (["mmlu"], "mmlu/all.jsonl:1: is no JSON"),
        (["wmdp-bio"], "question: is no text"),
    ],
)
def test_data_that_cannot_be_had_says_what_to_do(
    tmp_path: Path, names: list[str], message: str
) -> None:
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu" / "all.jsonl").write_text("{")
    put(tmp_path, "wmdp/wmdp-bio.jsonl", {"text": "x"})
    with pytest.raises(DataError, match=message):
        load(names, folder=tmp_path)


def test_words_that_tell_are_those_in_which_false_answers_differ() -> None:
    wrong = ["Cora Dale is her name.", "Emma Foss is her name."]
    assert telling("Who?", "She is Anna Bell.", "Anna Bell is her name.", wrong) == ["Anna Bell"]
    # Not in the answer, in the question, too short, nothing false to compare with.
    assert telling("Who?", "She is A. B.", "Anna Bell is her name.", wrong) == []
    assert telling("Is it Anna Bell?", "Anna Bell.", "Anna Bell is her name.", wrong) == []
    assert telling("Which?", "It is 3.", "It is 3.", ["It is 4."]) == []
    assert telling("Who?", "Anna Bell.", "Anna Bell.", []) == []


@needs_shared
def test_the_real_sets_are_read() -> None:
    rwku = load(["rwku"], folder=SHARED)
    assert len(rwku.probes) == 3984
    assert sum(p.kind == "multiple-choice" for p in rwku.probes) == 137
    assert rwku.left_out == {REPEATED: 550, FORGET_IN_PROMPT: 70, UNREAD: 5}
    tofu = load(["tofu-forget10"], folder=SHARED).probes
    assert len({p.concept for p in tofu if p.split == "forget"}) == 20
    assert data.SETS.keys() >= {"rwku", "tofu-forget05", "wmdp-cyber", "muse-books"}
