"""Runs, adapters and ensembles: every form in which an unlearned model comes."""

import json
from pathlib import Path

import pytest
import torch

from unlearning import tiny
from unlearning.checkpoint import Options, load
from unlearning.checkpoint_files import CheckpointError

# peft 0.21 asks transformers 5 for a property by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

HYDRA = """\
task_name: tofu_npo
forget_split: forget10
retain_split: retain90
model: {model_args: {pretrained_model_name_or_path: org/target}}
trainer:
  handler: NPO
  args: {learning_rate: 1.0e-05, seed: 0, output_dir: "${paths.output_dir}"}
  method_args: {beta: 0.1, alpha: 1.0}
"""


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.tensor([[5, 6, 7, 8]])).logits
    return found


def _hydra(directory: Path, text: str = HYDRA) -> None:
    (directory / ".hydra").mkdir(parents=True)
    (directory / ".hydra" / "config.yaml").write_text(text)


def test_a_run_of_open_unlearning_brings_its_lineage(tmp_path: Path) -> None:
    _hydra(tiny.write(tmp_path / "run"))

    found = load(tmp_path / "run").lineage

    assert (found["run"], found["method"], found["base"]) == (
        "open-unlearning",
        "NPO",
        "org/target",
    )
    assert found["settings"] == {"learning_rate": 1e-05, "seed": 0, "beta": 0.1, "alpha": 1.0}
    assert (found["forget"], found["retain"]) == ("forget10", "retain90")


def test_a_run_without_a_final_model_gives_its_latest_checkpoint(tmp_path: Path) -> None:
    _hydra(tmp_path)
    for step, seed in ((9, 1), (10, 2)):
        tiny.write(tmp_path / f"checkpoint-{step}", seed=seed)

    found = load(tmp_path)

    latest = load(tmp_path / "checkpoint-10")
    assert torch.equal(_logits(found.members[0]), _logits(latest.members[0]))
    assert len(found.members) == 1
    assert found.lineage["members"][0]["name"] == "checkpoint-10"
    assert found.lineage["method"] == "NPO"


def test_a_broken_run_configuration_is_named(tmp_path: Path) -> None:
    _hydra(tiny.write(tmp_path / "run"), "a: [")
    with pytest.raises(CheckpointError, match=r"config\.yaml: not YAML"):
        load(tmp_path / "run")


def _ensemble(directory: Path, *, count: int = 3) -> Path:
    for number in range(count):
        tiny.write(directory / f"shard-{number}", seed=number)
    return directory


def test_a_folder_of_models_is_an_ensemble_in_order(tmp_path: Path) -> None:
    found = load(_ensemble(tmp_path))
    names = [each["name"] for each in found.lineage["members"]]
    assert found.lineage["format"] == "ensemble"
    assert names == ["shard-0", "shard-1", "shard-2"]


def test_a_list_of_members_leaves_earlier_slices_out(tmp_path: Path) -> None:
    _ensemble(tmp_path)
    (tmp_path / "members.json").write_text('{"members": ["shard-2", "shard-0"]}')
    names = [each["name"] for each in load(tmp_path).lineage["members"]]
    assert names == ["shard-2", "shard-0"]


@pytest.mark.parametrize("members", ["[]", '"shard-0"', '["../elsewhere"]', '["shard-9"]'])
def test_a_member_that_is_not_beside_the_list_is_refused(tmp_path: Path, members: str) -> None:
    _ensemble(tmp_path / "in", count=1)
    tiny.write(tmp_path / "elsewhere")
    (tmp_path / "in" / "members.json").write_text(f'{{"members": {members}}}')
    with pytest.raises(CheckpointError, match=r"members\.json"):
        load(tmp_path / "in")


def test_members_of_two_vocabularies_are_refused(tmp_path: Path) -> None:
    _ensemble(tmp_path, count=1)
    tiny.model(vocabulary=384).save_pretrained(tmp_path / "shard-1")
    tiny.tokenizer().save_pretrained(tmp_path / "shard-1")
    with pytest.raises(CheckpointError, match="shard-1: another vocabulary than shard-0"):
        load(tmp_path)


def test_one_broken_member_breaks_the_ensemble(tmp_path: Path) -> None:
    _ensemble(tmp_path)
    (tmp_path / "shard-1" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="shard-1: no weights"):
        load(tmp_path)


def _adapter(directory: Path, base: Path) -> tuple[Path, torch.Tensor]:
    """A LoRA adapter with random weights, and the logits of the model that it makes."""
    peft = pytest.importorskip("peft", reason="adapters need the package peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    config.base_model_name_or_path = str(base)
    adapted = peft.get_peft_model(load(base).members[0], config)
    with torch.no_grad():
        for name, tensor in adapted.named_parameters():
            if "lora_" in name:
                tensor.normal_(std=0.5)
    adapted.eval().save_pretrained(directory)
    return directory, _logits(adapted)


def test_an_adapter_is_put_over_its_base(tmp_path: Path) -> None:
    base = tiny.write(tmp_path / "base")
    directory, logits = _adapter(tmp_path / "adapter", base)

    found = load(directory)

    assert torch.allclose(_logits(found.members[0]), logits, atol=1e-4)
    assert not torch.allclose(_logits(load(base).members[0]), logits, atol=1e-1)
    assert found.lineage["format"] == "adapter"
    assert found.lineage["members"][0]["under"]["name"] == "base"


def test_an_adapter_whose_base_is_elsewhere_asks_for_it(tmp_path: Path) -> None:
    base = tiny.write(tmp_path / "base")
    directory, logits = _adapter(tmp_path / "adapter", base)
    config = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "org/model"})
    )
    with pytest.raises(CheckpointError, match="say where it is with base"):
        load(directory)
    assert torch.allclose(
        _logits(load(directory, Options(base=base)).members[0]), logits, atol=1e-4
    )


@pytest.mark.parametrize("other", ["gpt2", "shallow"])
def test_an_adapter_over_a_wrong_base_is_refused(tmp_path: Path, other: str) -> None:
    directory, _ = _adapter(tmp_path / "adapter", tiny.write(tmp_path / "base"))
    wrong = tmp_path / "wrong"
    if other == "gpt2":
        tiny.write(wrong, "gpt2")
    else:
        tiny.write(wrong, num_hidden_layers=1)
    with pytest.raises(CheckpointError, match="adapter"):
        load(directory, Options(base=wrong))


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    directory, _ = _adapter(tmp_path / "adapter", tiny.write(tmp_path / "base"))
    (directory / "adapter_model.safetensors").rename(directory / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="pickles"):
        load(directory)
