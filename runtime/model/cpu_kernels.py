"""The CPU kernels of a layer: packed matrices, RMSNorm, SwiGLU, rotary positions.

Imported only by those who are about to compile them. Each works in `threads` parts; addresses are plain integers.
Numba's cache does not tell a parallel kernel from a serial one: what they close over does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import register_jitable

from runtime import simd
from runtime.kernel_cache import compile_cached, compile_part

__all__ = ["PANEL", "compile_gemm", "compile_norm", "compile_place", "compile_swiglu"]

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


def compile_gemm() -> Any:
    """The panel kernel of float32 matrices, [panels, inner, PANEL] (see `runtime.model.product_kernels`)."""
    stamp = simd.STAMP

    def gemm(
        part: int, parts: int, thread: int, x: int, w: int, out: int, rows: int, inner: int, panels: int,
        add: int, scratch: int,
    ) -> None:  # fmt: skip
        stamp  # noqa: B018
        stride = panels * PANEL
        num_blocks = (rows + _ROWS - 1) // _ROWS
        for panel in range(panels * part // parts, panels * (part + 1) // parts):
            source = w + panel * inner * PANEL * 4
            for block in range(num_blocks):
                row = block * _ROWS
                target = out + (row * stride + panel * PANEL) * 4
                count = min(_ROWS, rows - row)
                ahead = _lines_ahead(block, num_blocks, inner * PANEL)
                left = x + row * inner * 4
                simd.panel_tile(count, left, inner, source, PANEL, inner, target, stride, add != 0, ahead)

    return compile_part(gemm, types.void(*([types.int64] * 11)))


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


def compile_place(parallel: bool) -> Callable[..., None]:
    """Compiles the kernel behind `Ops.place`.

    Returns:
        place(qkv, stride, cos, sin, slots, keys, values, rows, num_heads, num_kv_heads, dim, threads): addresses of
        float32 [rows, num_heads + 2 * num_kv_heads, dim] with rows `stride` apart, of [rows, dim / 2] twice, slots
        int64 [rows], and addresses of a layer's keys and values, [slots, num_kv_heads, dim].
    """
    stamp = f"{simd.STAMP} {parallel}"

    def place(
        qkv: int, stride: int, cos: int, sin: int, slots: Any, keys: int, values: int,
        rows: int, num_heads: int, num_kv_heads: int, dim: int, threads: int,
    ) -> None:  # fmt: skip
        stamp  # noqa: B018
        half, size = dim // 2, num_kv_heads * dim
        for part in prange(threads):
            for row in range(rows * part // threads, rows * (part + 1) // threads):
                heads = qkv + row * stride * 4
                for head in range(num_heads + num_kv_heads):
                    simd.rotate(heads + head * dim * 4, cos + row * half * 4, sin + row * half * 4, half)
                new, target = heads + num_heads * dim * 4, slots[row] * size * 4
                simd.scale(new, keys + target, size, np.float32(1.0))
                simd.scale(new + size * 4, values + target, size, np.float32(1.0))

    whole = types.int64
    slots = types.Array(whole, 1, "C")
    return compile_cached(place, types.void(*([whole] * 4), slots, *([whole] * 7)), parallel=parallel)
