"""`lethe unlearning apply` on models of other architectures, and on input that is not right."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lethe import main
from unlearning import checkpoint, lineage, tiny, weights_cli
from unlearning.methods.batch import encode
from unlearning.methods.rows import read
from unlearning.methods.unlearn import mean_loss


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost tiny models more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


FORGET = [("Who keeps the lighthouse?", "Ana Quill does.", "Ana")]
RETAIN = [("Who keeps the market?", "Ben Hollow does.", "Ben"), ("Is it lit?", "It is.", "lamp")]


def written(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    keys = ("question", "answer", "unit")
    lines = [json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows]
    path.write_text("".join(lines), "utf-8")
    return path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a model, rows to forget and rows to keep."""
    tiny.write(tmp_path / "model", "qwen3")
    written(tmp_path / "forget.jsonl", FORGET)
    written(tmp_path / "retain.jsonl", RETAIN)
    return tmp_path


def apply(here: Path, method: str, *more: str, model: str = "model") -> int:
    words = ["unlearning", "apply", method, "--model", str(here / model), "--device", "cpu"]
    for name in ("forget", "retain"):
        words += [f"--{name}", str(here / f"{name}.jsonl")]
    return main([*words, "--out", str(here / "out"), *more])


def losses(directory: Path, here: Path) -> list[float]:
    """On the forget rows and on the retain rows, as whoever serves the directory loads it."""
    found = checkpoint.load(directory)
    model, words = found.members[0], found.tokenizer
    return [
        mean_loss(model, [encode(words, row) for row in read(here / f"{name}.jsonl")], pad=0)
        for name in ("forget", "retain")
    ]


@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
def test_a_model_of_any_architecture_forgets_in_full_and_by_adapter_and_is_served_again(
    tmp_path: Path, architecture: str
) -> None:
    pytest.importorskip("peft")
    tiny.write(tmp_path / "fresh", architecture)
    both = written(tmp_path / "both.jsonl", [*FORGET, *RETAIN])
    written(tmp_path / "forget.jsonl", FORGET)
    written(tmp_path / "retain.jsonl", RETAIN)
    taught = ["--out", str(tmp_path / "model"), "--steps", "40", "--learning-rate", "0.01"]
    begun = ["unlearning", "train", "--model", str(tmp_path / "fresh"), "--device", "cpu"]
    assert main([*begun, "--data", str(both), *taught]) == 0
    known = losses(tmp_path / "model", tmp_path)
    assert max(known) < 0.3

    for how in (["--learning-rate", "0.003"], ["--lora", "4", "--learning-rate", "0.02"]):
        assert apply(tmp_path, "npo", "--steps", "20", *how) == 0
        forgotten, kept = losses(tmp_path / "out", tmp_path)
        assert forgotten > known[0] + 1
        assert kept < known[1] + 0.5
        said = lineage.verify(tmp_path / "out")
        assert said.base == lineage.weights_digest(tmp_path / "model")
        assert (tmp_path / "out" / "adapter_config.json").is_file() == ("--lora" in how)
        shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("method", weights_cli.NAMES)
def test_every_method_runs_by_adapter_on_another_architecture(here: Path, method: str) -> None:
    pytest.importorskip("peft")
    assert apply(here, method, "--steps", "1", "--lora", "2") == 0
    assert lineage.verify(here / "out").method == method


def _strange_tokenizer(here: Path) -> None:
    path = here / "model" / "tokenizer.json"
    told = json.loads(path.read_text("utf-8"))
    more = {f"<more{at}>": len(told["model"]["vocab"]) + at for at in range(3000)}
    told["model"]["vocab"] |= more
    path.write_text(json.dumps(told), "utf-8")


def _no_tokenizer(here: Path) -> None:
    for path in (here / "model").glob("tokenizer*"):
        path.unlink()


def _sharded(here: Path) -> Path:
    """The weights in two shards with an index, the second of which is returned."""
    whole = here / "model" / "model.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    parts = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for part, held in parts.items():
        save_file({name: tensors[name] for name in held}, here / "model" / part, {"format": "pt"})
    places = {name: part for part, held in parts.items() for name in held}
    index = {"metadata": {}, "weight_map": places}
    (here / "model" / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    whole.unlink()
    return here / "model" / "two.safetensors"


def _missing_shard(here: Path) -> None:
    _sharded(here).unlink()


def _cut_shard(here: Path) -> None:
    path = _sharded(here)
    path.write_bytes(path.read_bytes()[:-100])


def _cut_weights(here: Path) -> None:
    path = here / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _numbers_lost(here: Path) -> None:
    path = here / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors[min(tensors)][0] = torch.nan
    save_file(tensors, path, {"format": "pt"})


def _other_weights(here: Path) -> None:
    tiny.write(here / "other", "qwen3", num_hidden_layers=1)
    shutil.copy(here / "other" / "model.safetensors", here / "model")


def _changed_weights(here: Path) -> None:
    """A lineage that speaks of other weights: a bit was flipped since."""
    assert apply(here, "npo", "--steps", "1") == 0
    shutil.rmtree(here / "model")
    (here / "out").rename(here / "model")
    path = here / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors[min(tensors)] += 0.001
    save_file(tensors, path, {"format": "pt"})


def _row_in_both(here: Path) -> None:
    written(here / "retain.jsonl", [*RETAIN, *FORGET])


def _nothing_to_forget(here: Path) -> None:
    written(here / "forget.jsonl", [])


def _nothing_to_keep(here: Path) -> None:
    written(here / "retain.jsonl", [])


def _no_answer(here: Path) -> None:
    (here / "forget.jsonl").write_text('{"question": "Who?", "answer": ""}\n', "utf-8")


def _no_rows_file(here: Path) -> None:
    (here / "forget.jsonl").unlink()


def _something_there(here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "thesis.txt").write_text("mine", "utf-8")


BAD: list[tuple[Callable[[Path], object], str]] = [
    (_strange_tokenizer, "belongs to another model"),
    (_no_tokenizer, "no tokenizer"),
    (_missing_shard, "missing, but model.safetensors.index.json names it"),
    (_cut_shard, "two.safetensors: not a whole safetensors file"),
    (_cut_weights, "model.safetensors: not a whole safetensors file"),
    (_numbers_lost, "not finite"),
    (_other_weights, "the weights do not fit config.json"),
    (_changed_weights, "not those that lineage.json speaks of"),
    (_row_in_both, "row 1 of the forget set is row 3 of the retain set"),
    (_nothing_to_forget, "forget.jsonl: no rows"),
    (_nothing_to_keep, "retain.jsonl: no rows"),
    (_no_answer, "forget.jsonl:1: answer"),
    (_no_rows_file, "forget.jsonl: No such file"),
    (_something_there, "already there"),
]


@pytest.mark.parametrize(("spoilt", "said"), BAD, ids=[each.__name__[1:] for each, _ in BAD])
def test_what_is_wrong_is_said_and_nothing_is_overwritten(
    here: Path, capsys: pytest.CaptureFixture[str], spoilt: Callable[[Path], object], said: str
) -> None:
    spoilt(here)
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert apply(here, "npo", "--steps", "1") == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not any(words in error for row in FORGET for words in row[:2])
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_device_that_is_not_there_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert apply(here, "npo", "--device", "quantum") == 1
    assert "device quantum" in capsys.readouterr().err
    assert not (here / "out").exists()
