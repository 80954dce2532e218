"""What threads that share memory need, for numba kernels: imported only by those who are about to compile one.

Addresses are plain integers, of int64 values. Numba's cache does not notice changes to this file: kernels close over
`STAMP`.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.extending import intrinsic

__all__ = ["STAMP", "add", "call", "carray", "cycles", "get", "pause", "pointer", "put", "swap"]

# These come without type annotations, or with ones that leave most of their functions out.
ir: Any = import_module("llvmlite.ir")
types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")
carray: Any = import_module("numba").carray
"""An array at a `pointer`: carray(pointer, shape, dtype)."""

STAMP = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()

_WHOLE = ir.IntType(64)


def _get(typing_context, address):  # type: ignore[no-untyped-def]
    """The value, and everything that was written before it was put there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(arguments[0], _WHOLE.as_pointer()), "acquire", 8)

    return types.int64(types.int64), generate


def _put(typing_context, address, value):  # type: ignore[no-untyped-def]
    """Sets the value, after everything that was written before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], builder.inttoptr(arguments[0], _WHOLE.as_pointer()), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _add(typing_context, address, value):  # type: ignore[no-untyped-def]
    """Adds to the value; what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], _WHOLE.as_pointer()), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


def _swap(typing_context, address, value):  # type: ignore[no-untyped-def]
    """Sets the value; what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("xchg", builder.inttoptr(arguments[0], _WHOLE.as_pointer()), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


def _pause(typing_context):  # type: ignore[no-untyped-def]
    """Tells the core that this thread is waiting for another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


def _cycles(typing_context):  # type: ignore[no-untyped-def]
    """The processor's clock."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_WHOLE, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), generate


def _call(typing_context, function, values):  # type: ignore[no-untyped-def]
    """Calls the C function at that address with a tuple of int64; it returns nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = cgutils.unpack_tuple(builder, arguments[1])
        kind = ir.FunctionType(ir.VoidType(), [_WHOLE] * len(values))
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(types.int64, values), generate


def _pointer(typing_context, address):  # type: ignore[no-untyped-def]
    """The address as what `numba.carray` takes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


get: Any = intrinsic(_get)
put: Any = intrinsic(_put)
add: Any = intrinsic(_add)
swap: Any = intrinsic(_swap)
cycles: Any = intrinsic(_cycles)
pause: Any = intrinsic(_pause)
call: Any = intrinsic(_call)
pointer: Any = intrinsic(_pointer)
