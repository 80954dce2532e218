"""Vector instructions for numba kernels, written as LLVM: imported only by those who are about to compile one.

Everything is built from one tile: a few rows times a matrix a few vectors wide, with the sums in vector registers (the
scheme of Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"). Every sum is one chain of
fused multiply-adds in the order of its terms, so a row's result has the same bits whatever else is computed with it:
alone or in a batch, as part of a long prompt or as a single token.

Addresses are plain integers; lengths, strides and offsets count floats. Numba's cache notices changes to the file a
kernel is in and to its closure, but not to this file: kernels therefore close over `STAMP`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.extending import intrinsic

from runtime.instructions import FEATURES

__all__ = [
    "LANES",
    "ROWS",
    "STAMP",
    "WIDEST",
    "Emitter",
    "accumulate",
    "get",
    "normalize",
    "panel_tile",
    "prefetch",
    "rotate",
    "scale",
    "softmax",
    "swiglu",
    "tile_float",
    "tile_of",
    "tile_one",
    "tile_two",
    "transpose",
]

# These come without type annotations, or with ones that leave most of their functions out.
ir: Any = import_module("llvmlite.ir")
types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")

STAMP = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
_WIDE = "avx512f" in FEATURES
LANES = 16 if _WIDE else 8
# Rows a tile of so many vectors may have: 24 of 32 (or 12 of 16) vector registers hold sums.
ROWS = {3: 8, 2: 6, 1: 4} if _WIDE else {2: 6, 1: 4}
WIDEST = max(ROWS)

_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_POINTER = _FLOAT.as_pointer()


class Emitter:
    """Writes LLVM instructions on vectors of `lanes` floats."""

    def __init__(self, builder: Any, lanes: int = LANES) -> None:
        self.b = builder
        self.lanes = lanes
        self.floats = ir.VectorType(_FLOAT, lanes)
        self.ints = ir.VectorType(_INT32, lanes)

    def constant(self, value: float) -> Any:
        """A float in every lane."""
        return ir.Constant(self.floats, [value] * self.lanes)

    def whole(self, value: int) -> Any:
        """An integer in every lane."""
        return ir.Constant(self.ints, [value] * self.lanes)

    def at(self, base: Any, offset: Any) -> Any:
        """The address `offset` elements from `base`."""
        return self.b.gep(base, [_INT64(offset) if isinstance(offset, int) else offset])

    def load(self, address: Any) -> Any:
        """A vector of floats from memory."""
        return self.b.load(self.b.bitcast(address, self.floats.as_pointer()), align=4)

    def store(self, value: Any, address: Any) -> None:
        """A vector of floats to memory."""
        self.b.store(value, self.b.bitcast(address, self.floats.as_pointer()), align=4)

    def spread(self, value: Any) -> Any:
        """A scalar in every lane."""
        kind = value.type
        empty = ir.Constant(ir.VectorType(kind, self.lanes), ir.Undefined)
        return self.b.shuffle_vector(self.b.insert_element(empty, value, _INT32(0)), empty, self.whole(0))

    def call(self, name: str, *values: Any) -> Any:
        """One of LLVM's functions on vectors of floats."""
        kind = ir.FunctionType(self.floats, [self.floats] * len(values))
        return self.b.call(cgutils.get_or_insert_function(self.b.module, kind, f"{name}.v{self.lanes}f32"), values)

    def fma(self, left: Any, right: Any, total: Any) -> Any:
        """left * right + total, rounded once."""
        return self.call("llvm.fma", left, right, total)

    def reduce(self, value: Any, combine: Callable[[Any, Any], Any]) -> Any:
        """Combines the lanes pairwise, always in the same order."""
        width = self.lanes
        while width > 1:
            width //= 2
            order = ir.Constant(self.ints, [*range(width, 2 * width)] * (self.lanes // width))
            value = combine(value, self.b.shuffle_vector(value, value, order))
        return self.b.extract_element(value, _INT32(0))

    def maximum(self, left: Any, right: Any) -> Any:
        """The greater of two, lane by lane."""
        return self.b.select(self.b.fcmp_ordered(">", left, right), left, right)

    def exp(self, x: Any) -> Any:
        """e^x for x <= 0 to about one unit in the last place; exactly 0 below -87.7, minus infinity included.

        2^n · 2^f with f in [-1/2, 1/2] by its Taylor polynomial of degree 7 (Cody and Waite 1980 for the reduction).
        """
        b = self.b
        scaled = self.maximum(b.fmul(x, self.constant(math.log2(math.e))), self.constant(-127.0))
        n = self.call("llvm.rint", scaled)
        f = b.fsub(scaled, n)
        terms = [math.log(2) ** power / math.factorial(power) for power in range(7, -1, -1)]
        total = self.constant(terms[0])
        for term in terms[1:]:
            total = self.fma(total, f, self.constant(term))
        exponent = b.shl(b.add(b.fptosi(n, self.ints), self.whole(127)), self.whole(23))
        return b.fmul(total, b.bitcast(exponent, self.floats))

    def prefetch(self, address: Any) -> None:
        """Asks for a line to read, into the second-level cache."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(self.b.module, kind, "llvm.prefetch.p0i8")
        self.b.call(function, [self.b.bitcast(address, byte), _INT32(0), _INT32(2), _INT32(1)])

    def tile(
        self,
        rows: int,
        vectors: int,
        x: Any,
        left_stride: Any,
        w: Any,
        w_stride: Any,
        inner: Any,
        ahead: Any,
        out: Any,
        out_stride: Any,
        add: Any,
    ) -> None:
        """out[rows, vectors] (+)= x[rows, inner] · w[inner, vectors]; `ahead` are offsets from w to prefetch."""
        b = self.b
        inputs = [self.at(x, b.mul(left_stride, _INT64(row))) for row in range(rows)]
        targets = [
            [self.at(self.at(out, b.mul(out_stride, _INT64(row))), v * self.lanes) for v in range(vectors)]
            for row in range(rows)
        ]
        sums = [[cgutils.alloca_once(b, self.floats) for _ in range(vectors)] for _ in range(rows)]
        pairs = [(sums[row][v], targets[row][v]) for row in range(rows) for v in range(vectors)]
        with b.if_else(add) as (adding, setting):
            with adding:
                for total, target in pairs:
                    b.store(self.load(target), total)
            with setting:
                for total, _ in pairs:
                    b.store(self.constant(0.0), total)
        with cgutils.for_range(b, inner) as loop:
            line = self.at(w, b.mul(loop.index, w_stride))
            for offset in ahead:
                self.prefetch(self.at(line, offset))
            columns = [self.load(self.at(line, v * self.lanes)) for v in range(vectors)]
            for row in range(rows):
                one = self.spread(b.load(self.at(inputs[row], loop.index)))
                for v in range(vectors):
                    b.store(self.fma(one, columns[v], b.load(sums[row][v])), sums[row][v])
        for total, target in pairs:
            self.store(b.load(total), target)


def tile_of(vectors: int, lanes: int, fetching: bool) -> Any:
    """tile(rows, x, x_stride, w, w_stride, inner, out, out_stride, add[, ahead]) for rows in 1 … ROWS[vectors]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count, x, x_stride, w, w_stride, inner, out, out_stride, add = arguments[:9]
        x, w, out = (builder.inttoptr(address, _POINTER) for address in (x, w, out))
        ahead = [builder.extract_value(arguments[9], index) for index in range(3)] if fetching else []
        done = builder.append_basic_block("done")
        cases = builder.switch(count, done)
        for rows in range(1, ROWS[vectors] + 1):
            block = builder.append_basic_block(f"rows{rows}")
            cases.add_case(_INT64(rows), block)
            builder.position_at_end(block)
            Emitter(builder, lanes).tile(rows, vectors, x, x_stride, w, w_stride, inner, ahead, out, out_stride, add)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    plain = [types.int64] * 8 + [types.boolean]
    offsets = types.UniTuple(types.int64, 3)

    def fetching_tile(typing_context, count, x, xs, w, ws, inner, out, outs, add, ahead):  # type: ignore[no-untyped-def]
        return types.void(*plain, offsets), generate

    def plain_tile(typing_context, count, x, xs, w, ws, inner, out, outs, add):  # type: ignore[no-untyped-def]
        return types.void(*plain), generate

    return intrinsic(fetching_tile if fetching else plain_tile)


def _emit_transpose(typing_context, source, stride, target):  # type: ignore[no-untyped-def]
    """target[d * 2 * LANES + key] = source[key * stride + d] for LANES keys and dimensions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e = Emitter(builder)
        source, target = builder.inttoptr(arguments[0], _POINTER), builder.inttoptr(arguments[2], _POINTER)
        rows = [e.load(e.at(source, builder.mul(arguments[1], _INT64(key)))) for key in range(LANES)]
        step = 1
        while step < LANES:  # Swaps off-diagonal blocks of ever larger size.
            low = [i + LANES * (i // step % 2) - (i // step % 2) * step for i in range(LANES)]
            high = [i + step if not i // step % 2 else i + LANES for i in range(LANES)]
            for first in (i for i in range(LANES) if not i // step % 2):
                a, c = rows[first], rows[first + step]
                rows[first] = builder.shuffle_vector(a, c, ir.Constant(e.ints, low))
                rows[first + step] = builder.shuffle_vector(a, c, ir.Constant(e.ints, high))
            step *= 2
        for d in range(LANES):
            e.store(rows[d], e.at(target, d * 2 * LANES))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _emit_softmax(typing_context, row, valid, length, share):  # type: ignore[no-untyped-def]
    """Replaces scores by e^(score - highest), 0 from `valid` on.

    `length` is a whole number of vectors; 1 / their sum goes to `share`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, e = builder, Emitter(builder)
        row, valid = b.inttoptr(arguments[0], _POINTER), e.spread(b.trunc(arguments[1], _INT32))
        lanes = ir.Constant(e.ints, list(range(LANES)))
        highest = cgutils.alloca_once_value(b, e.constant(-math.inf))
        total = cgutils.alloca_once_value(b, e.constant(0.0))
        count = b.udiv(arguments[2], _INT64(LANES))
        with cgutils.for_range(b, count) as loop:
            start = b.mul(loop.index, _INT64(LANES))
            index = b.add(e.spread(b.trunc(start, _INT32)), lanes)
            scores = b.select(b.icmp_signed("<", index, valid), e.load(e.at(row, start)), e.constant(-math.inf))
            e.store(scores, e.at(row, start))
            b.store(e.maximum(scores, b.load(highest)), highest)
        top = e.spread(e.reduce(b.load(highest), e.maximum))
        with cgutils.for_range(b, count) as loop:
            address = e.at(row, b.mul(loop.index, _INT64(LANES)))
            weights = e.exp(b.fsub(e.load(address), top))
            e.store(weights, address)
            b.store(b.fadd(b.load(total), weights), total)
        share = b.fdiv(ir.Constant(_FLOAT, 1.0), e.reduce(b.load(total), b.fadd))
        b.store(share, b.inttoptr(arguments[3], _POINTER))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


def _emit_scale(typing_context, source, target, length, factor):  # type: ignore[no-untyped-def]
    """target[i] = source[i] * factor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(address, _POINTER) for address in arguments[:2])
        with cgutils.for_range(builder, arguments[2]) as loop:
            value = builder.fmul(builder.load(builder.gep(source, [loop.index])), arguments[3])
            builder.store(value, builder.gep(target, [loop.index]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.float32), generate


def _emit_accumulate(typing_context, source, target, length):  # type: ignore[no-untyped-def]
    """target[i] += source[i]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(address, _POINTER) for address in arguments[:2])
        with cgutils.for_range(builder, arguments[2]) as loop:
            place = builder.gep(target, [loop.index])
            builder.store(builder.fadd(builder.load(place), builder.load(builder.gep(source, [loop.index]))), place)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _emit_prefetch(typing_context, address):  # type: ignore[no-untyped-def]
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        Emitter(builder).prefetch(builder.inttoptr(arguments[0], _POINTER))
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _emit_get(typing_context, address):  # type: ignore[no-untyped-def]
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], _POINTER))

    return types.float32(types.int64), generate


def _emit_normalize(typing_context, x, weight, out, length, eps):  # type: ignore[no-untyped-def]
    """out = x / sqrt(mean(x²) + eps) · weight."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, e, one = builder, Emitter(builder), Emitter(builder, 1)
        x, weight, out = (b.inttoptr(address, _POINTER) for address in arguments[:3])
        length, eps = arguments[3:]
        total = cgutils.alloca_once_value(b, e.constant(0.0))
        rest = cgutils.alloca_once_value(b, one.constant(0.0))
        for emitter, sums, offset in _chunks(b, (e, total), (one, rest), length):
            value = emitter.load(e.at(x, offset))
            b.store(emitter.fma(value, value, b.load(sums)), sums)
        squares = b.fadd(e.reduce(b.load(total), b.fadd), b.extract_element(b.load(rest), _INT32(0)))
        mean = b.fadd(b.fdiv(squares, b.sitofp(length, _FLOAT)), eps)
        share = b.fdiv(ir.Constant(_FLOAT, 1.0), b.call(b.module.declare_intrinsic("llvm.sqrt", [_FLOAT]), [mean]))
        for emitter, _, offset in _chunks(b, (e, None), (one, None), length):
            value = b.fmul(emitter.load(e.at(x, offset)), emitter.spread(share))
            emitter.store(b.fmul(value, emitter.load(e.at(weight, offset))), e.at(out, offset))
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4), types.float32), generate


def _emit_swiglu(typing_context, gate, up, out, length):  # type: ignore[no-untyped-def]
    """out = gate / (1 + e^-gate) · up, by e^-|gate| so that nothing overflows."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        gate, up, out = (b.inttoptr(address, _POINTER) for address in arguments[:3])
        for e, _, offset in _chunks(b, (Emitter(b), None), (Emitter(b, 1), None), arguments[3]):
            value = e.load(e.at(gate, offset))
            negative = b.fcmp_ordered("<", value, e.constant(0.0))
            power = e.exp(b.select(negative, value, b.fsub(e.constant(0.0), value)))
            share = b.fdiv(b.select(negative, power, e.constant(1.0)), b.fadd(e.constant(1.0), power))
            e.store(b.fmul(b.fmul(value, share), e.load(e.at(up, offset))), e.at(out, offset))
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4)), generate


def _emit_rotate(typing_context, head, cos, sin, half):  # type: ignore[no-untyped-def]
    """Turns pairs (head[i], head[half + i]) by the angles of `cos` and `sin`, [half] each."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b = builder
        first, cos, sin = (b.inttoptr(address, _POINTER) for address in arguments[:3])
        second = b.gep(first, [arguments[3]])
        for e, _, offset in _chunks(b, (Emitter(b), None), (Emitter(b, 1), None), arguments[3]):
            x, y = e.load(e.at(first, offset)), e.load(e.at(second, offset))
            c, s = e.load(e.at(cos, offset)), e.load(e.at(sin, offset))
            e.store(b.fsub(b.fmul(x, c), b.fmul(y, s)), e.at(first, offset))
            e.store(b.fadd(b.fmul(y, c), b.fmul(x, s)), e.at(second, offset))
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4)), generate


def _chunks(b: Any, wide: tuple[Emitter, Any], narrow: tuple[Emitter, Any], length: Any) -> Any:
    """Loops over whole vectors, then over what is left; yields emitter, what came with it, and the offset."""
    whole = b.sub(length, b.srem(length, _INT64(LANES)))
    with cgutils.for_range_slice(b, _INT64(0), whole, _INT64(LANES), _INT64) as (offset, _):
        yield *wide, offset
    with cgutils.for_range_slice(b, whole, length, _INT64(1), _INT64) as (offset, _):
        yield *narrow, offset


transpose: Any = intrinsic(_emit_transpose)
softmax: Any = intrinsic(_emit_softmax)
scale: Any = intrinsic(_emit_scale)
accumulate: Any = intrinsic(_emit_accumulate)
prefetch: Any = intrinsic(_emit_prefetch)
get: Any = intrinsic(_emit_get)
normalize: Any = intrinsic(_emit_normalize)
swiglu: Any = intrinsic(_emit_swiglu)
rotate: Any = intrinsic(_emit_rotate)
panel_tile = tile_of(WIDEST, LANES, True)
tile_two = tile_of(2, LANES, False)
tile_one = tile_of(1, LANES, False)
tile_float = tile_of(1, 1, False)
