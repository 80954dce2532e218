"""Sizing: how large the KV pool becomes, of what was asked and what the machine has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from runtime.config import MemoryConfig

__all__ = ["Contradiction", "Machine", "Remedy", "Sizes", "size"]

Remedy: TypeAlias = Mapping[str, Any]

MAX_DEFAULT_POOL = 4 << 30
DEFAULT_POOL_SHARE = 0.25
PAGE_SIZES = (16, 8, 4, 2, 1)
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What settings have to live with.

    Attributes:
        model_context: longest sequence the model was trained for.
        bytes_per_token: KV bytes of one token over all layers.
        free_bytes: memory free before the weights are loaded.
        weight_bytes: what the weights take.
    """

    model_context: int
    bytes_per_token: int
    free_bytes: int
    weight_bytes: int

    def tokens_within(self, fraction: float) -> int:
        """Tokens of KV that a share of the free memory holds beside the weights."""
        return max(0, int(fraction * self.free_bytes) - self.weight_bytes) // self.bytes_per_token

    def fraction_for(self, num_tokens: int) -> float | None:
        """The share of the free memory that weights and so many tokens take; None where it is not enough."""
        needed = num_tokens * self.bytes_per_token + self.weight_bytes
        fraction = math.ceil(100 * needed / self.free_bytes) / 100 if self.free_bytes else 1.0
        return fraction if fraction < 1.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the pool became, and why."""

    num_pages: int
    page_size: int
    context_length: int
    pool_reason: str
    page_reason: str


class Contradiction(Exception):
    """Settings that cannot all be kept.

    Args:
        remedies: changes (setting → value, None leaves it out) that each do away with it, the mildest first.
    """

    def __init__(self, reason: str, *remedies: Remedy) -> None:
        super().__init__(reason)
        self.remedies = remedies


def size(memory: MemoryConfig, machine: Machine) -> Sizes:
    """The pool, its pages and the longest sequence.

    Raises:
        Contradiction: with the two values.
    """
    context = memory.context_length
    if context is not None and context > machine.model_context:
        raise Contradiction(
            f"context_length={context} exceeds the model's {machine.model_context}",
            {"context_length": machine.model_context},
        )
    tokens, reason = _pool(memory, machine)
    page_size, page_reason = _page_size(memory, tokens)
    num_pages = tokens // page_size
    _check_pages(memory, tokens, page_size)
    return Sizes(
        num_pages=num_pages,
        page_size=page_size,
        context_length=context or machine.model_context,
        pool_reason=reason,
        page_reason=page_reason,
    )


def _pool(memory: MemoryConfig, machine: Machine) -> tuple[int, str]:
    """Tokens of the pool, and what decided."""
    if memory.max_total_tokens is not None:
        return _given_pool(memory, machine, memory.max_total_tokens), "given"
    fraction = memory.mem_fraction_static
    least = max(2 * (memory.page_size or 1), _paged(memory.context_length or 1, memory.page_size or PAGE_SIZES[0]))
    if fraction is not None:
        return _fraction_pool(memory, machine, fraction, least), f"from mem_fraction_static={fraction}"
    room = min(int(DEFAULT_POOL_SHARE * max(machine.free_bytes - machine.weight_bytes, 0)), MAX_DEFAULT_POOL)
    tokens = room // machine.bytes_per_token
    reason = "4 GiB" if room == MAX_DEFAULT_POOL else f"{DEFAULT_POOL_SHARE:.0%} of the free memory"
    if memory.context_length is None or tokens >= least:
        return max(tokens, 2 * (memory.page_size or PAGE_SIZES[0])), reason
    fits = machine.tokens_within(1.0)
    if least > fits:
        raise Contradiction(
            f"context_length={memory.context_length} needs {_mib(least * machine.bytes_per_token)} of KV, but beside "
            f"the weights {_mib(fits * machine.bytes_per_token)} are free",
            *_shorter(fits, memory.page_size),
            {"context_length": None},
        )
    return least, f"what context_length={memory.context_length} needs"


def _given_pool(memory: MemoryConfig, machine: Machine, tokens: int) -> int:
    fraction = memory.mem_fraction_static
    needed = tokens * machine.bytes_per_token + machine.weight_bytes
    fits = machine.tokens_within(1.0 if fraction is None else fraction)
    if tokens <= fits:
        return tokens
    least = max(2 * (memory.page_size or 1), _paged(memory.context_length or 1, memory.page_size or 1))
    smaller = [{"max_total_tokens": fits}] if fits >= least else []
    reason = f"max_total_tokens={tokens} needs {_mib(needed)} with the weights, but "
    if fraction is None:
        raise Contradiction(
            f"{reason}{_mib(machine.free_bytes)} are free",
            *smaller,
            {"max_total_tokens": None},
        )
    enough = machine.fraction_for(tokens)
    raise Contradiction(
        f"{reason}mem_fraction_static={fraction} allows {_mib(int(fraction * machine.free_bytes))}",
        *smaller,
        *([] if enough is None else [{"mem_fraction_static": enough}]),
        {"mem_fraction_static": None},
        {"max_total_tokens": None},
    )


def _fraction_pool(memory: MemoryConfig, machine: Machine, fraction: float, least: int) -> int:
    tokens = machine.tokens_within(fraction)
    if tokens >= least:
        return tokens
    enough = machine.fraction_for(least)
    larger: list[Remedy] = [] if enough is None else [{"mem_fraction_static": enough}]
    if memory.context_length is not None and tokens >= 2 * (memory.page_size or 1):
        raise Contradiction(
            f"mem_fraction_static={fraction} leaves room for {tokens} tokens of KV beside the weights, fewer than "
            f"context_length={memory.context_length}",
            *larger,
            *_shorter(tokens, memory.page_size),
            {"context_length": None},
        )
    raise Contradiction(
        f"mem_fraction_static={fraction} of {_mib(machine.free_bytes)} leaves no room for KV beside "
        f"{_mib(machine.weight_bytes)} of weights",
        *larger,
        {"mem_fraction_static": None},
    )


def _page_size(memory: MemoryConfig, tokens: int) -> tuple[int, str]:
    """What was asked, else the largest usual one that wastes nothing of what is needed."""
    if memory.page_size is not None:
        return memory.page_size, "given"
    needed = memory.context_length or 0
    fitting = [p for p in PAGE_SIZES if tokens // p >= 2 and tokens // p * p >= min(needed, tokens)]
    found = fitting[0] if fitting else 1
    return found, "slots a page" if found == PAGE_SIZES[0] else f"what max_total_tokens={tokens} can be divided into"


def _check_pages(memory: MemoryConfig, tokens: int, page_size: int) -> None:
    """At least two pages, and the longest sequence that was asked for."""
    if tokens // page_size < 2:
        raise Contradiction(
            f"max_total_tokens={tokens} holds fewer than two pages of page_size={page_size}",
            {"max_total_tokens": 2 * page_size},
            {"page_size": None},
            {"max_total_tokens": None},
        )
    held, context = tokens // page_size * page_size, memory.context_length
    if context is not None and context > held:
        paged = "" if held == tokens else f" ({held} in pages of page_size={page_size})"
        raise Contradiction(
            f"context_length={context} is longer than max_total_tokens={tokens}{paged} can hold",
            {"max_total_tokens": _paged(context, page_size)},
            *_shorter(held, page_size),
            {"context_length": None},
        )


def _shorter(tokens: int, page_size: int | None) -> list[Remedy]:
    """The longest context that so many tokens hold in whole pages."""
    held = tokens // (page_size or PAGE_SIZES[0]) * (page_size or PAGE_SIZES[0])
    return [{"context_length": held}] if held >= 2 else []


def _paged(tokens: int, page_size: int) -> int:
    """So many tokens in whole pages."""
    return -(-tokens // page_size) * page_size


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:.0f} MiB"
