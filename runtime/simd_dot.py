"""Vector instructions that multiply int8 rows with matrices in GGUF's blocks of 32 values, in integers.

A row of activations is cut into blocks of 32 as well, each with a scale of its own (the scheme of llama.cpp's Q8
types): 32 products are summed exactly in int32, then scaled by both blocks' scales into a float32 sum, block after
block. What a row gives depends on nothing else in the batch, so it has the same bits alone and in a batch.

A packed row is, for each block, 32 quants, then two floats: its scale, and its scale times the sum of its quants. The
quants are signed, or 128 more where `Way.shifts_rows` says so. A packed panel is, for each block, as many scales as it
has outputs, as halves; then their minima as halves or the sums of their quants as int16; then the quants, four inner
values of an output side by side. Those of 4 bits hold the next four in their upper halves.

Addresses are plain integers; strides of rows count bytes, others floats. Kernels close over `STAMP`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.extending import intrinsic

from runtime import simd
from runtime.instructions import FEATURES
from runtime.model.blocks import BLOCK_KINDS, BLOCK_SIZE, BlockKind
from runtime.simd import Emitter

__all__ = ["HOST", "ROW_BLOCK", "STAMP", "WAYS", "Way", "dot_tile", "quantize"]

# These come without type annotations, or with ones that leave most of their functions out.
ir: Any = import_module("llvmlite.ir")
types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")

_FLOAT, _BYTE, _INT16, _INT32, _INT64 = ir.FloatType(), ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_BYTES, _FLOATS = _BYTE.as_pointer(), _FLOAT.as_pointer()

ROW_BLOCK = BLOCK_SIZE + 8
"""Bytes of a block of a packed row."""


@dataclass(frozen=True, slots=True)
class Way:
    """A set of instructions, and the tile that suits it.

    Args:
        lanes: of a vector, in int32.
        has_dot: whether there is one instruction for four products and their sum (AVX-512 VNNI, AVX-VNNI).
        rows, vectors: of a tile; its integer and its float sums together are about as many as there are registers.
    """

    lanes: int
    has_dot: bool
    rows: int
    vectors: int

    @property
    def width(self) -> int:
        """Outputs in a panel."""
        return self.lanes * self.vectors

    def shifts_rows(self, kind: BlockKind) -> bool:
        """Whether rows have to be unsigned, since the instruction multiplies unsigned with signed bytes."""
        return self.has_dot and kind.bits == 8

    def block_bytes(self, kind: BlockKind) -> int:
        """Bytes of a block of a packed panel."""
        return self.width * (4 + BLOCK_SIZE * kind.bits // 8)


WAYS = (Way(16, True, 6, 2), Way(16, False, 6, 2), Way(8, True, 6, 1), Way(8, False, 6, 1))


def _host() -> int:
    lanes = 16 if "avx512bw" in FEATURES and simd.LANES == 16 else 8
    has_dot = ("avx512vnni" if lanes == 16 else "avxvnni") in FEATURES
    return next(index for index, way in enumerate(WAYS) if (way.lanes, way.has_dot) == (lanes, has_dot))


HOST = _host()
"""Which of `WAYS` is this machine's."""
STAMP = f"{simd.STAMP} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {WAYS[HOST]} {[*BLOCK_KINDS.values()]}"


class _Products:
    """Sums of products of bytes over one block, for one output a lane."""

    def __init__(self, emitter: Emitter, way: Way, kind: BlockKind) -> None:
        self.e, self.b, self.way = emitter, emitter.b, way
        self.is_narrow = kind.bits == 4
        # Eight sums of two products of a quant of 4 bits (at most 15) and one of 8 (127) fit 16 bits.
        self.adds_words = self.is_narrow and not way.has_dot
        self.words = ir.VectorType(_INT16, 2 * way.lanes)
        self.octets = ir.VectorType(_BYTE, 4 * way.lanes)

    def zero(self) -> Any:
        """Sums of nothing."""
        return ir.Constant(self.words, [0] * (2 * self.way.lanes)) if self.adds_words else self.e.whole(0)

    def add(self, total: Any, weights: Any, row: Any) -> Any:
        """`total` and the products of four bytes of weights with four of the row, in every lane."""
        if self.way.has_dot:
            pair = (weights, row) if self.is_narrow else (row, weights)
            return self._call(f"avx512.vpdpbusd.{32 * self.way.lanes}", self.e.ints, total, *pair)
        left, right = self.b.bitcast(weights, self.octets), self.b.bitcast(row, self.octets)
        if not self.is_narrow:  # unsigned times signed: the sign of the weights moves to the row
            nothing = ir.Constant(self.octets, [0] * (4 * self.way.lanes))
            is_negative = self.b.icmp_signed("<", left, nothing)
            right = self.b.select(is_negative, self.b.sub(nothing, right), right)
            left = self.b.select(is_negative, self.b.sub(nothing, left), left)
        name = "avx512.pmaddubs.w.512" if self.way.lanes == 16 else "avx2.pmadd.ub.sw"
        pairs = self._call(name, self.words, left, right)
        return self.b.add(total, pairs if self.adds_words else self._added(pairs))

    def end(self, total: Any) -> Any:
        """The sums as int32."""
        return self._added(total) if self.adds_words else total

    def _added(self, words: Any) -> Any:
        """Neighbours added."""
        name = "avx512.pmaddw.d.512" if self.way.lanes == 16 else "avx2.pmadd.wd"
        return self._call(name, self.e.ints, words, ir.Constant(self.words, [1] * (2 * self.way.lanes)))

    def _call(self, name: str, result: Any, *values: Any) -> Any:
        kind = ir.FunctionType(result, [value.type for value in values])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, kind, f"llvm.x86.{name}"), values)


class _Panel:
    """Reads a block of a packed panel from the address `start`."""

    def __init__(self, emitter: Emitter, way: Way, kind: BlockKind, start: Any) -> None:
        self.e, self.b, self.way, self.kind, self.start = emitter, emitter.b, way, kind, start

    def halves(self, line: int) -> list[Any]:
        """Scales (line 0) or minima (line 1) as floats."""
        parts = self._line(2 * line * self.way.width, 2, ir.HalfType())
        return [self.b.fpext(part, self.e.floats) for part in parts]

    def shifts(self) -> list[Any]:
        """What products with shifted rows have too much, taken off: -128 times the sum of the quants."""
        sums = self._line(2 * self.way.width, 2, _INT16)
        return [self.b.mul(self.b.sext(part, self.e.ints), self.e.whole(-128)) for part in sums]

    def quants(self, step: int) -> list[list[Any]]:
        """Vectors of four inner values of each output, as bytes; two of them, one after the other, where of 4 bits."""
        lines = self._line(4 * self.way.width * (1 + step), 4, _INT32)
        if self.kind.bits == 8:
            return [lines]
        low = self.e.whole(0x0F0F0F0F)
        upper = [self.b.lshr(line, self.e.whole(4)) for line in lines]
        return [[self.b.and_(part, low) for part in half] for half in (lines, upper)]

    def _line(self, offset: int, size: int, kind: Any) -> list[Any]:
        pointer = ir.VectorType(kind, self.way.lanes).as_pointer()
        starts = [self.b.gep(self.start, [_INT64(offset + v * self.way.lanes * size)]) for v in range(self.way.vectors)]
        return [self.b.load(self.b.bitcast(start, pointer), align=1) for start in starts]


class _Tile:
    """out[rows, vectors] (+)= packed rows · panel."""

    def __init__(self, emitter: Emitter, way: Way, kind: BlockKind, rows: int) -> None:
        self.e, self.b, self.way, self.kind, self.rows = emitter, emitter.b, way, kind, rows
        self.places = [(row, v) for row in range(rows) for v in range(way.vectors)]
        self.sums = {place: cgutils.alloca_once(self.b, self.e.floats) for place in self.places}
        self.products = _Products(emitter, way, kind)

    def emit(self, arguments: Any) -> None:
        e, b = self.e, self.b
        x, x_stride, panel, num_blocks, out, out_stride, add, ahead = arguments
        x, panel, out = b.inttoptr(x, _BYTES), b.inttoptr(panel, _BYTES), b.inttoptr(out, _FLOATS)
        inputs = [b.gep(x, [b.mul(x_stride, _INT64(row))]) for row in range(self.rows)]
        outputs = [e.at(out, b.mul(out_stride, _INT64(row))) for row in range(self.rows)]
        targets = {(row, v): e.at(outputs[row], v * self.way.lanes) for row, v in self.places}
        with b.if_else(add) as (adding, setting):
            with adding:
                for place in self.places:
                    b.store(e.load(targets[place]), self.sums[place])
            with setting:
                for place in self.places:
                    b.store(e.constant(0.0), self.sums[place])
        size = self.way.block_bytes(self.kind)
        with cgutils.for_range(b, num_blocks) as block:
            start = b.gep(panel, [b.mul(block.index, _INT64(size))])
            for line in range(0, size, 64):
                e.prefetch(b.gep(start, [b.add(ahead, _INT64(line))]))
            offset = b.mul(block.index, _INT64(ROW_BLOCK))
            self._add_block(_Panel(e, self.way, self.kind, start), [b.gep(source, [offset]) for source in inputs])
        for place in self.places:
            e.store(b.load(self.sums[place]), targets[place])

    def _add_block(self, panel: _Panel, rows: list[Any]) -> None:
        e, b, kind, products = self.e, self.b, self.kind, self.products
        begun = panel.shifts() if self.way.shifts_rows(kind) else [products.zero()] * self.way.vectors
        totals = {(row, v): begun[v] for row, v in self.places}
        columns = [part for step in range(BLOCK_SIZE * kind.bits // 32) for part in panel.quants(step)]
        for index, column in enumerate(columns):
            for row in range(self.rows):
                four = b.bitcast(b.gep(rows[row], [_INT64(4 * index)]), _INT32.as_pointer())
                spread = e.spread(b.load(four, align=4))
                for v in range(self.way.vectors):
                    totals[row, v] = products.add(totals[row, v], column[v], spread)
        scales = panel.halves(0)
        lows = panel.halves(1) if kind.has_minimum else None
        if kind.zero:
            lows = [b.fmul(scale, e.constant(-float(kind.zero))) for scale in scales]
        for row in range(self.rows):
            ends = b.bitcast(b.gep(rows[row], [_INT64(BLOCK_SIZE)]), _FLOATS)
            scale = e.spread(b.load(ends, align=4))
            weighed = e.spread(b.load(e.at(ends, 1), align=4))
            for v in range(self.way.vectors):
                total = b.load(self.sums[row, v])
                if lows is not None:
                    total = e.fma(lows[v], weighed, total)
                whole = b.sitofp(products.end(totals[row, v]), e.floats)
                b.store(e.fma(whole, b.fmul(scales[v], scale), total), self.sums[row, v])


def _dot_tile(typing_context, kind, way, count, x, x_stride, panel, num_blocks, out, out_stride, add, ahead):  # type: ignore[no-untyped-def]
    """out[count, width] (+)= packed x[count, inner] · panel, for count in 1 … rows; `kind` and `way` are literals."""
    if not isinstance(kind, types.IntegerLiteral) or not isinstance(way, types.IntegerLiteral):
        return None
    block_kind, own = BLOCK_KINDS[kind.literal_value], WAYS[way.literal_value]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        done = builder.append_basic_block("done")
        cases = builder.switch(arguments[2], done)
        for rows in range(1, own.rows + 1):
            case = builder.append_basic_block(f"rows{rows}")
            cases.add_case(_INT64(rows), case)
            builder.position_at_end(case)
            _Tile(Emitter(builder, own.lanes), own, block_kind, rows).emit(arguments[3:])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(kind, way, *([types.int64] * 7), types.boolean, types.int64), generate


def _quantize(typing_context, x, num_blocks, shift, out):  # type: ignore[no-untyped-def]
    """Packs a row of 32 * num_blocks floats; `shift` is added to the quants."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, e = builder, Emitter(builder, 8)
        x, out = b.inttoptr(arguments[0], _FLOATS), b.inttoptr(arguments[3], _BYTES)
        shift = e.spread(b.trunc(arguments[2], _INT32))
        with cgutils.for_range(b, arguments[1]) as block:
            source = e.at(x, b.mul(block.index, _INT64(BLOCK_SIZE)))
            target = b.gep(out, [b.mul(block.index, _INT64(ROW_BLOCK))])
            values = [e.load(e.at(source, start)) for start in range(0, BLOCK_SIZE, 8)]
            greatest = _greatest(e, values)
            is_zero = b.fcmp_ordered("==", greatest, _FLOAT(0.0))
            inverse = e.spread(b.select(is_zero, _FLOAT(0.0), b.fdiv(_FLOAT(127.0), greatest)))
            rounded = [e.call("llvm.rint", b.fmul(value, inverse)) for value in values]
            for v, part in enumerate(rounded):
                quants = b.trunc(b.add(b.fptosi(part, e.ints), shift), ir.VectorType(_BYTE, 8))
                b.store(quants, b.bitcast(b.gep(target, [_INT64(v * 8)]), quants.type.as_pointer()), align=1)
            total = b.fadd(b.fadd(rounded[0], rounded[1]), b.fadd(rounded[2], rounded[3]))
            scale = b.fmul(greatest, _FLOAT(1 / 127))
            ends = b.bitcast(b.gep(target, [_INT64(BLOCK_SIZE)]), _FLOATS)
            b.store(scale, ends, align=4)
            b.store(b.fmul(scale, e.reduce(total, b.fadd)), e.at(ends, 1), align=4)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4)), generate


def _greatest(e: Emitter, values: list[Any]) -> Any:
    """The greatest size of any value; compared as integers, so a NaN is the greatest, and with it the row's result."""
    b = e.b

    def greater(left: Any, right: Any) -> Any:
        return b.select(b.icmp_signed(">", left, right), left, right)

    sizes = [b.and_(b.bitcast(value, e.ints), e.whole(0x7FFFFFFF)) for value in values]
    return b.bitcast(e.reduce(greater(greater(sizes[0], sizes[1]), greater(sizes[2], sizes[3])), greater), _FLOAT)


_literal: Callable[..., Any] = intrinsic(prefer_literal=True)
dot_tile: Any = _literal(_dot_tile)
quantize: Any = intrinsic(_quantize)
