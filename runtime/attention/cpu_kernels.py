"""The CPU kernel of paged attention. Imported only by those who compile it; addresses are plain integers."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from runtime import simd, simd_widen
from runtime.attention.job import ATTENTION_JOB
from runtime.kernel_cache import compile_part
from runtime.parallel import atomics, team_kernels
from runtime.parallel.team_kernels import JOB_AT, claim, finish, wait

__all__ = ["KEYS", "STAMP", "attend_rows", "compile_attend", "compile_attend_alone"]

STAMP = f"{simd.STAMP} {team_kernels.STAMP} {ATTENTION_JOB} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"
LANES = simd.LANES
KEYS = 2 * LANES
"""Keys that are scored at a time."""
KEY_ROWS = simd.ROWS[2]
_ONE = np.float32(1.0)


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
                        simd.prefetch(fetched + (line * stride + part) * 4)
        else:
            for index in range(key, min(key + LANES, num_keys)):
                slot = pages[index // page_size] * page_size + index % page_size
                simd.scale(keys + slot * stride * 4, spare + (index - key) * dim * 4, dim, _ONE)
        whole = dim - dim % LANES
        for d in range(0, whole, LANES):
            simd.transpose(source + d * 4, step, block + d * KEYS * 4 + half)
        for d in range(whole, dim):
            for lane in range(LANES):
                simd.scale(source + (lane * step + d) * 4, block + (d * KEYS + lane) * 4 + half, 1, _ONE)
        if half or key + LANES >= num_keys:
            start = key - key % KEYS
            for row in range(0, rows, KEY_ROWS):
                simd.tile_two(
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
    add: bool,
) -> None:
    """out[rows, dim] (+)= weights[rows, num_keys] · values, page by page."""
    for key in range(0, num_keys, page_size):
        count = min(page_size, num_keys - key)
        source = values + pages[key // page_size] * page_size * stride * 4
        if key + page_size < num_keys:
            fetched = values + pages[key // page_size + 1] * page_size * stride * 4
            for line in range(min(page_size, num_keys - key - page_size)):
                for part in range(0, dim, 16):
                    simd.prefetch(fetched + (line * stride + part) * 4)
        d = 0
        while d + KEYS <= dim:
            for row in range(0, rows, KEY_ROWS):
                simd.tile_two(
                    min(KEY_ROWS, rows - row),
                    weights + (row * length + key) * 4,
                    length,
                    source + d * 4,
                    stride,
                    count,
                    out + (row * dim + d) * 4,
                    dim,
                    add or key > 0,
                )
            d += KEYS
        while d < dim:
            wide = d + LANES <= dim
            for row in range(0, rows, 4):
                left, target = weights + (row * length + key) * 4, out + (row * dim + d) * 4
                more = add or key > 0
                if wide:
                    simd.tile_one(min(4, rows - row), left, length, source + d * 4, stride, count, target, dim, more)
                else:
                    simd.tile_float(min(4, rows - row), left, length, source + d * 4, stride, count, target, dim, more)
            d += LANES if wide else 1


@register_jitable
def _row(pages: Any, page_size: int, key: int, head: int, heads: int) -> int:
    """Which of the store's vectors is a head's of the key at that position."""
    return int((pages[key // page_size] * page_size + key % page_size) * heads + head)


@register_jitable
def _fill_bfloat16(
    store: int, scales: int, head: int, heads: int, dim: int, pages: Any, page_size: int, num_keys: int, out: int
) -> None:  # fmt: skip
    """out[num_keys, dim] = one head's keys, or values, in float32."""
    for key in range(num_keys):
        row = _row(pages, page_size, key, head, heads)
        simd_widen.widen_bfloat16(store + row * dim * 2, out + key * dim * 4, dim, _ONE)


@register_jitable
def _fill_float16(
    store: int, scales: int, head: int, heads: int, dim: int, pages: Any, page_size: int, num_keys: int, out: int
) -> None:  # fmt: skip
    for key in range(num_keys):
        row = _row(pages, page_size, key, head, heads)
        simd_widen.widen_float16(store + row * dim * 2, out + key * dim * 4, dim, _ONE)


@register_jitable
def _fill_int8(
    store: int, scales: int, head: int, heads: int, dim: int, pages: Any, page_size: int, num_keys: int, out: int
) -> None:  # fmt: skip
    for key in range(num_keys):
        row = _row(pages, page_size, key, head, heads)
        simd_widen.widen_int8(store + row * dim, out + key * dim * 4, dim, simd.get(scales + row * 4))


@register_jitable
def _fill_nothing(
    store: int, scales: int, head: int, heads: int, dim: int, pages: Any, page_size: int, num_keys: int, out: int
) -> None:  # fmt: skip
    """float32 is read where it is."""


@register_jitable
def _arrays(own: Any, part: int) -> Any:
    """The job's arrays."""
    items = atomics.carray(atomics.pointer(own.items), (own.num_items, 4), np.int32)
    nodes = atomics.carray(atomics.pointer(own.nodes), (own.num_nodes, 5), np.int32)
    order = atomics.carray(atomics.pointer(own.order), own.num_tokens, np.int32)
    bounds = atomics.carray(atomics.pointer(own.bounds), part + 2, np.int32)
    positions = atomics.carray(atomics.pointer(own.positions), own.num_tokens, np.int64)
    page_table = atomics.carray(atomics.pointer(own.page_table), (own.num_sequences, own.table_width), np.int32)
    in_order = atomics.carray(atomics.pointer(own.in_order), own.table_width, np.int32)
    return items, nodes, order, bounds, positions, page_table, in_order


@register_jitable
def _take(queries: int, query_stride: int, places: Any, head: int, size: int, factor: Any, packed: int) -> None:
    """packed[places, size] = one KV head's queries of the rows at these places, times the factor."""
    for place in range(len(places)):
        simd.scale(queries + (places[place] * query_stride + head * size) * 4, packed + place * size * 4, size, factor)


@register_jitable
def _give(mixed: int, shares: int, places: Any, head: int, group: int, dim: int, num_heads: int, out: int) -> None:
    """Writes rows [places * group, dim], each times its share, to where they belong."""
    for row in range(len(places) * group):
        target = out + (places[row // group] * num_heads + head * group + row % group) * dim * 4
        simd.scale(mixed + row * dim * 4, target, dim, simd.get(shares + row * 4))


@register_jitable
def _weigh(scores: int, length: int, places: Any, group: int, positions: Any, shares: int) -> None:
    """Scores to weights, row by row, and what one over their sum is."""
    for row in range(len(places) * group):
        valid = positions[places[row // group]] + 1
        simd.softmax(scores + row * length * 4, valid, length, shares + row * 4)


# Functions of the module, for numba's cache does not know one made anew in every process.
_FILLS = {"float32": _fill_nothing, "bfloat16": _fill_bfloat16, "float16": _fill_float16, "int8": _fill_int8}


def compile_attend(kind: str = "float32") -> Any:
    """Compiles the attention kernel, or loads it from numba's cache.

    Args:
        kind: what keys and values are kept in: float32, bfloat16, float16 or int8. What is not float32 is widened
            once for each unit of work, into scratch.

    Returns:
        A C function(part, thread, layer, job) for one part of the units of one layer. `job` is the address of an
        `ATTENTION_JOB`.
    """
    stamp = f"{STAMP} {simd_widen.STAMP} {kind}"
    fill, is_narrow = _FILLS[kind], kind != "float32"

    def attend(part: int, thread: int, layer: int, job: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(job), 1, ATTENTION_JOB)[0]
        num_kv_heads, dim, page_size = own.num_kv_heads, own.dim, own.page_size
        keys, values = own.keys + layer * own.layer_bytes, own.values + layer * own.layer_bytes
        key_scales = own.key_scales + layer * own.layer_scale_bytes
        value_scales = own.value_scales + layer * own.layer_scale_bytes
        items, nodes, order, bounds, positions, page_table, in_order = _arrays(own, part)
        block = own.scratch + thread * own.scratch_size * 4
        spare = block + KEYS * dim * 4
        packed = spare + LANES * dim * 4
        group = own.num_heads // num_kv_heads
        stride = dim if is_narrow else num_kv_heads * dim
        factor = np.float32(1.0 / math.sqrt(dim))
        for unit in range(bounds[part], bounds[part + 1]):
            item, head = unit // num_kv_heads, unit % num_kv_heads
            first, count, begin, end = items[item, 0], items[item, 1], items[item, 2], items[item, 3]
            places, num_keys = order[first : first + count], nodes[begin:end, 4].max()
            # Scores of a node are written in whole vectors of keys, so a little more than the last.
            length = (num_keys + KEYS - 1) // KEYS * KEYS + KEYS
            rows = count * group
            mixed, scores = packed + rows * dim * 4, packed + 2 * rows * dim * 4
            wide = scores + rows * length * 4
            _take(own.queries, own.query_stride, places, head, group * dim, factor, packed)
            own_keys, own_values = keys + head * dim * 4, values + head * dim * 4  # as they lie, where float32
            for node in range(begin, end):
                top, members, start = nodes[node, 0] * group, nodes[node, 1] * group, nodes[node, 3]
                pages, node_keys = page_table[nodes[node, 2], start // page_size :], nodes[node, 4] - start
                if is_narrow:
                    fill(keys, key_scales, head, num_kv_heads, dim, pages, page_size, node_keys, wide)
                    own_keys, pages = wide, in_order
                target = scores + (top * length + start) * 4
                left = packed + top * dim * 4
                _score(left, members, own_keys, stride, dim, pages, page_size, node_keys, target, length, block, spare)
            _weigh(scores, length, places, group, positions, block)
            for node in range(begin, end):
                top, members, start = nodes[node, 0] * group, nodes[node, 1] * group, nodes[node, 3]
                pages, node_keys = page_table[nodes[node, 2], start // page_size :], nodes[node, 4] - start
                if is_narrow:
                    fill(values, value_scales, head, num_kv_heads, dim, pages, page_size, node_keys, wide)
                    own_values, pages = wide, in_order
                left, target = scores + (top * length + start) * 4, mixed + top * dim * 4
                _mix(left, length, members, own_values, stride, dim, pages, page_size, node_keys, target, start > 0)
            _give(mixed, block, places, head, group, dim, own.num_heads, own.out)

    return compile_part(attend, types.void(*([types.int64] * 4)))


@register_jitable
def attend_rows(at: Any, phase: int, layer: int, job: int) -> None:
    """Calls the kernel for all parts of the units; `at` is team, turn, thread and threads."""
    team, turn, thread, _ = at
    own = atomics.carray(atomics.pointer(job), 1, ATTENTION_JOB)[0]
    function, parts = own.function, own.num_parts
    part = claim(turn, phase)
    while part < parts:
        atomics.call(function, (part, thread, layer, job))
        finish(team, turn, phase, parts)
        part = claim(turn, phase)
    wait(team, turn, thread, phase, parts)


def compile_attend_alone() -> Any:
    """function(thread, threads, team, turn): attention of the job's layer, in one phase."""
    stamp = STAMP

    def attend_alone(thread: int, threads: int, team: int, turn: int) -> None:
        stamp  # noqa: B018
        own = atomics.carray(atomics.pointer(turn + JOB_AT), 1, ATTENTION_JOB)[0]
        attend_rows((team, turn, thread, threads), 0, own.layer, turn + JOB_AT)

    return compile_part(attend_alone, types.void(*([types.int64] * 4)))
