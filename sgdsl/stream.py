"""Stream: one line of execution in a program, as a state machine over its instructions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.handle import Handle
from sgdsl import capability, interpreter
from sgdsl.awaited import Awaited
from sgdsl.chat import Conversation
from sgdsl.errors import InvalidArgument, ProgramEnded, ProgramError
from sgdsl.ir import Checkpoint as CheckpointNode
from sgdsl.ir import (
    Fork,
    Gen,
    Join,
    Node,
    Rollback,
    ScopeBegin,
    ScopeEnd,
    Select,
    Text,
    Tokens,
)
from sgdsl.lead import Lead
from sgdsl.log import Log
from sgdsl.outcome import Outcome, gathered, ready
from sgdsl.separation import separated
from sgdsl.source import Source
from sgdsl.step import Mark, Step, begun

if TYPE_CHECKING:
    from runtime.hint import Hint
    from sgdsl.backends.base import BackendSession
    from sgdsl.run import Run

__all__ = ["Stream"]


@dataclass(eq=False)
class Stream:
    """Records instructions, keeps what came of them, and hands the rest to the interpreter in order.

    Everything here happens under the run's lock; nothing blocks but reading, which is `ProgramState`'s business.

    Attributes:
        trail: the instructions whose text makes up the stream's text, forks' common beginning included.
        log: every instruction ever recorded, rollbacks included, for readers that follow along.
        queue: recorded but not yet handed over.
        lead: handed over but not yet recorded, where the program was compiled in part.
        unfinished: steps whose outcome is still in the making.
        variables: every name that can be read; `fresh` those bound since the fork or the last join.
        parent: what it forked from, or that one's own parent where it was let go; `children` the other way round.
        began: of a fork, the trail's length and the conversation it began with.
        joined: streams that have joined this one, and fail with it.
        handed_over: its session was opened, whether or not it is still open.
        released: nobody can read or extend it any more.
    """

    run: Run
    index: int
    conversation: Conversation
    trail: list[Step] = field(default_factory=list)
    variables: dict[str, Handle[Outcome]] = field(default_factory=dict)
    fresh: dict[str, Handle[Outcome]] = field(default_factory=dict)
    scopes: list[tuple[str, int]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    parent: Stream | None = None
    children: dict[Stream, None] = field(default_factory=dict)
    began: tuple[int, Conversation] | None = None
    joined: list[Stream] = field(default_factory=list)
    on_failure: list[Callable[[ProgramError], None]] = field(default_factory=list)
    queue: deque[Step] = field(default_factory=deque)
    lead: Lead | None = None
    unfinished: dict[Step, None] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    session: BackendSession | None = None
    waiting: bool = False
    handed_over: bool = False
    released: bool = False
    error: ProgramError | None = None

    def __post_init__(self) -> None:
        self.log: Log[Step] = Log(tuple(self.trail))

    # recording

    def record(self, nodes: Sequence[Node | Awaited], source: Source | None, hint: Hint | None = None) -> list[Step]:
        """Appends instructions: all of them, or none when one is refused.

        Args:
            hint: what is known of the time after the first of them.

        Raises:
            ProgramError: the stream has failed before.
            ProgramEnded: the program is over.
            InvalidArgument: a role begins or ends where it cannot.
            BackendCapabilityError: the backend cannot do one of them.
        """
        with self.run.lock:
            self.check()
            if self.run.is_over:
                raise ProgramEnded(f"{self.run.name} is over: nothing can be appended to its state")
            conversation, steps = self._prepare((node, source) for node in nodes)
            self.conversation = conversation
            if steps:
                steps[0].hint = hint
            steps = [self._keep(step) for step in steps]
            self.run.note_recorded(self)
            return steps

    def check(self) -> None:
        """Raises what the stream failed with, if it failed."""
        if self.error is not None:
            self.run.seen.add(self.error)
            raise self.error

    def _prepare(
        self, nodes: Iterable[tuple[Node | Awaited, Source | None]]
    ) -> tuple[Conversation, list[Step]]:  # fmt: skip
        conversation = self.conversation
        steps: list[Step] = []
        for node, source in nodes:
            capability.check_capability(node, self.run.backend)
            capability.check_options(node, self.run)
            capability.check_place(node, conversation, (self.trail, steps), self.run)
            conversation, step = begun(conversation, node, source)
            steps.append(step)
        return conversation, steps

    def _keep(self, step: Step) -> Step:
        """Takes a step up; what was foreseen is executed already."""
        rest: str | None = None
        is_foreseen = bool(self.lead)
        if self.lead:
            step, rest = self.lead.meet(step)
        self._commit(step)
        if not is_foreseen:
            self.queue.append(step)
        elif rest is not None:
            self.queue.append(Step(Text(rest), step.source, rest))
        return step

    def _commit(self, step: Step) -> None:
        node = step.node
        if isinstance(node, ScopeBegin):
            self.scopes.append((node.name, len(self.trail)))
        elif isinstance(node, ScopeEnd):
            self._end_scope(node.name)
        elif isinstance(node, Rollback):
            self._return_to(node.index)
        elif step.outcome is not None:
            if not step.outcome.done():
                self.unfinished[step] = None
            self._bind_outcome(node, step.outcome)
        if not isinstance(node, Rollback | Fork | Join | CheckpointNode | Tokens):
            self.trail.append(step)
        self.log.append(step)
        if self.run.recording is not None:
            self.run.recording.recorded(self, step)

    def _bind_outcome(self, node: Node | Awaited, outcome: Handle[Outcome]) -> None:
        if isinstance(node, Gen) and node.reasoning is not None:
            answer, thoughts = separated(outcome, node.reasoning)
            for name, handle in ((node.name, answer), (node.reasoning_name, thoughts)):
                if name is not None:
                    self.bind(name, handle)
        elif isinstance(node, Gen | Select) and node.name is not None:
            self.bind(node.name, outcome)

    def bind(self, name: str, outcome: Handle[Outcome]) -> None:
        """Makes `name` stand for this outcome from here on."""
        self.variables[name] = outcome
        self.fresh[name] = outcome

    def bind_joined(self, node: Join, name: str, outcome: Handle[Outcome]) -> None:
        """Makes `name` stand for what children have bound it to."""
        self.bind(name, outcome)

    def set_var(self, name: str, value: Any, source: Source | None) -> None:
        """Makes `name` stand for a value of the program's own."""
        with self.run.lock:
            self.check()
            self.bind(name, ready(Outcome(value, value if isinstance(value, str) else str(value))))

    def require_text(self, what: str) -> None:
        """Raises where the text itself can never be read, as while a program is traced."""

    def _close_scope(self, name: str) -> int:
        """Ends the innermost scope; gives the place in the trail where it began."""
        if not self.scopes or self.scopes[-1][0] != name:
            raise InvalidArgument(f"var_scope {name!r} ends but is not the innermost open one")
        return self.scopes.pop()[1]

    def _end_scope(self, name: str) -> None:
        steps = self.trail[self._close_scope(name) :]

        def whole(_: object) -> Outcome:
            text = "".join(step.final_text() for step in steps)
            return Outcome(text, text)

        self.bind(name, gathered([step.outcome for step in steps], whole))

    def _return_to(self, index: int) -> None:
        mark = self.marks[index]
        for later in self.marks[index + 1 :]:
            later.is_good = False
        del self.trail[mark.trail_length :]
        self.variables, self.fresh = dict(mark.variables), dict(mark.fresh)
        self.conversation, self.scopes = mark.conversation, list(mark.scopes)

    def mark(self, source: Source | None) -> int:
        """Records a checkpoint and returns its index."""
        with self.run.lock:
            index = len(self.marks)
            mark = Mark(
                len(self.trail), dict(self.variables), dict(self.fresh), self.conversation, tuple(self.scopes)
            )  # fmt: skip
            self.marks.append(mark)
            try:
                self.record([CheckpointNode(index)], source)
            except BaseException:
                self.marks.pop()
                raise
            return index

    def fork(self, n: int, source: Source | None) -> list[Stream]:
        """`n` streams of the run that begin with what this one holds now."""
        run = self.run
        with run.lock:
            indices = tuple(range(run.num_streams, run.num_streams + n))
            self.record([Fork(indices)], source)
            children = [self.child(index) for index in indices]
            run.add(children)
        return children

    def child(self, index: int) -> Stream:
        """A stream that holds what this one holds now; the backend's part follows when the fork is handed over."""
        made = type(self)(
            self.run, index, self.conversation, trail=list(self.trail), variables=dict(self.variables),
            parent=self, began=(len(self.trail), self.conversation),
        )  # fmt: skip
        self.children[made] = None
        return made

    def anticipate(self, nodes: Iterable[tuple[Node, Source | None]]) -> None:
        """Executes what the program is going to say, before it has said it."""
        with self.run.lock:
            _, steps = self._prepare(nodes)
            self.lead = Lead(steps)
            self.queue.extend(steps)
            self.run.note_recorded(self)
            self.run.flush()

    # handing over

    def advance(self) -> None:
        """Executes what can be executed, and hands the session's script over."""
        while self.queue and not self.waiting and self.error is None:
            step = self.queue[0]
            try:
                if self.index == 0 and not self.handed_over:
                    self.take(self.run.open_session())
                if self.session is None:  # a fork that its parent has not handed over yet
                    return
                interpreter.execute(self, self.queue.popleft())
                if self.session is not None and (not self.queue or self.waiting):  # its last step may close it
                    self.session.flush()
            except Exception as error:
                self.fail_at(step, error)
        if self.released:
            self.close_when_idle()

    def take(self, session: BackendSession) -> None:
        """The backend's part of the stream is there; the stream may have ended or been dropped before."""
        self.session, self.handed_over = session, True
        if self.error is not None:
            session.cancel()
            self.close()
        if self.released:
            self.close_when_idle()

    def put_held(self) -> None:
        """Appends the text held back so far to the session, as one unit."""
        text = "".join(self.held)
        self.held.clear()
        if text:
            self.live_session.append(text)

    @property
    def live_session(self) -> BackendSession:
        """The session; only instructions that are being executed ask for it."""
        if self.session is None:
            raise RuntimeError("a stream executes before its session is open")
        return self.session

    def settle(self, step: Step, outcome: Outcome, results: Sequence[Any] = ()) -> None:
        """A step came to its end; `results` are the backend's."""
        if self.run.recording is not None:
            self.run.recording.ended(self, step, results, outcome)
        if step.outcome is not None:
            step.outcome.finish(outcome)
        with self.run.lock:
            self.unfinished.pop(step, None)
        if self.released:
            self.close_when_idle()

    # ending

    def fail_at(self, step: Step, error: BaseException) -> None:
        """The stream cannot go on because of one of its steps."""
        if isinstance(error, ProgramError):
            self.fail(error)
            return
        reason = str(error) or type(error).__name__
        failure = ProgramError(f"{step.what()}: {reason}", step.source)
        failure.__cause__ = error
        self.fail(failure, step)

    def fail(self, error: ProgramError, cause: Step | None = None) -> None:
        """The stream ends here, and with it whatever forked from it or has joined it. The first failure counts."""
        waiting: list[Step] = []
        failed: list[Stream] = []
        failing = [self]  # not by recursion: forks of forks may be nested deeper than Python's stack
        with self.run.lock:  # all of them before anybody is told: who hears of one finds the others failed
            while failing:
                stream = failing.pop()
                if stream.error is None:
                    failed.append(stream)
                    waiting.extend(stream.unfinished)
                    failing.extend(stream._mark_failed(error))
            if self.run.recording is not None:  # before anybody can find nothing unfinished and end the run
                self.run.recording.failed(waiting, error, cause)
        for step in waiting:
            if step.outcome is not None:
                step.outcome.fail(error)
        for stream in failed:
            stream._tell(error)

    def _mark_failed(self, error: ProgramError) -> list[Stream]:
        """Does nothing more from here on; returns the streams that end with this one."""
        self.error = error
        self.unfinished = {}
        self.queue.clear()
        self.log.close()  # nothing can follow, however long the program's function goes on
        if self.session is not None:
            self.session.cancel()
        return [*self.children, *self.joined]

    def _tell(self, error: ProgramError) -> None:
        for listener in list(self.on_failure):
            listener(error)
        self.close()  # nothing can use its KV any more, however long the program's function goes on
        if self.released:
            self.close_when_idle()

    def close_when_idle(self) -> None:
        """Nobody can read or extend this stream any more: its session closes with its last step."""
        with self.run.lock:
            self.released = True
            if self.handed_over and not self.queue and not self.unfinished:
                self.close()
                self._leave()

    def _leave(self) -> None:
        """The run and the parent let it go; what forked from it still ends with the parent."""
        self.run.let_go(self)
        parent, self.parent = self.parent, None
        if parent is None:
            return
        parent.children.pop(self, None)
        for child in self.children:
            child.parent = parent
            parent.children[child] = None
        self.children.clear()

    def close(self) -> None:
        """Closes the session; what was read stays."""
        with self.run.lock:
            session, self.session = self.session, None
            self.queue.clear()
        if session is not None:
            session.close()
