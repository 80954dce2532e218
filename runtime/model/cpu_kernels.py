"""The CPU kernels of a layer: packed matrices, RMSNorm, SwiGLU and rotary positions.

Imported only by those who are about to compile them. Each works in `threads` parts; addresses are plain integers.
Numba's cache does not tell a parallel kernel from a serial one: what they close over does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import prange, types
from numba.extending import register_jitable

from runtime import simd
from runtime.kernel_cache import compile_cached

__all__ = ["PANEL", "compile_gemm", "compile_norm", "compile_rotate", "compile_swiglu"]

PANEL = simd.LANES * simd.WIDEST
_ROWS = simd.ROWS[simd.WIDEST]


@register_jitable
def _lines_ahead(block: int, num_blocks: int, panel: int) -> tuple[int, int, int]:
    """Which lines of the next panel to fetch during which block of rows: each of three lines once.

    Few rows are over before the next panel has come from memory, so its loading is spread over all their blocks.
    """
    if num_blocks == 1:
        return panel, panel + 16, panel + 32
    if num_blocks == 2:
        return (panel, panel + 16, panel + 16) if block == 0 else (panel + 32, panel + 32, panel + 32)
    line = panel + 16 * block if block < 3 else 0
    return line, line, line


def compile_gemm() -> Callable[[int, int, int, int, int, int, bool, int], None]:
    """Compiles the matrix kernel, or loads it from numba's cache.

    Returns:
        gemm(x, w, out, rows, inner, panels, add, threads): addresses of float32 [rows, inner], of weights
        [panels, inner, PANEL] and of [rows, panels * PANEL]; whether to add to `out`.
    """
    stamp = simd.STAMP

    def gemm(x: int, w: int, out: int, rows: int, inner: int, panels: int, add: bool, threads: int) -> None:
        stamp  # noqa: B018
        stride = panels * PANEL
        num_blocks = (rows + _ROWS - 1) // _ROWS
        for part in prange(threads):
            for panel in range(panels * part // threads, panels * (part + 1) // threads):
                source = w + panel * inner * PANEL * 4
                for block in range(num_blocks):
                    row = block * _ROWS
                    target = out + (row * stride + panel * PANEL) * 4
                    count = min(_ROWS, rows - row)
                    ahead = _lines_ahead(block, num_blocks, inner * PANEL)
                    simd.panel_tile(count, x + row * inner * 4, inner, source, PANEL, inner, target, stride, add, ahead)

    return compile_cached(gemm, types.void(*([types.int64] * 6), types.boolean, types.int64), parallel=True)


def compile_norm(parallel: bool) -> Callable[[int, int, int, int, int, float, int], None]:
    """norm(x, weight, out, rows, length, eps, threads): RMSNorm of float32 [rows, length]."""
    stamp = f"{simd.STAMP} {parallel}"

    def norm(x: int, weight: int, out: int, rows: int, length: int, eps: float, threads: int) -> None:
        stamp  # noqa: B018
        for part in prange(threads):
            for row in range(rows * part // threads, rows * (part + 1) // threads):
                simd.normalize(x + row * length * 4, weight, out + row * length * 4, length, np.float32(eps))

    whole = types.int64
    return compile_cached(norm, types.void(*([whole] * 5), types.float64, whole), parallel=parallel)


def compile_swiglu(parallel: bool) -> Callable[[int, int, int, int, int, int], None]:
    """swiglu(gate_up, stride, out, rows, length, threads): gate and up, [length] each, begin rows `stride` apart."""
    stamp = f"{simd.STAMP} {parallel}"

    def swiglu(gate_up: int, stride: int, out: int, rows: int, length: int, threads: int) -> None:
        stamp  # noqa: B018
        for part in prange(threads):
            for row in range(rows * part // threads, rows * (part + 1) // threads):
                gate = gate_up + row * stride * 4
                simd.swiglu(gate, gate + length * 4, out + row * length * 4, length)

    return compile_cached(swiglu, types.void(*([types.int64] * 6)), parallel=parallel)


def compile_rotate(parallel: bool) -> Callable[[int, int, int, int, int, int, int, int], None]:
    """rotate(heads, stride, cos, sin, rows, num_heads, dim, threads): in place; cos and sin are [rows, dim / 2]."""
    stamp = f"{simd.STAMP} {parallel}"

    def rotate(heads: int, stride: int, cos: int, sin: int, rows: int, num_heads: int, dim: int, threads: int) -> None:
        stamp  # noqa: B018
        half = dim // 2
        for part in prange(threads):
            for row in range(rows * part // threads, rows * (part + 1) // threads):
                for head in range(num_heads):
                    target = heads + (row * stride + head * dim) * 4
                    simd.rotate(target, cos + row * half * 4, sin + row * half * 4, half)

    return compile_cached(rotate, types.void(*([types.int64] * 8)), parallel=parallel)
