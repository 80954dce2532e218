"""Reasoning by the name of a model's type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from runtime.reasoning import Reasoning, Splitter
from sgdsl.errors import InvalidArgument

__all__ = ["MODEL_TYPES", "Reasoning", "Splitter", "reasoning_of"]


MODEL_TYPES: Mapping[str, Reasoning] = MappingProxyType(
    {
        "deepseek-r1": Reasoning(is_certain=True),
        "deepseek-v3": Reasoning(),
        "glm45": Reasoning(),
        "kimi": Reasoning(begin="◁think▷", end="◁/think▷"),
        "qwen3": Reasoning(),
        "qwen3-thinking": Reasoning(is_certain=True),
    }
)
"""By SGLang's names of reasoning parsers."""


def reasoning_of(model_type: object) -> Reasoning:
    """How models of a type write their reasoning.

    Raises:
        InvalidArgument: there is no such type.
    """
    found = MODEL_TYPES.get(model_type) if isinstance(model_type, str) else None
    if found is None:
        raise InvalidArgument(f"model_type={model_type!r} is not allowed: one of {', '.join(MODEL_TYPES)}")
    return found
