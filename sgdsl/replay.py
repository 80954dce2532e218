"""Replay: executes a graph by recording its instructions on a run's streams, all at once and without waiting.

So a compiled program and a recorded one are executed by the same streams, and write the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runtime.handle import Chunk, Handle
from sgdsl.awaited import Awaited, derived
from sgdsl.concatenation import concatenate
from sgdsl.errors import InvalidArgument
from sgdsl.ir import (
    Arg,
    Call,
    Checkpoint,
    Concat,
    Fork,
    Graph,
    Instruction,
    Join,
    Node,
    SetVar,
    Text,
    Value,
    VarRef,
)
from sgdsl.ir.graph import bound_by
from sgdsl.ir.values import as_text, evaluated, references
from sgdsl.joining import join
from sgdsl.outcome import Outcome, gathered
from sgdsl.run import Run

if TYPE_CHECKING:
    from runtime.hint import Hint
    from sgdsl.step import Step
    from sgdsl.stream import Stream

__all__ = ["Replay"]


class Replay:
    """One execution of a graph on a run that has recorded nothing yet.

    Args:
        graph: what to execute.
        run: on which.
        arguments: by name; a handle stands for a value that is still being made.
        hints: by instruction, for backends that take them.
    """

    def __init__(
        self, graph: Graph, run: Run, arguments: Mapping[str, Any], hints: Mapping[int, Hint] | None = None
    ) -> None:
        self._graph = graph
        self._run = run
        self._arguments = arguments
        self._hints = hints or {}
        self._streams: dict[int, Stream] = {0: run.main}
        self._bound: dict[tuple[int, str], Handle[Outcome]] = {}

    def record(self) -> Handle[Outcome]:
        """Records every instruction and hands them over; gives what the program returns, in the making.

        Raises:
            InvalidArgument: a join is asked for a name that its streams have not bound.
            ProgramError: the run has failed already.
            BackendCapabilityError: the backend cannot do one of them.
        """
        with self._run.lock:
            for index, instruction in enumerate(self._graph.instructions):
                self._one(index, instruction)
        self._run.flush()
        for stream in list(self._streams.values())[1:]:
            stream.close_when_idle()
        return self._made(self._graph.result)

    def _one(self, index: int, instruction: Instruction) -> None:
        stream, node, source = self._streams[instruction.stream], instruction.node, instruction.source
        if isinstance(node, Fork):
            self._streams.update(zip(node.children, stream.fork(len(node.children), source), strict=True))
        elif isinstance(node, Join):
            children = [self._streams[child] for child in node.children]
            join(
                stream, children, hand_back=bool(node.names), single=node.single,
                return_exceptions=node.return_exceptions, source=source, appended=self._appends(index, node),
            )  # fmt: skip
            self._remember(index, node, stream)
        elif isinstance(node, Concat):
            concatenate(stream, [self._streams[child] for child in node.children], source)
        elif isinstance(node, Checkpoint):
            stream.mark(source)
        elif isinstance(node, SetVar):
            stream.bind(node.name, derived(self._handles(node.value), lambda: self._value(node.value), text_of=str))
            self._remember(index, node, stream)
        elif isinstance(node, Call):
            self._call(index, stream, instruction)
        else:
            stream.record([self._concrete(node)], source, self._hints.get(index))
            self._remember(index, node, stream)

    def _appends(self, index: int, node: Join) -> bool:
        """Whether what is joined is appended too, by the next instruction."""
        following = self._graph.instructions[index + 1 : index + 2]
        return any(isinstance(one.node, Concat) and one.node.children == node.children for one in following)

    def _concrete(self, node: Node) -> Node | Awaited:
        """The instruction with what it refers to in place."""
        if isinstance(node, Arg) and not isinstance(self._arguments[node.name], Handle):
            return Text(as_text(self._arguments[node.name], node))
        if isinstance(node, Arg | VarRef):
            return Awaited(node.name, derived(self._handles(node), lambda: as_text(self._look_up(node), node)))
        return node

    def _remember(self, index: int, node: Node, stream: Stream) -> None:
        """What later instructions may refer to."""
        for name in bound_by(node):
            if name is not None and name in stream.variables:
                self._bound[index, name] = stream.variables[name]

    # values

    def _handles(self, value: Value) -> list[Handle[Outcome]]:
        found = [self._handle(reference) for reference in references(value)]
        return [handle for handle in found if handle is not None]

    def _handle(self, reference: Arg | VarRef) -> Handle[Outcome] | None:
        if isinstance(reference, VarRef):
            if (reference.origin, reference.name) not in self._bound:
                raise InvalidArgument(f"instruction {reference.origin} has bound no {reference.name!r}")
            return self._bound[reference.origin, reference.name]
        argument = self._arguments[reference.name]
        return argument if isinstance(argument, Handle) else None

    def _made(self, value: Value) -> Handle[Outcome]:
        return derived(self._handles(value), lambda: self._value(value))

    def _value(self, value: Value) -> Any:
        return evaluated(value, self._look_up)

    def _look_up(self, reference: Arg | VarRef) -> Any:
        """The value of something that is there."""
        handle = self._handle(reference)
        if handle is None:
            return self._arguments[reference.name]
        if isinstance(reference, Arg):
            return handle.result().value
        found = getattr(handle.result(), reference.form)
        for key in reference.path:
            found = found[key]
        return found

    # other programs

    def _call(self, index: int, stream: Stream, instruction: Instruction) -> None:
        """The called program runs beside this one, and this run is not over before it is."""
        node = instruction.node
        if not isinstance(node, Call):
            raise TypeError(f"{type(node).__name__} is no call")
        step = stream.record([node], instruction.source)[0]
        if step.outcome is None:
            raise RuntimeError("a call has no outcome")
        self._bound[index, ""] = step.outcome
        outer = self._run
        inner = Run(node.graph.name, outer.backend, outer.loop, node.sampling, is_async=outer.is_async)
        self._run.adopt(inner)
        arguments = {name: self._made(value) for name, value in node.arguments}
        fixed = {p.name: p.default for p in node.graph.parameters if p.name not in arguments}
        returned = Replay(node.graph, inner, {**fixed, **arguments}).record()
        whole = gathered([returned, *inner.pending()], lambda _: Outcome(None), keep_errors=True)

        def ended(chunk: Chunk | None) -> None:
            if chunk is None:
                self._run.loop.post(lambda: _conclude(inner, returned, stream, step))

        whole.subscribe(ended)


def _conclude(inner: Run, returned: Handle[Outcome], stream: Stream, step: Step) -> None:
    """A called program has come to its end: the caller gets its value, or fails as it did."""
    try:
        inner.conclude()
        value = returned.result().value
    except Exception as error:
        stream.fail_at(step, error)
        return
    finally:
        inner.close()
    stream.settle(step, Outcome(value, ""))
