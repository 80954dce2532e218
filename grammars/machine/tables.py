"""What all grammars of one vocabulary share: the trie, the kernels, the masks of string bodies, working memory."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from grammars.machine.kernels import Kernels, compiled_kernels
from grammars.machine.scratch import new_scratch
from grammars.machine.spellable import spellable
from grammars.machine.table_file import TableFile
from grammars.machine.trie import (
    BYTE_AT,
    DEPTH_AT,
    FIRST_AT,
    LONGEST,
    NODES,
    START_AT,
    TEXT_AT,
    TOKEN_AT,
    build_trie,
    token_bytes,
)
from grammars.vocabulary import Vocabulary

__all__ = ["Behind", "VocabularyTables"]

Behind: TypeAlias = npt.NDArray[np.int32]
"""The trie nodes behind a lexeme's end, by the move that ends it and their byte."""
MAX_SHARED_BYTES = 2**24
"""Masks of lexemes that other grammars may have too are kept up to that."""


class VocabularyTables:
    """Made once for a vocabulary; threads may share it.

    Args:
        vocabulary: the tokens.
        kernels: which functions walk the tables; the compiled ones by default.
        cache_dir: where the trie and the shared masks are kept between processes; None keeps them nowhere.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, kernels: Kernels | None = None, cache_dir: Path | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.kernels = compiled_kernels() if kernels is None else kernels
        self.trie = _trie(vocabulary, TableFile(cache_dir, vocabulary, "trie"))
        self._masks_file = TableFile(cache_dir, vocabulary, "masks")
        self.texts = token_bytes(vocabulary)
        self.num_nodes = int(self.trie[NODES])
        self.longest = int(self.trie[LONGEST])
        self.num_words = vocabulary.mask_words
        self.end_mask: npt.NDArray[np.int32] = np.zeros(self.num_words, np.int32)
        words = self.end_mask.view(np.uint32)
        for token in vocabulary.end_tokens:
            words[token >> 5] |= np.uint32(1 << (token & 31))
        self.shared: npt.NDArray[np.uint32] = np.zeros((4, self.num_words), np.uint32)
        self.spellable = spellable(vocabulary)
        self._num_shared = 0
        self._num_stored = 0
        self._found: dict[object, tuple[int, Behind, int]] = {}
        self._spare = [new_scratch()]
        self._lock = Lock()

    def take_scratch(self) -> npt.NDArray[np.int32]:
        """Working memory for one kernel call at a time."""
        try:
            return self._spare.pop()
        except IndexError:
            return new_scratch()

    def give_scratch(self, memory: npt.NDArray[np.int32]) -> None:
        """Takes working memory back."""
        self._spare.append(memory)

    def token_range(self, token: int) -> tuple[int, int]:
        """Where the bytes of a token begin and end in `trie`."""
        start = int(self.trie[START_AT]) + token
        text = int(self.trie[TEXT_AT])
        return text + int(self.trie[start]), text + int(self.trie[start + 1])

    def path_to(self, node: int) -> bytes:
        """The bytes on the way to a trie node, its own included."""
        trie = self.trie
        first = int(trie[int(trie[FIRST_AT]) + node])
        depth = int(trie[int(trie[DEPTH_AT]) + node])
        return self.texts[int(trie[int(trie[TOKEN_AT]) + first])][:depth]

    def grouped(self, pairs: Behind) -> Behind:
        """(move, trie node) pairs [n, 2] as the record of a cache (`grammars.machine.layout`) that lies at 0."""
        moves, nodes = pairs[:, 0], pairs[:, 1]
        bytes_of = self.trie[self.trie[BYTE_AT] + nodes]
        order = np.lexsort((bytes_of, moves))
        moves, nodes, bytes_of = moves[order], nodes[order], bytes_of[order]
        starts = np.flatnonzero(np.append(True, (np.diff(moves) != 0) | (np.diff(bytes_of) != 0))[: len(nodes)])
        groups = np.empty((len(starts), 4), np.int32)
        groups[:, 0], groups[:, 1] = moves[starts], bytes_of[starts]
        groups[:, 2], groups[:, 3] = starts + 2 + groups.size, np.diff(np.append(starts, len(nodes)))
        return np.concatenate([np.array([0, len(starts)], np.int32), groups.reshape(-1), nodes.astype(np.int32)])

    def found(self, name: object) -> tuple[int, Behind, int] | None:
        """Slot, nodes and reach of a shared lexeme state, if they were found out already."""
        return self._found.get(name)

    @property
    def has_room(self) -> bool:
        """Whether more masks may be kept for all grammars."""
        return 4 * self.num_words * self._num_shared < MAX_SHARED_BYTES

    def keep(self, name: object, mask: npt.NDArray[np.uint32], behind: Behind, reach: int) -> int:
        """Keeps what was found out about a lexeme state that other grammars may have too; its (negative) slot."""
        with self._lock:
            if self._num_shared == len(self.shared):
                grown = np.zeros((2 * len(self.shared), self.num_words), np.uint32)
                grown[: len(self.shared)] = self.shared
                self.shared = grown
            self.shared[self._num_shared] = mask
            self._num_shared += 1
            slot = -self._num_shared
            self._found[name] = (slot, behind, reach)
        return slot

    def store(self) -> None:
        """Writes down what was found out so far, unless it is written down already."""
        if len(self._found) == self._num_stored:
            return
        names = list(self._found)
        slots = [-1 - self._found[name][0] for name in names]
        behind = [self._found[name][1] for name in names]
        lengths = np.array([len(one) for one in behind], np.int32)
        reach = np.array([self._found[name][2] for name in names], np.int32)
        text = np.frombuffer(json.dumps(names).encode(), np.uint8)
        masks, joined = self.shared[slots], np.concatenate(behind)
        self._masks_file.write(names=text, masks=masks, reach=reach, lengths=lengths, behind=joined)
        self._num_stored = len(names)

    def restore(self) -> bool:
        """Reads what was written down; False where nothing was."""
        kept = self._masks_file.read()
        if kept is None or not kept.keys() >= {"names", "masks", "reach", "lengths", "behind"}:
            return False
        names = json.loads(kept["names"].tobytes())
        parts = np.split(kept["behind"], np.cumsum(kept["lengths"])[:-1])
        for name, mask, behind, reach in zip(names, kept["masks"], parts, kept["reach"].tolist(), strict=True):
            self.keep(_as_tuple(name), mask, behind, reach)
        self._num_stored = len(names)
        return True


def _trie(vocabulary: Vocabulary, file: TableFile) -> npt.NDArray[np.int32]:
    """The trie from its file, or made and left there."""
    kept = file.read()
    if kept is None or "trie" not in kept:
        kept = {"trie": build_trie(vocabulary)}
        file.write(**kept)
    return kept["trie"]


def _as_tuple(value: object) -> object:
    """Names as JSON gives them back, with tuples again."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
