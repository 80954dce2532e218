"""Ledgers of several ranks: each by itself, and whatever is off is said with the rank's name."""

from __future__ import annotations

import pytest

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.pages import OutOfPages
from runtime.memory.transfer.ranks import PartitionedRanks, ReplicatedRanks


def test_tensor_parallel_ranks_have_the_same_pages() -> None:
    ranks = ReplicatedRanks("prefill", 4, 8, 16)
    pages = ranks.allocate(3, Owner.REQUEST)
    assert all(pool.ledger.slots(Owner.REQUEST) == 48 for pool in ranks.pools)
    ranks.check([(rank, Owner.REQUEST, pages) for rank in range(4)])
    ranks.release(pages, Owner.REQUEST)
    ranks.check_idle()


def test_what_does_not_fit_is_handed_out_nowhere() -> None:
    ranks = ReplicatedRanks("prefill", 2, 4, 1)
    with pytest.raises(OutOfPages, match="5 pages asked for, 4 free on prefill-0"):
        ranks.allocate(5, Owner.REQUEST)
    ranks.check_idle()


def test_ranks_that_come_apart_are_named_when_they_do() -> None:
    ranks = ReplicatedRanks("prefill", 3, 8, 16)
    ranks.pools[1].allocate(1, Owner.REQUEST)
    with pytest.raises(LedgerError, match=r"rank prefill-1: pages \[2, 3\] were handed out, and \[1, 2\] on prefill-0"):
        ranks.allocate(2, Owner.REQUEST)


def test_a_lost_page_is_said_with_its_rank_and_owner() -> None:
    """As in the reference's report: 34,048 of 13,858,304 tokens, and nobody knew on which rank or whose."""
    ranks = PartitionedRanks("decode", 8, 866_144, 16)
    ranks.pools[5].allocate(34_048 // 16, Owner.IN_TRANSFER)
    with pytest.raises(LedgerError, match="rank decode-5: idle, but 34048 of 13858304 slots are not free") as caught:
        ranks.check_idle()
    assert "in_transfer        34048" in str(caught.value)
    with pytest.raises(LedgerError, match="rank decode-5: IN_TRANSFER claims 0 pages, booked 2128"):
        ranks.check([])


def test_a_data_parallel_request_goes_where_there_is_most_room() -> None:
    ranks = PartitionedRanks("decode", 3, 8, 16)
    ranks.pools[0].allocate(5, Owner.REQUEST)
    ranks.pools[2].allocate(1, Owner.REQUEST)
    assert ranks.place(2, {}) == 1
    assert ranks.place(2, {1: 2}) == 2
    assert ranks.tables()["decode-0"]["request"] == 80
