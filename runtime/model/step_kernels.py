"""A whole step of a Llama as one function of a team. Imported only by those who are about to compile it.

Each phase shares out rows, panels of a matrix, or units of attention. What a row goes through is what
`runtime.model.llama.Llama` has it go through one kernel at a time, so both give the same bits.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from runtime import simd, simd_dot
from runtime.attention import cpu_kernels
from runtime.attention.cpu_kernels import attend_rows
from runtime.kernel_cache import compile_part
from runtime.model import product_kernels
from runtime.model.job import LAYER, PHASES_PER_LAYER, STEP_JOB
from runtime.model.product_kernels import multiply_rows, pack_rows
from runtime.parallel import atomics
from runtime.parallel.team_kernels import JOB_AT, PARTS, claim, finish, wait

__all__ = ["compile_step"]

_OWN = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
STAMP = f"{cpu_kernels.STAMP} {product_kernels.STAMP} {STEP_JOB} {LAYER} {_OWN}"
_ATTENTION_AT = JOB_AT + STEP_JOB.fields["attention"][1] if STEP_JOB.fields else 0


@register_jitable
def _embed(at: Any, phase: int, job: Any) -> None:
    """The tokens' rows of the head."""
    team, turn, thread, threads = at
    rows, length, lookup, head = job.rows, job.hidden_size, job.lookup, job.head
    tokens = atomics.carray(atomics.pointer(job.tokens), rows, np.int64)
    parts = min(rows, PARTS * threads)
    part = claim(turn, phase)
    while part < parts:
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            atomics.call(lookup, (tokens[row], head.w, head.inner, job.hidden + row * length * 4))
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


@register_jitable
def _norm(at: Any, phase: int, job: Any, rows: int, x: int, bias: int, weight: int, matrix: Any) -> None:
    """Adds the bias of the matrix that was added last; rows of x, normed, as the next matrix takes them."""
    team, turn, thread, threads = at
    length, parts = job.hidden_size, min(rows, PARTS * threads)
    part = claim(turn, phase)
    while part < parts:
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            source, normed = x + row * length * 4, job.normed + row * length * 4
            if bias != 0:
                simd.accumulate(bias, source, length)
            simd.normalize(source, weight, normed, length, job.eps)
            if matrix.packing >= 0:
                packed = job.packed + row * matrix.inner * simd_dot.ROW_BLOCK
                simd_dot.quantize(normed, matrix.inner, matrix.packing, packed)
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


@register_jitable
def _activate(at: Any, phase: int, job: Any, rows: int, gate_up: Any, matrix: Any) -> None:
    """Rows of gate and up with their bias, multiplied, as the next matrix takes them."""
    team, turn, thread, threads = at
    length, stride, parts = job.intermediate_size, gate_up.panels * gate_up.width, min(rows, PARTS * threads)
    part = claim(turn, phase)
    while part < parts:
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            gate, product = job.gated + row * stride * 4, job.normed + row * length * 4
            if gate_up.bias != 0:
                simd.accumulate(gate_up.bias, gate, 2 * length)
            simd.swiglu(gate, gate + length * 4, product, length)
            if matrix.packing >= 0:
                packed = job.packed + row * matrix.inner * simd_dot.ROW_BLOCK
                simd_dot.quantize(product, matrix.inner, matrix.packing, packed)
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


@register_jitable
def _multiply(at: Any, phase: int, job: Any, matrix: Any, x: int, out: int, rows: int, add: int) -> None:
    """out (+)= x · matrix, where x has been packed if the matrix takes it so."""
    left = job.packed if matrix.packing >= 0 else x
    arguments = (left, matrix.w, out, rows, matrix.inner, matrix.panels, add, job.scratch)
    multiply_rows(at, phase, matrix.kernel, matrix.panels, arguments)


@register_jitable
def _place(at: Any, phase: int, job: Any, layer: int, qkv: Any) -> None:
    """Adds the bias, rotates queries and keys in place, and stores keys and values."""
    team, turn, thread, threads = at
    rows, dim, size = job.rows, job.dim, job.num_kv_heads * job.dim
    stride, num_turned, half = qkv.panels * qkv.width, job.num_heads + job.num_kv_heads, dim // 2
    positions = atomics.carray(atomics.pointer(job.positions), rows, np.int64)
    slots = atomics.carray(atomics.pointer(job.slots), rows, np.int64)
    keys, values = job.keys + layer * job.layer_bytes, job.values + layer * job.layer_bytes
    parts = min(rows, PARTS * threads)
    part = claim(turn, phase)
    while part < parts:
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            heads, angles = job.heads + row * stride * 4, positions[row] * half * 4
            if qkv.bias != 0:
                simd.accumulate(qkv.bias, heads, (num_turned + job.num_kv_heads) * dim)
            for head in range(num_turned):
                simd.rotate(heads + head * dim * 4, job.cos + angles, job.sin + angles, half)
            new, target = heads + job.num_heads * dim * 4, slots[row] * size * 4
            simd.scale(new, keys + target, size, np.float32(1.0))
            simd.scale(new + size * 4, values + target, size, np.float32(1.0))
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


@register_jitable
def _choose(at: Any, phase: int, job: Any) -> None:
    """Copies the rows whose logits are wanted."""
    team, turn, thread, _ = at
    chosen = atomics.carray(atomics.pointer(job.chosen), job.num_outputs, np.int64)
    length, width, one = job.hidden_size, job.num_heads * job.dim, np.float32(1.0)
    if claim(turn, phase) == 0:
        for row in range(job.num_outputs):
            source = chosen[row]
            simd.scale(job.hidden + source * length * 4, job.chosen_hidden + row * length * 4, length, one)
            simd.scale(job.attended + source * width * 4, job.chosen_attended + row * width * 4, width, one)
        finish(team, turn, phase, 1)
    wait(team, turn, thread, phase, 1)


@register_jitable
def _tell(at: Any, job: Any, phase: int) -> None:
    """Notes when a phase was over, where that is asked for."""
    if job.times != 0 and at[2] == 0:
        atomics.put(job.times + 8 * phase, atomics.cycles())


def compile_step() -> Any:
    """function(thread, threads, team, turn), whose job is a `STEP_JOB`."""
    stamp = STAMP

    def step(thread: int, threads: int, team: int, turn: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, STEP_JOB)[0]
        num_layers, at, before = own.num_layers, (team, turn, thread, threads), 0
        layers = atomics.carray(atomics.pointer(own.layers), num_layers, LAYER)
        rows, hidden, attended = own.rows, own.hidden, own.attended
        if own.lookup != 0:
            _embed(at, 0, own)
        _tell(at, own, 0)
        for index in range(num_layers):
            layer, phase = layers[index], index * PHASES_PER_LAYER + 1
            _norm(at, phase, own, rows, hidden, before, layer.attention_norm, layer.qkv)
            _tell(at, own, phase)
            _multiply(at, phase + 1, own, layer.qkv, own.normed, own.heads, rows, 0)
            _tell(at, own, phase + 1)
            _place(at, phase + 2, own, index, layer.qkv)
            _tell(at, own, phase + 2)
            if index == num_layers - 1 and own.num_outputs == 0:
                return
            attend_rows(at, phase + 3, index, turn + _ATTENTION_AT)
            _tell(at, own, phase + 3)
            if index == num_layers - 1:
                _choose(at, phase + 4, own)
                rows, hidden, attended = own.num_outputs, own.chosen_hidden, own.chosen_attended
            _tell(at, own, phase + 4)
            if layer.output.packing >= 0:
                pack_rows(at, phase + 5, attended, rows, layer.output.inner, layer.output.packing, own.packed)
            _tell(at, own, phase + 5)
            _multiply(at, phase + 6, own, layer.output, attended, hidden, rows, 1)
            _tell(at, own, phase + 6)
            _norm(at, phase + 7, own, rows, hidden, layer.output.bias, layer.mlp_norm, layer.gate_up)
            _tell(at, own, phase + 7)
            _multiply(at, phase + 8, own, layer.gate_up, own.normed, own.gated, rows, 0)
            _tell(at, own, phase + 8)
            _activate(at, phase + 9, own, rows, layer.gate_up, layer.down)
            _tell(at, own, phase + 9)
            _multiply(at, phase + 10, own, layer.down, own.normed, hidden, rows, 1)
            _tell(at, own, phase + 10)
            before = layer.down.bias
        phase = num_layers * PHASES_PER_LAYER + 1
        _norm(at, phase, own, rows, hidden, before, own.norm, own.head)
        _tell(at, own, phase)
        _multiply(at, phase + 1, own, own.head, own.normed, own.logits, rows, 0)
        _tell(at, own, phase + 1)

    return compile_part(step, types.void(*([types.int64] * 4)))
