"""CostModel: how long a step takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.request import Request

__all__ = ["CostModel", "context_tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Seconds a step, a new prompt token, a running decode, and a context token read."""

    step: float = 8e-3
    prompt_token: float = 2e-3
    decode: float = 1e-3
    context_token: float = 2e-6

    def seconds(self, num_prompt: int, num_decodes: int, num_context: int) -> float:
        """Of one step."""
        return self.step + self.prompt_token * num_prompt + self.decode * num_decodes + self.context_token * num_context


def context_tokens(requests: Iterable[Request], page_size: int) -> int:
    """Tokens whose KV a step of these requests reads; what they share in the tree is read once."""
    total = 0
    seen: set[int] = set()
    for request in requests:
        sequence = request.sequence
        total += len(request.tokens) - sequence.num_shared * page_size
        node = sequence.node
        while node.parent is not None and id(node) not in seen:
            seen.add(id(node))
            total += len(node.pages) * page_size
            node = node.parent
    return total
