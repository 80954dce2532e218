"""The float32 matrix kernel: rows times packed weights. Imported only by those who are about to compile it.

Weights lie in panels of PANEL outputs: float32 [panels, in_features, PANEL], so that one input element meets PANEL
consecutive weights. A tile of up to ROWS rows keeps its sums in vector registers (the scheme of Goto and van de Geijn
2008, "Anatomy of High-Performance Matrix Multiplication"). Every output is one chain of fused multiply-adds in the
order of the inputs, so a row's result has the same bits whatever other rows are computed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from runtime.kernel_cache import compile_cached

__all__ = ["PANEL", "compile_gemm"]

_WIDE = bool(llvm.get_host_cpu_features().get("avx512f", False))
LANES, VECTORS, ROWS = (16, 3, 8) if _WIDE else (8, 2, 6)  # 24 of 32, or 12 of 16, vector registers hold sums.
PANEL = LANES * VECTORS

_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)
_SPREAD = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
_LINE = 16  # floats a cache line


@intrinsic  # type: ignore[misc]
def _tile(
    typing_context: Any, count: Any, x: Any, weights: Any, out: Any, inner: Any, stride: Any, add: Any, ahead: Any
) -> Any:
    """Multiplies `count` rows (1 … ROWS) with one panel.

    x, weights, out are addresses; inner the number of inputs and x's row stride; stride that of out; add, whether to
    add to what `out` holds; ahead, three offsets in floats from the weights in use to those to fetch meanwhile.
    """
    signature = types.void(*([types.int64] * 6), types.boolean, types.UniTuple(types.int64, 3))

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        done = builder.append_basic_block("done")
        cases = builder.switch(arguments[0], done)
        for rows in range(1, ROWS + 1):
            block = builder.append_basic_block(f"rows{rows}")
            cases.add_case(_INT64(rows), block)
            builder.position_at_end(block)
            _emit_tile(builder, rows, *arguments[1:])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


def _emit_tile(
    b: Any, rows: int, x: Any, weights: Any, out: Any, inner: Any, stride: Any, add: Any, ahead: Any
) -> None:
    x, weights, out = (b.inttoptr(address, _FLOAT.as_pointer()) for address in (x, weights, out))
    inputs = [b.gep(x, [b.mul(inner, _INT64(row))]) for row in range(rows)]
    before, loop, after = b.block, b.append_basic_block("inputs"), b.append_basic_block("sums")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(_INT64)
    sums = [[b.phi(_VECTOR) for _ in range(VECTORS)] for _ in range(rows)]
    line = b.gep(weights, [b.mul(k, _INT64(PANEL))])
    for index in range(3):
        _emit_prefetch(b, b.gep(line, [b.extract_value(ahead, index)]))
    vectors = [_emit_load(b, line, vector) for vector in range(VECTORS)]
    totals = []
    for row in range(rows):
        one = b.insert_element(_UNDEFINED, b.load(b.gep(inputs[row], [k])), _INT32(0))
        spread = b.shuffle_vector(one, _UNDEFINED, _SPREAD)
        totals.append([_emit_fma(b, spread, vectors[v], sums[row][v]) for v in range(VECTORS)])
    following = b.add(k, _INT64(1))
    b.cbranch(b.icmp_signed("<", following, inner), loop, after)
    for phi, first, later in [(k, _INT64(0), following)] + [
        (sums[row][v], _ZERO, totals[row][v]) for row in range(rows) for v in range(VECTORS)
    ]:
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    b.position_at_end(after)
    for row in range(rows):
        target = b.gep(out, [b.mul(stride, _INT64(row))])
        for v in range(VECTORS):
            with b.if_else(add) as (adding, setting):
                with adding:
                    _emit_store(b, target, v, b.fadd(_emit_load(b, target, v), totals[row][v]))
                with setting:
                    _emit_store(b, target, v, totals[row][v])


def _emit_vector_address(b: Any, base: Any, vector: int) -> Any:
    return b.bitcast(b.gep(base, [_INT64(vector * LANES)]), _VECTOR.as_pointer())


def _emit_load(b: Any, base: Any, vector: int) -> Any:
    return b.load(_emit_vector_address(b, base, vector), align=4)


def _emit_store(b: Any, base: Any, vector: int, value: Any) -> None:
    b.store(value, _emit_vector_address(b, base, vector), align=4)


def _emit_fma(b: Any, left: Any, right: Any, total: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.fma.v{LANES}f32"), [left, right, total])


def _emit_prefetch(b: Any, address: Any) -> None:
    """Asks for a line to read, into the second-level cache."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, _INT32, _INT32, _INT32])
    function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0i8")
    b.call(function, [b.bitcast(address, byte), _INT32(0), _INT32(2), _INT32(1)])


@register_jitable  # type: ignore[misc]
def _lines_ahead(block: int, num_blocks: int, panel_size: int) -> tuple[int, int, int]:
    """Which lines of the next panel to fetch during which block of rows: each of up to three lines once.

    Few rows are over before the next panel has come from memory, so its loading is spread over all their blocks.
    """
    if num_blocks == 1:
        return panel_size, panel_size + _LINE, panel_size + 2 * _LINE
    if num_blocks == 2 and block == 0:
        return panel_size, panel_size + _LINE, panel_size + _LINE
    if num_blocks == 2:
        return panel_size + 2 * _LINE, panel_size + 2 * _LINE, panel_size + 2 * _LINE
    if block < 3:
        line = panel_size + block * _LINE
        return line, line, line
    return 0, 0, 0


def _gemm(
    x: int, weights: int, out: int, rows: int, inner: int, panels: int, add: bool, threads: int
) -> None:  # pragma: no cover - compiled
    stride = panels * PANEL
    num_blocks = (rows + ROWS - 1) // ROWS
    for part in prange(threads):
        for panel in range(panels * part // threads, panels * (part + 1) // threads):
            source = weights + panel * inner * PANEL * 4
            for block in range(num_blocks):
                row = block * ROWS
                target = out + (row * stride + panel * PANEL) * 4
                ahead = _lines_ahead(block, num_blocks, inner * PANEL)
                _tile(min(ROWS, rows - row), x + row * inner * 4, source, target, inner, stride, add, ahead)


def compile_gemm() -> Callable[[int, int, int, int, int, int, bool, int], None]:
    """Compiles the kernel, or loads it from numba's cache.

    Returns:
        gemm(x, weights, out, rows, inner, panels, add, threads): addresses of float32 [rows, inner], of packed weights
        and of float32 [rows, panels * PANEL]; whether to add to `out`; into how many parts to split the panels.
    """
    signature = types.void(*([types.int64] * 6), types.boolean, types.int64)
    return compile_cached(_gemm, signature, parallel=True)
