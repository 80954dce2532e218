"""The parts of a decoder layer of Llama's kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from runtime.model.linear import Linear

__all__ = ["LlamaLayer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaLayer:
    """One decoder layer. `qkv` and `gate_up` are the checkpoint's matrices side by side, in that order."""

    attention_norm: torch.Tensor
    qkv: Linear
    output: Linear
    mlp_norm: torch.Tensor
    gate_up: Linear
    down: Linear
