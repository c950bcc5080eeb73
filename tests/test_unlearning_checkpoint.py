"""Local checkpoints: what is loaded is what is on the disk, and what is not whole is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unlearning import lineage, tiny
from unlearning.checkpoint import Options, load, load_all
from unlearning.checkpoint_files import CheckpointError


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "whole")


def _sharded(directory: Path) -> Path:
    words = tiny.tokenizer()
    tiny.model(vocabulary=len(words)).save_pretrained(directory, max_shard_size="20KB")
    words.save_pretrained(directory)
    return directory


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits
    return found


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_directory_is_loaded_with_its_own_weights(tmp_path: Path, architecture: str) -> None:
    words = tiny.tokenizer()
    made = tiny.model(architecture, vocabulary=len(words), seed=3)

    found = load(tiny.write(tmp_path / architecture, architecture, seed=3))

    assert torch.equal(_logits(found.members[0]), _logits(made))
    assert found.name == architecture
    assert (found.context, found.vocabulary) == (tiny.CONTEXT, len(words))
    assert found.ends == {0}
    assert found.lineage["members"][0]["weights"] == lineage.weights_digest(tmp_path / architecture)
    json.dumps(found.lineage)


def test_rows_of_a_sliding_window_do_not_share_a_batch(tmp_path: Path) -> None:
    assert not load(tiny.write(tmp_path / "m", "mistral", sliding_window=8)).batched
    assert load(tiny.write(tmp_path / "l")).batched


def test_shards_are_put_together(tmp_path: Path) -> None:
    found = load(_sharded(tmp_path))
    made = tiny.model(vocabulary=found.vocabulary)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert torch.equal(_logits(found.members[0]), _logits(made))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    shard = sorted(_sharded(tmp_path).glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=rf"{shard.name}: missing, but .* names it"):
        load(tmp_path)


def test_a_shard_of_another_model_is_named(tmp_path: Path) -> None:
    shard = sorted(_sharded(tmp_path).glob("*.safetensors"))[1]
    save_file({"other": torch.zeros(2)}, shard)
    with pytest.raises(CheckpointError, match=f"{shard.name}.*different models"):
        load(tmp_path)


def test_an_index_reaches_no_file_outside(tmp_path: Path) -> None:
    index = _sharded(tmp_path / "in") / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"] = dict.fromkeys(content["weight_map"], "../other.safetensors")
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="not a plain file name"):
        load(tmp_path / "in")


def test_truncated_weights_are_refused(whole: Path) -> None:
    weights = whole / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a whole safetensors file"):
        load(whole)


def test_weights_that_are_not_finite_are_refused(whole: Path) -> None:
    tensors = load_file(whole / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, whole / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight .*not finite"):
        load(whole)


@pytest.mark.parametrize("what", ["lost", "reshaped"])
def test_weights_that_do_not_fit_are_never_filled_up_at_random(whole: Path, what: str) -> None:
    tensors = load_file(whole / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    tensor = tensors.pop(name)
    if what == "reshaped":
        tensors[name] = tensor[:-1].contiguous()
    save_file(tensors, whole / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=str(whole)):
        load(whole)


def test_weights_other_than_their_lineage_says_are_refused(whole: Path) -> None:
    lineage.Lineage(
        method="npo",
        settings={"beta": 0.1},
        base="target",
        weights=lineage.weights_digest(whole),
        seed=1,
    ).write(whole)
    assert load(whole).lineage["members"][0]["method"] == "npo"

    content = bytearray((whole / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (whole / "model.safetensors").write_bytes(content)

    with pytest.raises(CheckpointError, match="not those that"):
        load(whole)


def test_a_tokenizer_of_a_larger_model_is_refused(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    tiny.model(vocabulary=len(words) - 8).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="tokenizer counts 320 tokens and the model 312"):
        load(tmp_path)


def test_a_tokenizer_of_a_smaller_model_is_refused(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    tiny.model(vocabulary=len(words) + 5000).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load(tmp_path)


def test_rows_that_only_round_a_vocabulary_up_are_no_fault(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    tiny.model(vocabulary=384).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    assert load(tmp_path).vocabulary == 384


def test_a_directory_without_a_tokenizer_is_refused(whole: Path) -> None:
    for path in [*whole.glob("tokenizer*"), *whole.glob("special_tokens*")]:
        path.unlink()
    with pytest.raises(CheckpointError, match="no tokenizer"):
        load(whole)


def test_a_broken_tokenizer_is_refused(whole: Path) -> None:
    (whole / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="tokenizer cannot be read"):
        load(whole)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"model_type": "nobody-knows-this"}', "no architecture"),
        ('{"model_type": "bert", "architectures": ["BertForMaskedLM"]}', "not a causal"),
        ('{"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}', "not a causal"),
    ],
)
def test_a_configuration_of_no_language_model_is_refused(
    whole: Path, content: str, message: str
) -> None:
    (whole / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        load(whole)


def test_code_in_a_directory_does_not_run(whole: Path) -> None:
    (whole / "evil.py").write_text("raise SystemExit('it ran')\n")
    config = {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    (whole / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="code of its own"):
        load(whole)


def test_pickles_are_read_only_where_allowed_by_name(whole: Path) -> None:
    before = load(whole)
    weights = whole / "model.safetensors"
    torch.save(load_file(weights), whole / "pytorch_model.bin")
    weights.unlink()

    with pytest.raises(CheckpointError, match=r"pickles.*allow pickle for this model by its name"):
        load_all([f"a={whole}"])
    with pytest.raises(CheckpointError, match="'b', which is not served"):
        load_all([f"a={whole}"], allow_pickle=["b"])

    found = load_all([f"a={whole}"], allow_pickle=["a"])["a"]
    assert torch.equal(_logits(found.members[0]), _logits(before.members[0]))


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        load(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(tmp_path)
    shutil.copy(tiny.write(tmp_path / "m") / "config.json", tmp_path / "config.json")
    with pytest.raises(CheckpointError, match="no weights"):
        load(tmp_path)


def test_two_models_do_not_share_a_name(whole: Path) -> None:
    with pytest.raises(CheckpointError, match="another model is called 'whole'"):
        load_all([str(whole), str(whole)])
    assert list(load_all([str(whole), f"again={whole}"])) == ["whole", "again"]


def test_a_type_of_numbers_can_be_chosen(whole: Path) -> None:
    assert load(whole, Options(dtype="bfloat16")).lineage["precision"] == "bfloat16"
    with pytest.raises(CheckpointError, match="dtype int8"):
        load(whole, Options(dtype="int8"))
