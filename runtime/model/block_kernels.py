"""The CPU kernel of matrices in GGUF's blocks. Imported only by those who are about to compile it.

Addresses are plain integers. Numba's cache does not tell kernels of several kinds apart: what they close over does.
"""

from __future__ import annotations

from typing import Any

from numba import types

from runtime import simd, simd_blocks
from runtime.kernel_cache import compile_part
from runtime.model.blocks import BLOCK_SIZE, BlockKind
from runtime.model.cpu_kernels import PANEL

__all__ = ["CHUNK", "compile_block_gemm"]

_ROWS = simd.ROWS[simd.WIDEST]
CHUNK = 4
"""Blocks that are expanded at once where there are many rows: the values fit the first-level cache."""
_AHEAD = 8192
"""Bytes ahead of which lines are fetched where there are few rows."""


def compile_block_gemm(kind: BlockKind) -> Any:
    """The panel kernel of matrices in blocks of one kind, [panels, blocks, bytes a block, PANEL].

    See `runtime.model.product_kernels`; a thread writes on CHUNK * 32 * PANEL floats of `scratch`.
    """
    stamp = f"{simd_blocks.STAMP} {kind}"
    number, block_bytes = kind.number, kind.num_bytes * PANEL

    def gemm(
        part: int, parts: int, thread: int, x: int, w: int, out: int, rows: int, blocks: int, panels: int,
        add: int, scratch: int,
    ) -> None:  # fmt: skip
        stamp  # noqa: B018
        stride, inner = panels * PANEL, blocks * BLOCK_SIZE
        room = scratch + thread * CHUNK * BLOCK_SIZE * PANEL * 4
        for panel in range(panels * part // parts, panels * (part + 1) // parts):
            source = w + panel * blocks * block_bytes
            column = out + panel * PANEL * 4
            if rows <= _ROWS:
                simd_blocks.block_tile(number, rows, x, inner, source, blocks, column, stride, add != 0, _AHEAD)
                continue
            for first in range(0, blocks, CHUNK):
                length = min(CHUNK, blocks - first)
                simd_blocks.expand(number, source + first * block_bytes, length, room, CHUNK * block_bytes)
                for row in range(0, rows, _ROWS):
                    left = x + (row * inner + first * BLOCK_SIZE) * 4
                    target = column + row * stride * 4
                    count = min(_ROWS, rows - row)
                    more = add != 0 or first > 0
                    simd_blocks.wide_tile(count, left, inner, room, PANEL, length * BLOCK_SIZE, target, stride, more)

    return compile_part(gemm, types.void(*([types.int64] * 11)))
