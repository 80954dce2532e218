"""Graft: KV that was computed in another sequence and brought into this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Graft", "keyed"]


@dataclass(frozen=True, slots=True)
class Graft:
    """The KV of tokens `start`..`end` of a sequence, which cannot be computed from the tokens before them.

    It stays beside the pool as long as a sequence has the graft, and is put into the sequence's pages whenever these
    have to be filled: at first, and after they were given up because memory ran short.

    Attributes:
        key: the tree knows these tokens by this number instead of by their ids. It is negative and of this graft
            alone, which begins at the same place wherever it is, so whoever has the same tokens as a plain prompt never
            finds them; forks have the same graft and do.
        kv: keys and values of at least as many tokens, as the model's runner knows them.
    """

    start: int
    end: int
    key: int
    kv: object

    def cut(self, num_tokens: int) -> Graft:
        """What is left of it in the first `num_tokens` tokens of the sequence."""
        return self if num_tokens >= self.end else replace(self, end=num_tokens)


def keyed(tokens: Sequence[int], grafts: Sequence[Graft]) -> Sequence[int]:
    """The numbers by which the tree knows these tokens."""
    if not grafts:
        return tokens
    keys = list(tokens)
    for graft in grafts:
        end = min(graft.end, len(keys))
        if graft.start < end:
            keys[graft.start : end] = [graft.key] * (end - graft.start)
    return keys
