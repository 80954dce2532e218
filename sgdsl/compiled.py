"""CompiledProgram: a program as a graph that was looked at before, and runs without the Python function."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from runtime.handle import Handle
from sgdsl.anticipation import anticipating
from sgdsl.errors import CheckFailed, InvalidArgument
from sgdsl.outcome import Outcome
from sgdsl.passes.check import check, fits
from sgdsl.passes.constraints import constraints
from sgdsl.passes.expand_roles import expand_roles
from sgdsl.passes.finding import Finding
from sgdsl.passes.lifetimes import lifetimes
from sgdsl.passes.merge_text import merge_text
from sgdsl.passes.parallel import parallel
from sgdsl.passes.units import constants, with_arguments
from sgdsl.program import Program
from sgdsl.replay import Replay
from sgdsl.waiting import wait_for

if TYPE_CHECKING:
    from sgdsl.backends.base import Backend, GrammarBackend, TokenizingBackend
    from sgdsl.ir import Graph
    from sgdsl.state import ProgramState

__all__ = ["CompiledProgram", "compile_program"]

_log = logging.getLogger("sgdsl.compiled")


def compile_program(program: Program, graph: Graph, backend: Backend | None) -> CompiledProgram:
    """A compiled program of a traced graph, whole or partial.

    Raises:
        CheckFailed: the graph could not run through.
    """
    if graph.stopped is not None:
        return CompiledProgram(graph, backend=backend, function=program)
    return CompiledProgram(parallel(merge_text(graph)), backend=backend)


class CompiledProgram:
    """Runs a graph: every instruction is handed over at once, each stream's as one script.

    A partial graph runs what it has ahead of the function, which goes on from there.

    Args:
        graph: what to run.
        backend: what its context length is checked against, and where its grammars are compiled ahead.
        function: of a partial graph, the program it is the beginning of.

    Attributes:
        graph: what it runs.
        findings: what the checks had to say; warnings only, for errors are raised.

    Raises:
        CheckFailed: the graph could not run through.
        InvalidArgument: a partial graph without its function.
    """

    def __init__(self, graph: Graph, *, backend: Backend | None = None, function: Program | None = None) -> None:
        if graph.stopped is not None and function is None:
            raise InvalidArgument(f"this graph is not whole: {graph.stopped}")
        self.graph = graph
        self.findings = _passed(check(graph, backend))
        self._hints = lifetimes(graph)
        if function is None or graph.stopped is None:
            self._program, self._async_program = self._programs()
        else:
            self._program = self._async_program = anticipating(function, graph)
        if backend is not None and backend.capabilities.compiles_ahead:
            cast("GrammarBackend", backend).compile_ahead(constraints(graph))

    @property
    def program(self) -> Program:
        """The program that runs the graph."""
        return self._program

    @property
    def name(self) -> str:
        """The program's name."""
        return self.graph.name

    def __repr__(self) -> str:
        return f"<compiled program {self.name}: {len(self.graph)} instructions>"

    def run(self, *args: Any, **kwargs: Any) -> ProgramState:
        """As `Program.run`.

        Raises:
            CheckFailed: with these arguments, the context has no room for it.
            InvalidArgument: an argument that the graph was made for has another value.
        """
        return self._program.run(*args, **kwargs)

    async def arun(self, *args: Any, **kwargs: Any) -> ProgramState:
        """As `Program.arun`."""
        return await self._async_program.arun(*args, **kwargs)

    def run_batch(
        self, batch: Sequence[Mapping[str, Any] | Sequence[Any]], *, backend: Any = None, **options: Any
    ) -> list[Any] | Iterator[Any]:
        """As `Program.run_batch`; what is the same in every run is tokenized and compiled once, before the first."""
        found = self._program.resolve(backend)
        self._prepare(found)
        return self._program.run_batch(batch, backend=found, **options)

    def cache(self, backend: Any = None) -> int:
        """As `Program.cache`."""
        from sgdsl.prefix import cache_graph_prefix

        return cache_graph_prefix(self.graph, self._program.resolve(backend))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a program's: inside another one, runs on its backend and gives what it returns."""
        return self._program(*args, **kwargs)

    def _prepare(self, backend: Backend) -> None:
        if backend.capabilities.tokenizes:
            texts = constants(expand_roles(self.graph, backend.chat_template))
            cast("TokenizingBackend", backend).remember(texts)
        if backend.capabilities.compiles_ahead:
            cast("GrammarBackend", backend).compile_ahead(constraints(self.graph))

    def _programs(self) -> tuple[Program, Program]:
        """The graph as a plain and as an `async` program."""

        signature = self._signature()

        def perform(*args: Any, **kwargs: Any) -> Any:
            returned = self._begin(*_bound(signature, args, kwargs))
            wait_for(returned, None)
            return returned.result().value

        async def perform_async(*args: Any, **kwargs: Any) -> Any:
            return (await self._begin(*_bound(signature, args, kwargs))).value

        return self._named(perform, signature), self._named(perform_async, signature)

    def _named(self, function: Callable[..., Any], signature: inspect.Signature) -> Program:
        function.__name__ = function.__qualname__ = self.name
        function.__signature__ = signature  # type: ignore[attr-defined]
        return Program(function)

    def _signature(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter("state", inspect.Parameter.POSITIONAL_ONLY)]
        for parameter in self.graph.parameters:  # a required one may stand behind one with a default that is fixed
            free = kind if parameter.is_required or not parameter.is_fixed else inspect.Parameter.KEYWORD_ONLY
            default = inspect.Parameter.empty if parameter.is_required else parameter.default
            parameters.append(inspect.Parameter(parameter.name, free, default=default))
        return inspect.Signature(sorted(parameters, key=lambda p: (p.kind, p.default is not p.empty)))

    def _begin(self, state: ProgramState, given: Mapping[str, Any]) -> Handle[Outcome]:
        run = state._stream.run
        arguments = self._arguments(given)
        _passed(fits(with_arguments(self.graph, arguments), run.backend, run.sampling.max_tokens))
        return Replay(self.graph, run, arguments, self._hints).record()

    def _arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        for parameter in self.graph.parameters:
            if parameter.is_fixed and given.get(parameter.name, parameter.default) != parameter.default:
                raise InvalidArgument(
                    f"{parameter.name}={given[parameter.name]!r} is not allowed: the graph was made for"
                    f" {parameter.default!r}; compile({parameter.name}=…) makes one for another value"
                )
        return {p.name: given.get(p.name, p.default) for p in self.graph.parameters}


def _bound(
    signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[ProgramState, dict[str, Any]]:
    """The state, and the arguments by name."""
    state, *rest = args
    bound = signature.bind(state, *rest, **kwargs).arguments
    return state, dict(list(bound.items())[1:])


def _passed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The warnings, logged.

    Raises:
        CheckFailed: there are errors among them.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise CheckFailed(errors)
    for finding in findings:
        _log.warning("%s", finding)
    return tuple(findings)
