"""The CPU kernel of matrices in GGUF's blocks times int8 rows. Imported only by those who are about to compile it.

Addresses are plain integers. Numba's cache does not tell kernels of several kinds apart: what they close over does.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import prange, types

from runtime import simd_dot
from runtime.kernel_cache import compile_cached
from runtime.model.blocks import BLOCK_SIZE, BlockKind

__all__ = ["compile_dot_gemm"]

_AHEAD = 4096
"""Bytes ahead of which lines of the panel are fetched."""
_FEW = 8
"""Rows that one thread packs before the others are woken."""


def compile_dot_gemm(
    kind: BlockKind, way: int = simd_dot.HOST
) -> Callable[[int, int, int, int, int, int, bool, int, int], None]:
    """Compiles the matrix kernel for blocks of one kind, or loads it from numba's cache.

    Args:
        kind: of the blocks.
        way: index of the instructions to use in `runtime.simd_dot.WAYS`.

    Returns:
        gemm(x, w, out, rows, num_blocks, panels, add, threads, packed): addresses of float32 [rows, num_blocks * 32],
        of panels (see `runtime.simd_dot`) and of float32 [rows, panels * width]; whether to add to `out`; address of
        bytes [rows, num_blocks, ROW_BLOCK] to write on.
    """
    own = simd_dot.WAYS[way]
    stamp = f"{simd_dot.STAMP} {kind} {own}"
    number, block_bytes, shift = kind.number, own.block_bytes(kind), 128 if own.shifts_rows(kind) else 0
    most, width, row_block = own.rows, own.width, simd_dot.ROW_BLOCK

    def gemm(
        x: int, w: int, out: int, rows: int, num_blocks: int, panels: int, add: bool, threads: int, packed: int
    ) -> None:
        stamp  # noqa: B018
        stride, row_bytes = panels * width, num_blocks * row_block
        few = min(rows, _FEW)
        for row in range(few):
            simd_dot.quantize(x + row * num_blocks * BLOCK_SIZE * 4, num_blocks, shift, packed + row * row_bytes)
        if rows > few:
            for part in prange(threads):
                left = rows - few
                for row in range(few + left * part // threads, few + left * (part + 1) // threads):
                    simd_dot.quantize(
                        x + row * num_blocks * BLOCK_SIZE * 4, num_blocks, shift, packed + row * row_bytes
                    )
        for part in prange(threads):
            for panel in range(panels * part // threads, panels * (part + 1) // threads):
                source = w + panel * num_blocks * block_bytes
                for row in range(0, rows, most):
                    target = out + (row * stride + panel * width) * 4
                    left = packed + row * row_bytes
                    count = min(most, rows - row)
                    simd_dot.dot_tile(
                        number, way, count, left, row_bytes, source, num_blocks, target, stride, add, _AHEAD
                    )

    return compile_cached(gemm, types.void(*([types.int64] * 6), types.boolean, *([types.int64] * 2)), parallel=True)
