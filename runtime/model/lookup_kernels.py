"""Rows of a matrix in panels, as a tied embedding gives them. Imported only by those who are about to compile one.

A lookup is a C function(index, w, inner, out) of int64: it writes row `index` of the panels at `w` in float32. The
values are those of `rows` of the matrix's class bit for bit: a scale of 11 bits times a quant of 8 is exact.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from runtime import simd, simd_dot, simd_widen
from runtime.kernel_cache import compile_part
from runtime.model.blocks import BLOCK_SIZE, BlockKind
from runtime.model.cpu_kernels import PANEL
from runtime.parallel import atomics

__all__ = ["compile_dot_lookup", "compile_lookup"]

_OWN = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
_ONE = np.float32(1.0)


def compile_lookup() -> Any:
    """The lookup of float32 panels, [panels, inner, PANEL]."""
    stamp = f"{simd.STAMP} {_OWN}"

    def lookup(index: int, w: int, inner: int, out: int) -> None:
        stamp  # noqa: B018
        source = w + (index // PANEL * inner * PANEL + index % PANEL) * 4
        for place in range(inner):
            simd.scale(source + place * PANEL * 4, out + place * 4, 1, _ONE)

    return compile_part(lookup, types.void(*([types.int64] * 4)))


def compile_dot_lookup(kind: BlockKind) -> Any:
    """The lookup of panels of blocks of one kind, as `runtime.simd_dot` has them."""
    own = simd_dot.WAYS[simd_dot.HOST]
    stamp = f"{simd_dot.STAMP} {simd_widen.STAMP} {_OWN} {kind} {own}"
    width, block_bytes, is_narrow = own.width, own.block_bytes(kind), kind.bits == 4
    zero, has_minimum = np.float32(kind.zero), kind.has_minimum

    def lookup(index: int, w: int, inner: int, out: int) -> None:
        stamp  # noqa: B018
        panel, column = index // width, index % width
        values = atomics.carray(atomics.pointer(out), inner * BLOCK_SIZE, np.float32)
        ends = np.zeros(2, dtype=np.float32)
        for block in range(inner):
            start = w + (panel * inner + block) * block_bytes
            simd_widen.widen_float16(start + 2 * column, ends.ctypes.data, 1, _ONE)
            if has_minimum:
                simd_widen.widen_float16(start + 2 * (width + column), ends.ctypes.data + 4, 1, _ONE)
            scale, minimum = ends[0], ends[1]
            quants = start + 4 * width + 4 * column
            for step in range(BLOCK_SIZE // 8 if is_narrow else BLOCK_SIZE // 4):
                line = quants + step * 4 * width
                if is_narrow:
                    pairs = atomics.carray(atomics.pointer(line), 4, np.uint8)
                    for place in range(4):
                        first = block * BLOCK_SIZE + 8 * step + place
                        values[first] = (np.float32(pairs[place] & 15) - zero) * scale + minimum
                        values[first + 4] = (np.float32(pairs[place] >> 4) - zero) * scale + minimum
                else:
                    whole = atomics.carray(atomics.pointer(line), 4, np.int8)
                    for place in range(4):
                        values[block * BLOCK_SIZE + 4 * step + place] = np.float32(whole[place]) * scale

    return compile_part(lookup, types.void(*([types.int64] * 4)))
