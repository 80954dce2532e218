"""Both sides of a transfer, and the network between them, in one object."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from runtime.ledger import Owner
from runtime.memory.transfer.decode import DecodeSide, ReceivingStage
from runtime.memory.transfer.messages import Message
from runtime.memory.transfer.prefill import PrefillSide, SendingStage
from runtime.memory.transfer.ranks import PartitionedRanks, ReplicatedRanks

PAGE_SIZE = 16


@dataclass
class Pair:
    """Prefill with tensor and decode with data parallelism; messages arrive in order, when they are told to."""

    num_prefill: int = 4
    num_decode: int = 3
    prefill_pages: int = 40
    decode_pages: int = 30
    page_size: int = PAGE_SIZE
    failed: list[int] = field(default_factory=list)
    num_messages: int = 0

    def __post_init__(self) -> None:
        self.to_prefill: deque[Message] = deque()
        self.to_decode: deque[Message] = deque()
        replicated = ReplicatedRanks("prefill", self.num_prefill, self.prefill_pages, self.page_size)
        partitioned = PartitionedRanks("decode", self.num_decode, self.decode_pages, self.page_size)
        self.prefill = PrefillSide(replicated, self.to_decode.append)
        self.decode = DecodeSide(partitioned, self.to_prefill.append, self.failed.append)

    def deliver(self, to_prefill: bool) -> bool:
        """The next message arrives; whether there was one."""
        queue = self.to_prefill if to_prefill else self.to_decode
        if queue:
            (self.prefill if to_prefill else self.decode).receive(queue.popleft())
            self.num_messages += 1
            return True
        return False

    def advance(self) -> bool:
        """Everything there is to do, once: messages, pages, computing, sending; whether there was anything."""
        moved = False
        for to_prefill in (True, False):
            while self.deliver(to_prefill):
                moved = True
        for one in self.decode:
            moved |= one.stage is ReceivingStage.READY and self.decode.reserve(one.request)
        for two in self.prefill:
            if two.stage is SendingStage.MATCHED:
                moved |= self.prefill.begin(two.request)
            elif two.stage is SendingStage.COMPUTING:
                self.prefill.computed(two.request)
                moved = True
            elif two.stage is SendingStage.SENDING:
                self.prefill.sent(two.request, min(two.unsent))
                moved = True
        return moved

    def lose(self) -> None:
        """The connection breaks: what is under way is lost, and nobody writes any more."""
        self.to_prefill.clear()
        self.to_decode.clear()
        self.prefill.lost()
        self.decode.lost()

    def check(self) -> None:
        """Both sides' books, and that nobody's pages are written into but those of whoever waits for it."""
        self.prefill.check()
        self.decode.check()
        receiving = {one.request: one for one in self.decode}
        for sending in self.prefill:
            if sending.targets:
                pool = self.decode.ranks.pools[sending.target]
                assert all(pool.ledger.owner(page) is Owner.IN_TRANSFER for page in sending.targets)
                assert tuple(receiving[sending.request].pages) == sending.targets

    def assert_nothing_held(self) -> None:
        """Both sides are idle, and a request for a whole rank is served on every rank."""
        assert self.prefill.is_idle
        assert self.decode.is_idle
        self.check()
        pages = self.prefill.ranks.allocate(self.prefill_pages, Owner.REQUEST)
        self.prefill.ranks.release(pages, Owner.REQUEST)
        for pool in self.decode.ranks.pools:
            assert len(set(pool.allocate(self.decode_pages, Owner.REQUEST))) == self.decode_pages


@pytest.fixture
def make_pair() -> type[Pair]:
    return Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()
