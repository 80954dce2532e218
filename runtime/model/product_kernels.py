"""How a team multiplies rows with a matrix in panels. Imported only by those who are about to compile it.

A panel kernel is a C function(part, threads, x, w, out, rows, inner, panels, add, scratch) of int64, which multiplies
its part of the panels with all rows; see `runtime.model.product.PanelKernel`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from numba import types
from numba.extending import register_jitable

from runtime import simd_dot
from runtime.kernel_cache import compile_part
from runtime.model.blocks import BLOCK_SIZE
from runtime.model.job import PRODUCT_JOB
from runtime.parallel import atomics, team_kernels
from runtime.parallel.team_kernels import meet

__all__ = ["STAMP", "compile_multiply", "pack_rows"]

_OWN = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
STAMP = f"{simd_dot.STAMP} {team_kernels.STAMP} {PRODUCT_JOB} {_OWN}"


@register_jitable
def pack_rows(part: int, threads: int, x: int, rows: int, num_blocks: int, shift: int, packed: int) -> None:
    """Rounds this part of the rows to 8 bits, for a kernel that multiplies in integers."""
    for row in range(rows * part // threads, rows * (part + 1) // threads):
        source = x + row * num_blocks * BLOCK_SIZE * 4
        simd_dot.quantize(source, num_blocks, shift, packed + row * num_blocks * simd_dot.ROW_BLOCK)


def compile_multiply() -> Any:
    """function(part, threads, team, job): out[rows, panels * width] (+)= x[rows, inner] · w."""
    stamp = STAMP

    def multiply(part: int, threads: int, team: int, job: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(job), 1, PRODUCT_JOB)[0]
        x = own.x
        if own.packing >= 0:
            pack_rows(part, threads, x, own.rows, own.inner, own.packing, own.packed)
            meet(team)
            x = own.packed
        where = (part, threads, x, own.w, own.out, own.rows, own.inner, own.panels, own.add, own.scratch)
        atomics.call(own.kernel, where)

    return compile_part(multiply, types.void(*([types.int64] * 4)))
