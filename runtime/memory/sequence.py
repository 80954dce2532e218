"""SequenceKV: which pages hold one sequence's KV, and who owns each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.ledger import Owner
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
    """

    namespace: str
    node: Node
    pages: list[int] = field(default_factory=list)
    num_shared: int = 0
    kv_len: int = 0
    holder: Owner = Owner.SESSION

    @property
    def private_pages(self) -> list[int]:
        """Pages that belong to this sequence alone."""
        return self.pages[self.num_shared :]
