"""The CPU kernel of matrices in GGUF's blocks times int8 rows. Imported only by those who are about to compile it.

Addresses are plain integers. Numba's cache does not tell kernels of several kinds apart: what they close over does.
"""

from __future__ import annotations

from typing import Any

from numba import types

from runtime import simd_dot
from runtime.kernel_cache import compile_part
from runtime.model.blocks import BlockKind

__all__ = ["compile_dot_gemm"]

_AHEAD = 4096
"""Bytes ahead of which lines of the panel are fetched."""


def compile_dot_gemm(kind: BlockKind, way: int = simd_dot.HOST) -> Any:
    """The panel kernel of matrices in blocks of one kind times packed rows, both as `runtime.simd_dot` has them.

    Args:
        kind: of the blocks.
        way: index of the instructions to use in `runtime.simd_dot.WAYS`.
    """
    own = simd_dot.WAYS[way]
    stamp = f"{simd_dot.STAMP} {kind} {own}"
    number, block_bytes = kind.number, own.block_bytes(kind)
    most, width, row_block = own.rows, own.width, simd_dot.ROW_BLOCK

    def gemm(
        part: int, parts: int, thread: int, x: int, w: int, out: int, rows: int, blocks: int, panels: int,
        add: int, scratch: int,
    ) -> None:  # fmt: skip
        stamp  # noqa: B018
        stride, row_bytes = panels * width, blocks * row_block
        for panel in range(panels * part // parts, panels * (part + 1) // parts):
            source = w + panel * blocks * block_bytes
            for row in range(0, rows, most):
                target, left = out + (row * stride + panel * width) * 4, x + row * row_bytes
                count = min(most, rows - row)
                simd_dot.dot_tile(number, way, count, left, row_bytes, source, blocks, target, stride, add != 0, _AHEAD)

    return compile_part(gemm, types.void(*([types.int64] * 11)))
