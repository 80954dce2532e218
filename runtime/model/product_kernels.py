"""How a team multiplies rows with a matrix in panels. Imported only by those who are about to compile it.

A panel kernel is a C function(part, parts, thread, x, w, out, rows, inner, panels, add, scratch) of int64, which
multiplies one of so many parts of the panels with all rows; see `runtime.model.product.PanelKernel`.
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
from runtime.parallel.team_kernels import JOB_AT, PARTS, claim, finish, wait

__all__ = ["STAMP", "compile_multiply", "multiply_rows", "pack_rows"]

_OWN = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
STAMP = f"{simd_dot.STAMP} {team_kernels.STAMP} {PRODUCT_JOB} {_OWN}"


@register_jitable
def pack_rows(at: Any, phase: int, x: int, rows: int, num_blocks: int, shift: int, packed: int) -> None:
    """Rounds rows to 8 bits, for a kernel that multiplies in integers; `at` is team, turn, thread and threads."""
    team, turn, thread, threads = at
    parts = min(rows, PARTS * threads)
    part = claim(turn, phase)
    while part < parts:
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            source = x + row * num_blocks * BLOCK_SIZE * 4
            simd_dot.quantize(source, num_blocks, shift, packed + row * num_blocks * simd_dot.ROW_BLOCK)
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


@register_jitable
def multiply_rows(at: Any, phase: int, kernel: int, panels: int, arguments: Any) -> None:
    """Calls a panel kernel for all its parts, with the arguments that follow `thread`."""
    team, turn, thread, threads = at
    parts = min(panels, PARTS * threads)
    part = claim(turn, phase)
    while part < parts:
        atomics.call(kernel, (part, parts, thread, *arguments))
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


def compile_multiply() -> Any:
    """function(thread, threads, team, turn): out[rows, panels * width] (+)= x[rows, inner] · w, in two phases."""
    stamp = STAMP

    def multiply(thread: int, threads: int, team: int, turn: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, PRODUCT_JOB)[0]
        at, x = (team, turn, thread, threads), own.x
        if own.packing >= 0:
            pack_rows(at, 0, x, own.rows, own.inner, own.packing, own.packed)
            x = own.packed
        arguments = (x, own.w, own.out, own.rows, own.inner, own.panels, own.add, own.scratch)
        multiply_rows(at, 1, own.kernel, own.panels, arguments)

    return compile_part(multiply, types.void(*([types.int64] * 4)))
