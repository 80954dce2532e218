"""Budget: settings that work together. Derives what was not given and says why each number is what it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from runtime.config import MemoryConfig, SchedulerConfig
from runtime.errors import ConfigError
from runtime.memory.sizing import Contradiction, Machine, Remedy, Sizes, size

__all__ = ["Budget", "Setting", "derive"]

MIB = 1 << 20
HEADINGS = ("setting", "asked", "became", "why")
KV_LOSS: Mapping[str, float] = MappingProxyType({"bfloat16": 0.15, "float16": 0.007, "int8": 0.44})
"""What a token's log probability changes by at most: of 1,500 tokens of English, with SmolLM2-135M."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One number the runtime works with.

    Attributes:
        asked: what was given, None where it was left to us.
    """

    name: str
    asked: int | float | str | None
    became: int | float | str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The numbers the runtime works with.

    Attributes:
        num_pages: usable pages of `page_size` slots.
        context_length: tokens of the longest sequence.
        settings: what was asked, what it became, and why.
    """

    num_pages: int
    page_size: int
    context_length: int
    max_running_requests: int
    chunked_prefill_size: int
    bytes_per_token: int
    settings: tuple[Setting, ...]

    @property
    def max_total_tokens(self) -> int:
        """Slots in the pool."""
        return self.num_pages * self.page_size

    @property
    def max_sequence(self) -> int:
        """Tokens a sequence can reach when it runs alone: the context or the whole pool."""
        return min(self.context_length, self.max_total_tokens)

    def applied(self, scheduler: SchedulerConfig) -> SchedulerConfig:
        """The scheduler's settings with the numbers they became."""
        return replace(
            scheduler,
            max_running_requests=self.max_running_requests,
            chunked_prefill_size=self.chunked_prefill_size,
        )

    def written(self, name: str) -> str:
        """A setting as `name=value`, with the setting it comes from where that is another one."""
        found = next(setting for setting in self.settings if setting.name == name)
        origin = f" ({found.why.partition(';')[0]})" if found.asked is None and "from " in found.why else ""
        return f"{name}={found.became}{origin}"

    def concurrency(self) -> str:
        """How many requests can run at once, and which setting limits that."""
        longest = self.max_total_tokens // self.max_sequence
        most = self.written("max_running_requests")
        if longest >= self.max_running_requests:
            return f"at most {self.max_running_requests} requests run at once, limited by {most}"
        requests = "1 request" if longest == 1 else f"{longest} requests"
        return (
            f"at most {requests} of {self.max_sequence} tokens can run at once, limited by "
            f"{self.written('max_total_tokens')}; of shorter ones {self.max_running_requests}, limited by {most}"
        )

    def lines(self) -> list[str]:
        """The derivation as a printable table, and what limits concurrency."""
        rows = [(s.name, "-" if s.asked is None else str(s.asked), str(s.became), s.why) for s in self.settings]
        table = [f"{name:<22}{asked:>10}{became:>10}  {why}" for name, asked, became, why in (HEADINGS, *rows)]
        return [*table, self.concurrency()]

    def info(self) -> dict[str, Any]:
        """The same as data: setting → asked, became and why; and `concurrency`."""
        rows = {s.name: {"asked": s.asked, "became": s.became, "why": s.why} for s in self.settings}
        return {"settings": rows, "concurrency": self.concurrency()}


def derive(
    memory: MemoryConfig,
    scheduler: SchedulerConfig,
    *,
    model_context: int,
    bytes_per_token: int,
    free_bytes: int,
    weight_bytes: int,
    given: Collection[str] = (),
) -> Budget:
    """Derives the budget.

    Args:
        model_context: longest sequence the model was trained for.
        bytes_per_token: KV bytes of one token over all layers.
        free_bytes: memory free before the weights are loaded.
        weight_bytes: what the weights take.
        given: names of the settings with a default that were given all the same.

    Raises:
        ConfigError: a set that contradicts itself, with the two values and, also as `remedy`, a set that works.
    """
    machine = Machine(
        model_context=model_context, bytes_per_token=bytes_per_token, free_bytes=free_bytes, weight_bytes=weight_bytes
    )
    try:
        sizes = size(memory, machine)
    except Contradiction as contradiction:
        remedy = _remedy(memory, machine, contradiction)
        raise ConfigError(f"{contradiction}: {_advice(remedy)}", remedy=remedy) from None
    slots = sizes.num_pages * sizes.page_size
    running = min(scheduler.max_running_requests, sizes.num_pages)
    chunk = min(scheduler.chunked_prefill_size, slots)
    return Budget(
        num_pages=sizes.num_pages,
        page_size=sizes.page_size,
        context_length=sizes.context_length,
        max_running_requests=running,
        chunked_prefill_size=chunk,
        bytes_per_token=bytes_per_token,
        settings=_settings(memory, scheduler, machine, sizes, running, chunk, given),
    )


def _settings(
    memory: MemoryConfig,
    scheduler: SchedulerConfig,
    machine: Machine,
    sizes: Sizes,
    running: int,
    chunk: int,
    given: Collection[str],
) -> tuple[Setting, ...]:
    """The rows of the table, in the order in which one follows from another."""
    slots = sizes.num_pages * sizes.page_size
    pool = slots * machine.bytes_per_token
    share = (pool + machine.weight_bytes) / machine.free_bytes if machine.free_bytes else 1.0
    lost = 0 if memory.max_total_tokens is None else memory.max_total_tokens - slots
    rounded = f", in whole pages of {sizes.page_size}" if lost else ""
    asked = {
        name: getattr(scheduler, name) if name in given else None
        for name in ("max_running_requests", "chunked_prefill_size")
    }
    kept_in = memory.kv_dtype if "kv_dtype" in given or memory.kv_dtype != MemoryConfig().kv_dtype else None
    most, step = scheduler.max_running_requests, scheduler.chunked_prefill_size
    return (
        Setting("mem_fraction_static", memory.mem_fraction_static, round(share, 3), "share that weights and KV take"),
        Setting(
            "max_total_tokens",
            memory.max_total_tokens,
            slots,
            f"{sizes.pool_reason}{rounded}; {pool / MIB:.0f} MiB of KV",
        ),
        Setting(
            "context_length",
            memory.context_length,
            sizes.context_length,
            "the model's own limit" if memory.context_length is None else "given",
        ),
        Setting(
            "max_running_requests",
            asked["max_running_requests"],
            running,
            "most requests in one batch" if running == most else f"not {most}: each needs a page of its own",
        ),
        Setting(
            "chunked_prefill_size",
            asked["chunked_prefill_size"],
            chunk,
            "prompt tokens per step" if chunk == step else f"not {step}: the pool has no more slots",
        ),
        Setting("page_size", memory.page_size, sizes.page_size, sizes.page_reason),
        Setting("kv_dtype", kept_in, memory.kv_dtype, _kept(memory.kv_dtype, machine.bytes_per_token)),
    )


def _kept(dtype: str, bytes_per_token: int) -> str:
    """What keeping KV so takes, and what it loses."""
    loss = f"; measured: a token's log probability changes by {KV_LOSS[dtype]} at most" if dtype in KV_LOSS else ""
    return f"{bytes_per_token} bytes a token{loss}"


def _remedy(memory: MemoryConfig, machine: Machine, contradiction: Contradiction) -> dict[str, Any]:
    """A change that is known to work: every proposal is tried, single ones before what they lead to."""
    changes: dict[str, Any] = {}
    for _ in range(3):
        for proposed in contradiction.remedies:
            if _works(memory, machine, {**changes, **proposed}):
                return {**changes, **proposed}
        changes |= contradiction.remedies[0]
        try:
            size(replace(memory, **changes), machine)
        except Contradiction as next_one:
            contradiction = next_one
    asked = ("mem_fraction_static", "max_total_tokens", "context_length", "page_size")
    return {name: None for name in asked if getattr(memory, name) is not None}


def _works(memory: MemoryConfig, machine: Machine, changes: Remedy) -> bool:
    try:
        size(replace(memory, **changes), machine)
    except Contradiction:
        return False
    return True


def _advice(remedy: Mapping[str, Any]) -> str:
    given = " and ".join(f"{name}={value}" for name, value in remedy.items() if value is not None)
    left = " and ".join(name for name, value in remedy.items() if value is None)
    return " and ".join([*([f"give {given}"] if given else []), *([f"leave {left} out"] if left else [])])
