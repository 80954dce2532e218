"""The parts of a Llama layer that carry no matrix: RMSNorm, rotary positions, SwiGLU."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from runtime.model.config import ModelConfig
from runtime.model.job import NORM_JOB, PLACE_JOB, SWIGLU_JOB
from runtime.parallel.team import team_of

__all__ = ["CpuOps", "Ops", "Rotary", "TorchOps", "best_ops"]

Angles = tuple[torch.Tensor, torch.Tensor]
LayerKV = tuple[torch.Tensor, torch.Tensor]

_LOG = logging.getLogger(__name__)


class Ops(Protocol):
    """What a layer computes besides matrices and attention, on float32 rows."""

    name: str

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """x / sqrt(mean(x²) + eps) · weight for x [T, size] (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def swiglu(self, gate_up: torch.Tensor) -> torch.Tensor:
        """silu(gate) · up of `gate_up` [T, 2 · intermediate], which holds both (Shazeer 2020, arXiv:2002.05202)."""

    def place(self, heads: torch.Tensor, angles: Angles, slots: torch.Tensor, layer: LayerKV) -> None:
        """Rotates queries and keys in place, and stores keys and values.

        Args:
            heads: [T, num_heads + 2 * num_kv_heads, head_dim]: each token's queries, keys and values, side by side.
            angles: cosines and sines [T, head_dim / 2]; i is paired with i + head_dim / 2.
            slots: int64 [T], where in the layer's keys and values ([slots, num_kv_heads, head_dim]) they go.
        """


class TorchOps:
    """Plain torch: the reference."""

    name = "torch"

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """See `Ops`."""
        return torch.nn.functional.rms_norm(x, (x.shape[-1],), weight, eps)

    def swiglu(self, gate_up: torch.Tensor) -> torch.Tensor:
        """See `Ops`."""
        gate, up = gate_up.chunk(2, dim=-1)
        return torch.nn.functional.silu(gate).mul_(up)

    def place(self, heads: torch.Tensor, angles: Angles, slots: torch.Tensor, layer: LayerKV) -> None:
        """See `Ops`."""
        keys, values = layer
        num_kv_heads = keys.shape[1]
        cos, sin = (table.unsqueeze(1) for table in angles)
        first, second = heads[:, :-num_kv_heads].chunk(2, dim=-1)
        kept = first.clone()
        first.mul_(cos).addcmul_(second, sin, value=-1.0)
        second.mul_(cos).addcmul_(kept, sin)
        keys.index_copy_(0, slots, heads[:, -2 * num_kv_heads : -num_kv_heads])
        values.index_copy_(0, slots, heads[:, -num_kv_heads:])


class CpuOps:
    """Our own kernels; a row's result has the same bits whatever other rows are in the batch.

    Raises:
        Exception: whatever numba raises where a kernel does not compile.
    """

    name = "cpu"

    def __init__(self) -> None:
        self._kernels = _kernels()

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """See `Ops`."""
        x = x.contiguous()
        result = torch.empty_like(x)
        job = np.array([(x.data_ptr(), weight.data_ptr(), result.data_ptr(), *x.shape, eps)], dtype=NORM_JOB)
        _run(self._kernels.norm, job, x.numel())
        return result

    def swiglu(self, gate_up: torch.Tensor) -> torch.Tensor:
        """See `Ops`."""
        rows, length = gate_up.shape[0], gate_up.shape[1] // 2
        result = gate_up.new_empty(rows, length)
        values = (gate_up.data_ptr(), gate_up.stride(0), result.data_ptr(), rows, length)
        _run(self._kernels.swiglu, np.array([values], dtype=SWIGLU_JOB), gate_up.numel())
        return result

    def place(self, heads: torch.Tensor, angles: Angles, slots: torch.Tensor, layer: LayerKV) -> None:
        """See `Ops`."""
        rows, num_all, dim = heads.shape
        num_kv_heads = layer[0].shape[1]
        addresses = [tensor.data_ptr() for tensor in (*angles, slots, *layer)]
        shape = (rows, num_all - 2 * num_kv_heads, num_kv_heads, dim)
        job = np.array([(heads.data_ptr(), heads.stride(0), *addresses, *shape)], dtype=PLACE_JOB)
        _run(self._kernels.place, job, heads.numel())


_LITTLE = 1 << 16


def _run(kernel: Any, job: np.ndarray[Any, Any], size: int) -> None:
    """Little work is done by the calling thread: waking the others, and waiting for them, costs more."""
    team_of(1 if size < _LITTLE else torch.get_num_threads()).run(kernel.address, job)


class _Kernels(NamedTuple):
    norm: Any
    swiglu: Any
    place: Any


@cache
def _kernels() -> _Kernels:
    from runtime.model.cpu_kernels import compile_norm, compile_place, compile_swiglu

    team_of(1)
    return _Kernels(compile_norm(), compile_swiglu(), compile_place())


def best_ops() -> Ops:
    """`CpuOps` where its kernels compile, else `TorchOps`, logged."""
    try:
        return CpuOps()
    except Exception as error:
        _LOG.warning("layers are computed by torch: the CPU kernels do not compile (%s)", error)
        return TorchOps()


class Rotary:
    """Cosine and sine tables of rotary position embedding (Su et al. 2021, arXiv:2104.09864), grown when needed.

    Args:
        config: frequencies, head_dim and max_position_embeddings are read.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._frequencies = torch.tensor(config.rope_frequencies(), dtype=torch.float32)
        self._cos = torch.empty(0, config.head_dim // 2)
        self._sin = torch.empty(0, config.head_dim // 2)
        self._grow(min(config.max_position_embeddings, 4096))

    def rows(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines, [T, head_dim / 2] each, of `positions` (int64 [T])."""
        cos, sin = self.tables(positions)
        return cos.index_select(0, positions), sin.index_select(0, positions)

    def tables(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of positions 0, 1, … to past the last of `positions`: [N, head_dim / 2] each."""
        if positions.numel() and (last := int(positions.max())) >= self._cos.shape[0]:
            self._grow(max(last + 1, 2 * self._cos.shape[0]))
        return self._cos, self._sin

    def between(self, old: torch.Tensor, new: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines, [T, head_dim / 2] each, of what turns a vector at positions `old` into one at `new`.

        They come of the two positions' own rows, whose angles are rounded: turned on, a key is the one that `place`
        would have stored at the new position.
        """
        old_cos, old_sin = self.rows(old)
        new_cos, new_sin = self.rows(new)
        return new_cos * old_cos + new_sin * old_sin, new_sin * old_cos - new_cos * old_sin

    def _grow(self, num_positions: int) -> None:
        angles = torch.outer(torch.arange(num_positions, dtype=torch.float32), self._frequencies)
        self._cos, self._sin = angles.cos(), angles.sin()
