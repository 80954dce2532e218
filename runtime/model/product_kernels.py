"""How a team multiplies rows with a matrix in panels. Imported only by those who are about to compile it.

A panel kernel is a C function(part, threads, x, w, out, rows, inner, panels, add, scratch) of int64, which multiplies
its part of the panels with all rows; see `runtime.model.product.PanelKernel`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import register_jitable

from runtime import simd_dot
from runtime.kernel_cache import compile_part
from runtime.parallel import atomics, team_kernels
from runtime.parallel.team_kernels import meet

__all__ = ["FIELDS", "STAMP", "compile_multiply", "field", "pack_rows"]

STAMP = f"{simd_dot.STAMP} {team_kernels.STAMP} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"

KERNEL, X, W, OUT, ROWS, INNER, PANELS, ADD, PACKING, PACKED, SCRATCH = range(11)
FIELDS = 11
"""Values of int64 in a job: a panel kernel and its arguments; how rows are packed, and where to."""


@register_jitable
def field(job: int, index: int) -> int:
    """One of the values at an address."""
    return int(numba.carray(atomics.pointer(job + 8 * index), 1, np.int64)[0])


@register_jitable
def pack_rows(part: int, threads: int, x: int, rows: int, num_blocks: int, shift: int, packed: int) -> None:
    """Rounds this part of the rows to 8 bits, for a kernel that multiplies in integers."""
    for row in range(rows * part // threads, rows * (part + 1) // threads):
        source = x + row * num_blocks * simd_dot.BLOCK_SIZE * 4
        simd_dot.quantize(source, num_blocks, shift, packed + row * num_blocks * simd_dot.ROW_BLOCK)


def compile_multiply() -> Any:
    """function(part, threads, team, job): out[rows, panels * width] (+)= x[rows, inner] · w."""
    stamp = STAMP

    def multiply(part: int, threads: int, team: int, job: int) -> None:
        stamp  # noqa: B018
        x, rows, inner = field(job, X), field(job, ROWS), field(job, INNER)
        packing, packed = field(job, PACKING), field(job, PACKED)
        if packing >= 0:
            pack_rows(part, threads, x, rows, inner, packing, packed)
            meet(team)
            x = packed
        where = (part, threads, x, field(job, W), field(job, OUT), rows, inner, field(job, PANELS), field(job, ADD))
        atomics.call(field(job, KERNEL), (*where, field(job, SCRATCH)))

    return compile_part(multiply, types.void(*([types.int64] * 4)))
