"""The parts of a Llama layer that carry no matrix: RMSNorm, rotary positions, SwiGLU."""

from __future__ import annotations

import torch

from runtime.model.config import ModelConfig

__all__ = ["Rotary", "rms_norm", "rotate", "swiglu"]


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x / sqrt(mean(x²) + eps) · weight over the last dimension (Zhang and Sennrich 2019, arXiv:1910.07467)."""
    return torch.nn.functional.rms_norm(x, (x.shape[-1],), weight, eps)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) · up of `gate_up` [T, 2 · intermediate], which holds both (Shazeer 2020, arXiv:2002.05202)."""
    gate, up = gate_up.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate).mul_(up)


def rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Rotates `heads` [T, H, head_dim] in place; dimension i is paired with i + head_dim / 2.

    Args:
        heads: queries and keys alike.
        cos, sin: [T, head_dim] from `Rotary.rows`; the first half of `sin` carries the minus sign.
    """
    half = heads.shape[-1] // 2
    swapped = torch.roll(heads, half, dims=-1)
    heads.mul_(cos.unsqueeze(1)).addcmul_(swapped, sin.unsqueeze(1))


class Rotary:
    """Cosine and sine tables of rotary position embedding (Su et al. 2021, arXiv:2104.09864), grown when needed.

    Args:
        config: frequencies, head_dim and max_position_embeddings are read.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._frequencies = torch.tensor(config.rope_frequencies(), dtype=torch.float32)
        self._cos = torch.empty(0, config.head_dim)
        self._sin = torch.empty(0, config.head_dim)
        self._grow(min(config.max_position_embeddings, 4096))

    def rows(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and signed sines, [T, head_dim] each, of `positions` (int64 [T])."""
        if positions.numel() and (last := int(positions.max())) >= self._cos.shape[0]:
            self._grow(max(last + 1, 2 * self._cos.shape[0]))
        return self._cos.index_select(0, positions), self._sin.index_select(0, positions)

    def _grow(self, num_positions: int) -> None:
        angles = torch.outer(torch.arange(num_positions, dtype=torch.float32), self._frequencies)
        self._cos = angles.cos().repeat(1, 2)
        self._sin = torch.cat((-angles.sin(), angles.sin()), dim=1)
