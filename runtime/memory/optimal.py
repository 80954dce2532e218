"""OptimalCache: what a cache would have found that never forgets anything, to measure the real one against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.memory.node import TOKEN_BYTES, common_prefix, pack

__all__ = ["OptimalCache"]

EDGE_BYTES: Final = 300
"""About what an edge takes beside its tokens."""


class _Edge:
    """A run of tokens, and what was seen to follow it, by first token."""

    __slots__ = ("following", "run")

    def __init__(self, run: bytes) -> None:
        self.run = run
        self.following: dict[bytes, _Edge] | None = None


class OptimalCache:
    """All prompts and outputs so far as a trie over tokens, without any KV.

    Args:
        most_bytes: it learns nothing more once it takes about so many; what it reports is too low from then on.

    Attributes:
        num_bytes: what it takes, about.
        hits, misses: prompt tokens it would have had, and would have had to compute.
    """

    def __init__(self, most_bytes: int = 256 << 20) -> None:
        self.num_bytes = 0
        self.hits = 0
        self.misses = 0
        self._most_bytes = most_bytes
        self._roots: dict[str, _Edge] = {}

    @property
    def is_full(self) -> bool:
        """Whether it has stopped learning."""
        return self.num_bytes >= self._most_bytes

    @property
    def hit_rate(self) -> float:
        """Hits ÷ prompt tokens; 0 while there were none."""
        return self.hits / max(1, self.hits + self.misses)

    def ask(self, prompt: Sequence[int], namespace: str = "", *, reads_prefix: bool = True) -> int:
        """Counts a prompt as the cache does, of which the last token always has to be run; returns what it had.

        Args:
            reads_prefix: False for what is computed on behalf of others, who will count the whole of it.
        """
        found = max(0, min(self.match(prompt, namespace), len(prompt) - 1))
        self.hits += found if reads_prefix else 0
        self.misses += len(prompt) - found
        return found

    def match(self, tokens: Sequence[int], namespace: str = "") -> int:
        """How many leading tokens were seen before in this namespace."""
        edge = self._roots.get(namespace)
        return 0 if edge is None else self._descend(edge, pack(tokens))[1] // TOKEN_BYTES

    def learn(self, tokens: Sequence[int], namespace: str = "") -> None:
        """Remembers a prompt, or a prompt with its output."""
        if self.is_full:
            return
        packed = pack(tokens)
        edge, position, inside = self._descend(self._roots.setdefault(namespace, _Edge(b"")), packed)
        rest = packed[position:]
        if not rest:
            return
        if inside < len(edge.run):
            lower = _Edge(edge.run[inside:])
            lower.following = edge.following
            edge.run, edge.following = edge.run[:inside], {lower.run[:TOKEN_BYTES]: lower}
            self.num_bytes += EDGE_BYTES
        if edge.following is None:
            edge.following = {}
        edge.following[rest[:TOKEN_BYTES]] = _Edge(rest)
        self.num_bytes += EDGE_BYTES + len(rest)

    @staticmethod
    def _descend(edge: _Edge, packed: bytes) -> tuple[_Edge, int, int]:
        """The edge where `packed` ends or leaves the trie, the bytes found, and how many of them are of that edge."""
        position, inside = 0, len(edge.run)
        while position < len(packed) and edge.following is not None:
            following = edge.following.get(packed[position : position + TOKEN_BYTES])
            if following is None:
                break
            edge = following
            inside = common_prefix(edge.run, packed[position : position + len(edge.run)], TOKEN_BYTES)
            position += inside
            if inside < len(edge.run):
                break
        return edge, position, inside
