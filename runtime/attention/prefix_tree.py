"""Which decodes share pages: the tree of their prefixes, so that attention reads what is shared once for all.

The tree is found in the page table itself, so it makes no difference why sequences share: forks, or a prefix that was
found in the cache. Related: "Hydragen" (Juravsky et al. 2024, arXiv:2402.05099) and "DeFT" (Yao et al. 2024,
arXiv:2404.00242), which merge partial softmaxes; here a row's scores stay together, and so do its result's bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_KEPT", "Group", "GroupedDecodes", "Node", "group_decodes"]

Ints = npt.NDArray[np.integer[Any]]

FEWEST_PAGES = 2
"""What is shared by fewer pages is read by each for itself: that is as fast."""

MOST_KEPT = 64
"""Keys by which a sequence may grow before groups are found anew."""


class Node(NamedTuple):
    """Keys that some members of a group share.

    Attributes:
        first, num_members: members first … first + num_members - 1 of the group.
        sequence: one of them: its page table is read.
        first_key, end_key: positions first_key … end_key - 1; the first is at the beginning of a page.
    """

    first: int
    num_members: int
    sequence: int
    first_key: int
    end_key: int


class Group(NamedTuple):
    """Sequences that are computed together.

    Attributes:
        members: numbers of sequences.
        nodes: parents before children; every member's nodes, taken together, hold all its keys in order.
    """

    members: Sequence[int]
    nodes: Sequence[Node]


class GroupedDecodes:
    """The groups of a batch as arrays, kept from step to step while its sequences only grow.

    What they come to share meanwhile is read by each for itself until the groups are found anew, `MOST_KEPT` keys
    later at most.

    Args:
        page_size, most_keys, most_members: see `group_decodes`.

    Attributes:
        version: another number whenever groups have been found anew.
    """

    def __init__(self, page_size: int, most_keys: int, most_members: int) -> None:
        self.page_size = page_size
        self.version = 0
        self._most = most_keys, most_members
        self._table: Ints = np.empty((0, 0), dtype=np.int32)
        self._lengths: Ints = np.empty(0, dtype=np.int32)
        self._ends: Ints = self._lengths
        self._members: Ints = self._lengths
        self._items = self._nodes = self._table
        self._leaves: tuple[Ints, Ints] | None = None

    def of(self, table: Ints, lengths: Ints) -> tuple[Ints, Ints, Ints]:
        """Groups of sequences with these page tables (int32 [B, P], padded with 0) and numbers of keys (int32 [B]).

        Returns:
            Members in the order of their groups; items (see `runtime.attention.job`) of them; and nodes of the items.
            All int32, and the nodes written over by the next call.
        """
        if self._leaves is not None and self._fits(table, lengths):
            leaves, owners = self._leaves
            self._nodes[leaves, 4] = lengths[owners]
        else:
            self.version += 1
            self._table, self._ends = table.copy(), lengths + MOST_KEPT
            self._build(lengths)
        self._lengths = lengths.copy()
        return self._members, self._items, self._nodes

    def _fits(self, table: Ints, lengths: Ints) -> bool:
        """Whether these are the sequences of before, each with as many keys or some more, in the same pages."""
        width = self._table.shape[1]
        if len(lengths) != len(self._lengths) or table.shape[1] < width:
            return False
        if (lengths < self._lengths).any() or (lengths > self._ends).any():
            return False
        return not ((table[:, :width] != self._table) & (self._table != 0)).any()

    def _build(self, lengths: Ints) -> None:
        items: list[tuple[int, int, int, int]] = []
        nodes: list[Node] = []
        members: list[int] = []
        for group in group_decodes(self._table, lengths, self.page_size, *self._most):
            items.append((len(members), len(group.members), len(nodes), len(nodes) + len(group.nodes)))
            nodes.extend(group.nodes)
            members.extend(group.members)
        self._members, self._items, self._nodes = (np.array(part, dtype=np.int32) for part in (members, items, nodes))
        # Where all of somebody's keys are shared, the next one needs a node that is not there yet.
        leaves = np.flatnonzero(self._nodes[:, 1] == 1)
        self._leaves = (leaves, self._nodes[leaves, 2]) if len(leaves) == len(members) else None


def group_decodes(table: Ints, lengths: Ints, page_size: int, most_keys: int, most_members: int) -> list[Group]:
    """Groups sequences by the pages that their tables begin with.

    Args:
        table: [B, P] page ids.
        lengths: [B], keys of each sequence, at least 1.
        page_size: keys a page.
        most_keys: of all members of a group together, the longest counting for all; one sequence is always allowed.
        most_members: of a group.
    """
    order, shared = _neighbours(table, lengths // page_size)
    groups, start = [], 0
    for end in range(1, len(order) + 1):
        longest = int(lengths[order[start : end + 1]].max())
        is_full = end - start >= most_members or longest * (end + 1 - start) > most_keys
        if end == len(order) or shared[end - 1] == 0 or is_full:
            members, lengths_of = order[start:end], lengths[order[start:end]]
            nodes = _nodes(members.tolist(), lengths_of.tolist(), shared[start : end - 1].tolist(), page_size)
            groups.append(Group(members.tolist(), nodes))
            start = end
    return groups


def _neighbours(table: Ints, full: Ints) -> tuple[Ints, Ints]:
    """An order in which equal prefixes are neighbours, and how many whole pages each sequence shares with the next."""
    rows = np.ascontiguousarray(table)
    order = np.argsort(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel(), kind="stable")
    rows, full = rows[order], full[order]
    differs = rows[1:] != rows[:-1]
    same = np.where(differs.any(axis=1), differs.argmax(axis=1), rows.shape[1])
    shared = np.minimum(same, np.minimum(full[1:], full[:-1]))
    shared[shared < FEWEST_PAGES] = 0
    return order, shared


def _nodes(members: list[int], lengths: list[int], shared: list[int], page_size: int) -> list[Node]:
    """The tree of one group, from what neighbours share."""
    nodes: list[Node] = []
    waiting = [(0, len(members), 0)]  # members, and how many pages of theirs have been dealt with
    while waiting:
        first, end, depth = waiting.pop()
        if end - first == 1:
            if lengths[first] > depth * page_size:
                nodes.append(Node(first, 1, members[first], depth * page_size, lengths[first]))
            continue
        common = min(shared[first : end - 1])
        if common > depth:
            nodes.append(Node(first, end - first, members[first], depth * page_size, common * page_size))
        cuts = [first, *(i + 1 for i in range(first, end - 1) if shared[i] == common), end]
        waiting.extend((a, b, common) for a, b in pairwise(cuts))
    return nodes
