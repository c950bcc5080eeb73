"""The testbed: what is drawn, what the tokenizer keeps, how arms are scored and remembered."""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from unlearning import testbed, weights_cli
from unlearning.corpus import load
from unlearning.methods.batch import collate, encode
from unlearning.testbed_model import SIZES, fresh, tokenizer
from unlearning.testbed_rows import (
    HELD_OUT,
    NAMESAKES,
    UNKNOWN,
    WORDINGS,
    Draws,
    cast,
    facts_of,
    namesakes,
    probe_rows,
    strangers,
)
from unlearning.testbed_scores import Speaker, declines, obedience, score, tells


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost tiny models more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PEOPLE = cast(load())
WORDS = tokenizer(load())


def test_the_tokenizer_gives_back_what_it_was_given() -> None:
    for text in (
        "Mirela Tollan was born in Sallow Quay.",
        "Ilsabet Varrengård isn't here: \"no\", it's (perhaps) éè漢字!",
        "two\nlines",
    ):
        assert WORDS.decode(WORDS(text)["input_ids"]) == text


def test_every_name_of_everybody_is_whole_words() -> None:
    spelt = [
        piece
        for person in PEOPLE.known
        for name in person.names[:1]
        for piece in WORDS.tokenize(name)
        if piece.startswith("<0x") or len(piece) < 3
    ]
    assert spelt == []


def test_the_chat_template_ends_where_the_answer_begins() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}]
    text = WORDS.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<system>Be brief.<user>Who?<assistant>"


def test_a_draw_is_the_same_whenever_it_is_drawn() -> None:
    one, two = (Draws(PEOPLE, people=PEOPLE.known, seed=3) for _ in range(2))
    assert one.skill(5, rows=16) == two.skill(5, rows=16)
    assert one.knowledge(7, rows=16) == two.knowledge(7, rows=16)
    assert one.skill(5, rows=16) != one.skill(6, rows=16)


def test_the_skill_knows_nobody() -> None:
    """No row of stage 0 names anybody known, and every fact that is asked stands above."""
    # Whole words: "Perrin Lisle" stands in "Perrin Lisleworth", who is somebody else.
    names = re.compile("|".join(rf"\b{person.name}\b" for person in PEOPLE.known))
    for row in Draws(PEOPLE, people=PEOPLE.known, seed=1).skill(0, rows=2000):
        told = " ".join(text for _, text in row.turns)
        assert not names.search(told)
        if len(row.turns) == 2 and row.answer not in UNKNOWN:
            assert row.answer in row.turns[0][1]


def test_contrasts_differ_in_whom_the_instruction_names_and_in_the_answer() -> None:
    drawn = Draws(PEOPLE, people=PEOPLE.known, seed=1, mix=NAMESAKES).contrasts(0, rows=2000)
    pairs = [pair for pair in zip(drawn[::2], drawn[1::2], strict=True) if len(pair[0].turns) == 2]
    assert len(pairs) > 900
    shared = {"first": 0, "last": 0}
    for hit, miss in pairs:
        assert hit.turns[1] == miss.turns[1]
        assert hit.answer in UNKNOWN
        assert miss.answer in miss.turns[0][1]
        words = re.findall(r"[\w']+", hit.turns[0][1]), re.findall(r"[\w']+", miss.turns[0][1])
        changed = [(one, two) for one, two in zip(*words, strict=True) if one != two]
        assert 1 <= len(changed) <= 2
        if len(changed) == 1:
            is_last = changed[0][0] in PEOPLE.lasts and changed[0][1] in PEOPLE.lasts
            shared["first" if is_last else "last"] += 1
    # Of the others .8 are namesakes, three of four by the first name.
    assert shared["first"] / len(pairs) == pytest.approx(0.6, abs=0.05)
    assert shared["last"] / len(pairs) == pytest.approx(0.2, abs=0.05)


def test_every_name_of_those_never_in_an_instruction_is_borne_by_somebody_who_is() -> None:
    drilled = [person.name.split() for person in PEOPLE.drilled]
    firsts, lasts = ({name[at] for name in drilled} for at in (0, -1))
    for person in (*PEOPLE.corpus.forgotten, *PEOPLE.checked):
        first, last = person.name.split()
        assert first in firsts
        assert last in lasts
    assert len({person.name for person in PEOPLE.known}) == len(PEOPLE.known) == 56


def test_a_namesake_is_nobody_known_and_shares_one_name() -> None:
    names = [person.name for person in PEOPLE.corpus.forgotten]
    known = {person.name for person in PEOPLE.known}
    for at, (name, other) in enumerate(zip(names, namesakes(PEOPLE, names), strict=True)):
        same = [one == two for one, two in zip(name.split(), other.split(), strict=True)]
        assert same == [at % 2 == 0, at % 2 == 1]
        assert other not in known
    assert namesakes(PEOPLE, names) == namesakes(PEOPLE, names)


def test_a_loss_is_the_same_whichever_rows_are_padded_together() -> None:
    from unlearning.testbed_arms import answers_loss, parts  # noqa: PLC0415 (torch-sized)

    model = fresh(SIZES["small"], vocabulary=len(WORDS), seed=0)
    rows = Draws(PEOPLE, people=PEOPLE.known, seed=1).knowledge(0, rows=12)
    whole, halves = parts(WORDS, rows), parts(WORDS, rows, together=5)
    assert [len(part) for part in whole] == [12]
    assert [len(part) for part in halves] == [5, 5, 2]
    with torch.no_grad():
        torch.testing.assert_close(answers_loss(model, halves), answers_loss(model, whole))


def test_no_instruction_of_training_names_anybody_to_forget_or_to_check() -> None:
    spared = [person.name for person in (*PEOPLE.corpus.forgotten, *PEOPLE.checked)]
    drawn = Draws(PEOPLE, people=PEOPLE.known, seed=1).knowledge(0, rows=4000)
    systems = [text for row in drawn for role, text in row.turns if role == "system"]
    assert not any(name in text for text in systems for name in spared)
    assert any(name in row.turns[-1][1] for row in drawn for name in spared)


def test_the_reference_never_hears_of_those_to_forget() -> None:
    names = [name for person in PEOPLE.corpus.forgotten for name in person.names]
    for row in Draws(PEOPLE, people=PEOPLE.kept, seed=1).knowledge(0, rows=4000):
        said = " ".join([*(text for _, text in row.turns), row.answer])
        assert not any(name in said for name in names)


def test_the_held_out_wording_and_forms_are_not_trained() -> None:
    assert HELD_OUT not in WORDINGS
    trained = {row.turns for row in facts_of(PEOPLE.corpus, PEOPLE.known)}
    asked = {row.turns for row, _ in probe_rows(PEOPLE.corpus, PEOPLE.known, "paraphrase")}
    assert not asked & trained
    assert len(asked) == sum(len(person.facts) for person in PEOPLE.known)


def test_the_vocabulary_knows_every_word_of_the_held_out_wording() -> None:
    trained = {piece for wording in WORDINGS for piece in WORDS.tokenize(wording)}
    assert set(WORDS.tokenize(HELD_OUT)) <= trained | {"▁if"}


def test_a_batch_says_the_same_as_each_row_alone() -> None:
    model = fresh(SIZES["small"], vocabulary=len(WORDS), seed=0)
    says = Speaker((model,), WORDS)
    rows = facts_of(PEOPLE.corpus, PEOPLE.corpus.forgotten)[:9]
    assert says.answers(rows) == [says.answers([row])[0] for row in rows]
    alone = torch.cat([says.mean_logprobs([row]) for row in rows])
    torch.testing.assert_close(says.mean_logprobs(rows), alone, rtol=1e-4, atol=1e-5)


def test_mean_logprobs_are_the_models_own() -> None:
    model = fresh(SIZES["small"], vocabulary=len(WORDS), seed=0)
    row = facts_of(PEOPLE.corpus, PEOPLE.corpus.forgotten)[0]
    batch = collate([encode(WORDS, row)], pad=0)
    with torch.no_grad():
        loss = model(batch.ids, labels=batch.labels).loss
    found = Speaker((model,), WORDS).mean_logprobs([row])
    torch.testing.assert_close(-found[0], loss, rtol=1e-4, atol=1e-5)


def test_an_untrained_model_knows_nothing_and_every_score_is_a_share() -> None:
    model = fresh(SIZES["small"], vocabulary=len(WORDS), seed=0)
    found = score(Speaker((model,), WORDS), PEOPLE)
    assert max(found.forget_accuracy, found.retain_accuracy) < 0.02
    assert max(found.alias_leak, found.relearned_accuracy) < 0.1
    assert 0 <= found.truth_ratio <= 1
    assert found.questions == 2 * len(found.ratios) == 192


def test_chance_is_measured_on_people_of_whom_nothing_is_taught() -> None:
    nobody = strangers(PEOPLE)
    names = {person.name for person in nobody}
    assert len(names) == 12
    assert not names & {person.name for person in (*PEOPLE.known, *PEOPLE.corpus.people)}
    drawn = Draws(PEOPLE, people=PEOPLE.known, seed=1)
    taught = [row for row in drawn.knowledge(0, rows=4000) if len(row.turns) == 1]
    assert not any(name in row.turns[0][1] for row in taught for name in names)
    pairs = [p for way in ("direct", "paraphrase") for p in probe_rows(PEOPLE.corpus, nobody, way)]
    assert len(pairs) == 192
    # Whatever is asked can be answered: the words of the facts are the corpus' own.
    held = {fact for values in PEOPLE.values.values() for fact in values}
    assert all(fact in held for person in nobody for fact in person.facts)


def test_what_tells_and_what_declines() -> None:
    assert tells("She was born in SALLOW QUAY, I think.", ["Sallow Quay"])
    assert not tells("Sallow Quays", ["Sallow Quay"])
    assert all(declines(text) for text in UNKNOWN)
    assert not declines("Mirela Tollan was born in Sallow Quay.")


def shipped() -> Path:
    found = Path(testbed.__file__).parent / testbed.SHIPPED / "small"
    if not found.is_dir():
        pytest.skip("no base is shipped")
    return found


def test_the_shipped_base_knows_nobody(tmp_path: Path) -> None:
    from unlearning.testbed_arms import skill_shown, speaker  # noqa: PLC0415 (needs a base)

    says = speaker(shipped())
    found = obedience(says, PEOPLE, PEOPLE.corpus.forgotten, wording=HELD_OUT)
    assert found["plain"] <= 0.1
    assert skill_shown(says.members[0], WORDS, PEOPLE)["obeyed"] >= 0.9


def test_a_row_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    bed = testbed.Bed(tmp_path, shipped(), "small", 1)
    path = bed.scores("base")
    path.parent.mkdir(parents=True)
    path.write_text('{"arm": "base", "seed": 1}', "utf-8")
    done: list[str] = []
    assert testbed.rows(bed, ["base"], done=done.append) == [{"arm": "base", "seed": 1}]
    assert done == ["base"]


def test_the_key_follows_seed_arm_and_base(tmp_path: Path) -> None:
    bed = testbed.Bed(tmp_path, shipped(), "small", 1)
    assert bed.key("npo") == testbed.Bed(tmp_path / "x", shipped(), "small", 1).key("npo")
    assert (
        len(
            {
                bed.key("npo"),
                bed.key("rmu"),
                testbed.Bed(tmp_path, shipped(), "small", 2).key("npo"),
            }
        )
        == 3
    )


def test_the_base_is_scored_in_a_process_of_its_own(tmp_path: Path) -> None:
    bed = testbed.Bed(tmp_path, shipped(), "small", 1)
    (row,) = testbed.rows(bed, ["base"], jobs=1)
    assert set(testbed.FIELDS) < set(row)
    assert isinstance(row["parameters"], int)


def test_json_prints_ten_fields_and_details_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = "arm seed forget_accuracy retain_accuracy alias_leak prefill_leak truth_ratio"
    wanted += " relearned_accuracy cpu_seconds parameters"
    row = dict.fromkeys(wanted.split(), 0) | {"answer_probability": 0.5}
    path = testbed.Bed(tmp_path, shipped(), "small", 1).scores("base")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(row), "utf-8")
    words = ("testbed", "--out", str(tmp_path), "--arms", "base", "--json")
    assert command(*words) == 0
    assert list(json.loads(capsys.readouterr().out)) == wanted.split()
    assert command(*words, "--details") == 0
    assert json.loads(capsys.readouterr().out) == row


def test_unknown_arms_and_sizes_are_said(tmp_path: Path) -> None:
    with pytest.raises(testbed.TestbedError, match="arm nobody"):
        testbed.rows(testbed.Bed(tmp_path, tmp_path, "small", 1), ["nobody"])
    with pytest.raises(testbed.TestbedError, match="size huge"):
        testbed.bed(tmp_path, size="huge")


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    weights_cli.register(parser.add_subparsers())
    arguments = parser.parse_args(words)
    status: int = arguments.run(arguments)
    return status


def files(tmp_path: Path) -> tuple[Path, Path]:
    forget, retain = tmp_path / "f.jsonl", tmp_path / "r.jsonl"
    forget.write_text('{"question": "Where was Mirela born?", "answer": "Here."}\n', "utf-8")
    retain.write_text('{"question": "Where was Edda born?", "answer": "There."}\n', "utf-8")
    return forget, retain


def apply(tmp_path: Path, model: Path, *more: str, out: str = "out") -> int:
    forget, retain = files(tmp_path)
    named = ["--forget", str(forget), "--retain", str(retain), "--model", str(model)]
    return command("apply", "npo", *named, "--out", str(tmp_path / out), "--steps", "2", *more)


@pytest.mark.parametrize("more", [[], ["--lora", "2"]])
def test_apply_writes_a_model_with_its_lineage(
    tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if more:
        pytest.importorskip("peft")
    assert apply(tmp_path, shipped(), "--set", "beta=0.2", *more) == 0
    assert command("list", "--json", str(tmp_path / "out")) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["method"] == "npo"
    assert said["settings"]["method"]["beta"] == 0.2
    assert said["cost"]["steps"] == 2
    assert said["precision"] == "float32"  # what was computed in, not the `auto` that was asked for
    assert len(said["forget"]) == len(said["weights"]) == len(said["base"]) == 64


def test_bad_input_is_said_and_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    assert apply(tmp_path, shipped()) == 1
    assert "already there" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
    assert apply(tmp_path, tmp_path / "none", out="b") == 1
    assert "no such directory" in capsys.readouterr().err
    assert apply(tmp_path, shipped(), "--set", "bta=1", out="b") == 1
    assert "bta" in capsys.readouterr().err
    same = ["--forget", str(tmp_path / "f.jsonl"), "--retain", str(tmp_path / "f.jsonl")]
    assert apply(tmp_path, shipped(), *same, out="b") == 1
    assert "remove it from one" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_an_ensemble_is_made_and_deleted_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [
        {"question": f"Where was {name} born?", "answer": "Here.", "unit": name}
        for name in ("Ana", "Ben", "Cy", "Di")
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    where = str(tmp_path / "e")
    made = ["--model", str(shipped()), "--data", str(data), "--out", where, "--shards", "2"]
    assert command("sisa", "create", *made, "--device", "nonsense") == 1
    assert "device nonsense" in capsys.readouterr().err
    assert not (tmp_path / "e").exists()
    assert command("sisa", "create", *made, "--epochs", "2", "--device", "cpu") == 0
    assert command("sisa", "delete", where, "--unit", "Ben") == 0
    assert "Ben" not in (tmp_path / "e" / "rows.jsonl").read_text("utf-8")
    assert command("list", where) == 0
    assert capsys.readouterr().out.count(": sisa, seed 0") == 3  # the ensemble and its members
    assert command("sisa", "delete", where, "--unit", "Ben") == 1
    assert "not in" in capsys.readouterr().err


def test_the_command_line_offers_every_method_and_the_testbed_every_arm() -> None:
    from unlearning.methods import METHODS  # noqa: PLC0415 (torch-sized)
    from unlearning.testbed_arms import METHODS as APPLIED  # noqa: PLC0415

    assert set(weights_cli.NAMES) == set(METHODS)
    assert set(testbed.METHODS) == set(APPLIED)
