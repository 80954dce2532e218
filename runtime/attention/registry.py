"""Attention backends by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from runtime.attention.base import AttentionBackend
from runtime.attention.cpu import CpuAttention
from runtime.attention.torch_attention import TorchAttention
from runtime.errors import ConfigError
from runtime.model.config import ModelConfig

__all__ = ["ATTENTION_BACKENDS", "create"]

_LOG = logging.getLogger(__name__)

ATTENTION_BACKENDS: Mapping[str, Callable[[ModelConfig], AttentionBackend]] = MappingProxyType(
    {"cpu": CpuAttention, "torch": lambda config: TorchAttention()}
)


def create(name: str, config: ModelConfig, page_size: int) -> AttentionBackend:
    """Makes the attention backend called `name`; "auto" is "cpu" where its kernel compiles, else "torch", logged.

    Args:
        name: a key of `ATTENTION_BACKENDS`, or "auto".
        config: the model's shape.
        page_size: slots a page; every backend so far takes any.

    Raises:
        ConfigError: no backend of that name, or its kernel does not compile on this machine.
    """
    if name == "auto":
        try:
            return CpuAttention(config)
        except ConfigError as error:
            _LOG.warning("attention=auto takes torch: %s", error)
            return TorchAttention()
    if name not in ATTENTION_BACKENDS:
        raise ConfigError(f"attention={name!r} is not allowed: one of auto, {', '.join(ATTENTION_BACKENDS)}")
    return ATTENTION_BACKENDS[name](config)
