"""The CPU kernel of matrices in GGUF's blocks. Imported only by those who are about to compile it.

Addresses are plain integers. Numba's cache does not tell kernels of several kinds apart: what they close over does.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import prange, types

from runtime import simd, simd_blocks
from runtime.kernel_cache import compile_cached
from runtime.model.blocks import BLOCK_SIZE, BlockKind
from runtime.model.cpu_kernels import PANEL

__all__ = ["CHUNK", "compile_block_gemm"]

_ROWS = simd.ROWS[simd.WIDEST]
CHUNK = 4
"""Blocks that are expanded at once where there are many rows: the values fit the first-level cache."""
_AHEAD = 8192
"""Bytes ahead of which lines are fetched where there are few rows."""


def compile_block_gemm(kind: BlockKind) -> Callable[[int, int, int, int, int, int, bool, int, int], None]:
    """Compiles the matrix kernel for blocks of one kind, or loads it from numba's cache.

    Returns:
        gemm(x, w, out, rows, num_blocks, panels, add, threads, scratch): addresses of float32 [rows, num_blocks * 32],
        of blocks [panels, num_blocks, bytes a block, PANEL] and of float32 [rows, panels * PANEL]; whether to add to
        `out`; address of float32 [threads, CHUNK * 32, PANEL] to write on.
    """
    stamp = f"{simd_blocks.STAMP} {kind}"
    number, block_bytes = kind.number, kind.num_bytes * PANEL

    def gemm(
        x: int, w: int, out: int, rows: int, num_blocks: int, panels: int, add: bool, threads: int, scratch: int
    ) -> None:
        stamp  # noqa: B018
        stride, inner = panels * PANEL, num_blocks * BLOCK_SIZE
        for part in prange(threads):
            room = scratch + part * CHUNK * BLOCK_SIZE * PANEL * 4
            for panel in range(panels * part // threads, panels * (part + 1) // threads):
                source = w + panel * num_blocks * block_bytes
                column = out + panel * PANEL * 4
                if rows <= _ROWS:
                    simd_blocks.block_tile(number, rows, x, inner, source, num_blocks, column, stride, add, _AHEAD)
                else:
                    for first in range(0, num_blocks, CHUNK):
                        length = min(CHUNK, num_blocks - first)
                        simd_blocks.expand(number, source + first * block_bytes, length, room, CHUNK * block_bytes)
                        for row in range(0, rows, _ROWS):
                            left = x + (row * inner + first * BLOCK_SIZE) * 4
                            target = column + row * stride * 4
                            count = min(_ROWS, rows - row)
                            more = add or first > 0
                            simd_blocks.wide_tile(
                                count, left, inner, room, PANEL, length * BLOCK_SIZE, target, stride, more
                            )

    return compile_cached(gemm, types.void(*([types.int64] * 6), types.boolean, *([types.int64] * 2)), parallel=True)
