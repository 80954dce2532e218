"""Attention over paged keys and values on the CPU, read in place by our own kernel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch

from runtime.attention.base import KVPool
from runtime.attention.job import ATTENTION_JOB
from runtime.attention.prefix_tree import MOST_KEPT, GroupedDecodes
from runtime.batch import ForwardBatch
from runtime.errors import ConfigError
from runtime.model.config import ModelConfig
from runtime.parallel.team import team_of

__all__ = ["CpuAttention"]

Array = np.ndarray[Any, Any]

_AT: Mapping[str, int] = MappingProxyType({name: place for place, name in enumerate(ATTENTION_JOB.names or ())})
"""Where a field is among a job's words: written there, it takes a fraction of the time it takes by its name."""

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
        self._arrays: tuple[Array, ...] = ()
        self._input: tuple[Array, ...] = ()
        self._in_order = np.empty(0, dtype=np.int32)
        self._threads = 1
        self._groups = self._grouped(1)
        self._shared_out: tuple[GroupedDecodes, int, int] | None = None
        self._job = np.zeros(1, dtype=ATTENTION_JOB)
        self._words = self._job.view(np.int64)
        for name, value in (("num_heads", config.num_heads), ("num_kv_heads", config.num_kv_heads), ("dim", self._dim)):
            self._job[name] = value

    def prepare(self, batch: ForwardBatch) -> None:
        """Cuts the batch into units and shares them out among the threads, unless that is as it was the step before."""
        words, at, threads = self._words, _AT, torch.get_num_threads()
        positions, table = np.ascontiguousarray(batch.positions.numpy()), np.ascontiguousarray(batch.page_table.numpy())
        if self._groups.page_size != batch.page_size:
            self._groups = self._grouped(batch.page_size)
        num_extends, lengths = batch.num_sequences - batch.num_decodes, batch.context_lens.numpy()
        decodes = self._groups.of(table[num_extends:], lengths[num_extends:]) if batch.num_decodes else None
        now = None if num_extends or decodes is None else (self._groups, self._groups.version, threads)
        if now is None or now != self._shared_out:
            self._share_out(self._work(batch, positions, decodes), threads)
            self._shared_out = now
        if len(self._in_order) < table.shape[1]:
            self._in_order = np.arange(2 * table.shape[1], dtype=np.int32)
            words[at["in_order"]] = self._in_order.ctypes.data
        self._input = positions, table
        words[at["positions"]], words[at["page_table"]] = positions.ctypes.data, table.ctypes.data
        words[at["num_tokens"]], words[at["page_size"]] = len(positions), batch.page_size
        words[at["num_sequences"]], words[at["table_width"]] = table.shape

    def _share_out(self, work: Work, threads: int) -> None:
        """Puts work into the job; sequences may grow by `MOST_KEPT` keys before that has to be done again."""
        # A unit streams its keys once, whatever its rows, and then computes every row with every key.
        costs = np.repeat(work.keys * (work.rows + 8), self._num_kv_heads)
        middles, parts = costs.cumsum() - costs / 2, min(len(costs), threads * self._parts)
        # A unit belongs to the part that its middle is in: those that cost nearly the same go one by one.
        bounds = np.searchsorted(middles, costs.sum() * np.arange(parts + 1) / parts).astype(np.int32)
        bounds[0], bounds[-1] = 0, len(costs)
        self._arrays = (work.items, work.nodes, work.order, bounds)
        for name, array in zip(("items", "nodes", "order", "bounds"), self._arrays, strict=True):
            self._job[name] = array.ctypes.data
        self._job["num_items"], self._job["num_nodes"] = len(work.items), len(work.nodes)
        self._job["num_parts"] = parts
        self._threads = threads
        padded = (-(-(work.keys + MOST_KEPT) // self._keys) + 1) * self._keys
        self._rows_size = int((work.rows * (padded + 2 * self._dim)).max())
        self._widened_size = self._dim * int(padded.max())

    def _work(self, batch: ForwardBatch, positions: Array, decodes: tuple[Array, Array, Array] | None) -> Work:
        """What there is to compute; `decodes` are the groups of the sequences at the end, if any."""
        num_extends = batch.num_sequences - batch.num_decodes
        if not num_extends and decodes is not None:  # as they are: the groups write on in their nodes
            return self._measured(decodes[1], decodes[2], decodes[0])
        starts, lengths = batch.query_starts.numpy(), batch.context_lens.numpy()
        extends = [_blocks(index, starts, lengths, self._group) for index in range(num_extends)]
        blocks = np.concatenate([np.empty((0, 3), dtype=np.int32), *extends])
        numbers, ends = np.arange(len(blocks)), positions[blocks[:, 1] + blocks[:, 2] - 1] + 1
        items = [np.stack((blocks[:, 1], blocks[:, 2], numbers, numbers + 1), axis=1)]
        nodes = [np.stack((np.zeros_like(numbers), blocks[:, 2], blocks[:, 0], np.zeros_like(numbers), ends), axis=1)]
        order = [np.arange(starts[num_extends])]
        if decodes is not None:
            place, node = int(starts[num_extends]), len(blocks)
            members, own_items, own_nodes = decodes
            order.append(members + place)
            items.append(own_items + np.array([place, 0, node, node]))
            nodes.append(own_nodes + np.array([0, 0, num_extends, 0, 0]))
        tables = (np.ascontiguousarray(np.concatenate(part), dtype=np.int32) for part in (items, nodes, order))
        return self._measured(*tables)

    def _measured(self, items: Array, nodes: Array, order: Array) -> Work:
        longest = np.maximum.reduceat(nodes[:, 4], items[:, 2])
        return Work(items, nodes, order, items[:, 1] * self._group, longest.astype(np.int64))

    def _grouped(self, page_size: int) -> GroupedDecodes:
        return GroupedDecodes(page_size, _SCORES // self._group, max(1, _MOST_ROWS // self._group))

    def attend(self, layer: int, queries: torch.Tensor, pool: KVPool) -> torch.Tensor:
        """See `AttentionBackend.attend`."""
        result = queries.new_empty(queries.shape)
        job = self.job_on(pool, queries.data_ptr(), queries.stride(0), result.data_ptr())
        job["layer"] = layer
        team_of(self._threads).run(kernels("float32").alone.address, job)
        return result

    def job_on(self, pool: KVPool, queries: int, query_stride: int, out: int) -> Array:
        """See `AttentionBackend.job_on`."""
        words, at = self._words, _AT
        self._reserve(self._rows_size + (0 if pool.is_exact else self._widened_size), self._threads)
        words[at["function"]] = kernels(str(pool.keys.dtype).removeprefix("torch.")).attend.address
        words[at["queries"]], words[at["query_stride"]], words[at["out"]] = queries, query_stride, out
        words[at["keys"]], words[at["values"]] = pool.keys.data_ptr(), pool.values.data_ptr()
        words[at["layer_bytes"]] = pool.layer_bytes
        if pool.scales:
            words[at["key_scales"]], words[at["value_scales"]] = (scale.data_ptr() for scale in pool.scales)
            words[at["layer_scale_bytes"]] = pool.scales[0][0].nbytes
        return self._job

    def _reserve(self, rows_size: int, threads: int) -> None:
        size = rows_size + 2 * self._keys * self._dim
        size = -(-size // 64) * 64
        if size * threads > len(self._scratch):
            self._scratch = np.empty(size * threads, dtype=np.float32)
            self._words[_AT["scratch"]] = self._scratch.ctypes.data
        self._words[_AT["scratch_size"]] = size


def _blocks(index: int, starts: Array, lengths: Array, group: int) -> Any:
    """Items (sequence, first row, rows) of one extend."""
    most = max(1, min(_MOST_ROWS, _SCORES // int(lengths[index])) // group)
    firsts = np.arange(starts[index], starts[index + 1], most)
    counts = np.minimum(most, starts[index + 1] - firsts)
    return np.stack((np.full_like(firsts, index), firsts, counts), axis=1)


class Work(NamedTuple):
    """What there is to compute: the job's `items`, `nodes` and `order`; query rows, and most keys, of each item."""

    items: Array
    nodes: Array
    order: Array
    rows: Array
    keys: Array


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
    from runtime.attention.cpu_kernels import KEYS, compile_attend, compile_attend_alone
    from runtime.parallel.team_kernels import PARTS

    return Kernels(compile_attend(kind), compile_attend_alone(), KEYS, PARTS)
