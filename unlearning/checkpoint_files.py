"""The files of a local checkpoint: which there are, whether they are whole, what runs wrote beside.

Knows no model: it reads headers, indices and configurations, and loads no weights.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError, safe_open

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
MEMBERS = "members.json"
_HYDRA = Path(".hydra", "config.yaml")
_STEP = "checkpoint-"
# What a run's configuration says about the method; `trainer.args` holds a hundred keys more.
_SETTINGS = (
    *("learning_rate", "weight_decay", "warmup_epochs", "num_train_epochs", "seed", "optim"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "bf16"),
)


class CheckpointError(ValueError):
    """A directory that cannot be served: where, what, and what to do."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The files that hold a model's weights, and whether they are Python pickles."""

    files: tuple[Path, ...]
    pickled: bool


def weights(directory: Path, stem: str, *, pickled_stem: str, allow_pickle: bool) -> Weights:
    """The weight files of a directory, each present and, where safetensors, whole.

    `stem` is the name without ending: `model` or `adapter_model`; `pickled_stem` the same for
    pickles. Raises CheckpointError.
    """
    if files := _listed(directory, stem, ".safetensors"):
        for path, named in files.items():
            _check(path, named)
        return Weights(tuple(files), pickled=False)
    if files := _listed(directory, pickled_stem, ".bin"):
        if not allow_pickle:
            raise CheckpointError(
                f"{directory}: the weights are pickles, which can run code when they are read; "
                "convert them to safetensors, or allow pickle for this model by its name"
            )
        return Weights(tuple(files), pickled=True)
    raise CheckpointError(f"{directory}: no weights; there should be a {stem}.safetensors")


def _listed(directory: Path, stem: str, ending: str) -> dict[Path, frozenset[str]]:
    """Files with the tensors that the index expects in each; nothing where there are none."""
    whole = directory / f"{stem}{ending}"
    if whole.is_file():
        return {whole: frozenset()}
    index = directory / f"{stem}{ending}.index.json"
    if not index.is_file():
        return {}
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index}: no weight_map; copy the file again")
    files: dict[Path, set[str]] = {}
    for tensor, name in places.items():
        # A path would let an index reach out of its directory.
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{index}: a shard is not a plain file name")
        files.setdefault(directory / name, set()).add(tensor)
    for path in sorted(files):
        if not path.is_file():
            raise CheckpointError(f"{path}: missing, but {index.name} names it; copy it again")
    return {path: frozenset(files[path]) for path in sorted(files)}


def _check(path: Path, named: frozenset[str]) -> None:
    try:
        with safe_open(path, framework="np") as content:
            held = frozenset(content.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({type(error).__name__}); copy it again"
        ) from None
    if lost := sorted(named - held):
        raise CheckpointError(
            f"{path}: {len(lost)} of the tensors that the index expects are not in it, "
            f"{lost[0]} for one; the shards belong to different models"
        )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises CheckpointError."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise CheckpointError(f"{path}: not JSON in UTF-8; copy it again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object")
    return content


def home(directory: Path) -> Path:
    """Where a run keeps its model: the directory itself, or its latest `checkpoint-N`."""
    if (directory / CONFIG).is_file() or (directory / ADAPTER).is_file():
        return directory
    steps = [path for path in directory.glob(f"{_STEP}*") if path.is_dir() and _step(path) >= 0]
    return max(steps, key=_step, default=directory)


def _step(path: Path) -> int:
    number = path.name.removeprefix(_STEP)
    return int(number) if number.isdecimal() else -1


def members(directory: Path) -> tuple[Path, ...]:
    """The models of an ensemble, in order; none where the directory is a model itself.

    `members.json` may name them, as a list under `members` of paths inside the directory;
    without it every sub-directory that holds a model is one. Raises CheckpointError.
    """
    named = directory / MEMBERS
    if named.is_file():
        return tuple(_inside(named, read_json(named).get("members")))
    if (directory / CONFIG).is_file() or (directory / ADAPTER).is_file():
        return ()
    found = sorted(path for path in directory.iterdir() if path.is_dir() and _step(path) < 0)
    return tuple(path for path in found if (path / CONFIG).is_file() or (path / ADAPTER).is_file())


def _inside(named: Path, names: object) -> Iterator[Path]:
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise CheckpointError(f"{named}: 'members' is not a list of directories")
    root = named.parent.resolve()
    for name in names:
        path = (root / str(name)).resolve()
        if not path.is_relative_to(root) or not path.is_dir():
            raise CheckpointError(f"{named}: a member is not a directory beside this file")
        yield named.parent / str(name)


def run_lineage(directory: Path) -> Mapping[str, Any]:
    """What an open-unlearning run says about itself in `.hydra/config.yaml`; empty without one.

    Values are as the run wrote them; interpolations stay unresolved. Raises CheckpointError.
    """
    path = directory / _HYDRA
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        raise CheckpointError(f"{path}: not YAML in UTF-8; copy it again") from None
    trainer = _at(config, "trainer") or {}
    arguments = _at(trainer, "args") or {}
    settings = {name: arguments[name] for name in _SETTINGS if name in arguments}
    found = {
        "run": "open-unlearning",
        "task": _at(config, "task_name"),
        "method": _at(trainer, "handler"),
        "settings": {**settings, **(_at(trainer, "method_args") or {})},
        "base": _at(config, "model", "model_args", "pretrained_model_name_or_path"),
        "forget": _at(config, "forget_split"),
        "retain": _at(config, "retain_split"),
    }
    return {name: value for name, value in found.items() if value}


def _at(value: object, *names: str) -> Any:  # noqa: ANN401 (whatever the YAML holds)
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
