"""Local checkpoints as models in memory: directories, runs, adapters and ensembles, checked.

Knows no request, no sampling and no method of unlearning.
"""

import importlib.util
import inspect
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.cache_utils import DynamicLayer

from unlearning import lineage as provenance
from unlearning.checkpoint_files import (
    ADAPTER,
    CONFIG,
    CheckpointError,
    home,
    members,
    read_json,
    run_lineage,
    weights,
)

# Rows of the embedding are rounded up (151,665 tokens in 152,064 rows); more than this is a
# tokenizer of another model.
_SPARE_ROWS = 1024
_SPARE_SHARE = 0.04
# The rotation of these depends on the longest row of a batch, so rows would change each other.
_BY_LENGTH = {"dynamic", "longrope"}
_UNLIMITED = 1_000_000

# A class for every architecture, which says little to a type checker.
Model: TypeAlias = Any
Tokenizer: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Options:
    """How to load: the `base` under adapters whose own note of it is no directory here; `device`,
    the GPU unless said, where there is one; `dtype` (`float32`, `bfloat16`, …), the checkpoint's
    own on a GPU and float32 elsewhere unless said.
    """

    base: Path | None = None
    device: str | None = None
    dtype: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A language model ready to speak: one member, or several whose probabilities are averaged.

    `context` counts the tokens of a prompt and its answer together, `vocabulary` the tokens that a
    probability is given to, `ends` the tokens that end an answer. `batched` says whether rows of
    different length can go through the members together without changing each other.
    `lineage` is JSON: what is known of where the weights come from.
    """

    name: str
    tokenizer: Tokenizer
    members: tuple[Model, ...]
    context: int
    vocabulary: int
    ends: frozenset[int]
    batched: bool
    lineage: Mapping[str, Any]

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        device: torch.device = self.members[0].device
        return device


def load_all(
    sources: Iterable[str], options: Options | None = None, *, allow_pickle: Collection[str] = ()
) -> dict[str, Checkpoint]:
    """Load `DIR` or `NAME=DIR` each; a directory without a name is called what it is called.

    `allow_pickle` names the models whose pickles may be read. Raises CheckpointError.
    """
    places: dict[str, Path] = {}
    for source in sources:
        name, _, path = source.rpartition("=")
        directory = Path(path)
        name = name or directory.resolve().name
        if name in places:
            raise CheckpointError(f"{source}: another model is called '{name}'; write NAME=DIR")
        places[name] = directory
    if strangers := sorted(set(allow_pickle) - set(places)):
        raise CheckpointError(f"pickle is allowed for '{strangers[0]}', which is not served")
    return {
        name: load(directory, options, name=name, allow_pickle=name in allow_pickle)
        for name, directory in places.items()
    }


def load(
    directory: Path,
    options: Options | None = None,
    *,
    name: str | None = None,
    allow_pickle: bool = False,
) -> Checkpoint:
    """Load a Hugging Face directory, a run directory, a PEFT adapter or an ensemble of them.

    Nothing is fetched and no code of the directory runs. Raises CheckpointError.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such directory")
    options = options or Options()
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    check_device(device)
    reader = _Reader(options.base, allow_pickle, device, _dtype(options.dtype, device))
    together = members(directory)
    parts = [reader.read(path) for path in together or (home(directory),)]
    first = parts[0]
    for path, part in zip(together, parts, strict=bool(together)):
        if part.vocabulary != first.vocabulary or part.words != first.words:
            raise CheckpointError(f"{path}: another vocabulary than {together[0].name} has")
    found: dict[str, Any] = {"format": "ensemble" if together else first.format}
    found |= run_lineage(directory)
    found |= {
        "members": [part.lineage for part in parts],
        "precision": str(first.model.dtype).removeprefix("torch."),
        "device": first.model.device.type,
        "template": first.template,
        "sampling": {"temperature": 1.0, "top_p": 1.0},
    }
    return Checkpoint(
        name=name or directory.resolve().name,
        tokenizer=first.tokenizer,
        members=tuple(part.model for part in parts),
        context=min(part.context for part in parts),
        vocabulary=first.vocabulary,
        ends=first.ends,
        batched=all(part.batched for part in parts),
        lineage=found,
    )


def check_device(name: str) -> None:
    """Raise CheckpointError where torch cannot compute on a device of this name."""
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise CheckpointError(
            f"device {name}: torch {torch.__version__} cannot compute there; cpu always works"
        ) from None


def _dtype(name: str, device: str) -> torch.dtype | str:
    if name == "auto":
        return torch.float32 if device == "cpu" else "auto"
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise CheckpointError(f"dtype {name}: not a floating-point type of torch; try float32")
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """One member of a checkpoint, and what must be the same in all of them."""

    format: str
    model: Model
    tokenizer: Tokenizer
    lineage: Mapping[str, Any]

    @property
    def config(self) -> Any:  # noqa: ANN401 (a class an architecture)
        return self.model.config.get_text_config(decoder=True)

    @property
    def vocabulary(self) -> int:
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def words(self) -> Mapping[str, int]:
        words: Mapping[str, int] = self.tokenizer.get_vocab()
        return words

    @property
    def context(self) -> int:
        return int(getattr(self.config, "max_position_embeddings", None) or _UNLIMITED)

    @property
    def ends(self) -> frozenset[int]:
        generation = getattr(self.model, "generation_config", None)
        found: set[int] = set()
        for holder in (self.config, generation, self.tokenizer):
            ids = getattr(holder, "eos_token_id", None)
            found.update(ids if isinstance(ids, list | tuple) else () if ids is None else (ids,))
        return frozenset(found)

    @property
    def batched(self) -> bool:
        rope = getattr(self.config, "rope_parameters", None) or {}
        turned = {rope.get("rope_type"), *(each.get("rope_type") for each in _inner(rope))}
        cache = DynamicCache(config=self.model.config)
        return (
            "position_ids" in inspect.signature(self.model.forward).parameters
            and all(type(layer) is DynamicLayer for layer in cache.layers)
            and not turned & _BY_LENGTH
        )

    @property
    def template(self) -> str | None:
        """Digest of the chat template: the same weights answer otherwise under another."""
        template = self.tokenizer.chat_template
        return None if template is None else provenance.digest(template)


def _inner(rope: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in rope.values() if isinstance(each, Mapping)]


@dataclass(frozen=True, slots=True)
class _Reader:
    base: Path | None
    allow_pickle: bool
    device: str
    dtype: torch.dtype | str

    def read(self, directory: Path) -> _Part:
        if (directory / ADAPTER).is_file():
            return self._adapted(directory)
        model, said = self._model(directory)
        return self._part(directory, "huggingface", model, _tokenizer(directory), said)

    def _part(
        self, directory: Path, form: str, model: Model, tokenizer: Tokenizer, said: dict[str, Any]
    ) -> _Part:
        model = model.to(self.device).eval().requires_grad_(requires_grad=False)
        part = _Part(form, model, tokenizer, {"name": directory.resolve().name, **said})
        _check_tokenizer(directory, part)
        _check_numbers(directory, model)
        return part

    def _model(self, directory: Path) -> tuple[Model, dict[str, Any]]:
        _check_kind(directory)
        found = weights(
            directory, "model", pickled_stem="pytorch_model", allow_pickle=self.allow_pickle
        )
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                directory,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=not found.pickled,
                output_loading_info=True,
                dtype=self.dtype,
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise CheckpointError(_unreadable(directory, error)) from None
        model, report = loaded
        for what in ("missing_keys", "mismatched_keys"):
            if report[what]:
                one = min(str(key) for key in report[what])
                raise CheckpointError(
                    f"{directory}: the weights do not fit {CONFIG}: "
                    f"{len(report[what])} {what.replace('_', ' ')}, {one} for one"
                )
        return model, _said(directory, pickled=found.pickled)

    def _adapted(self, directory: Path) -> _Part:
        if importlib.util.find_spec("peft") is None:
            raise CheckpointError(f"{directory}: an adapter needs the package peft; install it")
        import peft  # noqa: PLC0415 (optional, and torch-sized)

        found = weights(
            directory, "adapter_model", pickled_stem="adapter_model", allow_pickle=self.allow_pickle
        )
        base = self._base(directory)
        model, base_said = self._model(base)
        try:
            config = peft.PeftConfig.from_pretrained(str(directory))
            config.inference_mode = True
            with warnings.catch_warnings():
                # peft asks transformers by a name that transformers has renamed.
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
                adapted = peft.PeftModelForCausalLM(model, config)
            report = adapted.load_adapter(str(directory), "default", torch_device="cpu")
            lost = [*report.missing_keys, *report.unexpected_keys]
            if hasattr(adapted, "merge_and_unload"):
                adapted = adapted.merge_and_unload(safe_merge=True)
        except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
            raise CheckpointError(_unreadable(directory, error)) from None
        if lost:
            raise CheckpointError(
                f"{directory}: the adapter does not fit {base.name}: {len(lost)} tensors, "
                f"{min(lost)} for one; it belongs to another base"
            )
        own = (directory / "tokenizer_config.json").is_file()
        said = {**_said(directory, pickled=found.pickled), "under": {"name": base.name} | base_said}
        return self._part(
            directory, "adapter", adapted, _tokenizer(directory if own else base), said
        )

    def _base(self, directory: Path) -> Path:
        noted = read_json(directory / ADAPTER).get("base_model_name_or_path")
        places = [Path(noted), directory / noted] if isinstance(noted, str) and noted else []
        for place in [self.base] if self.base else places:
            if (place / CONFIG).is_file():
                return place
        raise CheckpointError(
            f"{directory / ADAPTER}: the base model is no directory here; say where it is with base"
        )


def _said(directory: Path, *, pickled: bool) -> dict[str, Any]:
    """What the files say of themselves. Raises CheckpointError where it is not true of them."""
    said: dict[str, Any] = dict(run_lineage(directory))
    try:
        if (directory / provenance.FILE).is_file():
            made = provenance.verify(directory)
            said |= {
                "weights": made.weights,
                "method": made.method,
                "settings": dict(made.settings),
                "base": made.base,
                "seed": made.seed,
                "forget": made.forget,
                "retain": made.retain,
            }
        elif not pickled:
            said["weights"] = provenance.weights_digest(directory)
    except provenance.LineageError as error:
        raise CheckpointError(str(error)) from None
    return said


def _check_kind(directory: Path) -> None:
    """Raise CheckpointError unless the configuration is one of a causal language model."""
    written = read_json(directory / CONFIG)
    try:
        config = AutoConfig.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"{directory / CONFIG}: no architecture that transformers {transformers.__version__} "
            "knows, or one that brings code of its own, which is not run"
        ) from None
    classes = written.get("architectures") or ["ForCausalLM"]
    speaks = any(str(each).endswith(("ForCausalLM", "LMHeadModel")) for each in classes)
    if config.is_encoder_decoder or not speaks:
        raise CheckpointError(f"{directory / CONFIG}: not a causal language model")


def _tokenizer(directory: Path) -> Tokenizer:
    if not any(directory.glob("tokenizer*")) and not (directory / "vocab.json").is_file():
        raise CheckpointError(f"{directory}: no tokenizer; save the model's own beside the weights")
    try:
        return AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # noqa: BLE001 (the tokenizers' own errors are bare exceptions)
        raise CheckpointError(
            f"{directory}: the tokenizer cannot be read ({type(error).__name__}); save it again"
        ) from None


def _check_tokenizer(directory: Path, part: _Part) -> None:
    rows, highest = part.vocabulary, max(part.words.values(), default=-1) + 1
    if highest > rows or rows - highest > max(_SPARE_ROWS, _SPARE_SHARE * rows):
        raise CheckpointError(
            f"{directory}: the tokenizer counts {highest} tokens and the model {rows}: "
            "it belongs to another model; save the model's own beside the weights"
        )
    if any(end >= rows for end in part.ends):
        raise CheckpointError(f"{directory}: an end token lies outside the vocabulary of {rows}")


def _check_numbers(directory: Path, model: Model) -> None:
    for name, tensor in model.named_parameters():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{directory}: {name} holds numbers that are not finite; the weights are corrupted"
            )


def _unreadable(directory: Path, error: Exception) -> str:
    # What the loader says may run over pages; its first line names the tensor or the file.
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return f"{directory}: cannot be loaded ({type(error).__name__}: {first})"
