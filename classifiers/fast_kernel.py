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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.fast_pack import LANES, LEVELS, Floats, Integers, Whole

CPUINFO = Path("/proc/cpuinfo")
SOURCE = Path(__file__).with_suffix(".c")
ASKED = 4  # tokens whose attention the kernel computes together
PANEL = 16  # columns that the kernel computes together
LINE = 64  # bytes
MIDDLE = 128  # added to a byte, as in the source
FLAGS = ("-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
TARGETS = {"x86_64": ("-march=x86-64-v3",), "AMD64": ("-march=x86-64-v3",)}
NEEDED = ("avx2", "bmi2", "fma")  # of the processors that the target means
ACTIVATIONS = {"gelu": 1, "relu": 2}
PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}

Tensors = Mapping[str, NDArray[Any]]


class KernelError(RuntimeError):
    """A kernel that cannot be built or run here: why, and what to do."""


class _Linear(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weights", "scales", "bias", "ahead")),
        *((name, ctypes.c_int64) for name in ("inputs", "outputs", "levels", "bytes", "vnni")),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, _Linear) for name in PARTS),
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


def opened(library: Path, *, cpuinfo: Path = CPUINFO) -> ctypes.CDLL:
    """The library, loaded. Raises KernelError where this processor cannot run it."""
    if platform.machine() in TARGETS:
        known = cpuinfo.read_text(encoding="utf-8").split() if cpuinfo.exists() else NEEDED
        if missing := [name.upper() for name in NEEDED if name not in known]:
            raise KernelError(
                f"this processor has no {' and no '.join(missing)}; "
                "use the encoder that it was exported from"
            )
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise KernelError(f"{library}: cannot be loaded ({error}); export it again here") from None


@dataclass(frozen=True, slots=True)
class Packed:
    """One matrix as the kernel reads it on this processor, with what its integers are worth."""

    weights: Integers
    scales: Floats
    bias: Floats
    ahead: NDArray[np.int32]
    inputs: int
    levels: int
    vnni: bool

    @classmethod
    def of(cls, matrix: Whole, *, vnni: bool) -> "Packed":
        """Lay out a matrix. Raises ValueError for outputs that are no multiple of 16."""
        numbers = matrix.numbers
        outputs, inputs = numbers.shape
        if outputs % PANEL:
            raise ValueError(f"a matrix of {outputs} outputs; known: multiples of {PANEL}")
        bits = numbers.itemsize * 8
        beside = 4 if vnni and bits == 8 else 2
        panels = numbers.reshape(outputs // PANEL, PANEL, inputs // beside, beside)
        panels = panels.transpose(0, 2, 1, 3)
        ahead = numbers.sum(axis=1, dtype=np.int32) * (MIDDLE if beside == 4 else 0)
        return cls(
            _aligned(panels.astype(np.int8) if beside == 4 else panels.astype(np.int16)),
            np.ascontiguousarray(matrix.scales, dtype=np.float32),
            np.ascontiguousarray(matrix.bias, dtype=np.float32),
            ahead.astype(np.int32),
            inputs,
            LEVELS[bits],
            vnni,
        )

    def structure(self) -> _Linear:
        """Pointers into this object: it must outlive them."""
        return _Linear(
            *(part.ctypes.data for part in (self.weights, self.scales, self.bias, self.ahead)),
            self.inputs,
            len(self.scales),
            self.levels,
            self.weights.itemsize,
            int(self.vnni),
        )


def _aligned(numbers: Integers) -> Integers:
    """A flat copy that begins where a line of the processor's cache does."""
    room = np.empty(numbers.nbytes + LINE, dtype=np.uint8)
    start = -room.ctypes.data % LINE
    found = room[start : start + numbers.nbytes].view(numbers.dtype)
    found[:] = numbers.reshape(-1)
    return found


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

    Of each matrix there are `numbers`, `scales` and `bias` (see Whole). vnni: whether to multiply
    with AVX-512 VNNI; where the processor has it unless said; the bits of a vector are the same.
    Raises KeyError for a tensor that is missing, ValueError for a shape that cannot be packed, and
    KernelError for instructions that this processor has not.
    """

    def __init__(
        self, library: ctypes.CDLL, tensors: Tensors, shape: Shape, *, vnni: bool | None = None
    ) -> None:
        self._library = library
        has = bool(library.lethe_vnni())
        if vnni and not has:
            raise KernelError("this processor has no AVX-512 VNNI")
        self.vnni = has if vnni is None else vnni
        self._kept: list[object] = []
        words = self._keep(tensors["embeddings.word_embeddings.weight"])
        positions = tensors["embeddings.position_embeddings.weight"]
        if shape.types:
            positions = positions + tensors["embeddings.token_type_embeddings.weight"][0]
        self.dimensions = words.shape[1]
        self._head = self.dimensions // shape.heads
        if self._head % LANES or self.dimensions % shape.heads:
            size = f"{self.dimensions / shape.heads:g}"
            raise ValueError(f"heads of {size} numbers; known: multiples of {LANES}")
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
        widest = max(width, self._inner)
        room = rows * (5 * width + self._inner + 1) + widest
        room += (int(lengths.max()) + LANES - 1) * (self._head + ASKED)
        out = np.empty((len(texts), width), dtype=np.float32)
        spare = (np.empty(room, dtype=np.float32), np.empty(rows * widest, dtype=np.int16))
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

    def _packed(self, tensors: Tensors, name: str) -> _Linear:
        matrix = Whole(*(tensors[f"{name}.{part}"] for part in ("numbers", "scales", "bias")))
        packed = Packed.of(matrix, vnni=self.vnni)
        self._kept.append(packed)
        return packed.structure()

    def _layer(self, tensors: Tensors, at: str) -> _Layer:
        return _Layer(
            **{part: self._packed(tensors, f"{at}{name}") for part, name in PARTS.items()},
            norm_attention=self._norm(tensors, f"{at}attention.output.LayerNorm"),
            norm_output=self._norm(tensors, f"{at}output.LayerNorm"),
        )
