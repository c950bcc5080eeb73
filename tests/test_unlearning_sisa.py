"""Deletion from a SISA ensemble: exact to the bit, and no more training than it takes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import Module
from transformers import LlamaConfig, LlamaForCausalLM

from unlearning import lineage, sisa
from unlearning.corpus import load
from unlearning.methods.batch import Row, collate, encode, logits
from unlearning.sisa import LOG, MEMBERS, ROWS, STORE, Plan
from unlearning.testbed_model import tokenizer
from unlearning.testbed_rows import asked
from unlearning.training import TrainingError


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost tiny models more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PLAN = Plan(shards=2, slices=3, epochs=4, batch=4)


def tiny(vocabulary: int) -> Module:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
            max_position_embeddings=64,
            tie_word_embeddings=True,
        )
    )


def rows(count: int = 12) -> list[Row]:
    return [
        asked("", f"Where was person {unit} born?", f"In town {at}.", f"person {unit}")
        for unit in range(count)
        for at in range(2)
    ]


def built(out: Path, given: list[Row], plan: Plan = PLAN) -> Path:
    words = tokenizer(load())
    sisa.create(tiny(len(words)), words, given, plan, out)
    sisa.build(out)
    return out


def tensors(directory: Path) -> list[torch.Tensor]:
    members, _ = sisa.load(directory)
    return [each for member in members for each in member.state_dict().values()]


def same(one: Path, other: Path) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_after_a_deletion_it_is_bitwise_the_one_that_never_saw_the_rows(tmp_path: Path) -> None:
    whole = built(tmp_path / "whole", rows())
    unit = "person 3"
    without = built(tmp_path / "without", [row for row in rows() if row.unit != unit])
    assert not same(whole, without)
    found = sisa.delete(whole, [unit])
    assert same(whole, without)
    assert list(found.shards) == [PLAN.place(unit)[0]]


def test_only_the_shard_is_trained_and_only_from_its_slice(tmp_path: Path) -> None:
    directory = built(tmp_path / "e", rows())
    before = {path.name: path.stat().st_mtime_ns for path in (directory / STORE).iterdir()}
    unit = next(f"person {at}" for at in range(12) if PLAN.place(f"person {at}")[1] == 2)
    sisa.delete(directory, [unit])
    after = {path.name: path.stat().st_mtime_ns for path in (directory / STORE).iterdir()}
    kept = {name for name in after if before.get(name) == after[name]}
    assert len(after) == PLAN.shards * PLAN.slices
    assert len(kept) == PLAN.shards * PLAN.slices - 1


def test_nothing_of_the_deleted_stays_in_the_directory(tmp_path: Path) -> None:
    directory = built(tmp_path / "e", rows())
    sisa.delete(directory, ["person 3"])
    assert "person 3" not in (directory / ROWS).read_text("utf-8")
    entry = json.loads((directory / LOG).read_text("utf-8"))
    assert entry["rows"] == 2
    assert "person 3" not in json.dumps(entry)
    chains = sisa.stages(
        PLAN,
        [row for row in rows() if row.unit != "person 3"],
        base=lineage.weights_digest(directory / "base"),
    )
    keys = {f"{stage.key}.safetensors" for chain in chains for stage in chain}
    assert {path.name for path in (directory / STORE).iterdir()} == keys


def test_an_ensemble_has_a_lineage_of_its_own(tmp_path: Path) -> None:
    directory = built(tmp_path / "e", rows())
    before = lineage.verify(directory)
    assert before.method == "sisa"
    assert before.base == lineage.weights_digest(directory / "base")
    sisa.build(directory)
    assert lineage.read(directory) == before
    spent = sisa.delete(directory, ["person 3"]).cost
    after = lineage.verify(directory)
    assert after.retain != before.retain
    assert after.weights != before.weights
    assert after.cost == spent
    (directory / "shard-1" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(lineage.LineageError, match="not those"):
        lineage.verify(directory)


def test_a_build_that_broke_off_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    directory, other = built(tmp_path / "e", rows()), built(tmp_path / "o", rows())
    chain = sisa.stages(PLAN, rows(), base=lineage.weights_digest(directory / "base"))[0]
    (directory / STORE / f"{chain[-1].key}.safetensors").unlink()
    (directory / "shard-0" / "model.safetensors").unlink()
    assert sisa.build(directory).shards == (0,)
    assert same(directory, other)
    assert sisa.build(directory).shards == ()


def test_the_members_average_their_probabilities(tmp_path: Path) -> None:
    members, words = sisa.load(built(tmp_path / "e", rows()))
    batch = collate([encode(words, rows()[0])], pad=0)
    with torch.no_grad():
        expected = sum(logits(member, batch).softmax(-1) for member in members) / len(members)
        found = sisa.mean_logprobs(members, batch).exp()
    torch.testing.assert_close(found, expected)


def test_mean_deletion_cost_is_near_the_formula() -> None:
    """Rows seen again, over those of a whole training, for every unit of a large set in turn."""
    plan = Plan(shards=4, slices=4, epochs=10)
    given = [asked("", f"q {at}", "a", f"u{at}") for at in range(400)]

    def seen(shard: int, first: int, left: list[Row]) -> float:
        sizes = [sum(plan.place(r.unit) == (shard, part) for r in left) for part in range(4)]
        return sum(sum(sizes[: part + 1]) for part in range(first, 4))

    whole = sum(seen(shard, 0, given) for shard in range(4))
    shares = []
    for row in given[::4]:
        shard, part = plan.place(row.unit)
        shares.append(seen(shard, part, [each for each in given if each is not row]) / whole)
    assert sum(shares) / len(shares) == pytest.approx(plan.expected_cost(), rel=0.1)


def test_bad_requests_change_nothing(tmp_path: Path) -> None:
    directory = built(tmp_path / "e", rows(2))
    before = (directory / ROWS).read_bytes()
    with pytest.raises(TrainingError, match="not in"):
        sisa.delete(directory, ["nobody"])
    with pytest.raises(TrainingError, match="nothing would remain"):
        sisa.delete(directory, ["person 0", "person 1"])
    assert (directory / ROWS).read_bytes() == before
    words = tokenizer(load())
    with pytest.raises(FileExistsError, match="already there"):
        sisa.create(tiny(len(words)), words, rows(), PLAN, directory)
    with pytest.raises(TrainingError, match="no rows"):
        sisa.create(tiny(len(words)), words, [], PLAN, tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_a_missing_shard_is_said(tmp_path: Path) -> None:
    directory = built(tmp_path / "e", rows())
    names = json.loads((directory / MEMBERS).read_text("utf-8"))["members"]
    (directory / names[0]).rename(tmp_path / "gone")
    with pytest.raises(TrainingError, match="missing"):
        sisa.load(directory)


def test_a_damaged_base_is_said(tmp_path: Path) -> None:
    directory = built(tmp_path / "e", rows())
    path = directory / "shard-1" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(lineage.LineageError, match="not those"):
        sisa.load(directory)
