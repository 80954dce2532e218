"""What all grammars of one vocabulary share: the trie, the kernels, the masks of string bodies, working memory."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from threading import Lock
from typing import TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from grammars.machine.kernels import Kernels, compiled_kernels
from grammars.machine.scratch import new_scratch
from grammars.machine.spellable import spellable
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

_LOG = logging.getLogger(__name__)

FORMAT = "2"
"""Part of the file name: changed whenever the trie's layout is."""

Behind: TypeAlias = tuple[tuple[int, int, tuple[int, ...]], ...]
"""The trie nodes behind a lexeme's end, by the move that ends it and their byte."""


class VocabularyTables:
    """Made once for a vocabulary; threads may share it.

    Args:
        vocabulary: the tokens.
        kernels: which functions walk the tables; the compiled ones by default.
        cache_dir: where the trie is kept between processes; None keeps it nowhere.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, kernels: Kernels | None = None, cache_dir: Path | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.kernels = compiled_kernels() if kernels is None else kernels
        self.trie = _kept_trie(vocabulary, cache_dir)
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
        self._found: dict[object, tuple[int, Behind]] = {}
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

    def grouped(self, pairs: npt.NDArray[np.int32]) -> Behind:
        """(move, trie node) pairs, grouped by the move and the node's byte."""
        groups: dict[tuple[int, int], list[int]] = {}
        byte_at = int(self.trie[BYTE_AT])
        for move, node in pairs.tolist():
            groups.setdefault((move, int(self.trie[byte_at + node])), []).append(node)
        return tuple((move, byte, tuple(nodes)) for (move, byte), nodes in sorted(groups.items()))

    def found(self, name: object) -> tuple[int, Behind] | None:
        """Slot and nodes of a shared lexeme state, if they were found out already."""
        return self._found.get(name)

    def keep(self, name: object, mask: npt.NDArray[np.uint32], behind: Behind) -> int:
        """Keeps what was found out about a lexeme state that every grammar has; its (negative) slot."""
        with self._lock:
            if self._num_shared == len(self.shared):
                grown = np.zeros((2 * len(self.shared), self.num_words), np.uint32)
                grown[: len(self.shared)] = self.shared
                self.shared = grown
            self.shared[self._num_shared] = mask
            self._num_shared += 1
            slot = -self._num_shared
            self._found[name] = (slot, behind)
        return slot


def _kept_trie(vocabulary: Vocabulary, cache_dir: Path | None) -> npt.NDArray[np.int32]:
    """The trie from the cache folder, or made and left there."""
    if cache_dir is None:
        return build_trie(vocabulary)
    special = repr(sorted(vocabulary.special.items()))
    name = hashlib.sha256(f"{FORMAT} {vocabulary.fingerprint} {special}".encode()).hexdigest()[:32]
    path = cache_dir / f"{name}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            trie: npt.NDArray[np.int32] = kept["trie"]
            return trie
    except FileNotFoundError:
        pass
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        _LOG.warning("the vocabulary table %s cannot be read and is made anew: %s", path, error)
    trie = build_trie(vocabulary)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
        np.savez(partial, trie=trie)
        partial.replace(path)
    except OSError as error:
        _LOG.warning("the vocabulary table %s cannot be kept: %s", path, error)
    return trie
