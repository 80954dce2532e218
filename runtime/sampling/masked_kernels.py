"""The CPU kernels of logits under packed masks. Imported only by those who compile them; addresses are plain integers.

A vector's bits of the mask are loaded as they stand and select its lanes. Vectors of which nothing is allowed are not
read, so that a sparse mask costs little more than its own bits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numba.extending import intrinsic, register_jitable

from runtime import simd
from runtime.kernel_cache import compile_cached

__all__ = ["compile_lower", "compile_peaks"]

# These come without type annotations, or with ones that leave most of their functions out.
ir: Any = import_module("llvmlite.ir")
types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")

LANES = simd.LANES
_STAMP = hashlib.sha256(Path(__file__).read_bytes()).hexdigest() + simd.STAMP
_INT64 = ir.IntType(64)
_FLOATS = ir.FloatType().as_pointer()
_BITS = ir.IntType(LANES)
_LANE_BITS = ir.VectorType(ir.IntType(1), LANES)
_LOWEST = np.float32(-math.inf)


def _emit_peak(typing_context, row, bits, count, best, place, bad):  # type: ignore[no-untyped-def]
    """Each lane's highest allowed value, and the first vector it stands in, over `count` vectors of a row.

    best [LANES] and place int32 [LANES] are read and written; a NaN that is allowed goes to its lane of bad [LANES].
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, e = builder, simd.Emitter(builder)
        row, best, bad = (b.inttoptr(arguments[i], _FLOATS) for i in (0, 3, 5))
        bits = b.inttoptr(arguments[1], _BITS.as_pointer())
        place = b.inttoptr(arguments[4], e.ints.as_pointer())
        high = cgutils.alloca_once_value(b, e.load(best))
        where = cgutils.alloca_once_value(b, b.load(place, align=4))
        wrong = cgutils.alloca_once_value(b, e.load(bad))
        with cgutils.for_range(b, arguments[2]) as loop:
            mask = b.load(b.gep(bits, [loop.index]), align=1)
            with b.if_then(b.icmp_unsigned("!=", mask, ir.Constant(_BITS, 0))):
                allowed = b.bitcast(mask, _LANE_BITS)
                values = e.load(e.at(row, b.mul(loop.index, _INT64(LANES))))
                higher = b.and_(allowed, b.fcmp_ordered(">", values, b.load(high)))
                b.store(b.select(higher, values, b.load(high)), high)
                here = e.spread(b.trunc(loop.index, ir.IntType(32)))
                b.store(b.select(higher, here, b.load(where)), where)
                nan = b.and_(allowed, b.fcmp_unordered("uno", values, values))
                b.store(b.select(nan, values, b.load(wrong)), wrong)
        e.store(b.load(high), best)
        e.store(b.load(wrong), bad)
        b.store(b.load(where), place, align=4)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 6)), generate


def _emit_lower(typing_context, row, bits, out, count, peak):  # type: ignore[no-untyped-def]
    """out = row - peak where allowed, minus infinity elsewhere, over `count` vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, e = builder, simd.Emitter(builder)
        row, out = (b.inttoptr(arguments[i], _FLOATS) for i in (0, 2))
        bits = b.inttoptr(arguments[1], _BITS.as_pointer())
        peak, nothing = e.spread(arguments[4]), e.constant(-math.inf)
        with cgutils.for_range(b, arguments[3]) as loop:
            offset = b.mul(loop.index, _INT64(LANES))
            allowed = b.bitcast(b.load(b.gep(bits, [loop.index]), align=1), _LANE_BITS)
            values = b.fsub(e.load(e.at(row, offset)), peak)
            e.store(b.select(allowed, values, nothing), e.at(out, offset))
        return context.get_dummy_value()

    return types.void(*([types.int64] * 4), types.float32), generate


_peak: Any = intrinsic(_emit_peak)
_lower: Any = intrinsic(_emit_lower)


@register_jitable
def _first_highest(best: Any, place: Any) -> tuple[Any, int]:
    """The highest lane's value and token; of equal ones the lowest token."""
    value, token = _LOWEST, 0
    for lane in range(LANES):
        other = place[lane] * LANES + lane
        if best[lane] > value or (best[lane] == value and value > _LOWEST and other < token):
            value, token = best[lane], other
    return value, token


def compile_peaks() -> Callable[[Any, Any, Any, Any], None]:
    """Compiles the search for each row's likeliest allowed token, or loads it from numba's cache.

    Returns:
        peaks(logits, words, values, places): float32 [R, V]; int32 [R, W]; float32 [R] and int64 [R] to write. A row
        with an allowed NaN has a NaN for its value, one of which nothing above -inf is allowed has -inf and token 0.
    """
    stamp = _STAMP

    def peaks(logits: Any, words: Any, values: Any, places: Any) -> None:
        stamp  # noqa: B018
        vocab_size = logits.shape[1]
        count = vocab_size // LANES
        best, bad = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
        place = np.empty(LANES, np.int32)
        for row in range(len(logits)):
            best[:], bad[:], place[:] = _LOWEST, np.float32(0.0), 0
            line, bits = logits[row].ctypes.data, words[row].ctypes.data
            _peak(line, bits, count, best.ctypes.data, place.ctypes.data, bad.ctypes.data)
            value, token = _first_highest(best, place)
            wrong = bad.sum()
            for i in range(count * LANES, vocab_size):
                if words[row, i >> 5] >> (i & 31) & 1:
                    other = logits[row, i]
                    wrong = wrong if other == other else other
                    if other > value:
                        value, token = other, i
            values[row] = value if wrong == wrong else wrong
            places[row] = token

    array = types.Array
    signature = types.void(
        array(types.float32, 2, "C"),
        array(types.int32, 2, "C"),
        array(types.float32, 1, "C"),
        array(types.int64, 1, "C"),
    )
    return compile_cached(peaks, signature)


def compile_lower() -> Callable[[Any, Any, Any, Any, Any], None]:
    """Compiles the copy of logits for drawing, or loads it from numba's cache.

    Returns:
        lower(logits, words, index, peaks, out): float32 [R, V]; int32 [R, W]; int64 [S], which rows; float32 [R];
        float32 [S, at least V], of which the first V columns become the logit less the row's peak, or -inf.
    """
    stamp = _STAMP

    def lower(logits: Any, words: Any, index: Any, peaks: Any, out: Any) -> None:
        stamp  # noqa: B018
        vocab_size = logits.shape[1]
        count = vocab_size // LANES
        for i in range(len(index)):
            row = index[i]
            _lower(logits[row].ctypes.data, words[row].ctypes.data, out[i].ctypes.data, count, peaks[row])
            for j in range(count * LANES, vocab_size):
                allowed = words[row, j >> 5] >> (j & 31) & 1
                out[i, j] = logits[row, j] - peaks[row] if allowed else _LOWEST

    array = types.Array
    signature = types.void(
        array(types.float32, 2, "C"),
        array(types.int32, 2, "C"),
        array(types.int64, 1, "C"),
        array(types.float32, 1, "C"),
        array(types.float32, 2, "C"),
    )
    return compile_cached(lower, signature)
