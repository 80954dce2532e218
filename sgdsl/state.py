"""ProgramState: a stream as programs see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from runtime.handle import Handle
from sgdsl import reading
from sgdsl.dropping import when_dropped
from sgdsl.errors import InvalidArgument, ProgramError, WouldBlock
from sgdsl.events import Event
from sgdsl.ir import Node, RoleBegin, RoleEnd, Rollback, ScopeBegin, ScopeEnd, Tokens
from sgdsl.outcome import Outcome
from sgdsl.primitives import Expr, expression
from sgdsl.roles import message
from sgdsl.source import caller
from sgdsl.step import Step
from sgdsl.stream import Stream
from sgdsl.usage import Usage
from sgdsl.waiting import Deadline, on_event_loop, wait_for, wait_for_async

if TYPE_CHECKING:
    from sgdsl.copied import CopiedState
    from sgdsl.group import ProgramStateGroup
    from sgdsl.program import Program

__all__ = ["Checkpoint", "ProgramState"]


class Checkpoint:
    """A point a state can return to with `rollback`."""

    def __init__(self, stream: Stream, index: int) -> None:
        self.stream = stream
        self.index = index
        self.mark = stream.marks[index]


class ProgramState:
    """One line of execution of a program: append with `+=`, read with `[]`.

    Reads wait for what they ask for; in `async def` programs they are awaited (`await s.get(name)`), and a plain read
    of something not there yet raises `WouldBlock`. After a failure every read raises it.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    # writing

    def __iadd__(self, expr: Expr | str) -> ProgramState:
        self._stream.record(expression(expr).nodes, caller())
        return self

    def set_var(self, name: str, value: Any) -> None:
        """Binds a name to a value of the program's own.

        Raises:
            InvalidArgument: the name is not a non-empty string.
        """
        _check_name(name)
        self._stream.set_var(name, value, caller())

    def __setitem__(self, name: str, value: Any) -> None:
        self.set_var(name, value)

    @contextmanager
    def _between(self, begin: Node, end: Node) -> Iterator[None]:
        self._stream.record([begin], caller())
        try:
            yield
        except BaseException:
            with suppress(Exception):  # the error on its way out says more
                self._stream.record([end], caller())
            raise
        self._stream.record([end], caller())

    def system(self, expr: Expr | str | None = None) -> Any:
        """`with s.system():` is a system message; with an expression, appends one."""
        return self._message("system", expr)

    def user(self, expr: Expr | str | None = None) -> Any:
        """`with s.user():` is a user message; with an expression, appends one."""
        return self._message("user", expr)

    def assistant(self, expr: Expr | str | None = None) -> Any:
        """`with s.assistant():` is an assistant message; with an expression, appends one."""
        return self._message("assistant", expr)

    def _message(self, role: str, expr: Expr | str | None) -> Any:
        if expr is None:
            return self._between(RoleBegin(role), RoleEnd(role))
        self._stream.record(message(role, expr).nodes, caller())
        return None

    def var_scope(self, name: str) -> AbstractContextManager[None]:
        """`with s.var_scope(name):`: what is appended inside is, as text, the value of `name`."""
        _check_name(name)
        return self._between(ScopeBegin(name), ScopeEnd(name))

    def fork(self, n: int = 1) -> ProgramStateGroup:
        """`n` states that begin with everything this one holds, sharing its KV.

        Raises:
            InvalidArgument: n is not an integer of at least 1.
        """
        from sgdsl.group import ProgramStateGroup

        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidArgument(f"n={n!r} is not allowed: an integer of at least 1")
        children = self._stream.fork(n, caller())
        return ProgramStateGroup(self, [_droppable(ProgramState(child)) for child in children])

    def copy(self) -> CopiedState:
        """One state that begins with everything this one holds; as a context manager it joins on exit."""
        from sgdsl.copied import CopiedState

        return _droppable(CopiedState(self, self._stream.fork(1, caller())[0]))

    def checkpoint(self) -> Checkpoint:
        """A point to return to with `rollback`."""
        return Checkpoint(self._stream, self._stream.mark(caller()))

    def rollback(self, checkpoint: Checkpoint) -> None:
        """Back to a checkpoint of this state: later text and names are gone, the KV up to there stays.

        Raises:
            InvalidArgument: it is another state's checkpoint, or lies behind one already returned to.
        """
        stream = self._stream
        with stream.run.lock:
            if checkpoint.stream is not stream or not checkpoint.mark.is_good:
                raise InvalidArgument("rollback: this checkpoint is not one this state can return to")
            stream.record([Rollback(checkpoint.index)], caller())

    def call(self, program: Program, *args: Any, **kwargs: Any) -> Any:
        """Runs another program's function on this state, as if its lines stood here; returns what it returns.

        An `async` function's is awaited, which only an `async` program can do.

        Raises:
            InvalidArgument: it is no program made by `function`, or an `async` one inside a plain one.
        """
        if not hasattr(program, "inline"):
            raise InvalidArgument(f"call: {type(program).__name__} is not allowed: a program made by @function")
        return program.inline(self, *args, **kwargs)

    def cancel(self) -> None:
        """Ends everything that is running; later reads raise `ProgramCancelled`."""
        self._stream.run.cancel()

    # reading

    @property
    def ret_value(self) -> Any:
        """What the program's function returned."""
        return self._stream.run.value

    def __contains__(self, name: object) -> bool:
        return name in self._stream.variables

    def __getitem__(self, name: str) -> Any:
        return self.get_var(name)

    def get_var(self, name: str, timeout: float | None = None) -> Any:
        """The value of a name.

        Raises:
            KeyError: nothing has that name.
            ProgramError: the state has failed.
            TimeoutError: not there within `timeout` seconds; the program goes on.
        """
        return self._read(name, timeout).value

    def text_of(self, name: str, timeout: float | None = None) -> Any:
        """The raw text of a name; a list of texts where there are several."""
        return self._read(name, timeout).text

    def get_meta_info(self, name: str, timeout: float | None = None) -> Any:
        """Tokens, log probabilities, finish reason, cached tokens and latencies of a name, as a dict."""
        return self._read(name, timeout).meta

    async def get(self, name: str, timeout: float | None = None) -> Any:
        """The value of a name, awaited."""
        async with Deadline(timeout).awaited():
            handle = await self._lookup_async(name)
            self._stream.run.flush()
            await wait_for_async(handle)
        self._stream.check()
        return handle.result().value

    def _lookup(self, name: str, deadline: Deadline) -> Handle[Outcome]:
        """What a name stands for, which may have to be waited for."""
        return self._found(name)

    def _found(self, name: str) -> Handle[Outcome]:
        with self._stream.run.lock:
            self._stream.check()
            if name not in self._stream.variables:
                known = ", ".join(self._stream.variables) or "none"
                raise KeyError(f"no variable {name!r} in this state; there are: {known}")
            return self._stream.variables[name]

    def _read(self, name: str, timeout: float | None) -> Outcome:
        deadline = Deadline(timeout)
        handle = self._lookup(name, deadline)
        self._await(handle, deadline, f"await s.get({name!r})")
        self._stream.check()
        return handle.result()

    def _await(self, handle: Handle[Any], deadline: Deadline, hint: str) -> None:
        self._stream.run.flush()
        if not handle.done():
            self._refuse_to_block(hint)
        wait_for(handle, deadline)

    def _is_awaited(self) -> bool:
        """Whether whoever reads this should not block an event loop."""
        return self._stream.run.is_async

    def _refuse_to_block(self, hint: str) -> None:
        if self._is_awaited() and not self._stream.run.is_over and on_event_loop():
            raise WouldBlock(f"not there yet, and waiting would block the event loop: {hint}")

    def text(self, timeout: float | None = None) -> str:
        """All of the text, prompt included, when it is whole."""
        self._stream.require_text("s.text()")
        return reading.text(self._whole_trail(Deadline(timeout)))

    def messages(self, timeout: float | None = None) -> list[dict[str, Any]]:
        """The chat messages as {role, content}, when they are whole.

        `content` is a string; with an image in it, the OpenAI API's list of `text` and `image_url` parts.
        """
        self._stream.require_text("s.messages()")
        return reading.messages(self._whole_trail(Deadline(timeout)))

    def sync(self, timeout: float | None = None) -> None:
        """Waits until everything recorded so far has ended."""
        self._whole_trail(Deadline(timeout))

    async def wait(self, timeout: float | None = None) -> None:
        """As `sync`, awaited: afterwards reads do not block."""
        self._stream.run.flush()
        async with Deadline(timeout).awaited():
            for handle in self._unfinished():
                await wait_for_async(handle)
        self._stream.check()

    def error(self, timeout: float | None = None) -> ProgramError | None:
        """What the state failed with, once everything recorded so far has ended; None when nothing failed."""
        self._stream.require_text("s.error()")
        with suppress(ProgramError):
            self.sync(timeout)
        failure = self._stream.error or self._stream.run.error
        if failure is not None:
            self._stream.run.seen.add(failure)
        return failure

    def _unfinished(self) -> list[Handle[Outcome]]:
        with self._stream.run.lock:
            self._stream.check()
            handles = [step.outcome for step in self._stream.trail]
            handles += list(self._stream.variables.values())
            return [handle for handle in handles if handle is not None and not handle.done()]

    def _whole_trail(self, deadline: Deadline) -> list[Step]:
        for handle in self._unfinished():
            self._await(handle, deadline, "await s.wait() first")
        with self._stream.run.lock:
            self._stream.check()
            return list(self._stream.trail)

    def tokens(self, timeout: float | None = None) -> list[tuple[int, str]]:
        """The token ids so far with their origin: "prompt", "generated" or "forced".

        It cuts the text here: what follows is tokenized by itself. Only while the program runs.
        """
        deadline = Deadline(timeout)
        handle = self._ask_tokens()
        self._await(handle, deadline, "await s.get_tokens()")
        self._stream.check()
        return cast("list[tuple[int, str]]", handle.result().value)

    async def get_tokens(self, timeout: float | None = None) -> list[tuple[int, str]]:
        """As `tokens`, awaited."""
        async with Deadline(timeout).awaited():
            handle = self._ask_tokens()
            self._stream.run.flush()
            await wait_for_async(handle)
        self._stream.check()
        return cast("list[tuple[int, str]]", handle.result().value)

    def _ask_tokens(self) -> Handle[Outcome]:
        self._stream.require_text("s.tokens()")
        step = self._stream.record([Tokens()], caller())[0]
        if step.outcome is None:
            raise RuntimeError("a read of tokens has no outcome")
        return step.outcome

    def usage(self) -> Usage:
        """Gens, prompt tokens, cached tokens and generated tokens of the whole run, forks included."""
        return self._stream.run.usage()

    # following

    def events(self) -> Iterator[Event]:
        """The text in text order, waiting for what is still being written; raises what the state failed with.

        On the state that `run(stream=True)` returned it follows the program to its end.
        """
        self._stream.require_text("the text")
        self._refuse_to_block("use s.text_async_iter()")
        self._stream.run.flush()
        yield from reading.events(self._steps())
        self._stream.check()

    def text_iter(self, name: str | None = None, *, var_name: str | None = None) -> Iterator[str]:
        """Pieces of the text as they come: of one name (or `var_name`), or without one of everything.

        What a rollback takes back has been given by then; `events` tells of it.
        """
        name = name or var_name
        if name is None:
            for event in self.events():
                if text := reading.added(event):
                    yield text
            return
        self._stream.require_text("the text")
        self._refuse_to_block(f"use s.text_async_iter({name!r})")
        handle = self._lookup(name, Deadline(None))
        self._stream.run.flush()
        yield from reading.pieces(handle)
        self._stream.check()

    async def text_async_iter(
        self, name: str | None = None, return_meta_data: bool = False, *, var_name: str | None = None
    ) -> AsyncIterator[Any]:
        """As `text_iter`, awaited; with `return_meta_data`, pairs of a piece and the meta it came with."""
        name = name or var_name
        self._stream.require_text("the text")
        self._stream.run.flush()
        if name is None:
            async for event in reading.events_async(self._steps_async()):
                if text := reading.added(event):
                    yield (text, {}) if return_meta_data else text
        else:
            async for text, meta in reading.pieces_async(await self._lookup_async(name)):
                yield (text, meta) if return_meta_data else text
        self._stream.check()

    def __repr__(self) -> str:
        names = ", ".join(self._stream.variables) or "no variables"
        return f"<state of {self._stream.run.name}: {names}>"

    def _repr_html_(self) -> str:
        """The text so far in colours, for notebooks."""
        from sgdsl.notebook import state_html

        return state_html(self._stream)

    def _steps(self) -> Iterator[Step]:
        return iter(self._stream.log.snapshot())

    async def _steps_async(self) -> AsyncIterator[Step]:
        for step in self._stream.log.snapshot():
            yield step

    async def _lookup_async(self, name: str) -> Handle[Outcome]:
        return self._found(name)


S = TypeVar("S", bound=ProgramState)


def _droppable(state: S) -> S:
    """Gives the fork's session up when the program drops the fork and it has nothing left to do."""
    when_dropped(state, state._stream.run.loop, state._stream, Stream.close_when_idle)
    return state


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"name={name!r} is not allowed: a non-empty string")
