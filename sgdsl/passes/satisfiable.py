"""Satisfiable: whether some text fulfils every constraint."""

from __future__ import annotations

from functools import lru_cache

from grammars.errors import GrammarError
from grammars.spec import Choice, Spec
from sgdsl.ir import Call, Gen, Graph
from sgdsl.passes.finding import Finding

__all__ = ["satisfiable"]


def satisfiable(graph: Graph) -> list[Finding]:
    """Gens held to a grammar that does not compile or that no text fulfils."""
    found: list[Finding] = []
    for instruction in graph.instructions:
        node = instruction.node
        if isinstance(node, Call):
            found += satisfiable(node.graph)
        if isinstance(node, Gen) and node.constraint is not None:
            reason = _trouble(node.constraint)
            if reason is not None:
                what = f"gen {node.name or 'without a name'}"
                found.append(Finding("satisfiable", f"{what}: {reason}", instruction.source))
    return found


@lru_cache(maxsize=256)
def _trouble(spec: Spec) -> str | None:
    """What is wrong with a spec, tried over single bytes; no model is needed for that."""
    if isinstance(spec, Choice):
        return None
    from sgdsl.backends.example import byte_engine

    try:
        byte_engine().compile(spec)
    except GrammarError as error:
        return str(error)
    return None
