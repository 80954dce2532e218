"""A whole step of a Llama as one function of a team. Imported only by those who are about to compile it.

The threads share out rows, panels of a matrix, or units of attention, and meet after each. What each row goes through
is what `runtime.model.llama.Llama` has it go through one kernel at a time, so both give the same bits.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from runtime import simd, simd_dot
from runtime.attention.job import ATTENTION_JOB
from runtime.kernel_cache import compile_part
from runtime.model import product_kernels
from runtime.model.job import LAYER, STEP_JOB
from runtime.model.product_kernels import pack_rows
from runtime.parallel import atomics
from runtime.parallel.team_kernels import meet

__all__ = ["compile_step"]

_OWN = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
STAMP = f"{simd.STAMP} {product_kernels.STAMP} {STEP_JOB} {LAYER} {_OWN}"


@register_jitable
def _share(part: int, threads: int, count: int) -> tuple[int, int]:
    return count * part // threads, count * (part + 1) // threads


@register_jitable
def _norm(part: int, threads: int, job: Any, rows: int, x: int, bias: int, weight: int, matrix: Any) -> None:
    """Adds the bias of the matrix that was added last; rows of x, normed, as the next matrix takes them."""
    length = job.hidden_size
    first, end = _share(part, threads, rows)
    for row in range(first, end):
        source, normed = x + row * length * 4, job.normed + row * length * 4
        if bias != 0:
            simd.accumulate(bias, source, length)
        simd.normalize(source, weight, normed, length, job.eps)
        if matrix.packing >= 0:
            packed = job.packed + row * matrix.inner * simd_dot.ROW_BLOCK
            simd_dot.quantize(normed, matrix.inner, matrix.packing, packed)


@register_jitable
def _activate(part: int, threads: int, job: Any, rows: int, gate_up: Any, matrix: Any) -> None:
    """Rows of gate and up with their bias, multiplied, as the next matrix takes them."""
    length, stride = job.intermediate_size, gate_up.panels * gate_up.width
    first, end = _share(part, threads, rows)
    for row in range(first, end):
        gate, product = job.gated + row * stride * 4, job.normed + row * length * 4
        if gate_up.bias != 0:
            simd.accumulate(gate_up.bias, gate, 2 * length)
        simd.swiglu(gate, gate + length * 4, product, length)
        if matrix.packing >= 0:
            packed = job.packed + row * matrix.inner * simd_dot.ROW_BLOCK
            simd_dot.quantize(product, matrix.inner, matrix.packing, packed)


@register_jitable
def _multiply(part: int, threads: int, job: Any, matrix: Any, x: int, out: int, rows: int, add: int) -> None:
    """out (+)= x · matrix, where x has been packed if the matrix takes it so."""
    left = job.packed if matrix.packing >= 0 else x
    where = (part, threads, left, matrix.w, out, rows, matrix.inner, matrix.panels, add, job.scratch)
    atomics.call(matrix.kernel, where)


@register_jitable
def _place(part: int, threads: int, job: Any, layer: int, qkv: Any) -> None:
    """Adds the bias, rotates queries and keys in place, and stores keys and values."""
    dim, size = job.dim, job.num_kv_heads * job.dim
    stride = qkv.panels * qkv.width
    num_turned, half = job.num_heads + job.num_kv_heads, dim // 2
    positions = atomics.carray(atomics.pointer(job.positions), job.rows, np.int64)
    slots = atomics.carray(atomics.pointer(job.slots), job.rows, np.int64)
    keys, values = job.keys + layer * job.layer_bytes, job.values + layer * job.layer_bytes
    first, end = _share(part, threads, job.rows)
    for row in range(first, end):
        heads = job.heads + row * stride * 4
        if qkv.bias != 0:
            simd.accumulate(qkv.bias, heads, (num_turned + job.num_kv_heads) * dim)
        turn = positions[row] * half * 4
        for head in range(num_turned):
            simd.rotate(heads + head * dim * 4, job.cos + turn, job.sin + turn, half)
        new, target = heads + job.num_heads * dim * 4, slots[row] * size * 4
        simd.scale(new, keys + target, size, np.float32(1.0))
        simd.scale(new + size * 4, values + target, size, np.float32(1.0))


@register_jitable
def _choose(part: int, threads: int, job: Any) -> None:
    """Copies the rows whose logits are wanted."""
    chosen = atomics.carray(atomics.pointer(job.chosen), job.num_outputs, np.int64)
    width = job.num_heads * job.dim
    first, end = _share(part, threads, job.num_outputs)
    for row in range(first, end):
        source, one = chosen[row], np.float32(1.0)
        simd.scale(
            job.hidden + source * job.hidden_size * 4, job.chosen_hidden + row * job.hidden_size * 4,
            job.hidden_size, one,
        )  # fmt: skip
        simd.scale(job.attended + source * width * 4, job.chosen_attended + row * width * 4, width, one)


def compile_step() -> Any:
    """function(part, threads, team, job), where `job` is the address of a `STEP_JOB`."""
    stamp = STAMP

    def step(part: int, threads: int, team: int, job: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(job), 1, STEP_JOB)[0]
        layers = atomics.carray(atomics.pointer(own.layers), own.num_layers, LAYER)
        rows, hidden, attended, before = own.rows, own.hidden, own.attended, 0
        attend = atomics.carray(atomics.pointer(own.attention), 1, ATTENTION_JOB)[0].function
        for index in range(own.num_layers):
            layer = layers[index]
            _norm(part, threads, own, rows, hidden, before, layer.attention_norm, layer.qkv)
            meet(team)
            _multiply(part, threads, own, layer.qkv, own.normed, own.heads, rows, 0)
            meet(team)
            _place(part, threads, own, index, layer.qkv)
            meet(team)
            if index == own.num_layers - 1:
                if own.num_outputs == 0:
                    return
                atomics.call(attend, (part, index, own.attention))
                meet(team)
                _choose(part, threads, own)
                meet(team)
                rows, hidden, attended = own.num_outputs, own.chosen_hidden, own.chosen_attended
            else:
                atomics.call(attend, (part, index, own.attention))
                meet(team)
            if layer.output.packing >= 0:
                pack_rows(part, threads, attended, rows, layer.output.inner, layer.output.packing, own.packed)
                meet(team)
            _multiply(part, threads, own, layer.output, attended, hidden, rows, 1)
            meet(team)
            _norm(part, threads, own, rows, hidden, layer.output.bias, layer.mlp_norm, layer.gate_up)
            meet(team)
            _multiply(part, threads, own, layer.gate_up, own.normed, own.gated, rows, 0)
            meet(team)
            _activate(part, threads, own, rows, layer.gate_up, layer.down)
            meet(team)
            _multiply(part, threads, own, layer.down, own.normed, hidden, rows, 1)
            before = layer.down.bias
            meet(team)
        _norm(part, threads, own, rows, hidden, before, own.norm, own.head)
        meet(team)
        _multiply(part, threads, own, own.head, own.normed, own.logits, rows, 0)

    return compile_part(step, types.void(*([types.int64] * 4)))
