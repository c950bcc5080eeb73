"""The compiled kernel: matrices as whole numbers, and one forward pass. Knows no file and no text.

See fast_kernel.c: a text's vector has the same bits in any company.
"""

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_suffix(".c")
ACTIVATION = 2047  # largest integer of an activation: 12 bits, as in the source
MOST = 2**31 - 1  # of a sum
PANEL = 16  # columns that the kernel computes together
FLAGS = ("-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
TARGETS = {"x86_64": ("-march=x86-64-v3",), "AMD64": ("-march=x86-64-v3",)}
ACTIVATIONS = {"gelu": 0, "relu": 1}

Floats = NDArray[np.float32]
Tensors = Mapping[str, Floats]


class KernelError(RuntimeError):
    """A kernel that cannot be built or run here: why, and what to do."""


class _Linear(ctypes.Structure):
    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, _Linear) for name in ("qkv", "out", "up", "down")),
        ("norm_attention", ctypes.c_void_p * 2),
        ("norm_output", ctypes.c_void_p * 2),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        ("words", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("norm", ctypes.c_void_p * 2),
        ("layers", ctypes.POINTER(_Layer)),
        *(
            (name, ctypes.c_int64)
            for name in ("depth", "width", "heads", "inner", "first", "activation", "mean")
        ),
        ("epsilon", ctypes.c_double),
    )


def build(into: Path) -> None:
    """Compile the kernel for any processor of this kind into a shared library.

    Raises KernelError where there is no C compiler, or where it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise KernelError("no C compiler (cc) found; install one (Debian: gcc) where you export")
    target = TARGETS.get(platform.machine(), ())
    command = [compiler, *FLAGS, *target, "-shared", "-fPIC", "-o", str(into), str(SOURCE), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise KernelError(f"{compiler} failed on {SOURCE.name}: {done.stderr.strip()[-400:]}")


def opened(library: Path) -> ctypes.CDLL:
    """The library, loaded. Raises KernelError where this processor cannot run it."""
    if platform.machine() in TARGETS:
        cpuinfo = Path("/proc/cpuinfo")
        if cpuinfo.exists() and " avx2 " not in cpuinfo.read_text(encoding="utf-8"):
            raise KernelError("this processor has no AVX2; use the encoder it was exported from")
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise KernelError(f"{library}: cannot be loaded ({error}); export it again here") from None


@dataclass(frozen=True, slots=True)
class Packed:
    """One matrix as the kernel reads it, with what its integers are worth."""

    weights: NDArray[np.int16]
    scales: Floats
    bias: Floats
    inputs: int
    outputs: int

    @classmethod
    def of(cls, weight: Floats, bias: Floats) -> "Packed":
        """Pack a matrix, shape (outputs, inputs): per row as many bits as no sum can overflow.

        Raises ValueError for an odd number of inputs or one of outputs that is no multiple of 16.
        """
        outputs, inputs = weight.shape
        if inputs % 2 or outputs % PANEL:
            raise ValueError(f"a matrix of {outputs} x {inputs}: give multiples of {PANEL} and 2")
        largest = min(32767, MOST // (ACTIVATION * inputs))
        scales = np.abs(weight).max(axis=1) / largest
        whole = np.rint(weight / np.maximum(scales, 1e-30)[:, None]).astype(np.int16)
        panels = whole.reshape(outputs // PANEL, PANEL, inputs // 2, 2).transpose(0, 2, 1, 3)
        return cls(
            np.ascontiguousarray(panels).reshape(-1),
            scales.astype(np.float32),
            np.ascontiguousarray(bias, dtype=np.float32),
            inputs,
            outputs,
        )

    def structure(self) -> _Linear:
        """Pointers into this object: it must outlive them."""
        return _Linear(
            *(part.ctypes.data for part in (self.weights, self.scales, self.bias)),
            self.inputs,
            self.outputs,
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model of BERT's kind is, beside its tensors."""

    depth: int
    heads: int
    epsilon: float
    activation: str
    first_position: int
    mean: bool
    types: bool = True

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation '{self.activation}'; known: {', '.join(ACTIVATIONS)}")


class Forward:
    """A model of BERT's kind (Devlin et al., NAACL 2019), tensors named as transformers names them.

    Raises KeyError for a tensor that is missing and ValueError for a shape that cannot be packed.
    """

    def __init__(self, library: ctypes.CDLL, tensors: Tensors, shape: Shape) -> None:
        self._library = library
        self._kept: list[object] = []
        words = self._keep(tensors["embeddings.word_embeddings.weight"])
        positions = tensors["embeddings.position_embeddings.weight"]
        if shape.types:
            positions = positions + tensors["embeddings.token_type_embeddings.weight"][0]
        self.dimensions = words.shape[1]
        self._heads = shape.heads
        self.longest = len(positions) - shape.first_position
        layers = (_Layer * shape.depth)(
            *(self._layer(tensors, f"encoder.layer.{at}.") for at in range(shape.depth))
        )
        self._inner = int(layers[0].up.outputs)
        self._model = _Model(
            words=words.ctypes.data,
            positions=self._keep(positions).ctypes.data,
            norm=self._norm(tensors, "embeddings.LayerNorm"),
            layers=layers,
            depth=shape.depth,
            width=self.dimensions,
            heads=shape.heads,
            inner=self._inner,
            first=shape.first_position,
            activation=ACTIVATIONS[shape.activation],
            mean=int(shape.mean),
            epsilon=shape.epsilon,
        )

    def vectors(self, texts: Sequence[Sequence[int]]) -> Floats:
        """Pooled vectors, not of unit length, of texts given as tokens, none of them empty."""
        lengths = np.array([len(tokens) for tokens in texts], dtype=np.int32)
        tokens = np.concatenate([np.asarray(t, dtype=np.int32) for t in texts])
        rows, width = len(tokens), self.dimensions
        room = rows * (5 * width + self._inner) + (int(lengths.max()) + 7) * (
            width // self._heads + 1
        )
        out = np.empty((len(texts), width), dtype=np.float32)
        spare = (
            np.empty(room, dtype=np.float32),
            np.empty(rows * max(width, self._inner), dtype=np.int16),
            np.empty(rows, dtype=np.float32),
        )
        self._library.lethe_encode(
            ctypes.byref(self._model),
            *(ctypes.c_void_p(part.ctypes.data) for part in (tokens, lengths)),
            ctypes.c_int64(len(texts)),
            *(ctypes.c_void_p(part.ctypes.data) for part in (out, *spare)),
        )
        return out

    def _keep(self, array: Floats) -> Floats:
        kept = np.ascontiguousarray(array, dtype=np.float32)
        self._kept.append(kept)
        return kept

    def _norm(self, tensors: Tensors, name: str) -> "ctypes.Array[ctypes.c_void_p]":
        parts = [self._keep(tensors[f"{name}.{part}"]) for part in ("weight", "bias")]
        return (ctypes.c_void_p * 2)(*(part.ctypes.data for part in parts))

    def _packed(self, tensors: Tensors, *names: str) -> _Linear:
        """Matrices over the same inputs, as one."""
        packed = Packed.of(
            *(
                np.concatenate([tensors[f"{name}.{part}"] for name in names])
                for part in ("weight", "bias")
            )
        )
        self._kept.append(packed)
        return packed.structure()

    def _layer(self, tensors: Tensors, at: str) -> _Layer:
        own = f"{at}attention.self."
        return _Layer(
            qkv=self._packed(tensors, *(f"{own}{part}" for part in ("query", "key", "value"))),
            out=self._packed(tensors, f"{at}attention.output.dense"),
            up=self._packed(tensors, f"{at}intermediate.dense"),
            down=self._packed(tensors, f"{at}output.dense"),
            norm_attention=self._norm(tensors, f"{at}attention.output.LayerNorm"),
            norm_output=self._norm(tensors, f"{at}output.LayerNorm"),
        )
