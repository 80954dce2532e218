"""Inventory: what is in the prefix cache, and who holds what of the pool."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from runtime.memory.node import Node

if TYPE_CHECKING:
    from runtime.core import EngineCore
    from runtime.session_state import SessionState

__all__ = ["inventory"]

MOST_VISITED = 20_000
"""Nodes that are looked at: the engine's thread does nothing else meanwhile."""
MOST_TOKENS = 256
MOST_HOLDERS = 1000


def inventory(core: EngineCore, limit: int, namespace: str | None = None) -> dict[str, Any]:
    """Nodes of the tree, the last used first, and holders, as plain data. Called in the engine's thread.

    Args:
        limit: nodes that are told of.
        namespace: only that one's.
    """
    tree = core.cache.tree
    visited = list(islice(tree.root.walk(), MOST_VISITED))
    tokens: Counter[str] = Counter()
    for node in visited:
        tokens[node.namespace] += node.num_tokens
    shown = [node for node in visited if namespace is None or node.namespace == namespace]
    numbers = {id(node): number for number, node in enumerate(visited)}
    pinned = {id(step) for node in core.pins.nodes for step in node.path()}
    return {
        "ledger": core.cache.pool.ledger.table(),
        "num_nodes": tree.num_nodes,
        "num_visited": len(visited),
        "evictable_tokens": tree.num_evictable,
        "protected_tokens": tree.num_protected,
        "namespaces": dict(tokens.most_common(MOST_HOLDERS)),
        "pins": core.pins.described(),
        "holders": [_holder(session) for session in islice(core.sessions, MOST_HOLDERS)],
        "num_sessions": len(core.sessions),
        "nodes": [
            {"id": numbers[id(node)], "parent": numbers.get(id(node.parent)), **_told(node, pinned)}
            for node in heapq.nlargest(limit, shown, key=lambda node: node.last_use)
        ],
    }


def _told(node: Node, pinned: set[int]) -> dict[str, Any]:
    return {
        "namespace": node.namespace,
        "start": node.end - node.num_tokens,
        "num_tokens": node.num_tokens,
        "token_ids": list(node.key[:MOST_TOKENS]),
        "owner": "tree",
        "locks": node.num_locks,
        "pinned": id(node) in pinned,
        "hits": node.num_hits,
        "last_use": node.last_use,
        "priority": node.priority,
        "is_leaf": node.is_leaf,
    }


def _holder(session: SessionState) -> dict[str, Any]:
    """What a session holds: its private slots, and what it locks in the tree."""
    sequence = session.sequence
    found = {
        "program": session.program,
        "namespace": session.namespace,
        "num_tokens": len(session.tokens),
        "is_busy": session.is_busy,
        "owner": "session",
        "private_pages": 0,
        "shared_pages": 0,
    }
    if sequence is None:
        return found
    return found | {
        "owner": sequence.holder.name.lower(),
        "private_pages": len(sequence.pages) - sequence.num_shared,
        "shared_pages": sequence.num_shared,
    }
