"""Counters of the tiers since the engine's start."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TierStats"]


@dataclass(slots=True)
class TierStats:
    """What the tiers did.

    Attributes:
        host_hit_tokens, disk_hit_tokens: tokens whose KV was brought back into the pool, by where it was.
        tier_misses_damaged: pages whose file was damaged, foreign or unreadable.
        host_cache_used_bytes, disk_cache_used_bytes: what the tiers take now.
        disk_pages_written: page files written.
        disk_pages_dropped: times that a page was not written, or not yet, because too many waited for the disk.
        disk_is_writable: whether pages are still written; not any more once that has failed.
    """

    host_hit_tokens: int = 0
    disk_hit_tokens: int = 0
    tier_misses_damaged: int = 0
    host_cache_used_bytes: int = 0
    disk_cache_used_bytes: int = 0
    disk_pages_written: int = 0
    disk_pages_dropped: int = 0
    disk_is_writable: bool = False
