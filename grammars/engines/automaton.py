"""A deterministic automaton over bytes: what a compiled regex or choice is, before any vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DEAD", "START", "ByteAutomaton"]

DEAD = 0
"""The state from which no text is accepted."""
START = 1
"""The state before the first byte."""


@dataclass(frozen=True, slots=True, eq=False)
class ByteAutomaton:
    """States and their byte transitions. Every state but `DEAD` reaches a final one.

    Args:
        table: uint16 [S, 256], the state after a byte.
        final: bool [S], whether the bytes so far are a whole text.
    """

    table: npt.NDArray[np.uint16]
    final: npt.NDArray[np.bool_]

    @property
    def num_states(self) -> int:
        """Number of states, `DEAD` included."""
        return len(self.final)

    @property
    def num_bytes(self) -> int:
        """Memory the tables take."""
        return self.table.nbytes + self.final.nbytes

    def run(self, state: int, text: bytes) -> int:
        """The state after `text`, starting in `state`."""
        table = self.table
        for byte in text:
            state = int(table[state, byte])
            if state == DEAD:
                break
        return state

    def without_bytes(self, spellable: npt.NDArray[np.bool_]) -> ByteAutomaton:
        """The same automaton where bytes outside `spellable` (bool [256]) cannot occur, dead ends removed."""
        table = np.where(spellable, self.table, DEAD).astype(np.uint16)
        sources, columns = np.nonzero(table)
        edges = np.unique(sources * self.num_states + table[sources, columns])
        before, after = np.divmod(edges, self.num_states)
        live = self.final.copy()
        fresh = live
        while fresh.any():
            reaching = np.zeros_like(live)
            reaching[before[fresh[after]]] = True
            fresh = reaching & ~live
            live |= fresh
        return ByteAutomaton(np.where(live[table], table, DEAD).astype(np.uint16), self.final)

    @classmethod
    def of_texts(cls, texts: Iterable[bytes]) -> ByteAutomaton:
        """The trie that accepts exactly `texts`."""
        children: list[dict[int, int]] = [{}, {}]
        ends: set[int] = set()
        for text in texts:
            state = START
            for byte in text:
                following = children[state].get(byte)
                if following is None:
                    following = children[state][byte] = len(children)
                    children.append({})
                state = following
            ends.add(state)
        table = np.zeros((len(children), 256), np.uint16)
        for state, row in enumerate(children):
            for byte, following in row.items():
                table[state, byte] = following
        final = np.zeros(len(children), np.bool_)
        final[list(ends)] = True
        return cls(table, final)
