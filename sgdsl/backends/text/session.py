"""TextSession: a transcript that grows. Its script is worked off in order by one task on its backend's loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.errors import EngineClosed, RequestCancelled
from runtime.handle import Generation, Handle, Scores
from sgdsl.backends.base import Choose
from sgdsl.backends.text.calls import from_model, scored
from sgdsl.backends.text.script import Append, Fork, Generate, Mark, Op, Score, Truncate
from sgdsl.backends.text.transcript import Part
from sgdsl.backends.text.write_ahead import WriteAhead
from sgdsl.errors import NotSupported
from sgdsl.ir import Image, RoleBegin, RoleEnd

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams
    from sgdsl.backends.text.adapter import TextAdapter

__all__ = ["TextSession"]

T = TypeVar("T")


class TextSession:
    """Text, pictures and the edges of chat messages, and a script over them.

    Everything but the recording happens on the loop, so that the transcript needs no lock. A mark is the number of
    parts of the transcript: what is appended at once is one part, and so is what a gen writes, unless that is nothing.

    Args:
        adapter: the model, and the loop its client lives on.
        is_started: False for a fork, until its parent has come to where it forks.
    """

    def __init__(self, adapter: TextAdapter, *, is_started: bool = True) -> None:
        self._adapter = adapter
        self._parts: list[Part] = []
        self._ahead: WriteAhead | None = None
        self._recorded: list[Op] = []
        self._ready: deque[Op] = deque()
        self._handles: dict[Handle[Any], None] = {}
        self._children: dict[TextSession, None] = {}  # forks that have not started
        self._started = is_started
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._lock = threading.RLock()
        self._context = copy_context()  # calls happen in that of whoever opened it, for tracers that follow them

    # what the language calls

    def append(self, content: str | Sequence[int]) -> None:
        """More text."""
        if not isinstance(content, str):
            raise NotSupported(f"the {self._adapter.name} backend takes text, not token ids")
        self._record(Append(content))

    def append_image(self, source: str) -> None:
        """A picture."""
        self._record(Append(Image(source)))

    def begin_role(self, role: str) -> None:
        """A message of this role begins."""
        self._record(Append(RoleBegin(role)))

    def end_role(self, role: str) -> None:
        """It ends."""
        self._record(Append(RoleEnd(role)))

    def speculate(self, num_tokens: int) -> None:
        """From here on, calls write at least so many tokens."""
        self._ahead = WriteAhead(self._adapter, num_tokens)

    def generate(
        self, params: SamplingParams, *, top_logprobs: int | None = None, logprob_start: int | None = None
    ) -> Handle[Generation]:
        """Asks the model to go on."""
        if logprob_start is not None:
            raise NotSupported(f"the {self._adapter.name} backend has no log probabilities of the prompt")
        handle: Handle[Generation] = self._handle()
        self._record(Generate(handle, params, top_logprobs, time.monotonic()))
        return handle

    def score(self, choices: Sequence[str], choose: Choose) -> Handle[Scores]:
        """Asks the model how likely each choice is."""
        handle: Handle[Scores] = self._handle()
        self._record(Score(handle, tuple(choices), choose, time.monotonic()))
        return handle

    def fork(self, n: int) -> list[TextSession]:
        """Sessions with a copy of the text; they start when this one gets here."""
        children = [TextSession(self._adapter, is_started=False) for _ in range(n)]
        with self._lock:
            self._children.update(dict.fromkeys(children))
            self._record(Fork(children))
            error = self._error
        if error is not None:
            for child in children:
                child.fail(error)
        return children

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """There are none."""
        raise NotSupported(f"the {self._adapter.name} backend has no token ids")

    def mark(self) -> Handle[int]:
        """Number of parts here."""
        handle: Handle[int] = self._handle()
        self._record(Mark(handle))
        return handle

    def truncate(self, num_tokens: int) -> None:
        """Back to that many parts."""
        self._record(Truncate(num_tokens))

    def flush(self) -> None:
        """Hands over what was recorded."""
        with self._lock:
            ops, self._recorded = self._recorded, []
            if not ops or self._error is not None:
                return
            try:  # under the lock, so that two threads' scripts arrive in the order they were taken
                self._adapter.loop.post(partial(self._take, ops))
            except EngineClosed as error:
                self.fail(error)

    def cancel(self) -> None:
        """Ends everything unfinished; the request under way is aborted."""
        self.fail(RequestCancelled("the session was cancelled"))

    def close(self) -> None:
        """Gives up the session; what was handed over still runs, since forks may begin with it."""
        self.flush()

    def fail(self, error: BaseException) -> None:
        """Nothing more comes of this session, nor of its forks that have not started."""
        with self._lock:
            if self._error is None:
                self._error = error
            handles, self._handles = list(self._handles), {}
            children, self._children = list(self._children), {}
            self._recorded.clear()
        for handle in handles:
            handle.fail(error)
        for child in children:
            child.fail(error)
        with suppress(EngineClosed):
            self._adapter.loop.post(self._stop)

    def _handle(self) -> Handle[Any]:
        handle: Handle[Any] = Handle(_flush=self.flush)
        with self._lock:
            self._handles[handle] = None
            error = self._error
        if error is not None:
            handle.fail(error)
        return handle

    def _record(self, op: Op) -> None:
        with self._lock:
            if self._error is None:
                self._recorded.append(op)

    # on the loop

    def _take(self, ops: list[Op]) -> None:
        self._ready.extend(ops)
        self._go_on()

    def _go_on(self) -> None:
        if self._started and self._task is None and self._ready and self._error is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), context=self._context)
            self._task.add_done_callback(self._rest)

    def _rest(self, task: asyncio.Task[None]) -> None:
        """The task has ended; one that was cancelled may not even have begun."""
        self._task = None
        if task.cancelled():
            self.fail(RequestCancelled(f"the {self._adapter.name} backend was closed"))
        elif (error := task.exception()) is not None:
            self.fail(error)
        else:
            self._go_on()

    def _stop(self) -> None:
        self._ready.clear()
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        """Does what was handed over so far."""
        while self._ready and self._error is None:
            await self._perform(self._ready.popleft())

    async def _perform(self, op: Op) -> None:
        if isinstance(op, Generate):
            await self._finish(op.handle, self._generate(op))
        elif isinstance(op, Score):
            await self._finish(op.handle, self._score(op))
        elif isinstance(op, Mark):
            self._end(op.handle, len(self._parts))
        elif isinstance(op, Fork):
            for child in op.children:
                self._start(child)
        else:
            self._change(op)

    def _change(self, op: Append | Truncate) -> None:
        if isinstance(op, Append):
            self._parts.append(op.part)
        else:
            del self._parts[op.num_parts :]
        if self._ahead is not None:
            self._ahead.follow(op.part if isinstance(op, Append) else None)

    def _start(self, child: TextSession) -> None:
        """What was written ahead stays with the parent: forks are there to differ."""
        with self._lock:
            self._children.pop(child, None)
        child._parts, child._started = list(self._parts), True
        if self._ahead is not None and child._ahead is None:
            child._ahead = self._ahead.anew()
        child._go_on()

    async def _finish(self, handle: Handle[T], work: Any) -> None:
        try:
            value: T = await work
        except Exception as error:
            with self._lock:
                self._handles.pop(handle, None)
            handle.fail(self._adapter.failure(error))
            self.fail(RequestCancelled("an earlier call of this session failed"))
            return
        self._end(handle, value)

    def _end(self, handle: Handle[T], value: T) -> None:
        with self._lock:
            self._handles.pop(handle, None)
        handle.finish(value)

    async def _generate(self, op: Generate) -> Generation:
        if op.params.max_new_tokens == 0:  # only the prompt is wanted, as by `Program.cache`: there is nothing to ask
            return Generation(text="", token_ids=(), finish_reason="length")
        if self._ahead is not None and self._ahead.serves(op):
            result = await self._ahead.take(self._parts, op, self._ready)
        else:
            result = await from_model(self._adapter, self._parts, op)
            if self._ahead is not None:
                self._ahead.follow(None)
        if result.text:
            self._parts.append(result.text)
        return result

    async def _score(self, op: Score) -> Scores:
        result = await scored(self._adapter, self._parts, op)
        self._change(Append(op.choices[result.index]))
        return result
