"""Vector instructions that multiply with matrices in GGUF's blocks of 32 values, expanding them in registers.

The values are those of the dequantized float32 matrix bit for bit: d·q is exact in float32 (11 bits times at most 8),
so fma(d, q, m) is product and sum rounded once, which is what dequantizing computes. A row's sums are the same chains
of fused multiply-adds as in `runtime.simd`.

Blocks lie as `runtime.model.block_linear` packs them: for PANEL outputs side by side d as halves, m as halves if there
is one, then lines of PANEL bytes; byte o of a line holds output o's quant (8 bits, signed) or a pair of its quants
(4 bits, the earlier one low).

Addresses are plain integers; strides count floats. Kernels close over `STAMP`, as those of `runtime.simd` do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.extending import intrinsic

from runtime import simd
from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind
from runtime.simd import LANES, ROWS, WIDEST, Emitter

__all__ = ["STAMP", "block_tile", "expand", "wide_tile"]

# These come without type annotations, or with ones that leave most of their functions out.
ir: Any = import_module("llvmlite.ir")
types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")

_PANEL = LANES * WIDEST
STAMP = f"{simd.STAMP} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {[*BLOCK_KINDS.values()]}"

_BYTE, _INT32, _INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_FLOATS = ir.FloatType().as_pointer()


class _Expander:
    """Writes the expansion of blocks that lie one after the other from the address `blocks`."""

    def __init__(self, emitter: Emitter, kind: BlockKind, blocks: Any) -> None:
        self.e = emitter
        self.kind = kind
        self.blocks = emitter.b.inttoptr(blocks, _BYTE.as_pointer())

    def lines(self, count: Any, ahead: Any) -> Iterator[tuple[Any, Iterator[list[Any]]]]:
        """Loops over the lines of `count` blocks; asks for the bytes `ahead` of them.

        Yields the index of a line's first inner value, and its vectors of values, one inner value after the other.
        """
        b, kind = self.e.b, self.kind
        per_line = 8 // kind.bits
        with cgutils.for_range(b, count) as block:
            start = b.gep(self.blocks, [b.mul(block.index, _INT64(kind.num_bytes * _PANEL))])
            scales = self._halves(start)
            minima = self._halves(b.gep(start, [_INT64(2 * _PANEL)])) if kind.has_minimum else None
            quants = b.gep(start, [_INT64(kind.scale_bytes * _PANEL)])
            with cgutils.for_range(b, _INT64(BLOCK_SIZE // per_line)) as line:
                address = b.gep(quants, [b.mul(line.index, _INT64(_PANEL))])
                self.e.prefetch(b.gep(address, [ahead]))
                first = b.add(b.mul(block.index, _INT64(BLOCK_SIZE)), b.mul(line.index, _INT64(per_line)))
                yield first, self._values(address, scales, minima)

    def _values(self, address: Any, scales: list[Any], minima: list[Any] | None) -> Iterator[list[Any]]:
        e, b = self.e, self.e.b
        line = [self._load(address, v * LANES, _BYTE) for v in range(WIDEST)]
        if self.kind.bits == 8:
            yield self._scaled([b.sext(part, e.ints) for part in line], scales, minima)
        else:
            whole = [b.zext(part, e.ints) for part in line]
            yield self._scaled([b.and_(part, e.whole(15)) for part in whole], scales, minima)
            yield self._scaled([b.lshr(part, e.whole(4)) for part in whole], scales, minima)

    def _scaled(self, quants: list[Any], scales: list[Any], minima: list[Any] | None) -> list[Any]:
        e, b = self.e, self.e.b
        if self.kind.zero:
            quants = [b.sub(part, e.whole(self.kind.zero)) for part in quants]
        floats = [b.sitofp(part, e.floats) for part in quants]
        if minima is None:
            return [b.fmul(scale, part) for scale, part in zip(scales, floats, strict=True)]
        return [e.fma(scale, part, low) for scale, part, low in zip(scales, floats, minima, strict=True)]

    def _halves(self, address: Any) -> list[Any]:
        halves = [self._load(address, v * LANES * 2, ir.HalfType()) for v in range(WIDEST)]
        return [self.e.b.fpext(half, self.e.floats) for half in halves]

    def _load(self, address: Any, offset: int, kind: Any) -> Any:
        b = self.e.b
        target = b.gep(address, [_INT64(offset)])
        return b.load(b.bitcast(target, ir.VectorType(kind, LANES).as_pointer()), align=1)


def _emit_tile(e: Emitter, kind: BlockKind, rows: int, arguments: Any) -> None:
    b = e.b
    x, x_stride, blocks, num_blocks, out, out_stride, add, ahead = arguments
    x, out = b.inttoptr(x, _FLOATS), b.inttoptr(out, _FLOATS)
    inputs = [e.at(x, b.mul(x_stride, _INT64(row))) for row in range(rows)]
    targets = [e.at(e.at(out, b.mul(out_stride, _INT64(row))), v * LANES) for row in range(rows) for v in range(WIDEST)]
    sums = [cgutils.alloca_once(b, e.floats) for _ in targets]
    with b.if_else(add) as (adding, setting):
        with adding:
            for total, target in zip(sums, targets, strict=True):
                b.store(e.load(target), total)
        with setting:
            for total in sums:
                b.store(e.constant(0.0), total)
    for first, values in _Expander(e, kind, blocks).lines(num_blocks, ahead):
        for index, columns in enumerate(values):
            inner = b.add(first, _INT64(index))
            for row in range(rows):
                one = e.spread(b.load(e.at(inputs[row], inner)))
                for v in range(WIDEST):
                    total = sums[row * WIDEST + v]
                    b.store(e.fma(one, columns[v], b.load(total)), total)
    for total, target in zip(sums, targets, strict=True):
        e.store(b.load(total), target)


def _block_tile(typing_context, kind, count, x, x_stride, blocks, num_blocks, out, out_stride, add, ahead):  # type: ignore[no-untyped-def]
    """out[count, PANEL] (+)= x[count, inner] · blocks, for count in 1 … ROWS[WIDEST] and a literal `kind`."""
    if not isinstance(kind, types.IntegerLiteral):
        return None
    block_kind = BLOCK_KINDS[kind.literal_value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        done = builder.append_basic_block("done")
        cases = builder.switch(arguments[1], done)
        for rows in range(1, ROWS[WIDEST] + 1):
            case = builder.append_basic_block(f"rows{rows}")
            cases.add_case(_INT64(rows), case)
            builder.position_at_end(case)
            _emit_tile(Emitter(builder), block_kind, rows, arguments[2:])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(kind, *([types.int64] * 7), types.boolean, types.int64), generate


def _expand(typing_context, kind, blocks, num_blocks, target, ahead):  # type: ignore[no-untyped-def]
    """target[inner, PANEL] = the values of the blocks, for a literal `kind`."""
    if not isinstance(kind, types.IntegerLiteral):
        return None
    block_kind = BLOCK_KINDS[kind.literal_value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(builder)
        _, blocks, num_blocks, target, ahead = arguments
        target = builder.inttoptr(target, _FLOATS)
        for first, values in _Expander(e, block_kind, blocks).lines(num_blocks, ahead):
            line = e.at(target, builder.mul(first, _INT64(_PANEL)))
            for index, columns in enumerate(values):
                for v in range(WIDEST):
                    e.store(columns[v], e.at(line, index * _PANEL + v * LANES))
        return context.get_dummy_value()

    return types.void(kind, *([types.int64] * 4)), generate


_literal: Callable[..., Any] = intrinsic(prefer_literal=True)
block_tile: Any = _literal(_block_tile)
expand: Any = _literal(_expand)
wide_tile = simd.tile_of(WIDEST, LANES, False)
