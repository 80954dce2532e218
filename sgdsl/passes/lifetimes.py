"""Lifetimes: which prefix will be extended again, and how much will follow, as hints for memory and scheduling."""

from __future__ import annotations

from runtime.hint import Hint
from sgdsl.ir import Call, Gen, Graph, Select
from sgdsl.passes.calls import calls_of

__all__ = ["DEFAULT_MAX_TOKENS", "lifetimes"]

DEFAULT_MAX_TOKENS = 128
"""What a gen may write where nobody says."""


def lifetimes(graph: Graph, max_tokens: int | None = None) -> dict[int, Hint]:
    """For every gen and select, what is known of the time after it.

    Args:
        max_tokens: what a run gives to gens that do not say.
    """
    default = DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens
    parents = calls_of(graph).parents
    calls: dict[int, int] = dict.fromkeys(parents, 0)
    tokens: dict[int, int] = dict.fromkeys(parents, 0)
    extended: set[int] = set()
    for index in reversed(list(parents)):  # whatever goes on from a call stands behind it
        parent = parents[index]
        if parent is None:
            continue
        extended.add(parent)
        calls[parent] = max(calls[parent], calls[index] + 1)
        tokens[parent] = max(tokens[parent], tokens[index] + _own_tokens(graph, index, default))
    return {
        index: Hint(remaining_calls=calls[index], remaining_tokens=tokens[index], extends_again=index in extended)
        for index in parents
        if not isinstance(graph.instructions[index].node, Call)
    }


def _own_tokens(graph: Graph, index: int, default: int) -> int:
    """At most as many tokens come of a call; a choice's bytes are never fewer than its tokens."""
    node = graph.instructions[index].node
    if isinstance(node, Gen):
        return default if node.sampling.max_tokens is None else node.sampling.max_tokens
    return max(len(choice.encode()) for choice in node.choices) if isinstance(node, Select) else 0
