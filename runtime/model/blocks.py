"""Block-quantized matrices: GGUF's blocks of 32 values, kept as they are stored.

Layout of a block: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

__all__ = ["BLOCK_KINDS", "BLOCK_SIZE", "BlockKind", "BlockMatrix"]

BLOCK_SIZE = 32
"""Values in a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockKind:
    """How a block is stored: a scale d, perhaps a minimum m (halves), then the quants q; a value is d * (q - zero) + m.

    Args:
        number: of the type in GGUF.
        name: of the type in GGUF.
        bits: of a quant: 4 (unsigned, two to a byte) or 8 (signed).
        zero: the quant that stands for 0.
        has_minimum: whether there is an m.
    """

    number: int
    name: str
    bits: int
    zero: int
    has_minimum: bool

    @property
    def scale_bytes(self) -> int:
        """Bytes of scale and minimum, at the start of the block."""
        return 4 if self.has_minimum else 2

    @property
    def num_bytes(self) -> int:
        """Bytes of a block."""
        return self.scale_bytes + BLOCK_SIZE * self.bits // 8


def _kind(name: str, bits: int, zero: int, has_minimum: bool) -> BlockKind:
    number = GGMLQuantizationType[name].value
    return BlockKind(number=number, name=name, bits=bits, zero=zero, has_minimum=has_minimum)


BLOCK_KINDS: Mapping[int, BlockKind] = MappingProxyType(
    {kind.number: kind for kind in (_kind("Q4_0", 4, 8, False), _kind("Q4_1", 4, 0, True), _kind("Q8_0", 8, 0, False))}
)
"""Number of the type in GGUF → its blocks, for the types there are kernels for."""


class BlockMatrix:
    """A matrix in blocks.

    Args:
        kind: of all its blocks.
        blocks: uint8 [rows, blocks a row, bytes a block], not written to; may lie in the file.
    """

    def __init__(self, kind: BlockKind, blocks: npt.NDArray[np.uint8]) -> None:
        self.kind = kind
        self.blocks = blocks

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, in values."""
        return self.blocks.shape[0], self.blocks.shape[1] * BLOCK_SIZE

    def select(self, rows: npt.NDArray[np.int64]) -> BlockMatrix:
        """A matrix of these rows, in this order; a copy."""
        return BlockMatrix(self.kind, self.blocks[rows])

    def dequantize(self) -> npt.NDArray[np.float32]:
        """All of it in float32, [rows, columns]."""
        flat = self.blocks.reshape(self.shape[0], -1)
        values: npt.NDArray[np.float32] = dequantize(flat, GGMLQuantizationType(self.kind.number))
        return values

    @classmethod
    def stack(cls, parts: Sequence[BlockMatrix]) -> BlockMatrix:
        """The rows of all parts, which are of one kind and equally wide, one part after the other."""
        blocks = parts[0].blocks if len(parts) == 1 else np.concatenate([part.blocks for part in parts])
        return cls(parts[0].kind, blocks)
