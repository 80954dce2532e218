"""What the states of lexemes allow by themselves: found out when a kernel misses it, kept as masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from grammars.machine.layout import CACHE, COUNTED, EXPANDED, FLAGS, GOTO, LEAST, MOST, ROW
from grammars.machine.scratch import DEEPEST, MISSES, MISSES_USED
from grammars.machine.tables import Behind

if TYPE_CHECKING:
    from grammars.machine.machine import Machine

__all__ = ["LexemeMasks"]

TWIN_LIMITS = (16, 64)
"""Characters within which states are compared first: few tokens read more from any one place."""

Twin: TypeAlias = Callable[[int], int]
"""The state that does the same for whoever reads so many characters at most."""


class LexemeMasks:
    """The masks of one machine's lexemes, and the caches that lead to them.

    Args:
        machine: whose states they are.
        begun: those of the machine that this one began as a copy of.
    """

    def __init__(self, machine: Machine, begun: LexemeMasks | None = None) -> None:
        self._machine = machine
        self.masks: npt.NDArray[np.uint32] = np.zeros((0, machine.tables.num_words), np.uint32)
        self.held = (self.masks, self.masks.ctypes.data)
        """`masks` and where they lie in memory, replaced together."""
        self._num_masks = 0
        self._twins: dict[int, Twin] = {}
        self._reach: dict[int, int] = {}
        self._unnamed: dict[int, Callable[[], object]] = {}
        self._names: dict[int, object] = {} if begun is None else begun._names.copy()

    @property
    def num_twins(self) -> int:
        """States that know of twins."""
        return len(self._twins)

    def name(self, state: int, name: object) -> None:
        """Says that a lexeme's state is the same in every grammar, so its mask is found out once for a vocabulary."""
        self._names[state] = name

    def name_later(self, state: int, find: Callable[[], object]) -> None:
        """Says how to find out what a lexeme's state is called in every grammar (None: it has no name there)."""
        self._unnamed[state] = find

    def _name_of(self, state: int) -> object:
        find = self._unnamed.pop(state, None)
        if find is not None:
            self._names[state] = find()
        return self._names.get(state)

    def twin(self, state: int, find: Twin) -> None:
        """Says which state does as a lexeme's state does for whoever reads so many characters at most."""
        self._twins[state] = find

    def settle(self) -> None:
        """Finds out what all states allow that are the same in every grammar, if that is quick."""
        data = self._machine.heap.data
        if self._machine.tables.kernels.is_compiled:
            for state in self._names:
                if data[state + ROW] and not data[state + FLAGS] & COUNTED:
                    self.make(state, 0)
                    data = self._machine.heap.data

    def make(self, state: int, index: int) -> None:
        """Finds out what a lexeme's state allows; `index` picks one of a counted state's caches."""
        data = self._machine.heap.data
        counted = bool(data[state + FLAGS] & COUNTED)
        at = int(data[state + CACHE]) + 1 + index if counted else state + CACHE
        if data[at]:
            return
        name = self._name_of(state)
        if counted and name is not None:
            name = (name, index)
        block = self._known(state, name)
        if not block and not counted:
            block = self._twin_cache(state)
        if not block:
            block = self._found_out(state, self._count_for(state, index) if counted else 0, name)
        self._machine.heap.data[at] = block

    def _twin_cache(self, state: int) -> int:
        """The cache of a state that does the same for whatever a token can read from there; 0 where there is none."""
        find = self._twins.get(state)
        if find is None:
            return 0
        for limit in TWIN_LIMITS:
            twin = find(limit)
            if twin == state:
                return 0
            self.make(twin, 0)
            if self._reach.get(twin, limit + 1) <= limit:
                self._reach[state] = self._reach[twin]
                return int(self._machine.heap.data[twin + CACHE])
        return 0

    def _count_for(self, state: int, index: int) -> int:
        """A number of characters read that is served by a counted state's cache of that index."""
        data = self._machine.heap.data
        most_at_once = int(data[int(data[state + CACHE])])
        least, most = int(data[state + LEAST]), int(data[state + MOST])
        need, room = divmod(index, most_at_once + 1)
        if most < 0 or room == most_at_once:
            return least - need
        return most - room

    def _known(self, state: int, name: object) -> int:
        """The cache of a state of which is known what it allows; 0 where it is not."""
        known = None if name is None else self._machine.tables.found(name)
        if known is None:
            return 0
        slot, behind, self._reach[state] = known
        return self._cache(slot, behind)

    def _found_out(self, state: int, count: int, name: object) -> int:
        tables = self._machine.tables
        mask, behind = self._inner(state, count)
        if name is None or not tables.has_room:
            return self._cache(self._keep_mask(mask), behind)
        return self._cache(tables.keep(name, mask, behind, self._reach[state]), behind)

    def _cache(self, slot: int, behind: Behind) -> int:
        cache = self._machine.heap.put(behind)
        data = self._machine.heap.data
        data[cache] = slot
        data[cache + 4 : cache + 2 + 4 * int(behind[1]) : 4] += cache
        return cache

    def _inner(self, state: int, count: int) -> tuple[npt.NDArray[np.uint32], Behind]:
        tables = self._machine.tables
        pairs = np.empty(2 * tables.num_nodes, np.int32)
        scratch = tables.take_scratch()
        ahead = 2
        while True:
            mask = np.zeros(tables.num_words, np.uint32)
            found = tables.kernels.inner(self._machine.heap.data, tables.trie, scratch, state, count, mask, pairs)
            if not scratch[MISSES_USED]:
                break
            missed = scratch[MISSES : MISSES + 2 * int(scratch[MISSES_USED]) : 2].tolist()
            self._machine.resolve(scratch)
            self._expand_ahead(missed, ahead)
            ahead *= 2
        self._reach[state] = int(scratch[DEEPEST])
        tables.give_scratch(scratch)
        return mask, tables.grouped(pairs[: 2 * found].reshape(-1, 2))

    def _expand_ahead(self, states: list[int], most: int) -> None:
        """Expands states that follow those, at most so many: a walk finds only the next ones missing."""
        for state in states:
            data = self._machine.heap.data
            row = int(data[state + ROW])
            moves = np.unique(data[row : row + 256]).tolist() if row else list(self._machine.moves_of(state).values())
            for move in moves:
                following = move >> 3
                if move & 7 == GOTO and not self._machine.heap.data[following + FLAGS] & EXPANDED:
                    if most == 0:
                        return
                    most -= 1
                    self._machine.check_limits()
                    self._machine.ensure(following)
                    states.append(following)

    def _keep_mask(self, mask: npt.NDArray[np.uint32]) -> int:
        if self._num_masks == len(self.masks):
            grown = np.zeros((max(4, 2 * len(self.masks)), mask.size), np.uint32)
            grown[: len(self.masks)] = self.masks
            self.held = (grown, grown.ctypes.data)
            self.masks = grown
        self.masks[self._num_masks] = mask
        self._num_masks += 1
        return self._num_masks - 1
