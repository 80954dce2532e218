"""Places that depend on the text itself: which items an array has had, which names an object.

Kernels know states and stacks, no texts. Where a capturing frame is met they stop; here the frame is replaced by those
that its capture gives for the text, and the way goes on byte by byte. Rare: only distinct items and counted names.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from grammars.machine.machine import Machine
from grammars.machine.scratch import CELLS, HIT, HITS, HITS_USED, LIST, MISSES_USED

__all__ = ["Capturing", "Threads", "kept_threads"]

Threads: TypeAlias = npt.NDArray[np.int32]
"""int32 [T, 3]: state, register, cell. Never written to."""


def kept_threads(machine: Machine, scratch: npt.NDArray[np.int32], count: int) -> Threads:
    """The threads of a kernel call, with stacks that stay."""
    reached = scratch[LIST : LIST + 3 * count].reshape(count, 3).copy()
    for index, cell in enumerate(reached[:, 2].tolist()):
        if cell < 0:
            reached[index, 2] = machine.kept_cell(scratch[CELLS:], cell)
    return reached


class Capturing:
    """Takes threads through capturing frames.

    Args:
        machine: the grammar's tables.
        text: what was read so far.
        left: seconds left for making what is missed on the way; None for all that one mask or token has.
    """

    def __init__(self, machine: Machine, text: bytes, left: float | None = None) -> None:
        self._machine = machine
        self._text = text
        self._left = left

    def after(self, threads: Threads, data: npt.NDArray[np.int32]) -> Threads:
        """The threads behind some more bytes."""
        text = self._text
        for index in range(len(data)):
            threads = self._after_byte(threads, data[index : index + 1], text)
            text += bytes([int(data[index])])
        return threads

    def fill(self, threads: Threads, nodes: list[int], words: npt.NDArray[np.uint32]) -> None:
        """Adds to a mask the tokens below the trie nodes at which capturing frames were met."""
        tables = self._machine.tables
        while nodes:
            node = nodes.pop()
            path = np.frombuffer(tables.path_to(node), np.uint8).astype(np.int32)
            behind = self.after(threads, path)
            if not len(behind):
                continue
            scratch = tables.take_scratch()
            while True:
                tables.kernels.fill_below(self._machine.heap.data, tables.trie, scratch, behind, node, words)
                if not scratch[MISSES_USED]:
                    break
                self._left = self._machine.resolve(scratch, self._left)
            self._machine.check_room(scratch)
            nodes += scratch[HITS : HITS + scratch[HITS_USED]].tolist()
            tables.give_scratch(scratch)

    def _after_byte(self, threads: Threads, byte: npt.NDArray[np.int32], text: bytes) -> Threads:
        machine, tables = self._machine, self._machine.tables
        scratch = tables.take_scratch()
        while True:
            count = tables.kernels.advance(machine.heap.data, scratch, threads, byte, 0, 1)
            if scratch[MISSES_USED]:
                self._left = machine.resolve(scratch, self._left)
            elif scratch[HIT]:
                threads = self._captured(threads, byte, text)
            else:
                break
        machine.check_room(scratch)
        reached = kept_threads(machine, scratch, count)
        tables.give_scratch(scratch)
        return reached

    def _captured(self, threads: Threads, byte: npt.NDArray[np.int32], text: bytes) -> Threads:
        """The threads with the capturing frames replaced that are met when the byte is read."""
        machine, data = self._machine, self._machine.heap.data
        found: list[tuple[int, int, int]] = []
        scratch = machine.tables.take_scratch()
        for index, (state, register, cell) in enumerate(threads.tolist()):
            frame, below = int(data[cell]), int(data[cell + 1])
            machine.tables.kernels.advance(data, scratch, threads[index : index + 1], byte, 0, 1)
            if not scratch[HIT]:
                found.append((state, register, cell))
                continue
            with machine.lock:
                frames = machine.captures[frame](text)
                found += [(state, register, machine.cell(after, below)) for after in frames]
        machine.tables.give_scratch(scratch)
        return np.array(found, np.int32).reshape(-1, 3)
