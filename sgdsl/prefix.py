"""Prefix: the text that every run of a program begins with, found by running it with arguments that cannot be read."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from sgdsl.ir import Gen, Node, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd, Text
from sgdsl.process import loop
from sgdsl.run import Run
from sgdsl.sampling import Sampling
from sgdsl.source import Source
from sgdsl.state import ProgramState
from sgdsl.stream import Step, Stream

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend
    from sgdsl.program import Program

__all__ = ["cache_prefix"]

_CONSTANT = (Text, RoleBegin, RoleEnd, ScopeBegin, ScopeEnd)


class _PrefixEnds(BaseException):
    """Unwinds the program at the first thing that may differ from run to run; `except Exception` lets it by."""


class _Unknown:
    """Stands for an argument; whoever looks at it ends the prefix."""

    def _end(self, *_: object, **__: object) -> Any:
        raise _PrefixEnds

    __getattr__ = __getitem__ = __iter__ = __len__ = __bool__ = __str__ = __format__ = __eq__ = __hash__ = _end
    __repr__ = __add__ = __radd__ = __lt__ = __le__ = __gt__ = __ge__ = __call__ = __contains__ = __int__ = _end


class _PrefixStream(Stream):
    """Records constant text, and ends at anything else."""

    def record(self, nodes: Sequence[Node], source: Source | None) -> list[Step]:
        """Appends the constant beginning of `nodes`."""
        for node in nodes:
            if not isinstance(node, _CONSTANT):
                raise _PrefixEnds
            super().record([node], source)
        return []


class _PrefixState(ProgramState):
    """Whoever reads it ends the prefix."""

    def _lookup(self, name: str, timeout: float | None = None) -> Any:
        raise _PrefixEnds

    def _unfinished(self) -> Any:
        raise _PrefixEnds


class _PrefixRun(Run):
    """Whoever calls another program ends the prefix."""

    def adopt(self, run: Run) -> None:
        """Refuses it."""
        raise _PrefixEnds


def cache_prefix(program: Program, backend: Backend) -> int:
    """Runs the program up to the first instruction that is not constant, and computes what it has written by then.

    Returns:
        The number of tokens now in the backend's cache.
    """
    run = _PrefixRun(program.name, backend, loop(), is_async=program.is_async)
    stream = _PrefixStream(run, 0, run.main.conversation)
    run.streams[0] = stream
    try:
        with run.entered():
            _record_prefix(program, _PrefixState(stream))
        if not any(step.text for step in stream.trail):
            return 0
        step = Stream.record(stream, [Gen(name=None, sampling=Sampling(max_tokens=0))], None)[0]
        run.settle()
        stream.check()
        if step.outcome is None:
            raise RuntimeError("a gen has no outcome")
        return cast(int, step.outcome.result().meta["prompt_tokens"])
    finally:
        run.close()


def _record_prefix(program: Program, state: ProgramState) -> None:
    parameters = [p for p in program.signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    arguments = {p.name: _Unknown() for p in parameters} | program.bound
    positional = [arguments.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY]
    try:
        started = program.func(state, *positional, **arguments)
        if inspect.iscoroutine(started):
            with closing(started):
                started.send(None)
    except (_PrefixEnds, StopIteration):
        return
