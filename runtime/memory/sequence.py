"""SequenceKV: which pages hold one sequence's KV, and who owns each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.ledger import Owner
from runtime.memory.graft import Graft, keyed
from runtime.memory.node import Node

__all__ = ["SequenceKV"]


@dataclass(eq=False, slots=True)
class SequenceKV:
    """The KV of one token sequence, as page ids.

        tokens   0 .................. | .............. kv_len | ..............
        pages    0 ........... shared | shared ............... len(pages)
        owner    TREE, locked by node | `holder` (request or session)

    Attributes:
        namespace: tenant; sequences of different namespaces never share.
        pages: page ids in order.
        num_shared: leading pages that belong to the tree.
        kv_len: tokens whose KV is in the pool; always within `pages`.
        node: the tree node the shared pages end with; locked once for this sequence.
        holder: REQUEST while a request runs on it, SESSION while it waits for its program.
        grafts: runs of tokens whose KV was computed elsewhere, in order.
        priority: of the request that runs on it, or ran on it last.
        returns: whether its program will go on from here; None where nobody has said.
        awaits: where it ended when it gave its pages up to come back for them.
    """

    namespace: str
    node: Node
    pages: list[int] = field(default_factory=list)
    num_shared: int = 0
    kv_len: int = 0
    holder: Owner = Owner.SESSION
    grafts: tuple[Graft, ...] = ()
    priority: int = 0
    returns: bool | None = None
    awaits: Node | None = None

    @property
    def private_pages(self) -> list[int]:
        """Pages that belong to this sequence alone."""
        return self.pages[self.num_shared :]

    @property
    def next_graft(self) -> Graft | None:
        """The first graft whose KV is not wholly in the pool."""
        return next((graft for graft in self.grafts if graft.end > self.kv_len), None)

    def keyed(self, tokens: Sequence[int]) -> Sequence[int]:
        """The numbers by which the tree knows this sequence's tokens."""
        return keyed(tokens, self.grafts)

    def slots(self, start: int, end: int, page_size: int) -> list[int]:
        """The slots of positions `start`..`end`, which the pages reach."""
        return [self.pages[place // page_size] * page_size + place % page_size for place in range(start, end)]
