"""A sentence-transformers model into a folder for the fast backend. Knows no concept.

What it exports it measures: a model that drifts further than the tolerance is not exported.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from classifiers.background import BACKGROUND
from classifiers.encoder import EMBEDDED, Reference, load
from classifiers.fast import KERNEL, PARTS, TOKENIZER, WEIGHTS, Fast, Manifest, digest
from classifiers.fast_kernel import PARTS as MATRICES
from classifiers.fast_kernel import Forward, KernelError, Shape, build, opened
from classifiers.fast_pack import Doubles, Floats, Whole, pack, turned
from classifiers.vectors import EncoderError, Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TOLERANCE = 0.005  # of a cosine, at the 99th percentile of pairs
DAMPING = 0.1  # of the mean of the second moments, added to each: texts are few
RESERVE = 0.1  # of the tolerance, as other texts may drift further than those measured
# Parts of a layer in 16 bits, from the fastest choice to the most exact.
PRECISIONS = ((), ("value", "out"), ("value", "out", "up"), tuple(MATRICES))
FAMILIES = ("bert", "camembert", "roberta", "xlm-roberta")
BEHIND_PADDING = ("camembert", "roberta", "xlm-roberta")  # where positions begin
POOLING = {"mean": True, "cls": False}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `lethe encoder`."""
    commands = parser.add_subparsers(title="commands", dest="encoder_command", required=True)
    summary = "compile an encoder for this kind of processor, and measure how far it drifts"
    export_parser = commands.add_parser("export", help=summary, description=summary)
    export_parser.add_argument(
        "model",
        nargs="?",
        default=EMBEDDED,
        help="a sentence-transformers model by path or name (default: %(default)s)",
    )
    export_parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to make; give it as encoder"
    )
    export_parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="most that the 99th percentile of cosines may move (default: %(default)s)",
    )
    export_parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what was measured. Returns 2 where it cannot be done."""
    try:
        manifest = export(arguments.model, arguments.out, tolerance=arguments.tolerance)
    except EncoderError as error:
        print(f"lethe: {error}", file=sys.stderr)
        return 2
    print(
        f"{arguments.out}: {manifest.reference}, cosines move by {manifest.drift_p99:.4f} at the "
        f"99th percentile of {manifest.pairs} pairs, {manifest.drift_most:.4f} at most; "
        f"matrices in 16 bits: {', '.join(manifest.wide) or 'none'}"
    )
    return 0


def export(
    name: str, folder: Path, *, tolerance: float = TOLERANCE, texts: Sequence[str] = BACKGROUND
) -> Manifest:
    """Make `folder`, which `load` takes for an encoder; all of it or nothing.

    Raises EncoderError where the folder exists, where the model is not of a kind that the kernel
    computes, where there is no compiler, and where cosines of `texts` drift past `tolerance`.
    """
    if folder.exists():
        raise EncoderError(f"{folder}: is there already; name a folder that is not")
    reference = load(name, native=False)
    if not isinstance(reference, Reference):
        raise EncoderError(f"{name}: is an export itself; export the model that it was made from")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".lethe-export-") as place:
        made = Path(place) / "made"
        made.mkdir()
        manifest = _written(reference, made, texts, name=name, tolerance=tolerance)
        if not manifest.drift_p99 <= tolerance:
            raise EncoderError(
                f"{name}: cosines would move by {manifest.drift_p99:.4f} at the 99th percentile, "
                f"more than {tolerance}; use the model itself, or raise --tolerance and calibrate"
            )
        made.rename(folder)
    return manifest


def drift(one: Vectors, other: Vectors) -> tuple[float, float, int]:
    """|cosine - cosine| over all pairs of rows: the 99th percentile, the largest, and how many."""
    pairs = np.triu_indices(len(one), 1)
    moved = np.abs(one @ one.T - other @ other.T)[pairs]
    return float(np.percentile(moved, 99)), float(moved.max()), len(moved)


def _written(
    reference: Reference, folder: Path, texts: Sequence[str], *, name: str, tolerance: float
) -> Manifest:
    """The fastest choice of precisions that keeps to the tolerance, and what it was measured to be.

    One half of the texts tells what matrices multiply, the other how far cosines move.
    """
    transformer: Any = reference.model[0]
    transformer.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    truth = reference.encode(texts[1::2])
    try:
        shape = _shape(reference.model)
        tensors = _Tensors(reference, texts[::2], shape)
        build(folder / KERNEL)
        Forward(opened(folder / KERNEL), tensors.packed(()), shape)
    except (KernelError, ValueError) as error:
        raise EncoderError(f"{name}: cannot be exported: {error}") from error
    for wide in PRECISIONS:
        save_file(tensors.packed(wide), folder / WEIGHTS)
        manifest = Manifest(
            reference=reference.fingerprint,
            shape=shape,
            limit=int(reference.model.max_seq_length or sys.maxsize),
            prompt=reference.prompt or "",
            wide=wide,
            drift_p99=0.0,
            drift_most=0.0,
            pairs=0,
            digests={part: digest(folder / part) for part in PARTS},
        )
        manifest.write(folder)
        p99, most, pairs = drift(Fast(folder).encode(texts[1::2]), truth)
        if p99 <= (1 - RESERVE) * tolerance:
            break
    (folder / WEIGHTS).chmod(0o644)  # whoever serves need not be who exported
    manifest = replace(manifest, drift_p99=p99, drift_most=most, pairs=pairs)
    manifest.write(folder)
    return manifest


@dataclass(frozen=True, slots=True)
class _Matrix:
    """One of a layer's, and the same in 8 bits."""

    name: str
    part: str
    weight: Floats
    bias: Floats
    narrow: Whole

    def whole(self, wide: Collection[str]) -> Whole:
        """In 16 bits where `wide` has its part, else in 8."""
        return pack(self.weight, self.bias, bits=16) if self.part in wide else self.narrow


class _Tensors:
    """A model's tensors, its matrices as whole numbers that `texts` lose little by."""

    def __init__(self, reference: Reference, texts: Sequence[str], shape: Shape) -> None:
        transformer: Any = reference.model[0]
        found = transformer.auto_model.state_dict()
        self._floats = {k: v.float().numpy() for k, v in found.items() if v.is_floating_point()}
        factors = _factors(reference, texts)
        self._matrices: list[_Matrix] = []
        for at, part in itertools.product(range(shape.depth), MATRICES):
            name = f"encoder.layer.{at}.{MATRICES[part]}"
            weight, bias = (self._floats.pop(f"{name}.{of}") for of in ("weight", "bias"))
            if part == "query":  # holds the scale of attention
                root = np.sqrt(len(weight) / shape.heads)
                weight, bias = weight / root, bias / root
            narrow = pack(weight, bias, bits=8, factor=factors[name])
            self._matrices.append(_Matrix(name, part, weight, bias, narrow))

    def packed(self, wide: Collection[str]) -> dict[str, NDArray[Any]]:
        """Tensors as the kernel takes them, the parts of a layer in `wide` in 16 bits."""
        chosen = {one.name: one.whole(wide) for one in self._matrices}
        return self._floats | {
            f"{name}.{of}": getattr(whole, of)
            for name, whole in chosen.items()
            for of in ("numbers", "scales", "bias")
        }


def _factors(reference: Reference, texts: Sequence[str]) -> dict[str, Doubles]:
    """What `pack` must know of the rows that each matrix multiplies when texts are encoded."""
    import torch  # noqa: PLC0415 - torch-sized

    seen: dict[str, list[Floats]] = {}

    def hook(name: str) -> Callable[[object, tuple[torch.Tensor]], None]:
        def keep(_module: object, given: tuple[torch.Tensor]) -> None:
            seen.setdefault(name, []).append(given[0].reshape(-1, given[0].shape[-1]).numpy())

        return keep

    transformer: Any = reference.model[0]
    alike = (MATRICES["key"], MATRICES["value"])  # they multiply what the query's does
    hooks = [
        module.register_forward_pre_hook(hook(name))
        for name, module in transformer.auto_model.named_modules()
        if name.endswith(tuple(MATRICES.values())) and not name.endswith(alike)
    ]
    for text in texts:  # one by one: padding counts for nothing
        reference.model.encode(text, show_progress_bar=False)
    for one in hooks:
        one.remove()
    factors: dict[str, Doubles] = {}
    for name, parts in seen.items():
        rows = torch.from_numpy(turned(np.concatenate(parts)))
        moment = rows.T @ rows
        moment.diagonal().add_(DAMPING * moment.diagonal().mean() + 1e-9)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(moment))
        factors[name] = torch.linalg.cholesky(inverse, upper=True).numpy()
        if name.endswith(MATRICES["query"]):
            for other in alike:
                factors[name.removesuffix(MATRICES["query"]) + other] = factors[name]
    return factors


def _shape(model: "SentenceTransformer") -> Shape:
    """What the kernel must know. Raises ValueError where the model is of another kind."""
    kinds = [type(module).__name__ for module in model]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Normalize"}:
        raise ValueError(f"it consists of {', '.join(kinds)}; known: Transformer, Pooling")
    first: Any = model[0]
    second: Any = model[1]
    config = first.auto_model.config
    if config.model_type not in FAMILIES:
        raise ValueError(f"architecture '{config.model_type}'; known: {', '.join(FAMILIES)}")
    if getattr(config, "position_embedding_type", "absolute") != "absolute" or config.is_decoder:
        raise ValueError("its positions are not absolute, or it only looks back")
    pooling = second.get_config_dict()["pooling_mode"]
    if pooling not in POOLING:
        raise ValueError(f"pooling '{pooling}'; known: {', '.join(POOLING)}")
    behind = config.model_type in BEHIND_PADDING
    return Shape(
        depth=config.num_hidden_layers,
        heads=config.num_attention_heads,
        epsilon=config.layer_norm_eps,
        activation=config.hidden_act,
        first_position=config.pad_token_id + 1 if behind else 0,
        mean=POOLING[pooling],
    )
