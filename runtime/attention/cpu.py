"""Attention over paged keys and values on the CPU, read in place by our own kernel."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from runtime.attention.base import KVPool
from runtime.attention.job import ATTENTION_JOB
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

    The work is cut into units of one KV head and a block of consecutive queries of one sequence, and the units into
    one run for each thread, of about equal cost.

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
        self._job = np.zeros(1, dtype=ATTENTION_JOB)
        for name, value in (("num_heads", config.num_heads), ("num_kv_heads", config.num_kv_heads), ("dim", self._dim)):
            self._job[name] = value

    def prepare(self, batch: ForwardBatch) -> None:
        """Cuts the batch into units and shares them out among the threads."""
        threads = torch.get_num_threads()
        positions = np.ascontiguousarray(batch.positions.numpy())
        starts = batch.query_starts.numpy()
        lengths = batch.context_lens.numpy()
        group = self._group
        num_extends = batch.num_sequences - batch.num_decodes
        blocks = [_blocks(index, starts, lengths, group) for index in range(num_extends)]
        decodes = np.arange(num_extends, batch.num_sequences, dtype=np.int32)
        singles = np.stack((decodes, starts[num_extends:-1], np.ones_like(decodes)), axis=1)
        items = np.ascontiguousarray(np.concatenate([*blocks, singles]), dtype=np.int32)
        rows, keys = items[:, 2] * group, positions[items[:, 1] + items[:, 2] - 1] + 1
        # A unit streams its keys once, whatever its rows, and then computes every row with every key.
        cost = np.repeat(keys * (rows + 8), self._num_kv_heads).cumsum()
        parts = min(len(cost), threads * self._parts)
        bounds = np.searchsorted(cost, cost[-1] * np.arange(parts + 1) / parts).astype(np.int32)
        bounds[0], bounds[-1] = 0, len(cost)
        table = np.ascontiguousarray(batch.page_table.numpy())
        in_order = np.arange(table.shape[1], dtype=np.int32)
        self._arrays = (items, bounds, positions, table, in_order)
        names = ("items", "bounds", "positions", "page_table", "in_order")
        for name, array in zip(names, self._arrays, strict=True):
            self._job[name] = array.ctypes.data
        self._job["num_items"], self._job["num_tokens"] = len(items), len(positions)
        self._job["num_sequences"], self._job["table_width"] = table.shape
        self._job["page_size"], self._job["num_parts"] = batch.page_size, parts
        self._threads = threads
        padded = -(-keys // self._keys) * self._keys
        self._rows_size = int((rows * (padded + 2 * self._dim)).max())
        self._widened_size = 2 * self._dim * int(padded.max())

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
