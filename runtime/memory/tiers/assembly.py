"""Assembly of the tiers an engine was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.config import MemoryConfig
from runtime.memory.cache import PrefixCache
from runtime.memory.tiers.disk import DiskTier
from runtime.memory.tiers.host import HostTier
from runtime.memory.tiers.tier_stats import TierStats
from runtime.memory.tiers.tiers import PageStore, Tiers

__all__ = ["make_tiers"]


def make_tiers(
    config: MemoryConfig,
    cache: PrefixCache,
    store: PageStore,
    fingerprint: bytes,
    stats: TierStats,
    wake: Callable[[], None],
) -> Tiers | None:
    """The tiers below a pool; None where the settings ask for none.

    Args:
        store: the KV of the pool's pages.
        fingerprint: 32 bytes, of the model (see `runtime.memory.tiers.keys.fingerprint`).
        stats: counts.
        wake: called from another thread when a request may have become ready.
    """
    if config.host_cache_bytes == 0 and config.disk_cache_dir is None:
        return None
    disk = None
    if config.disk_cache_dir is not None:
        folder = Path(config.disk_cache_dir).expanduser()
        disk = DiskTier(folder, config.disk_cache_bytes, fingerprint, store.page_bytes, stats, wake)
    return Tiers(
        cache,
        store,
        host=HostTier(config.host_cache_bytes),
        disk=disk,
        write_through=config.tier_write == "write_through",
        fingerprint=fingerprint,
        stats=stats,
        wake=wake,
    )
