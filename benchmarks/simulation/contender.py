"""Contender: what is compared in the simulator: how requests are ordered, what is evicted, how clients ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.simulation.client import CLIENTS
from runtime.config import SchedulerConfig
from runtime.memory.eviction import POLICIES as EVICTIONS
from runtime.scheduler.policies import POLICIES

__all__ = ["Contender"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Everything that differs between two runs on the same trace."""

    eviction: str = "lru"
    client: str = "requests"
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)

    @classmethod
    def parse(cls, name: str, max_running_requests: int = 128, chunked_prefill_size: int = 512) -> Contender:
        """From `[EVICTION+]POLICY[@CLIENT]`.

        Without them, `program` evicts by program and is asked by sessions, every other policy evicts the least recently
        used and is asked by plain requests.

        Raises:
            ValueError: a part is unknown.
        """
        rest, _, client = name.partition("@")
        eviction, _, policy = rest.rpartition("+")
        is_program = policy == "program"
        eviction = eviction or ("program" if is_program else "lru")
        client = client or ("sessions" if is_program else "requests")
        for part, allowed in ((eviction, EVICTIONS), (policy, POLICIES), (client, CLIENTS)):
            if part not in allowed:
                raise ValueError(f"{name!r}: {part!r} is not one of {', '.join(allowed)}")
        scheduler = SchedulerConfig(
            policy=policy,  # type: ignore[arg-type]
            max_running_requests=max_running_requests,
            chunked_prefill_size=chunked_prefill_size,
        )
        return cls(eviction=eviction, client=client, scheduler=scheduler)
