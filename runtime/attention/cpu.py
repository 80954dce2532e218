"""Attention over paged keys and values on the CPU, read in place by our own kernel."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from runtime.attention.base import KVPool
from runtime.attention.job import ATTENTION_JOB
from runtime.attention.prefix_tree import GroupedDecodes
from runtime.batch import ForwardBatch
from runtime.errors import ConfigError
from runtime.model.config import ModelConfig
from runtime.parallel.team import team_of

__all__ = ["CpuAttention"]

_MOST_ROWS = 48
"""Query rows (queries times the heads that share a KV head) that meet each key while it is at hand."""

_SCORES = 1 << 17
"""Floats of scores one thread works on at a time: they should stay in its second-level cache."""


class CpuAttention:
    """Reads keys and values through the page table; a query's result has the same bits in a prompt and as a decode.

    The work is cut into units of one KV head and either a block of consecutive queries of one sequence, or the decodes
    of sequences that share pages, which are then read once for all; the units into some runs for each thread, of about
    equal cost.

    Args:
        config: num_heads, num_kv_heads and head_dim are read.

    Raises:
        ConfigError: the kernel does not compile here.
    """

    name = "cpu"

    def __init__(self, config: ModelConfig) -> None:
        try:
            self._keys, self._parts = kernels("float32")[2:]
            team_of(1)
        except Exception as error:
            raise ConfigError(f"attention='cpu': its kernel does not compile here ({error})") from error
        self._num_kv_heads, self._group = config.num_kv_heads, config.num_heads // config.num_kv_heads
        self._dim = config.head_dim
        self._scratch = np.empty(0, dtype=np.float32)
        self._rows_size = self._widened_size = 0
        self._arrays: tuple[np.ndarray[Any, Any], ...] = ()
        self._threads = 1
        self._groups = self._grouped(1)
        self._job = np.zeros(1, dtype=ATTENTION_JOB)
        for name, value in (("num_heads", config.num_heads), ("num_kv_heads", config.num_kv_heads), ("dim", self._dim)):
            self._job[name] = value

    def prepare(self, batch: ForwardBatch) -> None:
        """Cuts the batch into units and shares them out among the threads."""
        threads = torch.get_num_threads()
        positions = np.ascontiguousarray(batch.positions.numpy())
        table = np.ascontiguousarray(batch.page_table.numpy())
        work = self._work(batch, table, positions)
        # A unit streams its keys once, whatever its rows, and then computes every row with every key.
        cost = np.repeat(work.keys * (work.rows + 8), self._num_kv_heads).cumsum()
        parts = min(len(cost), threads * self._parts)
        bounds = np.searchsorted(cost, cost[-1] * np.arange(parts + 1) // parts, side="right").astype(np.int32)
        bounds[0], bounds[-1] = 0, len(cost)
        in_order = np.arange(table.shape[1], dtype=np.int32)
        self._arrays = (work.items, work.nodes, work.order, bounds, positions, table, in_order)
        names = ("items", "nodes", "order", "bounds", "positions", "page_table", "in_order")
        for name, array in zip(names, self._arrays, strict=True):
            self._job[name] = array.ctypes.data
        self._job["num_items"], self._job["num_nodes"] = len(work.items), len(work.nodes)
        self._job["num_tokens"], self._job["num_parts"] = len(positions), parts
        self._job["num_sequences"], self._job["table_width"] = table.shape
        self._job["page_size"] = batch.page_size
        self._threads = threads
        padded = (-(-work.keys // self._keys) + 1) * self._keys
        self._rows_size = int((work.rows * (padded + 2 * self._dim)).max())
        self._widened_size = self._dim * int(padded.max())

    def _work(self, batch: ForwardBatch, table: np.ndarray[Any, Any], positions: np.ndarray[Any, Any]) -> Work:
        starts, lengths = batch.query_starts.numpy(), batch.context_lens.numpy()
        num_extends = batch.num_sequences - batch.num_decodes
        extends = [_blocks(index, starts, lengths, self._group) for index in range(num_extends)]
        blocks = np.concatenate([np.empty((0, 3), dtype=np.int32), *extends])
        numbers, ends = np.arange(len(blocks)), positions[blocks[:, 1] + blocks[:, 2] - 1] + 1
        items = [np.stack((blocks[:, 1], blocks[:, 2], numbers, numbers + 1), axis=1)]
        nodes = [np.stack((np.zeros_like(numbers), blocks[:, 2], blocks[:, 0], np.zeros_like(numbers), ends), axis=1)]
        order = [np.arange(starts[num_extends])]
        if batch.num_decodes:
            place, node = int(starts[num_extends]), len(blocks)
            if self._groups.page_size != batch.page_size:
                self._groups = self._grouped(batch.page_size)
            members, own_items, own_nodes = self._groups.of(table[num_extends:], lengths[num_extends:])
            order.append(members + place)
            items.append(own_items + np.array([place, 0, node, node]))
            nodes.append(own_nodes + np.array([0, 0, num_extends, 0, 0]))
        item_table, node_table, places = (
            np.ascontiguousarray(np.concatenate(part), dtype=np.int32) for part in (items, nodes, order)
        )
        longest = np.maximum.reduceat(node_table[:, 4], item_table[:, 2])
        return Work(item_table, node_table, places, item_table[:, 1] * self._group, longest.astype(np.int64))

    def _grouped(self, page_size: int) -> GroupedDecodes:
        return GroupedDecodes(page_size, _SCORES // self._group, max(1, _MOST_ROWS // self._group))

    def attend(self, layer: int, queries: torch.Tensor, pool: KVPool) -> torch.Tensor:
        """See `AttentionBackend.attend`."""
        result = queries.new_empty(queries.shape)
        job = self.job_on(pool, queries.data_ptr(), queries.stride(0), result.data_ptr())
        job["layer"] = layer
        team_of(self._threads).run(kernels("float32").alone.address, job)
        return result

    def job_on(self, pool: KVPool, queries: int, query_stride: int, out: int) -> np.ndarray[Any, Any]:
        """See `AttentionBackend.job_on`."""
        job, dtype = self._job, str(pool.keys.dtype).removeprefix("torch.")
        self._reserve(self._rows_size + (0 if pool.is_exact else self._widened_size), self._threads)
        job["function"] = kernels(dtype).attend.address
        job["queries"], job["query_stride"], job["out"] = queries, query_stride, out
        job["keys"], job["values"] = pool.keys.data_ptr(), pool.values.data_ptr()
        job["layer_bytes"] = pool.keys[0].nbytes
        if pool.scales:
            job["key_scales"], job["value_scales"] = (scale.data_ptr() for scale in pool.scales)
            job["layer_scale_bytes"] = pool.scales[0][0].nbytes
        return job

    def _reserve(self, rows_size: int, threads: int) -> None:
        size = rows_size + 2 * self._keys * self._dim
        size = -(-size // 64) * 64
        if size * threads > len(self._scratch):
            self._scratch = np.empty(size * threads, dtype=np.float32)
        self._job["scratch"], self._job["scratch_size"] = self._scratch.ctypes.data, size


def _blocks(index: int, starts: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], group: int) -> Any:
    """Items (sequence, first row, rows) of one extend."""
    most = max(1, min(_MOST_ROWS, _SCORES // int(lengths[index])) // group)
    firsts = np.arange(starts[index], starts[index + 1], most)
    counts = np.minimum(most, starts[index + 1] - firsts)
    return np.stack((np.full_like(firsts, index), firsts, counts), axis=1)


class Work(NamedTuple):
    """What there is to compute: the job's `items`, `nodes` and `order`; query rows, and most keys, of each item."""

    items: np.ndarray[Any, Any]
    nodes: np.ndarray[Any, Any]
    order: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    keys: np.ndarray[Any, Any]


class Kernels(NamedTuple):
    """What is compiled for one kind of keys and values: see `runtime.attention.cpu_kernels`."""

    attend: Any
    alone: Any
    keys: int
    parts: int


@cache
def kernels(kind: str) -> Kernels:
    """The kernels for one kind of keys and values.

    Raises:
        Exception: whatever numba raises where they do not compile.
    """
    from runtime.attention.cpu_kernels import KEYS, PARTS, compile_attend, compile_attend_alone

    return Kernels(compile_attend(kind), compile_attend_alone(), KEYS, PARTS)
