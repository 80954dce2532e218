"""Settings of an engine: frozen, composed by concern, validated where they enter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from runtime.errors import ConfigError

__all__ = ["EngineConfig", "Eviction", "GrammarConfig", "MemoryConfig", "ModelSettings", "SchedulerConfig"]

Policy: TypeAlias = Literal["fcfs", "lpm", "dfs-weight", "priority", "program"]
Eviction: TypeAlias = Literal["lru", "lfu", "slru", "fifo", "mru", "priority", "program"]
TierWrite: TypeAlias = Literal["write_through", "write_back"]
Audit: TypeAlias = Literal["idle", "step"]
KVDtype: TypeAlias = Literal["float32", "bfloat16", "float16", "int8"]
GrammarEngine: TypeAlias = Literal["sgdsl", "outlines", "llguidance", "xgrammar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which model, and how it is computed.

    Args:
        model: a built-in name, a folder, a GGUF file or a hub id.
        weight_format: int8 (a GGUF's Q4_0, Q4_1 and Q8_0 as stored, or Q8_0 made of what is in none, times rows
            rounded to 8 bits), blocks (the same blocks, computed as float32), float32 (our packed kernel),
            float32-torch, bfloat16, fp16 (see `runtime.model.linear`); auto is int8 where the file has blocks, else
            float32, where their kernels compile.
        attention: name from `runtime.attention.registry`, or auto.
        chat_template: in place of the model's own: a name out of `runtime.chat_formats`, Jinja text, or a file.
    """

    model: str = "smollm2"
    weight_format: str = "auto"
    attention: str = "auto"
    chat_template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Size and shape of the KV pool. What is None is derived (see `runtime.memory.budget`).

    Args:
        max_total_tokens: slots of the pool.
        mem_fraction_static: share of the memory free before the model loads that weights and pool may take together.
        context_length: longest sequence; at most the model's own limit.
        page_size: slots a page; 16 where nothing speaks for fewer.
        kv_dtype: what keys and values are kept in; attention computes in float32 whatever it is. int8 has a scale for
            every token and head.
        eviction: which cached prefix goes first (see `runtime.memory.eviction`).
        measure_optimal_hit_rate: whether it is measured what a cache would have found that never forgets anything.
        host_cache_bytes: host memory for KV that the pool has evicted; 0 for none.
        disk_cache_dir: a directory for it, which a later engine finds again; None for none.
        disk_cache_bytes: of the page files in that directory, at most.
        tier_write: write_through writes pages to disk as soon as they are computed, write_back when they are evicted
            and host memory has no room for them; either way the rest is written when the engine is shut down.
    """

    max_total_tokens: int | None = None
    mem_fraction_static: float | None = None
    context_length: int | None = None
    page_size: int | None = None
    kv_dtype: KVDtype = "float32"
    eviction: Eviction = "lru"
    measure_optimal_hit_rate: bool = False
    host_cache_bytes: int = 0
    disk_cache_dir: str | PathLike[str] | None = None
    disk_cache_bytes: int = 10 << 30
    tier_write: TierWrite = "write_through"

    def __post_init__(self) -> None:
        _at_least("max_total_tokens", self.max_total_tokens, 1)
        _at_least("context_length", self.context_length, 2)
        _at_least("page_size", self.page_size, 1)
        if self.eviction not in get_args(Eviction):
            raise ConfigError(f"eviction={self.eviction!r} is not allowed: one of {', '.join(get_args(Eviction))}")
        if not isinstance(self.measure_optimal_hit_rate, bool):
            value = self.measure_optimal_hit_rate
            raise ConfigError(f"measure_optimal_hit_rate={value!r} is not allowed: True or False")
        _given("host_cache_bytes", self.host_cache_bytes, 0)
        _given("disk_cache_bytes", self.disk_cache_bytes, 0)
        if self.disk_cache_dir is not None and not _is_path(self.disk_cache_dir):
            raise ConfigError(f"disk_cache_dir={self.disk_cache_dir!r} is not allowed: the path of a directory")
        if self.tier_write not in get_args(TierWrite):
            raise ConfigError(f"tier_write={self.tier_write!r} is not allowed: one of {', '.join(get_args(TierWrite))}")
        fraction = self.mem_fraction_static
        if fraction is not None and not (isinstance(fraction, int | float) and 0.0 < fraction < 1.0):
            raise ConfigError(f"mem_fraction_static={fraction!r} is not allowed: a number between 0 and 1")
        if self.kv_dtype not in get_args(KVDtype):
            raise ConfigError(f"kv_dtype={self.kv_dtype!r} is not allowed: one of {', '.join(get_args(KVDtype))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """Who runs next, and how much at once.

    Args:
        policy: fcfs (first come first served), lpm (longest cached prefix first), dfs-weight (requests below the cached
            prefix most of them share first), priority (by priority alone), program (what is started is finished first).
        max_running_requests: requests in the batch at most; fewer where the pool has fewer pages.
        chunked_prefill_size: prompt tokens computed in one step at most, over all requests.
        preemption: whether a request of higher priority that finds no place takes that of one with lower priority,
            which loses nothing and goes on later.
    """

    policy: Policy = "lpm"
    max_running_requests: int = 128
    chunked_prefill_size: int = 512
    preemption: bool = True

    def __post_init__(self) -> None:
        if self.policy not in get_args(Policy):
            raise ConfigError(f"policy={self.policy!r} is not allowed: one of {', '.join(get_args(Policy))}")
        _given("max_running_requests", self.max_running_requests, 1)
        _given("chunked_prefill_size", self.chunked_prefill_size, 1)
        if not isinstance(self.preemption, bool):
            raise ConfigError(f"preemption={self.preemption!r} is not allowed: True or False")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarConfig:
    """How constrained requests are served.

    Args:
        jump_forward: tokens that a grammar leaves no choice about are appended without running the model for each.
        grammar_engine: which engine compiles constraints; `llguidance` and `xgrammar` need their packages.
        grammar_compile_seconds: a constraint that takes longer to compile is refused.
    """

    jump_forward: bool = True
    grammar_engine: GrammarEngine = "sgdsl"
    grammar_compile_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not isinstance(self.jump_forward, bool):
            raise ConfigError(f"jump_forward={self.jump_forward!r} is not allowed: True or False")
        names = get_args(GrammarEngine)
        if self.grammar_engine not in names:
            raise ConfigError(f"grammar_engine={self.grammar_engine!r} is not allowed: one of {', '.join(names)}")
        seconds = self.grammar_compile_seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.0 < seconds < math.inf:
            raise ConfigError(f"grammar_compile_seconds={seconds!r} is not allowed: a finite number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """All settings of an engine.

    Args:
        audit: "idle" checks the memory ledger whenever nothing runs, "step" after every step.
        given: names of the settings that were given; `of` knows them.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    grammar: GrammarConfig = field(default_factory=GrammarConfig)
    audit: Audit = "idle"
    given: frozenset[str] = field(default=frozenset(), compare=False)

    def __post_init__(self) -> None:
        if self.audit not in get_args(Audit):
            raise ConfigError(f"audit={self.audit!r} is not allowed: one of {', '.join(get_args(Audit))}")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> EngineConfig:
        """Composes a config from flat names (`page_size=1, policy="fcfs"`), as the command line and `Engine` take them.

        Raises:
            ConfigError: an unknown name, or a value that is not allowed.
        """
        left = dict(settings)
        groups: dict[str, Any] = {}
        for name, group in _GROUPS.items():
            own = {f.name: left.pop(f.name) for f in fields(group) if f.name in left}
            groups[name] = group(**own)
        audit = left.pop("audit", "idle")
        if left:
            known = [f.name for group in _GROUPS.values() for f in fields(group)]
            raise ConfigError(f"unknown setting {min(left)!r}: one of {', '.join(sorted([*known, 'audit']))}")
        return cls(**groups, audit=audit, given=frozenset(settings))


_GROUPS: Mapping[str, type[Any]] = MappingProxyType(
    {"model": ModelSettings, "memory": MemoryConfig, "scheduler": SchedulerConfig, "grammar": GrammarConfig}
)


def _at_least(name: str, value: object, low: int) -> None:
    """Refuses what is neither left to us nor a number that will do."""
    if value is not None:
        _given(name, value, low)


def _given(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{name}={value!r} is not allowed: an integer of at least {low}")


def _is_path(value: object) -> bool:
    """Whether a directory can be called so, whether there is one or not."""
    if not isinstance(value, str | PathLike) or not str(value):
        return False
    try:
        return "\0" not in str(Path(value).expanduser())
    except (RuntimeError, TypeError):  # of a user who is not known; a path of bytes
        return False
