"""Check: everything that can be said against a graph before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sgdsl.passes.budget import budget
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.finding import Finding
from sgdsl.passes.satisfiable import satisfiable
from sgdsl.passes.stops import stops

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend, TokenizingBackend
    from sgdsl.ir import Graph

__all__ = ["check", "fits"]


def check(graph: Graph, backend: Backend | None = None) -> list[Finding]:
    """The findings of every check, in program order.

    Args:
        backend: where it is to run; without one nothing is known of its context.
    """
    found = [*satisfiable(graph), *stops(graph)]
    if backend is not None:
        found += fits(graph, backend)
    return sorted(found, key=lambda finding: finding.source.line if finding.source is not None else 0)


def fits(graph: Graph, backend: Backend, max_tokens: int | None = None) -> list[Finding]:
    """What the backend's context has no room for; nothing where the backend does not tell its length."""
    length = backend.capabilities.context_length
    if length is None or not backend.capabilities.tokenizes:
        return []
    expanded = expand_roles(graph, backend.chat_template)
    if not budget(expanded, _num_bytes, length, max_tokens):  # a token is a byte at least
        return []
    return budget(expanded, cast("TokenizingBackend", backend).count_tokens, length, max_tokens)


def _num_bytes(text: str) -> int:
    return len(text.encode())
