"""GgufFile: one GGUF file, memory-mapped: its metadata, and its tensors dequantized one at a time.

The header is read here because `gguf.GGUFReader` builds several numpy arrays for every vocabulary entry (about two
seconds and tens of megabytes for 49,152 tokens); types, block sizes and dequantization are the package's own.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf.constants import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType, GGUFValueType
from gguf.quants import dequantize

from runtime.errors import DamagedModel, UnsupportedModel
from runtime.model.blocks import BLOCK_KINDS, BlockMatrix

__all__ = ["GgufFile", "GgufTensor"]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SCALARS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}
"""Value type → its letter in the `struct` module, little-endian."""

PLAIN_TYPES = {
    GGMLQuantizationType.F32: "<f4",
    GGMLQuantizationType.F16: "<f2",
    GGMLQuantizationType.F64: "<f8",
}
"""Tensor types that numpy reads by itself."""


ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor lies: `shape` outermost dimension first, `offset` and `num_bytes` within the file."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int
    num_bytes: int

    @property
    def num_rows(self) -> int:
        """Product of all dimensions but the innermost."""
        return math.prod(self.shape[:-1])


class _Cursor:
    """Reads little-endian values one after another and never past the end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.offset = 0

    def take(self, num_bytes: int) -> int:
        """Start of the next `num_bytes`, which are then behind the cursor."""
        start = self.offset
        if start + num_bytes > len(self.data):
            raise ValueError(f"the header needs {num_bytes} bytes at {start}, the file has {len(self.data)}")
        self.offset = start + num_bytes
        return start

    def scalar(self, letter: str) -> Any:
        layout = struct.Struct("<" + letter)
        return layout.unpack_from(self.data, self.take(layout.size))[0]

    def string(self) -> str:
        length = self.scalar("Q")
        start = self.take(length)
        return self.data[start : self.offset].decode("utf-8")

    def strings(self, count: int) -> list[str]:
        """`count` strings; a tight loop, because vocabularies have hundreds of thousands."""
        data, offset, read_length = self.data, self.offset, struct.Struct("<Q").unpack_from
        values = []
        for _ in range(count):
            start = offset + 8
            offset = start + read_length(data, offset)[0]
            values.append(data[start:offset].decode("utf-8"))
        self.take(offset - self.offset)
        return values

    def value(self, kind: GGUFValueType) -> Any:
        if kind == GGUFValueType.STRING:
            return self.string()
        if kind == GGUFValueType.ARRAY:
            return self.array()
        return self.scalar(SCALARS[kind])

    def array(self) -> list[Any]:
        kind, count = GGUFValueType(self.scalar("I")), self.scalar("Q")
        if kind == GGUFValueType.STRING:
            return self.strings(count)
        if kind == GGUFValueType.ARRAY:
            return [self.array() for _ in range(count)]
        size = struct.calcsize("<" + SCALARS[kind])
        start = self.take(size * count)
        return list(struct.unpack_from(f"<{count}{SCALARS[kind]}", self.data, start))


class GgufFile:
    """An open GGUF file.

    Attributes:
        path: the file.
        metadata: key → value; arrays are lists.
        tensors: name → where it lies, in file order.

    Raises:
        DamagedModel: not a GGUF file, cut short, or its header contradicts itself.
        UnsupportedModel: a version of the format that is not read here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DamagedModel(f"{path}: cannot be opened: {error}") from error
        try:
            self._read_header(_Cursor(self._data))
        except (
            ValueError,
            LookupError,
            TypeError,
            ArithmeticError,
            MemoryError,
            RecursionError,
            struct.error,
        ) as error:
            raise DamagedModel(f"{path}: damaged GGUF header: {error}") from error

    def _read_header(self, cursor: _Cursor) -> None:
        if self._data[:4] != MAGIC:
            raise ValueError(f"begins with {self._data[:4]!r}, not {MAGIC!r}")
        cursor.take(4)
        version = cursor.scalar("I")
        if version not in VERSIONS:
            raise UnsupportedModel(f"{self.path}: GGUF version {version} is not supported; supported are 2 and 3")
        num_tensors, num_pairs = cursor.scalar("Q"), cursor.scalar("Q")
        self.metadata: dict[str, Any] = {}
        for _ in range(num_pairs):
            key = cursor.string()
            self.metadata[key] = cursor.value(GGUFValueType(cursor.scalar("I")))
        found = [_tensor(cursor) for _ in range(num_tensors)]
        alignment = self.metadata.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
        start = -(-cursor.offset // alignment) * alignment
        self.tensors = {tensor.name: _placed(tensor, start) for tensor in found}
        if len(self.tensors) != num_tensors:
            raise ValueError("two tensors have the same name")
        for tensor in self.tensors.values():
            if tensor.offset + tensor.num_bytes > len(self._data):
                raise ValueError(
                    f"tensor {tensor.name} ends at byte {tensor.offset + tensor.num_bytes:,}, "
                    f"the file has {len(self._data):,}: it was cut short"
                )

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor as float32, freshly allocated.

        Raises:
            DamagedModel: there is no tensor of that name, or its bytes do not decode.
            UnsupportedModel: its quantization type cannot be dequantized.
        """
        tensor = self.tensors.get(name)
        if tensor is None:
            raise DamagedModel(f"{self.path}: tensor {name} is missing")
        plain = PLAIN_TYPES.get(tensor.type)
        if plain is not None:
            size = tensor.num_bytes // np.dtype(plain).itemsize
            values = np.frombuffer(self._data, plain, size, tensor.offset)
            return values.reshape(tensor.shape).astype(np.float32)
        rows = np.frombuffer(self._data, np.uint8, tensor.num_bytes, tensor.offset)
        try:
            return _dequantized(rows.reshape(tensor.num_rows, -1), tensor)
        except NotImplementedError as error:
            raise UnsupportedModel(f"{self.path}: tensor {name} has type {tensor.type.name}, not readable") from error
        except ValueError as error:
            raise DamagedModel(f"{self.path}: tensor {name}: {error}") from error

    def block_matrix(self, name: str) -> BlockMatrix | None:
        """A matrix as it is stored, reading it only when it is used; None if it is not in blocks of `BLOCK_KINDS`."""
        tensor = self.tensors.get(name)
        kind = BLOCK_KINDS.get(tensor.type) if tensor else None
        if tensor is None or kind is None or len(tensor.shape) != 2:
            return None
        stored = np.frombuffer(self._data, np.uint8, tensor.num_bytes, tensor.offset)
        return BlockMatrix(kind, stored.reshape(tensor.num_rows, -1, kind.num_bytes))


def _tensor(cursor: _Cursor) -> GgufTensor:
    name = cursor.string()
    shape = tuple(reversed([cursor.scalar("Q") for _ in range(cursor.scalar("I"))]))
    kind, offset = GGMLQuantizationType(cursor.scalar("I")), cursor.scalar("Q")
    block_size, block_bytes = GGML_QUANT_SIZES[kind]
    if not all(shape) or not shape or shape[-1] % block_size:
        raise ValueError(f"tensor {name}: shape {shape} does not fill blocks of {block_size} values")
    return GgufTensor(name, shape, kind, offset, math.prod(shape) // block_size * block_bytes)


def _dequantized(rows: npt.NDArray[np.uint8], tensor: GgufTensor) -> npt.NDArray[np.float32]:
    """Block by block of rows: all at once, the package's function holds every value twice."""
    values = np.empty((tensor.num_rows, tensor.shape[-1]), dtype=np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        values[start : start + ROWS_AT_ONCE] = dequantize(rows[start : start + ROWS_AT_ONCE], tensor.type)
    return values.reshape(tensor.shape)


def _placed(tensor: GgufTensor, start: int) -> GgufTensor:
    return GgufTensor(tensor.name, tensor.shape, tensor.type, start + tensor.offset, tensor.num_bytes)
