"""DecodeSide: requests whose prompts are computed on the other side, and which go on from their KV here."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.pages import OutOfPages
from runtime.memory.transfer.messages import Kind, Message
from runtime.memory.transfer.ranks import PartitionedRanks

__all__ = ["DecodeSide", "Receiving", "ReceivingStage"]


class ReceivingStage(enum.Enum):
    """Where a request stands on this side.

    QUEUED      no pages; the other side has not answered yet
    READY       no pages; it has
    RECEIVING   IN_TRANSFER: pre-allocated, and written by the other side at any time
    DRAINING    IN_TRANSFER: given up, but the other side may still write into them until it says that it does not
    RUNNING     REQUEST
    """

    QUEUED = "queued"
    READY = "ready"
    RECEIVING = "receiving"
    DRAINING = "draining"
    RUNNING = "running"


@dataclass(eq=False, slots=True)
class Receiving:
    """One request.

    Attributes:
        rank: the one that has it.
        pages: there.
    """

    request: int
    num_tokens: int
    rank: int
    stage: ReceivingStage = ReceivingStage.QUEUED
    pages: list[int] = field(default_factory=list)

    @property
    def owner(self) -> Owner:
        """Who its pages belong to."""
        return Owner.REQUEST if self.stage is ReceivingStage.RUNNING else Owner.IN_TRANSFER


class DecodeSide:
    """Books pages on the rank that a request is on; decodes nothing itself.

    Pages that the other side was told of are not free before it has said that it writes no more, or is gone: given to
    somebody else earlier they would be written over. A request counts from the moment it is queued.

    Args:
        ranks: data parallel.
        send: takes a message for the other side.
        ended: called with every request that was given up by the other side, which may be admitted again under
            another number.
    """

    def __init__(
        self,
        ranks: PartitionedRanks,
        send: Callable[[Message], None],
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.ranks = ranks
        self._send = send
        self._ended = ended
        self._requests: dict[int, Receiving] = {}

    def __iter__(self) -> Iterator[Receiving]:
        return iter(tuple(self._requests.values()))

    @property
    def is_idle(self) -> bool:
        """Whether no request is in any stage, those that are drained included."""
        return not self._requests

    def admit(self, request: int, num_tokens: int) -> bool:
        """Queues a request on the rank with the most room; False where it would not fit one even alone."""
        count = self._pages(num_tokens)
        if count > self.ranks.num_pages:
            return False
        promised: Counter[int] = Counter()
        for one in self:
            promised[one.rank] += 0 if one.pages else self._pages(one.num_tokens)
        self._requests[request] = Receiving(request, num_tokens, self.ranks.place(count, promised))
        self._send(Message(Kind.HELLO, request, num_tokens=num_tokens))
        return True

    def reserve(self, request: int) -> bool:
        """Pre-allocates a ready request's pages and says where they are; False, and no change, where too few are free.

        pages    FREE → IN_TRANSFER, on the request's rank
        """
        one = self._get(request, ReceivingStage.READY)
        try:
            one.pages = self.ranks.pools[one.rank].allocate(self._pages(one.num_tokens), Owner.IN_TRANSFER)
        except OutOfPages:
            return False
        one.stage = ReceivingStage.RECEIVING
        self._send(Message(Kind.PAGES, request, rank=one.rank, pages=tuple(one.pages)))
        return True

    def receive(self, message: Message) -> None:
        """Works off what the other side says; what it says of a request that is over here is ignored.

        Raises:
            LedgerError: it says what it cannot at this point.
        """
        one = self._requests.get(message.request)
        if message.kind in (Kind.HELLO, Kind.PAGES, Kind.ABORT):
            raise LedgerError(f"request {message.request}: {message.kind.value} is no message to the decode side")
        if one is None:
            return
        if message.kind is Kind.READY:
            self._expect(one, ReceivingStage.QUEUED)
            one.stage = ReceivingStage.READY
        elif one.stage is ReceivingStage.DRAINING:  # whatever it is, nothing is written any more
            self._drop(one)
        elif message.kind is Kind.DONE:
            self._expect(one, ReceivingStage.RECEIVING)
            self.ranks.pools[one.rank].ledger.move(one.pages, Owner.IN_TRANSFER, Owner.REQUEST)
            one.stage = ReceivingStage.RUNNING
        elif message.kind is Kind.FAILED:
            self._drop(one)
            self._ended(one.request)
        else:
            raise LedgerError(f"request {message.request} is {one.stage.value}, and was stopped unasked")

    def grow(self, request: int, num_tokens: int) -> bool:
        """Makes room for a running request's next tokens; False, and no change, where too few pages are free."""
        one = self._get(request, ReceivingStage.RUNNING)
        missing = max(0, self._pages(one.num_tokens + num_tokens) - len(one.pages))
        try:
            one.pages += self.ranks.pools[one.rank].allocate(missing, Owner.REQUEST)
        except OutOfPages:
            return False
        one.num_tokens += num_tokens
        return True

    def end(self, request: int) -> None:
        """Ends a request in whatever stage it is: complete, cancelled, or failed here."""
        one = self._requests.get(request)
        if one is None or one.stage is ReceivingStage.DRAINING:
            return
        if one.stage is ReceivingStage.RUNNING:
            self._drop(one)
            return
        if one.stage is ReceivingStage.RECEIVING:
            one.stage = ReceivingStage.DRAINING
        else:
            self._drop(one)
        self._send(Message(Kind.ABORT, request))

    def lost(self) -> None:
        """The other side is gone, or the connection to it, and nothing is written any more; what runs already goes on.

        To be called when no message and no write can come any more.
        """
        for one in self:
            if one.stage is not ReceivingStage.RUNNING:
                self._drop(one)
                if one.stage is not ReceivingStage.DRAINING:
                    self._ended(one.request)

    def check(self) -> None:
        """Compares every page of every rank with the requests here.

        Raises:
            LedgerError: naming the rank.
        """
        self.ranks.check([(one.rank, one.owner, one.pages) for one in self])
        if self.is_idle:
            self.ranks.check_idle()

    def _drop(self, one: Receiving) -> None:
        del self._requests[one.request]
        self.ranks.pools[one.rank].release(one.pages, one.owner)

    def _get(self, request: int, stage: ReceivingStage) -> Receiving:
        one = self._requests.get(request)
        if one is None:
            raise LedgerError(f"request {request} is not on the decode side")
        self._expect(one, stage)
        return one

    @staticmethod
    def _expect(one: Receiving, stage: ReceivingStage) -> None:
        if one.stage is not stage:
            raise LedgerError(f"request {one.request} is {one.stage.value}, not {stage.value}")

    def _pages(self, num_tokens: int) -> int:
        return -(-num_tokens // self.ranks.page_size)
