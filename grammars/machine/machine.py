"""One grammar's pushdown: its states as far as anybody came to them, and how to make the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from threading import RLock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from grammars.deadline import Deadline
from grammars.errors import GrammarLimit
from grammars.machine.heap import Heap
from grammars.machine.layout import (
    CONSUMED,
    EDGE_AT,
    EDGES,
    ELSE,
    END,
    EXPANDED,
    FINAL,
    FLAGS,
    GOTO,
    JUMPS,
    LOOPS,
    MULTI,
    PUSH,
    RETURN,
    ROW,
    STATE_SIZE,
    UNKNOWN,
)
from grammars.machine.lexeme_masks import LexemeMasks
from grammars.machine.moves import goto, label_move
from grammars.machine.scratch import MAX_THREADS, MISSES, MISSES_USED, OVERFLOW
from grammars.machine.tables import VocabularyTables
from grammars.machine.trie import BYTE_CLASSES
from grammars.regular.language import Languages

__all__ = ["MOST_EDGES", "Machine", "goto", "label_move"]

MOST_EDGES = 18
"""States with more edges get a row of 256 moves."""

RESOLVE_SECONDS = 0.5
"""How long one row of a batch may hold up the others, in time of the thread's own, which is not spent while others run.
The slowest mask of 550 schemas, nothing of whose grammar was made yet, took 0.14 s (SmolLM2's vocabulary, one core),
that of 10,000 alternatives 0.3 s on a busy one."""
BYTES_PER_RECORD = 1_000
"""Python objects behind a state or frame, languages and constraints included: measured over 200 schemas."""
BYTES_BY_CLASS = np.argsort(BYTE_CLASSES, kind="stable")
CLASS_STARTS = np.searchsorted(BYTE_CLASSES[BYTES_BY_CLASS], np.arange(BYTE_CLASSES.max() + 1))

Ints: TypeAlias = npt.NDArray[np.int32]
Jump: TypeAlias = Callable[[int], Sequence[tuple[int, int]]]
"""What a label leads to: (frame, state) pairs."""
Capture: TypeAlias = Callable[[bytes], Sequence[int]]
"""The frames that take a capturing frame's place behind the text so far."""


def _loops(stays: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The classes of which every byte is in `stays` (bool [256]), as two ints of 31 bits."""
    by_class = np.logical_and.reduceat(stays[BYTES_BY_CLASS], CLASS_STARTS)
    bits = sum(1 << number for number in np.flatnonzero(by_class).tolist())
    return bits & 0x7FFFFFFF, bits >> 31


class Machine:
    """The tables of one grammar, made where kernels miss something. Threads may share it.

    Args:
        tables: what the vocabulary's grammars share.
        max_bytes: memory the tables may take; GrammarLimit beyond.
        languages: the arena whose languages become states; its deadline is set while states are made.
        seconds: how long making what one mask, or one token read, misses may take; GrammarTimeout beyond.
        begun: a machine in which nothing is left to make; this one begins as a copy of it.
    """

    def __init__(
        self,
        tables: VocabularyTables,
        *,
        max_bytes: int,
        languages: Languages | None = None,
        seconds: float = RESOLVE_SECONDS,
        begun: Machine | None = None,
    ) -> None:
        self.tables = tables
        self._max_bytes = max_bytes
        self._languages = languages
        self._seconds = seconds
        self._deadline: Deadline | None = None
        self.lock = RLock()
        self.many_threads = MAX_THREADS
        """Beyond, a text's threads are followed together, and none of its bytes are known to be forced."""
        self.heap: Heap = Heap(max_bytes, None if begun is None else begun.heap)
        self.lexemes: LexemeMasks = LexemeMasks(self, None if begun is None else begun.lexemes)
        self._expanders: dict[int, Callable[[], None]] = {}
        self._jumpers: dict[int, tuple[Jump, int]] = {}
        self._cells: dict[tuple[int, int], int] = {} if begun is None else begun._cells.copy()
        self._moves: dict[tuple[int, ...], int] = {} if begun is None else begun._moves.copy()
        self._returner: int = 0 if begun is None else begun._returner
        self.captures: dict[int, Capture] = {}
        """For each capturing frame, the frames to go on from behind a text."""
        self.bottom: int = self._bottom() if begun is None else begun.bottom
        """The stack of a text that nothing surrounds."""

    def _bottom(self) -> int:
        return self.cell(self.frame(self.state(END | EXPANDED), CONSUMED), 0)

    def settle(self) -> None:
        """Makes all that is left to make, so that other machines may begin as copies of this one."""
        while self._expanders or self._jumpers:
            for state in list(self._expanders):
                self.ensure(state)
            for frame, (_, num_labels) in list(self._jumpers.items()):
                for label in range(num_labels):
                    self.jump(frame, label)
                del self._jumpers[frame]
        self.lexemes.settle()

    @property
    def num_bytes(self) -> int:
        """Memory the tables take, what Python keeps beside them estimated."""
        records = (
            len(self._expanders) + len(self._jumpers) + len(self._moves) + len(self._cells) + self.lexemes.num_twins
        )
        return self.heap.num_bytes + self.lexemes.masks.nbytes + BYTES_PER_RECORD * records

    @property
    def is_spent(self) -> bool:
        """Whether so much of its memory is used that who begins a text had better begin with fresh tables."""
        return 2 * self.num_bytes > self._max_bytes

    def state(self, flags: int = 0, expand: Callable[[int], None] | None = None) -> int:
        """A new state; `expand` fills in its edges when somebody first comes to it."""
        address = self.heap.reserve(STATE_SIZE)
        self.heap.data[address + FLAGS] = flags
        if expand is not None:
            self._expanders[address] = lambda: expand(address)
        return address

    def set_edges(self, state: int, moves: dict[int, int], otherwise: int = 0) -> None:
        """Fills in a state: moves by byte, and the state that answers for all other bytes."""
        if len(moves) <= MOST_EDGES or otherwise:
            pairs = self.heap.put([part for pair in moves.items() for part in pair])
            self.heap.data[state + EDGES : state + EDGE_AT + 1] = len(moves), pairs
            self.heap.data[state + ELSE] = otherwise
        else:
            row = self.heap.reserve(256)
            self.heap.data[[row + byte for byte in moves]] = list(moves.values())
            self.heap.data[state + ROW] = row
        self.heap.data[state + FLAGS] |= EXPANDED

    def set_row(self, state: int, row: Ints) -> None:
        """Fills in a state with its 256 moves."""
        used = np.flatnonzero(row)
        if len(used) <= MOST_EDGES:
            self.set_edges(state, dict(zip(used.tolist(), row[used].tolist(), strict=True)))
            return
        address = self.heap.reserve(256)
        data = self.heap.data
        data[address : address + 256] = row
        data[state + ROW] = address
        data[state + LOOPS : state + LOOPS + 2] = _loops(row == goto(state))
        data[state + FLAGS] |= EXPANDED

    def moves_of(self, state: int) -> dict[int, int]:
        """The moves of a state by byte, expanding it first where needed."""
        self.ensure(state)
        data = self.heap.data
        found: dict[int, int] = {}
        asked = state
        while asked:
            pairs, count = int(data[asked + EDGE_AT]), int(data[asked + EDGES])
            for index in range(count):
                found.setdefault(int(data[pairs + 2 * index]), int(data[pairs + 2 * index + 1]))
            row = int(data[asked + ROW])
            if row:
                for byte in np.flatnonzero(data[row : row + 256]).tolist():
                    found.setdefault(byte, int(data[row + byte]))
            asked = int(data[asked + ELSE])
        return {byte: move for byte, move in found.items() if move}

    def move(self, state: int, byte: int) -> int:
        """The move of a state for one byte, expanding it first where needed."""
        self.ensure(state)
        data = self.heap.data
        row = int(data[state + ROW])
        return int(data[row + byte]) if row else self.moves_of(state).get(byte, 0)

    def ensure(self, state: int) -> None:
        """Expands a state that is not expanded yet."""
        expand = self._expanders.get(state)
        if expand is not None:
            expand()  # where it fails, the next one who comes here fails alike
            self._expanders.pop(state, None)
        elif not self.heap.data[state + FLAGS] & EXPANDED:
            raise RuntimeError(f"state {state} is not expanded, and nobody knows how")

    def push(self, state: int, frames: Sequence[int]) -> int:
        """The move that puts frames on the stack, the last one on top, and enters a state."""
        return self._record(PUSH, state, len(frames), *frames)

    def multi(self, moves: Iterable[int]) -> int:
        """The move that makes all of `moves`; 0 when there is none."""
        flat: dict[int, None] = {}
        for move in moves:
            if move & 7 == MULTI:
                at = move >> 3
                flat.update(dict.fromkeys(self.heap.data[at + 1 : at + 1 + self.heap.data[at]].tolist()))
            elif move:
                flat[move] = None
        if len(flat) < 2:
            return next(iter(flat), 0)
        return self._record(MULTI, len(flat), *flat)

    def wrapped(self, move: int, frames: Sequence[int]) -> int:
        """The move with frames put on the stack before it."""
        if not frames or not move:
            return move
        kind, at = move & 7, move >> 3
        data = self.heap.data
        if kind == GOTO:
            return self.push(at, frames)
        if kind == PUSH:
            return self.push(int(data[at]), [*frames, *data[at + 2 : at + 2 + data[at + 1]].tolist()])
        if kind == MULTI:
            return self.multi([self.wrapped(one, frames) for one in data[at + 1 : at + 1 + data[at]].tolist()])
        # A lexeme of one byte: whatever ends it is done to the frame on top, from a state that only waits for that.
        return self.push(self._returning(), frames)

    def _returning(self) -> int:
        """The state that returns before it reads anything."""
        if not self._returner:
            self._returner = self.state(EXPANDED | FINAL)
        return self._returner

    def literal(self, text: bytes) -> int:
        """The states that read exactly `text`, and return; the first one."""
        move = RETURN
        for byte in reversed(text):
            state = self.state()
            self.set_edges(state, {byte: move})
            move = goto(state)
        return move >> 3

    def texts(self, texts: Sequence[bytes], other: int = 0, *, is_open: bool = True, label: int = -1) -> int:
        """The states that read one of some texts; the first one.

        Args:
            texts: in the order of their bytes; none begins another.
            other: the state of a lexeme that answers for bytes that no text has; 0 for none.
            is_open: whether that state allows more than the texts whatever was read.
            label: that of the first text, which the frame on top is asked about, each of the others having the next
                one; -1: the texts end in a return.
        """
        kernels = self.tables.kernels
        starts = np.array(list(accumulate(map(len, texts), initial=0)), np.int32)
        data = np.frombuffer(b"".join(texts), np.uint8).copy()
        count = kernels.count_states(data, starts)
        base = self.heap.reserve(STATE_SIZE * count + 2 * (count - 1 + len(texts)))
        scratch = self.tables.take_scratch()
        while not kernels.lay_texts(self.heap.data, scratch, base, count, data, starts, other, is_open, label):
            self.resolve(scratch)
        self.tables.give_scratch(scratch)
        return base

    def add_flags(self, state: int, flags: int) -> None:
        """Sets flags of a state."""
        self.heap.data[state + FLAGS] |= flags

    def _record(self, kind: int, *fields: int) -> int:
        move = self._moves.get((kind, *fields))
        if move is None:
            move = self._moves[(kind, *fields)] = self.heap.put(fields) << 3 | kind
        return move

    def frame(self, resume: int, flags: int, alive: Sequence[bool] = (), jump: Jump | None = None) -> int:
        """A new frame.

        Args:
            resume: the state after a return to it.
            flags: CONSUMED, CLOSABLE.
            alive: for each label whether it may come.
            jump: what a label that may come leads to: (frame, state) pairs.
        """
        jumps = self.heap.put([UNKNOWN if live else 0 for live in alive]) if alive else 0
        address = self.heap.put((resume, flags, jumps))
        if jump is not None:
            self._jumpers[address] = jump, len(alive)
        return address

    def cell(self, frame: int, below: int) -> int:
        """The stack with `frame` on top of `below`; the same one for the same frames."""
        found = self._cells.get((frame, below))
        if found is None:
            found = self._cells[(frame, below)] = self.heap.put((frame, below))
        return found

    def kept_cell(self, cells: Ints, cell: int) -> int:
        """The stack a kernel made, `cell` < 0, as one that stays."""
        frames = []
        while cell < 0:
            frames.append(int(cells[-2 * cell]))
            cell = int(cells[-2 * cell + 1])
        with self.lock:
            for frame in reversed(frames):
                cell = self.cell(frame, cell)
        return cell

    def check_room(self, scratch: Ints) -> None:
        """GrammarLimit if a kernel call left something out for want of room."""
        if scratch[OVERFLOW]:
            raise GrammarLimit("grammar: too many ways to read the text")

    def resolve(self, scratch: Ints, seconds: float | None = None) -> float:
        """Makes what a kernel call missed.

        Args:
            scratch: the call's working memory.
            seconds: what an earlier call for the same mask or token left of the time for it; None for the first one.

        Returns:
            The seconds left.

        Raises:
            GrammarLimit: the tables grow too large.
            GrammarTimeout: it takes longer.
        """
        count = int(scratch[MISSES_USED])
        misses = scratch[MISSES : MISSES + 2 * count].tolist()
        with self.lock:
            outer = self._deadline  # one kernel call's misses have one deadline, the outermost call's
            limit = self._seconds if seconds is None else seconds
            deadline = outer or Deadline(limit, clock=time.thread_time, most_at_once=self._seconds / 4)
            self._set_deadline(deadline)
            try:
                self._make(misses)
            finally:
                self._set_deadline(outer)
            return deadline.left

    def _make(self, misses: list[int]) -> None:
        for what, label in zip(misses[::2], misses[1::2], strict=True):
            self.check_limits()
            if label >= 0:
                self.jump(what, label)
            elif label == -1:
                self.ensure(what)
            else:
                self.lexemes.make(what, -2 - label)

    def _set_deadline(self, deadline: Deadline | None) -> None:
        self._deadline = deadline
        if self._languages is not None:
            self._languages.deadline = deadline

    def check_limits(self) -> None:
        """GrammarLimit if the tables are too large, or making what a call missed takes too long."""
        if self._deadline is not None:
            self._deadline.check(f"grammar: what may come next was not found out within {self._seconds} s")
        if self.num_bytes > self._max_bytes:
            raise GrammarLimit(f"grammar: its tables take more than {self._max_bytes} bytes")

    def jump(self, frame: int, label: int) -> None:
        """Finds out what a label of a frame leads to."""
        at = int(self.heap.data[frame + JUMPS]) + label
        if self.heap.data[at] == UNKNOWN:
            found = self._jumpers[frame][0](label)
            block = self.heap.put([len(found), *(part for pair in found for part in pair)]) if found else 0
            self.heap.data[at] = block
