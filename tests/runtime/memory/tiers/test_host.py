"""Host memory: bounded, and what was not used for longest goes first."""

from __future__ import annotations

import pytest

from runtime.memory.tiers.host import HostTier


def test_what_was_not_used_for_longest_makes_way() -> None:
    tier = HostTier(10)
    assert tier.put(b"a", b"1234") == []
    assert tier.put(b"b", b"5678") == []
    assert tier.get(b"a") == b"1234"
    assert tier.put(b"c", b"90") == []
    assert tier.put(b"d", b"xy") == [(b"b", b"5678")]
    assert (tier.num_bytes, len(tier), b"b" in tier, tier.get(b"b")) == (8, 3, False, None)


def test_a_page_put_again_counts_once() -> None:
    tier = HostTier(10)
    tier.put(b"a", b"1234")
    tier.put(b"a", b"12345678")
    assert (tier.num_bytes, tier.pop_oldest()) == (8, (b"a", b"12345678"))
    with pytest.raises(KeyError):
        tier.pop_oldest()
    assert tier.num_bytes == 0


def test_a_page_larger_than_the_tier_is_handed_on() -> None:
    tier = HostTier(0)
    assert tier.put(b"a", b"1") == [(b"a", b"1")]
    assert len(tier) == 0
