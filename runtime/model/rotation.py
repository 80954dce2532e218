"""Rotation: keys that were computed at one position, as they are at another."""

from __future__ import annotations

import torch

__all__ = ["rotated"]


def rotated(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Keys turned on by an angle each, in their own dtype; computed in float32.

    A rotary position is a rotation of each pair of a key's numbers, and rotations add up: a key at position p, turned
    by the angles of d positions, is the same key at p + d (Su et al. 2021, arXiv:2104.09864).

    Args:
        keys: [layers, T, num_kv_heads, head_dim]; i is paired with i + head_dim / 2.
        cos, sin: [T, head_dim / 2].
    """
    cos, sin = cos[None, :, None], sin[None, :, None]
    first, second = keys.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(keys.dtype)
