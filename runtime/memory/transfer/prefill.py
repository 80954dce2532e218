"""PrefillSide: requests that are computed here, and whose KV then goes to the side that decodes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from runtime.errors import LedgerError
from runtime.ledger import Owner
from runtime.memory.pages import OutOfPages
from runtime.memory.transfer.messages import Kind, Message
from runtime.memory.transfer.ranks import ReplicatedRanks

__all__ = ["PrefillSide", "Sending", "SendingStage"]


class SendingStage(enum.Enum):
    """Where a request stands on this side.

    QUEUED      no pages; it is not known yet where its KV is to go
    MATCHED     no pages; that is known
    COMPUTING   REQUEST
    SENDING     IN_TRANSFER until the last rank has sent its share
    """

    QUEUED = "queued"
    MATCHED = "matched"
    COMPUTING = "computing"
    SENDING = "sending"


@dataclass(eq=False, slots=True)
class Sending:
    """One request.

    Attributes:
        pages: here, the same on every rank.
        target, targets: the rank and the pages of the other side that they go to.
        unsent: ranks that have not sent their share yet.
    """

    request: int
    num_tokens: int
    stage: SendingStage = SendingStage.QUEUED
    pages: Sequence[int] = ()
    target: int = 0
    targets: tuple[int, ...] = ()
    unsent: set[int] = field(default_factory=set)

    @property
    def owner(self) -> Owner:
        """Who its pages belong to."""
        return Owner.IN_TRANSFER if self.stage is SendingStage.SENDING else Owner.REQUEST


class PrefillSide:
    """Books pages on every rank; computes and sends nothing itself.

    The pages of a request are given up on all ranks at once, when the last one has sent: a rank that gave up its own
    earlier would hand out other pages than the rest from then on. A request counts from the moment it is queued.

    Args:
        ranks: tensor parallel.
        send: takes a message for the other side.
    """

    def __init__(self, ranks: ReplicatedRanks, send: Callable[[Message], None]) -> None:
        self.ranks = ranks
        self._send = send
        self._requests: dict[int, Sending] = {}

    def __iter__(self) -> Iterator[Sending]:
        return iter(tuple(self._requests.values()))

    @property
    def is_idle(self) -> bool:
        """Whether no request is in any stage."""
        return not self._requests

    def receive(self, message: Message) -> None:
        """Works off what the other side says.

        Raises:
            LedgerError: it says what it cannot at this point.
        """
        if message.kind is Kind.HELLO:
            self._queue(message)
        elif message.kind is Kind.PAGES:
            self._match(message)
        elif message.kind is Kind.ABORT:
            self._drop(message.request)
            self._send(Message(Kind.STOPPED, message.request))
        else:
            raise LedgerError(f"request {message.request}: {message.kind.value} is no message to the prefill side")

    def _queue(self, message: Message) -> None:
        pages = self._pages(message.num_tokens)
        if pages > self.ranks.num_pages:
            self._send(Message(Kind.FAILED, message.request))
            return
        self._requests[message.request] = Sending(message.request, message.num_tokens)
        self._send(Message(Kind.READY, message.request))

    def _match(self, message: Message) -> None:
        one = self._requests.get(message.request)
        if one is None:  # given up here while the message was on its way; the other side is being told
            return
        if len(message.pages) != self._pages(one.num_tokens):
            raise LedgerError(f"request {one.request}: {len(message.pages)} pages for {one.num_tokens} tokens")
        self._expect(one, SendingStage.QUEUED)
        one.stage, one.target, one.targets = SendingStage.MATCHED, message.rank, message.pages

    def begin(self, request: int) -> bool:
        """Gives a matched request its pages, on every rank; False, and no change, where too few are free."""
        one = self._get(request, SendingStage.MATCHED)
        try:
            one.pages = self.ranks.allocate(self._pages(one.num_tokens), Owner.REQUEST)
        except OutOfPages:
            return False
        one.stage = SendingStage.COMPUTING
        return True

    def computed(self, request: int) -> None:
        """The KV is there: every rank sends its share."""
        one = self._get(request, SendingStage.COMPUTING)
        self.ranks.move(one.pages, Owner.REQUEST, Owner.IN_TRANSFER)
        one.stage, one.unsent = SendingStage.SENDING, set(range(len(self.ranks)))

    def sent(self, request: int, rank: int) -> None:
        """A rank has sent its share, and what it wrote is visible on the other side."""
        one = self._get(request, SendingStage.SENDING)
        if rank not in one.unsent:
            raise LedgerError(f"request {request}: rank {rank} has sent its share twice")
        one.unsent.remove(rank)
        if not one.unsent:
            self._drop(request)
            self._send(Message(Kind.DONE, request))

    def fail(self, request: int) -> None:
        """Gives a request up in whatever stage it is: cancelled here, or failed on a rank, which stops all ranks."""
        if request in self._requests:
            self._drop(request)
            self._send(Message(Kind.FAILED, request))

    def lost(self) -> None:
        """The other side is gone, or the connection to it: nobody waits for anything, and no message comes any more."""
        for one in self:
            self._drop(one.request)

    def check(self) -> None:
        """Compares every page of every rank with the requests here.

        Raises:
            LedgerError: naming the rank.
        """
        claims = [(rank, one.owner, one.pages) for one in self for rank in range(len(self.ranks))]
        self.ranks.check(claims)
        if self.is_idle:
            self.ranks.check_idle()

    def _drop(self, request: int) -> None:
        one = self._requests.pop(request, None)
        if one is not None:
            self.ranks.release(one.pages, one.owner)

    def _get(self, request: int, stage: SendingStage) -> Sending:
        one = self._requests.get(request)
        if one is None:
            raise LedgerError(f"request {request} is not on the prefill side")
        self._expect(one, stage)
        return one

    @staticmethod
    def _expect(one: Sending, stage: SendingStage) -> None:
        if one.stage is not stage:
            raise LedgerError(f"request {one.request} is {one.stage.value}, not {stage.value}")

    def _pages(self, num_tokens: int) -> int:
        return -(-num_tokens // self.ranks.page_size)
