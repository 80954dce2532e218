"""One text's way through a machine."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from grammars.grammar import MaskRow
from grammars.machine.capturing import Capturing, Threads, kept_threads
from grammars.machine.forced import certain_tokens
from grammars.machine.machine import Machine
from grammars.machine.merged import new_memory
from grammars.machine.scratch import HIT, HITS, HITS_USED, MISSES_USED, OVERFLOW
from grammars.machine.trie import SPECIAL

__all__ = ["MachineMatcher"]

FORCED_BYTES = 512
"""Most bytes looked ahead for forced tokens."""
CONTEXT = 4
"""Tokens before a forced text that are tokenized with it, so that it begins where the tokenizer would let it."""
BROKEN_OFF = rb"^.*\xff...|^[\x80-\xbf]+"
"""What no text to be tokenized has at its beginning: special tokens, the rest of a character."""


class MachineMatcher:
    """Fulfils `grammars.grammar.Matcher`. Not thread-safe.

    Args:
        machine: the grammar's tables, shared.
        threads: where the text begins.
    """

    def __init__(self, machine: Machine, threads: Threads) -> None:
        self._machine = machine
        self._threads = threads
        self._num_ends = 0
        self._history: list[tuple[Threads, bytes]] = []
        self._row: MaskRow | None = None
        self._words: npt.NDArray[np.uint32] = np.empty(0, np.uint32)

    @property
    def machine(self) -> Machine:
        """The tables this text is matched by."""
        return self._machine

    @property
    def threads(self) -> Threads:
        """Where the text is; none behind an end token."""
        return self._threads[:0] if self._num_ends else self._threads

    def mask_into(self, row: MaskRow) -> None:
        """Overwrites `row` (int32 [ceil(V / 32)]) with the tokens that may come next, end tokens included."""
        machine, tables = self._machine, self._machine.tables
        if self._num_ends:
            row[:] = tables.end_mask
            return
        if row is not self._row:  # who asks again often hands over the same row
            self._row, self._words = row, row.view(np.uint32)
        words = self._words
        scratch, left = tables.take_scratch(), None
        threads = self._threads
        spare = words if len(threads) < 2 else np.empty_like(words)
        memory = new_memory() if len(threads) > machine.many_threads else None
        while (
            tables.kernels.fill(
                machine.heap.data, tables.trie, machine.lexemes.masks, tables.shared, threads, words, scratch, spare
            )
            if memory is None
            else tables.kernels.fill_merged(machine.heap.data, tables.trie, scratch, memory, threads, words)
        ):
            if memory is None and scratch[OVERFLOW]:
                memory = new_memory()
                continue
            machine.check_room(scratch)
            if not scratch[MISSES_USED]:
                hits = scratch[HITS : HITS + scratch[HITS_USED]].tolist()
                Capturing(machine, self._text(), left).fill(threads, hits, words)
                break
            left = machine.resolve(scratch, left)
        tables.give_scratch(scratch)

    def accept(self, token: int) -> bool:
        """Advances by one token; False, and no change, when the grammar does not allow it."""
        tables = self._machine.tables
        if token in tables.vocabulary.end_tokens and (self._num_ends or self.is_complete()):
            self._history.append((self._threads, b""))
            self._num_ends += 1
            return True
        if self._num_ends or not 0 <= token < len(tables.vocabulary):
            return False
        begin, end = tables.token_range(token)
        if begin == end:
            return False
        threads = self._after(self._threads, tables.trie, begin, end)
        if not len(threads):
            return False
        self._history.append((self._threads, tables.texts[token]))
        self._threads = threads
        return True

    def read(self, text: bytes) -> int:
        """Advances by bytes, as far as they are allowed; how many were. All of it is one step to roll back."""
        read = 0
        data = np.frombuffer(text, np.uint8).astype(np.int32)
        before = self._threads
        self._history.append((before, b""))
        while not self._num_ends and read < len(data):
            threads = self._after(self._threads, data, read, read + 1)
            if not len(threads):
                break
            read += 1
            self._threads = threads
            self._history[-1] = (before, text[:read])
        return read

    def _text(self) -> bytes:
        """The text so far."""
        return b"".join(text for _, text in self._history)

    def _after(self, threads: Threads, text: npt.NDArray[np.int32], begin: int, end: int) -> Threads:
        """The threads behind text[begin:end], with stacks that stay."""
        machine, tables = self._machine, self._machine.tables
        scratch, left = tables.take_scratch(), None
        memory = new_memory() if len(threads) > machine.many_threads else None
        while True:
            data = machine.heap.data
            if memory is None:
                count = tables.kernels.advance(data, scratch, threads, text, begin, end)
            else:
                count = tables.kernels.advance_merged(data, scratch, memory, threads, text, begin, end)
            if memory is None and scratch[OVERFLOW]:
                memory = new_memory()
                continue
            if not scratch[MISSES_USED]:
                break
            left = machine.resolve(scratch, left)
        machine.check_room(scratch)
        if scratch[HIT]:
            tables.give_scratch(scratch)
            return Capturing(machine, self._text(), left).after(threads, text[begin:end])
        reached = kept_threads(machine, scratch, count)
        tables.give_scratch(scratch)
        return reached

    def forced_bytes(self) -> bytes:
        """The bytes that must come next whatever the model says."""
        machine, tables = self._machine, self._machine.tables
        if self._num_ends or len(self._threads) > machine.many_threads:
            return b""
        out = np.empty(FORCED_BYTES, np.uint8)
        scratch, left = tables.take_scratch(), None
        while True:
            count = tables.kernels.forced(machine.heap.data, scratch, self._threads, out)
            if not scratch[MISSES_USED]:
                break
            left = machine.resolve(scratch, left)
        machine.check_room(scratch)
        tables.give_scratch(scratch)
        return out[:count].tobytes()

    def forced(self) -> list[int]:
        """The tokens that must come next whatever the model says, canonically tokenized; empty when unknown."""
        vocabulary = self._machine.tables.vocabulary
        text = self.forced_bytes().partition(bytes([SPECIAL]))[0]
        if not text or vocabulary.encode is None:
            return []
        before = b"".join(text for _, text in self._history[-CONTEXT:])
        before = re.sub(BROKEN_OFF, b"", before, flags=re.DOTALL)
        return certain_tokens(before, text, self._reached_over(text), vocabulary.encode, vocabulary.tokens)

    def _reached_over(self, text: bytes) -> list[int]:
        """Where in the forced `text` tokens begin that may reach over its end."""
        machine, tables = self._machine, self._machine.tables
        data = np.frombuffer(text, np.uint8)
        behind = self._after(self._threads, data.astype(np.int32), 0, len(data))
        row, out = np.empty(tables.num_words, np.uint32), np.empty(len(data), np.int32)
        scratch, left = tables.take_scratch(), None
        while True:
            count = tables.kernels.reached_over(machine.heap.data, tables.trie, scratch, behind, data.copy(), row, out)
            if not scratch[MISSES_USED]:
                break
            left = machine.resolve(scratch, left)
        machine.check_room(scratch)
        tables.give_scratch(scratch)
        offsets: list[int] = out[:count].tolist()
        return offsets

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last `num_tokens` accepted tokens; ValueError when there are fewer."""
        if not 0 <= num_tokens <= len(self._history):
            raise ValueError(f"num_tokens: {num_tokens} is not in 0..{len(self._history)}")
        if num_tokens:
            self._threads, _ = self._history[-num_tokens]
            del self._history[-num_tokens:]
            self._num_ends = max(0, self._num_ends - num_tokens)

    def fork(self) -> MachineMatcher:
        """An independent matcher at the same point; the tables stay shared."""
        other = MachineMatcher(self._machine, self._threads)
        other._num_ends = self._num_ends
        other._history = self._history.copy()
        return other

    def is_complete(self) -> bool:
        """Whether the text so far is accepted as it stands."""
        machine, tables = self._machine, self._machine.tables
        scratch, left = tables.take_scratch(), None
        while True:
            scratch[MISSES_USED] = 0
            data = machine.heap.data
            found = any(tables.kernels.completes(data, scratch, *thread) for thread in self._threads.tolist())
            if found or not scratch[MISSES_USED]:
                break
            left = machine.resolve(scratch, left)
        tables.give_scratch(scratch)
        return found

    def is_exhausted(self) -> bool:
        """Whether nothing but the end may follow."""
        return bool(self._num_ends) or not len(self._threads) or (self.is_complete() and not self._goes_on())

    def _goes_on(self) -> bool:
        """Whether some byte may come next."""
        machine, tables = self._machine, self._machine.tables
        scratch, left = tables.take_scratch(), None
        while True:
            found = tables.kernels.goes_on(machine.heap.data, scratch, self._threads)
            if found or not scratch[MISSES_USED]:
                break
            left = machine.resolve(scratch, left)
        tables.give_scratch(scratch)
        return found
