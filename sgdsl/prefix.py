"""Prefix: the text that every run of a program begins with goes into a backend's prefix cache."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

from sgdsl.errors import BackendCapabilityError
from sgdsl.ir import Gen
from sgdsl.passes.constant_prefix import constant_prefix
from sgdsl.process import loop
from sgdsl.run import Run
from sgdsl.sampling import Sampling
from sgdsl.tracer import trace

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend
    from sgdsl.ir import Graph
    from sgdsl.program import Program

__all__ = ["cache_graph_prefix", "cache_prefix"]


def cache_prefix(program: Program, backend: Backend) -> int:
    """Traces the program as far as it is the same for all arguments, and has the text up to there computed.

    Returns:
        The number of tokens now in the backend's cache.

    Raises:
        BackendCapabilityError: the backend has no cache that could be filled ahead.
    """
    return cache_graph_prefix(trace(program, {}, partial=True, fix_defaults=False), backend)


def cache_graph_prefix(graph: Graph, backend: Backend) -> int:
    """Has a graph's constant beginning computed.

    Returns:
        The number of tokens now in the backend's cache.

    Raises:
        BackendCapabilityError: the backend has no cache that could be filled ahead.
    """
    if not backend.capabilities.tokens:
        raise BackendCapabilityError("cache", backend.name, "what its server keeps is its own affair")
    run = Run(graph.name, backend, loop())
    with closing(run):
        stream = run.main
        for instruction in constant_prefix(graph):
            stream.record([instruction.node], instruction.source)
        if not any(step.text for step in stream.trail):
            return 0
        step = stream.record([Gen(name=None, sampling=Sampling(max_tokens=0))], None)[0]
        run.settle()
        stream.check()
        if step.outcome is None:
            raise RuntimeError("a gen has no outcome")
        return cast(int, step.outcome.result().meta["prompt_tokens"])
