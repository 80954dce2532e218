"""The CPU kernels of a layer: packed matrices, RMSNorm, SwiGLU, rotary positions.

Imported only by those who are about to compile them. Addresses are plain integers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from runtime import simd
from runtime.kernel_cache import compile_part
from runtime.model.job import NORM_JOB, PLACE_JOB, SWIGLU_JOB
from runtime.parallel import atomics, team_kernels
from runtime.parallel.team_kernels import JOB_AT, PARTS, claim, finish, wait

__all__ = ["PANEL", "compile_gemm", "compile_norm", "compile_place", "compile_swiglu"]

PANEL = simd.LANES * simd.WIDEST
_ROWS = simd.ROWS[simd.WIDEST]
_OWN = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
STAMP = f"{simd.STAMP} {team_kernels.STAMP} {NORM_JOB} {SWIGLU_JOB} {PLACE_JOB} {_OWN}"
_JOB_FUNCTION = types.void(*([types.int64] * 4))


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


def compile_norm() -> Any:
    """function(thread, threads, team, turn), whose job is a `NORM_JOB`: RMSNorm."""
    stamp = STAMP

    def norm(thread: int, threads: int, team: int, turn: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, NORM_JOB)[0]
        rows, length, parts = own.rows, own.length, min(own.rows, PARTS * threads)
        part = claim(turn, 0)
        while part < parts:
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                at = row * length * 4
                simd.normalize(own.x + at, own.weight, own.out + at, length, own.eps)
            finish(team, turn, 0, parts)
            part = claim(turn, 0)
        wait(team, turn, thread, 0, parts)

    return compile_part(norm, _JOB_FUNCTION)


def compile_swiglu() -> Any:
    """function(thread, threads, team, turn), whose job is a `SWIGLU_JOB`."""
    stamp = STAMP

    def swiglu(thread: int, threads: int, team: int, turn: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, SWIGLU_JOB)[0]
        rows, length, parts = own.rows, own.length, min(own.rows, PARTS * threads)
        part = claim(turn, 0)
        while part < parts:
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                gate = own.gate_up + row * own.stride * 4
                simd.swiglu(gate, gate + length * 4, own.out + row * length * 4, length)
            finish(team, turn, 0, parts)
            part = claim(turn, 0)
        wait(team, turn, thread, 0, parts)

    return compile_part(swiglu, _JOB_FUNCTION)


def compile_place() -> Any:
    """function(thread, threads, team, turn), whose job is a `PLACE_JOB`: what `Ops.place` does."""
    stamp = STAMP

    def place(thread: int, threads: int, team: int, turn: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, PLACE_JOB)[0]
        rows, dim, size, half = own.rows, own.dim, own.num_kv_heads * own.dim, own.dim // 2
        slots = atomics.carray(atomics.pointer(own.slots), rows, np.int64)
        parts = min(rows, PARTS * threads)
        part = claim(turn, 0)
        while part < parts:
            for row in range(rows * part // parts, rows * (part + 1) // parts):
                heads, angles = own.heads + row * own.stride * 4, row * half * 4
                for head in range(own.num_heads + own.num_kv_heads):
                    simd.rotate(heads + head * dim * 4, own.cos + angles, own.sin + angles, half)
                new, target = heads + own.num_heads * dim * 4, slots[row] * size * 4
                simd.scale(new, own.keys + target, size, np.float32(1.0))
                simd.scale(new + size * 4, own.values + target, size, np.float32(1.0))
            finish(team, turn, 0, parts)
            part = claim(turn, 0)
        wait(team, turn, thread, 0, parts)

    return compile_part(place, _JOB_FUNCTION)
