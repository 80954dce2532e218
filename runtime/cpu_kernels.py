"""The CPU kernels: packed matrices and paged attention. Imported only by those who are about to compile them.

All are built from one tile: a few rows times a matrix a few vectors wide, with the sums in vector registers (the scheme
of Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"). Every sum is one chain of fused
multiply-adds in the order of its terms, so a row's result has the same bits whatever else is computed with it: alone
or in a batch, as part of a long prompt or as a single token.

Everything lies in one file because numba's cache notices changes to the file a kernel is in, and to no other.
Addresses are plain integers; lengths and strides count floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from runtime.kernel_cache import compile_cached

__all__ = ["KEYS", "PANEL", "compile_attend", "compile_gemm"]

_WIDE = bool(llvm.get_host_cpu_features().get("avx512f", False))
LANES = 16 if _WIDE else 8
# Rows a tile of so many vectors may have: 24 of 32 (or 12 of 16) vector registers hold sums.
ROWS = {3: 8, 2: 12, 1: 4} if _WIDE else {2: 6, 1: 4}
WIDEST = max(ROWS)
PANEL = LANES * WIDEST
PANEL_ROWS = ROWS[WIDEST]
KEYS = 2 * LANES
KEY_ROWS = ROWS[2]

_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_POINTER = _FLOAT.as_pointer()
_ONE = np.float32(1.0)


class _Emitter:
    """Writes LLVM instructions on vectors of `lanes` floats."""

    def __init__(self, builder: Any, lanes: int = LANES) -> None:
        self.b = builder
        self.lanes = lanes
        self.floats = ir.VectorType(_FLOAT, lanes)
        self.ints = ir.VectorType(_INT32, lanes)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.floats, [value] * self.lanes)

    def whole(self, value: int) -> Any:
        return ir.Constant(self.ints, [value] * self.lanes)

    def at(self, base: Any, offset: Any) -> Any:
        return self.b.gep(base, [_INT64(offset) if isinstance(offset, int) else offset])

    def load(self, address: Any) -> Any:
        return self.b.load(self.b.bitcast(address, self.floats.as_pointer()), align=4)

    def store(self, value: Any, address: Any) -> None:
        self.b.store(value, self.b.bitcast(address, self.floats.as_pointer()), align=4)

    def spread(self, value: Any) -> Any:
        kind = value.type
        empty = ir.Constant(ir.VectorType(kind, self.lanes), ir.Undefined)
        return self.b.shuffle_vector(self.b.insert_element(empty, value, _INT32(0)), empty, self.whole(0))

    def call(self, name: str, *values: Any) -> Any:
        kind = ir.FunctionType(self.floats, [self.floats] * len(values))
        return self.b.call(cgutils.get_or_insert_function(self.b.module, kind, f"{name}.v{self.lanes}f32"), values)

    def fma(self, left: Any, right: Any, total: Any) -> Any:
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


def _tile_of(vectors: int, lanes: int, fetching: bool) -> Any:
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
            _Emitter(builder, lanes).tile(rows, vectors, x, x_stride, w, w_stride, inner, ahead, out, out_stride, add)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    plain = [types.int64] * 8 + [types.boolean]
    if fetching:
        offsets = types.UniTuple(types.int64, 3)

        def typed(typing_context, count, x, xs, w, ws, inner, out, outs, add, ahead):  # type: ignore[no-untyped-def]
            return types.void(*plain, offsets), generate
    else:

        def typed(typing_context, count, x, xs, w, ws, inner, out, outs, add):  # type: ignore[no-untyped-def]
            return types.void(*plain), generate

    return intrinsic(typed)


_panel_tile = _tile_of(WIDEST, LANES, True)
_tile_two = _tile_of(2, LANES, False)
_tile_one = _tile_of(1, LANES, False)
_tile_float = _tile_of(1, 1, False)


def _transpose(typing_context, source, stride, target):  # type: ignore[no-untyped-def]
    """target[d * KEYS + key] = source[key * stride + d] for LANES keys and dimensions."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        e = _Emitter(builder)
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
            e.store(rows[d], e.at(target, d * KEYS))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _softmax(typing_context, row, valid, length, share):  # type: ignore[no-untyped-def]
    """Replaces scores by e^(score - highest), 0 from `valid` on.

    `length` is a whole number of vectors; 1 / their sum goes to `share`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, e = builder, _Emitter(builder)
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


def _scale(typing_context, source, target, length, factor):  # type: ignore[no-untyped-def]
    """target[i] = source[i] * factor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (builder.inttoptr(address, _POINTER) for address in arguments[:2])
        with cgutils.for_range(builder, arguments[2]) as loop:
            value = builder.fmul(builder.load(builder.gep(source, [loop.index])), arguments[3])
            builder.store(value, builder.gep(target, [loop.index]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.float32), generate


def _prefetch(typing_context, address):  # type: ignore[no-untyped-def]
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _Emitter(builder).prefetch(builder.inttoptr(arguments[0], _POINTER))
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _get(typing_context, address):  # type: ignore[no-untyped-def]
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], _POINTER))

    return types.float32(types.int64), generate


_transpose, _softmax, _scale, _prefetch, _get = map(intrinsic, (_transpose, _softmax, _scale, _prefetch, _get))


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


def _gemm(x: int, w: int, out: int, rows: int, inner: int, panels: int, add: bool, threads: int) -> None:
    stride = panels * PANEL
    num_blocks = (rows + PANEL_ROWS - 1) // PANEL_ROWS
    for part in prange(threads):
        for panel in range(panels * part // threads, panels * (part + 1) // threads):
            source = w + panel * inner * PANEL * 4
            for block in range(num_blocks):
                row = block * PANEL_ROWS
                target = out + (row * stride + panel * PANEL) * 4
                count = min(PANEL_ROWS, rows - row)
                ahead = _lines_ahead(block, num_blocks, inner * PANEL)
                _panel_tile(count, x + row * inner * 4, inner, source, PANEL, inner, target, stride, add, ahead)


def compile_gemm() -> Callable[[int, int, int, int, int, int, bool, int], None]:
    """Compiles the matrix kernel, or loads it from numba's cache.

    Returns:
        gemm(x, w, out, rows, inner, panels, add, threads): addresses of float32 [rows, inner], of weights
        [panels, inner, PANEL] and of [rows, panels * PANEL]; whether to add to `out`; how many parts to work in.
    """
    return compile_cached(_gemm, types.void(*([types.int64] * 6), types.boolean, types.int64), parallel=True)


@register_jitable
def _score(
    queries: int,
    rows: int,
    keys: int,
    stride: int,
    dim: int,
    pages: Any,
    page_size: int,
    num_keys: int,
    scores: int,
    length: int,
    block: int,
    spare: int,
) -> None:
    """scores[rows, length] = queries[rows, dim] · keys; `block` holds KEYS keys transposed, `spare` LANES as rows."""
    for key in range(0, num_keys, LANES):
        half = key // LANES % 2 * LANES * 4
        source, step = spare, dim
        if page_size % LANES == 0:
            slot = pages[key // page_size] * page_size + key % page_size
            source, step = keys + slot * stride * 4, stride
            if key + LANES < num_keys:
                later = key + LANES
                fetched = keys + (pages[later // page_size] * page_size + later % page_size) * stride * 4
                for line in range(LANES):
                    for part in range(0, dim, 16):
                        _prefetch(fetched + (line * stride + part) * 4)
        else:
            for index in range(key, min(key + LANES, num_keys)):
                slot = pages[index // page_size] * page_size + index % page_size
                _scale(keys + slot * stride * 4, spare + (index - key) * dim * 4, dim, _ONE)
        whole = dim - dim % LANES
        for d in range(0, whole, LANES):
            _transpose(source + d * 4, step, block + d * KEYS * 4 + half)
        for d in range(whole, dim):
            for lane in range(LANES):
                _scale(source + (lane * step + d) * 4, block + (d * KEYS + lane) * 4 + half, 1, _ONE)
        if half or key + LANES >= num_keys:
            start = key - key % KEYS
            for row in range(0, rows, KEY_ROWS):
                _tile_two(
                    min(KEY_ROWS, rows - row),
                    queries + row * dim * 4,
                    dim,
                    block,
                    KEYS,
                    dim,
                    scores + (row * length + start) * 4,
                    length,
                    False,
                )


@register_jitable
def _mix(
    weights: int,
    length: int,
    rows: int,
    values: int,
    stride: int,
    dim: int,
    pages: Any,
    page_size: int,
    num_keys: int,
    out: int,
) -> None:
    """out[rows, dim] = weights[rows, num_keys] · values, page by page."""
    for key in range(0, num_keys, page_size):
        count = min(page_size, num_keys - key)
        source = values + pages[key // page_size] * page_size * stride * 4
        if key + page_size < num_keys:
            fetched = values + pages[key // page_size + 1] * page_size * stride * 4
            for line in range(min(page_size, num_keys - key - page_size)):
                for part in range(0, dim, 16):
                    _prefetch(fetched + (line * stride + part) * 4)
        d = 0
        while d + KEYS <= dim:
            for row in range(0, rows, KEY_ROWS):
                _tile_two(
                    min(KEY_ROWS, rows - row),
                    weights + (row * length + key) * 4,
                    length,
                    source + d * 4,
                    stride,
                    count,
                    out + (row * dim + d) * 4,
                    dim,
                    key > 0,
                )
            d += KEYS
        while d < dim:
            wide = d + LANES <= dim
            for row in range(0, rows, 4):
                left, target = weights + (row * length + key) * 4, out + (row * dim + d) * 4
                if wide:
                    _tile_one(min(4, rows - row), left, length, source + d * 4, stride, count, target, dim, key > 0)
                else:
                    _tile_float(min(4, rows - row), left, length, source + d * 4, stride, count, target, dim, key > 0)
            d += LANES if wide else 1


def _attend(
    queries: int,
    query_stride: int,
    out: int,
    keys: int,
    values: int,
    items: Any,
    bounds: Any,
    positions: Any,
    page_table: Any,
    scratch: int,
    scratch_size: int,
    num_heads: int,
    num_kv_heads: int,
    dim: int,
    page_size: int,
) -> None:
    group = num_heads // num_kv_heads
    stride = num_kv_heads * dim
    factor = np.float32(1.0 / math.sqrt(dim))
    for part in prange(len(bounds) - 1):
        for unit in range(bounds[part], bounds[part + 1]):
            item, head = unit // num_kv_heads, unit % num_kv_heads
            sequence, first, count = items[item, 0], items[item, 1], items[item, 2]
            pages = page_table[sequence]
            num_keys = positions[first + count - 1] + 1
            length = (num_keys + KEYS - 1) // KEYS * KEYS
            rows = count * group
            block = scratch + part * scratch_size * 4
            spare = block + KEYS * dim * 4
            packed = spare + LANES * dim * 4
            mixed = packed + rows * dim * 4
            scores = mixed + rows * dim * 4
            for query in range(count):
                source = queries + ((first + query) * query_stride + head * group * dim) * 4
                _scale(source, packed + query * group * dim * 4, group * dim, factor)
            offset = head * dim * 4
            _score(packed, rows, keys + offset, stride, dim, pages, page_size, num_keys, scores, length, block, spare)
            for row in range(rows):
                valid = positions[first + row // group] + 1
                _softmax(scores + row * length * 4, valid, length, block + row * 4)
            _mix(scores, length, rows, values + offset, stride, dim, pages, page_size, num_keys, mixed)
            for row in range(rows):
                target = out + ((first + row // group) * num_heads + head * group + row % group) * dim * 4
                _scale(mixed + row * dim * 4, target, dim, _get(block + row * 4))


def compile_attend() -> Callable[..., None]:
    """Compiles the attention kernel, or loads it from numba's cache.

    Returns:
        attend(queries, query_stride, out, keys, values, items, bounds, positions, page_table, scratch, scratch_size,
        num_heads, num_kv_heads, dim, page_size). Addresses: queries (rows `query_stride` apart), out
        [T, num_heads, dim], one layer's keys and values [slots, num_kv_heads, dim], scratch. Arrays: items int32
        [N, 3] of (sequence, first row, rows); bounds int32, units item * num_kv_heads + head of part i are
        bounds[i]:bounds[i + 1]; positions int64 [T]; page_table int32 [B, P].
    """
    whole = types.int64
    signature = types.void(
        *([whole] * 5), types.int32[:, ::1], types.int32[::1], types.int64[::1], types.int32[:, ::1], *([whole] * 6)
    )
    return compile_cached(_attend, signature, parallel=True)
