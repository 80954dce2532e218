"""A trie of a vocabulary's tokens in flat arrays, walked level by level beside an automaton."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grammars.engines.automaton import DEAD, ByteAutomaton

if TYPE_CHECKING:
    from grammars.vocabulary import Vocabulary

__all__ = ["TokenTrie"]

Ints = npt.NDArray[np.int32]

DENSE_LEVEL = 4096
"""Levels are walked node by node below a quarter of this."""


class TokenTrie:
    """The bytes of all tokens that can be part of a text. Immutable.

    Nodes are numbered breadth first, so the children of a node are neighbours: node 0 is the root, the children of
    node n are `first_child[n] .. first_child[n + 1]`. Special, empty and end tokens are left out.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        children: list[dict[int, int]] = [{}]
        node_of_token: list[tuple[int, int]] = []
        for token, text in enumerate(vocabulary.tokens):
            if not text or token in vocabulary.end_tokens:
                continue
            node = 0
            for byte in text:
                following = children[node].get(byte)
                if following is None:
                    following = children[node][byte] = len(children)
                    children.append({})
                node = following
            node_of_token.append((node, token))
        self._number_breadth_first(children, node_of_token)

    def _number_breadth_first(self, children: list[dict[int, int]], node_of_token: list[tuple[int, int]]) -> None:
        order, bytes_in_order, first_child = [0], [0], []
        for node in order:  # grows while it is read: a queue that is kept
            first_child.append(len(order))
            order.extend(children[node].values())
            bytes_in_order.extend(children[node])
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        self.byte: npt.NDArray[np.uint8] = np.array(bytes_in_order, np.uint8)
        self.first_child: Ints = np.array([*first_child, len(order)], np.int32)
        counts = np.diff(self.first_child)
        self._parent: Ints = np.concatenate([np.zeros(1, np.int32), np.repeat(np.arange(len(order)), counts)]).astype(
            np.int32
        )
        self._levels = [0, 1]
        while self._levels[-1] < len(order):
            self._levels.append(int(self.first_child[self._levels[-1]]))
        pairs = np.array(node_of_token, np.int32).reshape(-1, 2)
        nodes = number[pairs[:, 0]]
        by_node = np.argsort(nodes, kind="stable")
        self.token: Ints = pairs[by_node, 1]
        """Tokens, in the order of their nodes."""
        self._node_of_token: Ints = nodes[by_node]
        self.first_token: Ints = np.searchsorted(nodes[by_node], np.arange(len(order) + 1)).astype(np.int32)

    @property
    def spellable(self) -> npt.NDArray[np.bool_]:
        """bool [256]: the bytes that are tokens by themselves, from which any text made of them can be written."""
        roots = np.arange(self.first_child[0], self.first_child[1])
        single = roots[self.first_token[roots + 1] > self.first_token[roots]]
        found = np.zeros(256, np.bool_)
        found[self.byte[single]] = True
        return found

    def allowed(self, automaton: ByteAutomaton, state: int) -> Ints:
        """The tokens whose bytes keep `automaton` alive from `state`, in no particular order."""
        flat = automaton.table.reshape(-1)
        nodes = np.zeros(1, np.int32)
        states = np.array([state], np.int32)
        found = []
        for level, begin in enumerate(self._levels[1:-1], 1):
            starts = self.first_child[nodes]
            counts = self.first_child[nodes + 1] - starts
            if not counts.any():
                break
            if 4 * int(counts.sum()) > max(DENSE_LEVEL, self._levels[level + 1] - begin):
                found.append(self._allowed_below(level, flat, nodes, states))
                break
            nodes = _ranges(starts, counts)
            states = flat[np.repeat(states, counts) * 256 + self.byte[nodes]].astype(np.int32)
            alive = states != DEAD
            nodes, states = nodes[alive], states[alive]
            starts = self.first_token[nodes]
            found.append(self.token[_ranges(starts, self.first_token[nodes + 1] - starts)])
        return np.concatenate(found) if found else np.zeros(0, np.int32)

    def _allowed_below(self, level: int, flat: npt.NDArray[np.uint16], nodes: Ints, states: Ints) -> Ints:
        """The tokens from `level` on, all nodes walked alike: quicker than choosing where most are alive."""
        begin, first = self._levels[level - 1], self._levels[level]
        reached = np.zeros(len(self.byte), np.int32)
        reached[nodes] = states
        for start, end in zip(self._levels[level:-1], self._levels[level + 1 :], strict=True):
            before = reached[begin:start][self._parent[start:end] - begin]
            reached[start:end] = flat[(before << 8) + self.byte[start:end]]
            begin = start
            if not reached[start:end].any():
                break
        start = self.first_token[first]
        allowed: Ints = self.token[start:][reached[self._node_of_token[start:]] != DEAD]
        return allowed


def _ranges(starts: Ints, counts: Ints) -> Ints:
    """The numbers starts[i] .. starts[i] + counts[i] of every i, one after another."""
    ends = np.cumsum(counts, dtype=np.int32)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int32) + np.repeat(starts - ends + counts, counts)
