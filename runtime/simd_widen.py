"""Numbers of 16 and 8 bits read as floats, for numba kernels: imported only by those who are about to compile one."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.extending import intrinsic

__all__ = ["STAMP", "widen_bfloat16", "widen_float16", "widen_int8"]

# These come without type annotations, or with ones that leave most of their functions out.
ir: Any = import_module("llvmlite.ir")
types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")

STAMP = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""Kernels close over it, as over that of `runtime.simd`."""

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)


def _widened(kind: str, builder: Any, address: Any) -> Any:
    """The float that a narrow number at an address stands for."""
    if kind == "float16":
        return builder.fpext(builder.load(builder.inttoptr(address, ir.HalfType().as_pointer())), FLOAT)
    whole = builder.load(builder.inttoptr(address, ir.IntType(8 if kind == "int8" else 16).as_pointer()))
    if kind == "int8":
        return builder.sitofp(whole, FLOAT)
    return builder.bitcast(builder.shl(builder.zext(whole, INT32), INT32(16)), FLOAT)


def widen_of(kind: str) -> Any:
    """widen(source, target, length, factor): target[i] = source[i] * factor, source being bfloat16, float16 or int8."""
    size = 1 if kind == "int8" else 2

    def widen(typing_context, source, target, length, factor):  # type: ignore[no-untyped-def]
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, target = arguments[0], builder.inttoptr(arguments[1], FLOAT.as_pointer())
            with cgutils.for_range(builder, arguments[2]) as loop:
                value = _widened(kind, builder, builder.add(source, builder.mul(loop.index, INT64(size))))
                builder.store(builder.fmul(value, arguments[3]), builder.gep(target, [loop.index]))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64, types.float32), generate

    return intrinsic(widen)


widen_bfloat16, widen_float16, widen_int8 = widen_of("bfloat16"), widen_of("float16"), widen_of("int8")
