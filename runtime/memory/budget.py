"""Budget: settings that work together. Derives what was not given and says why each number is what it is."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.config import MemoryConfig, SchedulerConfig
from runtime.errors import ConfigError

__all__ = ["Budget", "derive"]

MAX_DEFAULT_POOL = 4 << 30
DEFAULT_POOL_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The numbers the runtime works with, and one line of reason for each.

    Attributes:
        num_pages: usable pages of `page_size` slots.
        context_length: tokens of the longest sequence.
        reasons: setting → what decided it.
    """

    num_pages: int
    page_size: int
    context_length: int
    max_running_requests: int
    chunked_prefill_size: int
    bytes_per_token: int
    reasons: tuple[tuple[str, str], ...]

    @property
    def max_total_tokens(self) -> int:
        """Slots in the pool."""
        return self.num_pages * self.page_size

    @property
    def max_sequence(self) -> int:
        """Tokens a sequence can reach when it runs alone: the context or the whole pool."""
        return min(self.context_length, self.max_total_tokens)

    def lines(self) -> list[str]:
        """The derivation as printable lines."""
        return [f"{name:<22}{getattr(self, name):>9}  {reason}" for name, reason in self.reasons]


def derive(
    memory: MemoryConfig,
    scheduler: SchedulerConfig,
    *,
    model_context: int,
    bytes_per_token: int,
    free_bytes: int,
    weight_bytes: int,
) -> Budget:
    """Derives the budget.

    Args:
        model_context: longest sequence the model was trained for.
        bytes_per_token: KV bytes of one token over all layers.
        free_bytes: memory free before the weights are loaded.
        weight_bytes: what the weights take.

    Raises:
        ConfigError: a set that contradicts itself, with the two values and a set that works.
    """
    context = memory.context_length or model_context
    if context > model_context:
        raise ConfigError(
            f"context_length={context} exceeds the model's {model_context}: give context_length={model_context} or less"
        )
    tokens, reason = _pool_tokens(memory, bytes_per_token, free_bytes, weight_bytes)
    num_pages = tokens // memory.page_size
    if num_pages < 2:
        raise ConfigError(
            f"max_total_tokens={tokens} holds fewer than two pages of page_size={memory.page_size}: "
            f"give max_total_tokens={2 * memory.page_size} or more"
        )
    given = "given" if memory.context_length else "the model's own limit"
    reasons = (
        ("max_total_tokens", f"{reason}; {tokens * bytes_per_token / 2**20:.0f} MiB of KV"),
        ("context_length", given),
        ("max_running_requests", "most requests in one batch"),
        ("chunked_prefill_size", "prompt tokens per step"),
        ("page_size", "slots a page"),
    )
    return Budget(
        num_pages=num_pages,
        page_size=memory.page_size,
        context_length=context,
        max_running_requests=scheduler.max_running_requests,
        chunked_prefill_size=scheduler.chunked_prefill_size,
        bytes_per_token=bytes_per_token,
        reasons=reasons,
    )


def _pool_tokens(memory: MemoryConfig, per_token: int, free_bytes: int, weight_bytes: int) -> tuple[int, str]:
    fraction = memory.mem_fraction_static
    if memory.max_total_tokens is not None:
        needed = memory.max_total_tokens * per_token + weight_bytes
        if fraction is not None and needed > fraction * free_bytes:
            fits = int((fraction * free_bytes - weight_bytes) // per_token)
            raise ConfigError(
                f"max_total_tokens={memory.max_total_tokens} needs {needed / 2**20:.0f} MiB with the weights, but "
                f"mem_fraction_static={fraction} allows {fraction * free_bytes / 2**20:.0f} MiB: "
                f"give max_total_tokens={max(fits, 0)} or leave one of the two out"
            )
        return memory.max_total_tokens, "given"
    if fraction is not None:
        room = int(fraction * free_bytes) - weight_bytes
        if room < 2 * memory.page_size * per_token:
            raise ConfigError(
                f"mem_fraction_static={fraction} of {free_bytes / 2**20:.0f} MiB leaves no room for KV beside "
                f"{weight_bytes / 2**20:.0f} MiB of weights: give a larger fraction, or max_total_tokens"
            )
        return room // per_token, f"from mem_fraction_static={fraction}"
    room = min(int(DEFAULT_POOL_SHARE * max(free_bytes - weight_bytes, 0)), MAX_DEFAULT_POOL)
    reason = "4 GiB" if room == MAX_DEFAULT_POOL else f"{DEFAULT_POOL_SHARE:.0%} of the free memory"
    return max(room // per_token, 2 * memory.page_size), reason
