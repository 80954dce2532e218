"""The grammar of a byte automaton: a regex, a choice or a schema that became one, for one vocabulary."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np

from grammars.engines.automaton import DEAD, START, ByteAutomaton
from grammars.engines.token_trie import TokenTrie
from grammars.errors import UnsupportedConstraint
from grammars.grammar import MaskRow
from grammars.vocabulary import Vocabulary

__all__ = ["AutomatonGrammar", "AutomatonMatcher"]

MASK_BYTES = 16 * 2**20
"""Default memory for the masks one grammar keeps."""


class AutomatonGrammar:
    """Masks of a byte automaton's states, each made when first asked for. Thread-safe.

    Args:
        automaton: what is accepted, in bytes.
        vocabulary: the tokens that texts are made of.
        trie: of the same vocabulary.
        warnings: what the automaton leaves unenforced, one sentence each.
        mask_bytes: memory for masks; the least recently used are dropped beyond it (one is always kept).

    Raises:
        UnsupportedConstraint: no sequence of tokens spells an accepted text.
    """

    def __init__(
        self,
        automaton: ByteAutomaton,
        vocabulary: Vocabulary,
        trie: TokenTrie,
        warnings: tuple[str, ...] = (),
        mask_bytes: int = MASK_BYTES,
    ) -> None:
        self.warnings = warnings
        self.vocabulary = vocabulary
        self.automaton = _spellable_part(automaton, trie)
        self._trie = trie
        self._max_masks = max(1, mask_bytes // (4 * vocabulary.mask_words))
        self._masks: OrderedDict[int, MaskRow] = OrderedDict()
        self._lock = Lock()

    def matcher(self) -> AutomatonMatcher:
        """A fresh matcher at the start of the text."""
        return AutomatonMatcher(self)

    @property
    def num_bytes(self) -> int:
        """Memory the automaton takes and the masks may take."""
        most = min(self._max_masks, self.automaton.num_states)
        return self.automaton.num_bytes + most * 4 * self.vocabulary.mask_words

    def mask(self, state: int) -> MaskRow:
        """The read-only mask of a state: int32 [ceil(V / 32)]."""
        with self._lock:
            found = self._masks.get(state)
            if found is not None:
                self._masks.move_to_end(state)
                return found
        # Made outside the lock: two threads may make the same mask, but none waits for another's.
        made = self._make_mask(state)
        with self._lock:
            self._masks[state] = made
            while len(self._masks) > self._max_masks:
                self._masks.popitem(last=False)
        return made

    def _make_mask(self, state: int) -> MaskRow:
        allowed = np.zeros(self.vocabulary.mask_words * 32, np.bool_)
        if state != DEAD:
            allowed[self._trie.allowed(self.automaton, state)] = True
        if state == DEAD or self.automaton.final[state]:
            allowed[list(self.vocabulary.end_tokens)] = True
        row: MaskRow = np.packbits(allowed, bitorder="little").view("<i4").astype(np.int32)
        row.flags.writeable = False
        return row


def _spellable_part(automaton: ByteAutomaton, trie: TokenTrie) -> ByteAutomaton:
    """Drops what single-byte tokens cannot finish, so that no mask ever leads into a dead end.

    Byte-level vocabularies have a token for every byte of UTF-8, and nothing is lost. A vocabulary that lacks some
    loses the texts with those bytes, even where a longer token could have spelled them.
    """
    spellable = trie.spellable
    if not automaton.table[:, ~spellable].any():
        return automaton
    part = automaton.without_bytes(spellable)
    if not part.final[START] and not part.table[START].any():
        raise UnsupportedConstraint("vocabulary", "", "its single-byte tokens cannot spell any accepted text")
    return part


class _Step(NamedTuple):
    """One accepted token in a stack that forks share."""

    state: int
    depth: int
    before: _Step | None


class AutomatonMatcher:
    """Follows one text through an automaton (see `grammars.grammar.Matcher`).

    After an end token the state is `DEAD`: only further end tokens are accepted, and the text stays complete.
    """

    __slots__ = ("_grammar", "_top")

    def __init__(self, grammar: AutomatonGrammar, top: _Step | None = None) -> None:
        self._grammar = grammar
        self._top = top or _Step(START, 0, None)

    def mask_into(self, row: MaskRow) -> None:
        """Overwrites `row` with the tokens that may come next."""
        np.copyto(row, self._grammar.mask(self._top.state))

    def accept(self, token: int) -> bool:
        """Advances by one token; False, and no change, when it is not allowed."""
        state = self._after(token)
        if state is None:
            return False
        self._top = _Step(state, self._top.depth + 1, self._top)
        return True

    def _after(self, token: int) -> int | None:
        """The state after `token`, None where it is refused."""
        vocabulary = self._grammar.vocabulary
        if token in vocabulary.end_tokens:
            return DEAD if self.is_complete() else None
        text = vocabulary.tokens[token] if 0 <= token < len(vocabulary) else None
        if not text or self._top.state == DEAD:
            return None
        state = self._grammar.automaton.run(self._top.state, text)
        return None if state == DEAD else state

    def forced(self) -> list[int]:
        """Always empty: this engine forces nothing."""
        return []

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last `num_tokens` tokens; ValueError when fewer were accepted."""
        if not 0 <= num_tokens <= self._top.depth:
            raise ValueError(f"num_tokens: {num_tokens} is not in 0..{self._top.depth}, the tokens accepted")
        top = self._top
        for _ in range(num_tokens):
            if top.before is not None:
                top = top.before
        self._top = top

    def fork(self) -> AutomatonMatcher:
        """An independent matcher at the same point, in constant time."""
        return AutomatonMatcher(self._grammar, self._top)

    def is_complete(self) -> bool:
        """Whether the text so far is accepted as it stands."""
        return self._top.state == DEAD or bool(self._grammar.automaton.final[self._top.state])

    def is_exhausted(self) -> bool:
        """Whether nothing but the end may follow."""
        return not self._grammar.automaton.table[self._top.state].any()
