"""RouterSession: a session that goes to one of several backends when it first needs one, and moves when it must."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter, RequestCancelled
from runtime.handle import Chunk, Generation, Handle, Scores
from runtime.hint import Hint
from sgdsl.backends.base import Backend, BackendSession, Choose
from sgdsl.backends.routed_call import RoutedCall, options_of
from sgdsl.backends.routed_history import FAR, Mark, Piece, Step, pipe, shifted
from sgdsl.backends.telling import Telling
from sgdsl.backends.told_session import ToldSession
from sgdsl.errors import BackendCapabilityError

if TYPE_CHECKING:
    from runtime.sampling.params import SamplingParams
    from sgdsl.backends.router import Router

__all__ = ["RouterSession"]


class RouterSession(ToldSession):
    """Safe to use from several threads.

    Args:
        router: who chooses.
        namespace, program: as `Backend.open`.
    """

    def __init__(self, router: Router, namespace: str, program: str) -> None:
        super().__init__()
        self._router = router
        self._place = (namespace, program)
        self._history: list[Piece] = []
        self._marks: list[Mark] = []
        self._telling: Telling | None = None
        self._wishes: dict[str, tuple[Any, str]] = {}
        self._num_places = 0
        self._steps: deque[Step] = deque()
        self._error: BaseException | None = None
        self._started, self._pumping, self._is_known, self._closed = True, False, True, False
        self._lock = threading.RLock()
        router.open_sessions.add(self)

    # what the language calls

    def hint(self, hint: Hint) -> None:
        """What is known at this point of the script, for a backend that can use it."""
        self._wish("hint", hint, "hints")

    def speculate(self, num_tokens: int) -> None:
        """From here on, calls write at least so many tokens, on a backend that speculates."""
        self._wish("speculate", num_tokens, "speculation")

    def generate(
        self, params: SamplingParams, *, top_logprobs: int | None = None, logprob_start: int | None = None
    ) -> Handle[Generation]:
        """Lets the chosen backend's model write.

        Raises:
            BackendCapabilityError: no backend can do it.
        """
        constraint = None if params.constraint is None else type(params.constraint).__name__
        call = self._call(
            "gen", constraint=constraint, max_tokens=params.max_new_tokens, priority=params.priority,
            options=options_of(params, top_logprobs, logprob_start),
        )  # fmt: skip
        name = self._label
        ask = {"top_logprobs": top_logprobs, "logprob_start": logprob_start}
        return self._submit(call, lambda: self._named(name).generate(params, **ask), Piece("append"))

    def score(
        self, choices: Sequence[str], choose: Choose, *, unconditional: bool = False, priority: int = 0
    ) -> Handle[Scores]:
        """Scores texts on the chosen backend.

        Raises:
            BackendCapabilityError: no backend can do it.
        """
        call = self._call("select", num_choices=len(choices), unconditional=unconditional, priority=priority)
        name = self._label
        asked: dict[str, Any] = {"unconditional": True} if unconditional else {}
        asked |= {"priority": priority} if priority else {}
        run = lambda: self._named(name).score(choices, choose, **asked)  # noqa: E731
        return self._submit(call, run, Piece("append", choices=tuple(choices)))

    def fork(self, n: int) -> list[BackendSession]:
        """Sessions that begin with everything this one holds; before it has a backend, each chooses for itself.

        Raises:
            InvalidParameter: n is not a positive integer.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidParameter("n", n, "an integer of at least 1")
        children = [RouterSession(self._router, *self._place) for _ in range(n)]
        with self._lock:
            for child in children:
                child._history, child._started, child._is_known = list(self._history), False, self._is_known
            self._then(Step(partial(self._begin, children), always=True))
        return list(children)

    def tokens(self) -> Handle[list[tuple[int, str]]]:
        """Token ids with their origin."""
        return self._submit(self._call("tokens"), lambda: self._told().tokens(), None)

    def mark(self) -> Handle[int]:
        """Number of tokens here; in a session that has moved, counted from a number no other backend's come near."""
        with self._lock:
            mark = Mark(Handle(), None, len(self._history), None)

            def place() -> Handle[int]:
                session = self._told()
                mark.telling = self._telling
                mark.conversation = None if self._telling is None else self._telling.conversation
                made: Handle[int] = session.mark()
                mark.offset = self._num_places * FAR
                return shifted(made, mark.offset) if mark.offset else made

            mark.count = self._submit(self._call("checkpoint"), place, None)
            self._marks.append(mark)
            return mark.count

    def truncate(self, num_tokens: int) -> None:
        """Back to that many tokens: those of a mark, where the session has moved since or is to move later."""
        with self._lock:
            found = [mark for mark in self._marks if mark.value() == num_tokens]
            if not found:
                self._is_known = False
                self._then(Step(lambda: self._told().truncate(num_tokens)))
                return
            mark = found[-1]
            del self._history[mark.length :]
            self._marks = [one for one in self._marks if one.length <= mark.length]
            self._then(Step(partial(self._return_to, mark, num_tokens, tuple(self._history))))

    def flush(self) -> None:
        """Hands over what was recorded; what waits by now, as soon as it has been done."""
        with self._lock:
            if not self._steps:
                self._flush_now()
            elif self._steps[-1].run != self._flush_now:
                self._then(Step(self._flush_now))

    def _flush_now(self) -> None:
        if self._telling is not None:
            self._telling.session.flush()

    def cancel(self) -> None:
        """Ends everything unfinished; only `close` may follow."""
        self._fail(RequestCancelled("the session was cancelled"))
        if self._telling is not None:
            self._telling.session.cancel()

    def close(self) -> None:
        """Gives up the session when everything before has ended."""
        self._router.open_sessions.discard(self)
        with self._lock:
            self._then(Step(self._shut, always=True))

    # choosing and moving

    def _call(self, kind: Any, **features: Any) -> RoutedCall:
        return RoutedCall(
            kind=kind, program=self._place[1], num_open=len(self._router.open_sessions),
            prompt_chars=sum(piece.num_chars() for piece in self._history), is_begun=self._is_begun(),
            num_images=sum(piece.what == "append_image" for piece in self._history), **features,
        )  # fmt: skip

    def _is_begun(self) -> bool:
        """Whether there is something in the chat message that is open."""
        return bool(self._history) and self._history[-1].what in ("append", "append_image")

    def _tell(self, what: str, value: Any) -> None:
        with self._lock:
            backend = None if self._telling is None else self._telling.backend
            self._history.append(Piece(what, value, backend=backend))
            if self._telling is not None or self._steps or not self._started:
                self._then(Step(lambda: self._tell_now(what, value)))

    def _tell_now(self, what: str, value: Any) -> None:
        if self._telling is not None:
            self._telling.tell(what, value)

    def _wish(self, what: str, value: Any, capability: str) -> None:
        """Something that no answer depends on: told where it is of use, and again after a move."""

        def run() -> None:
            earlier = self._wishes.get(what)
            together = value.over(earlier[0]) if isinstance(value, Hint) and earlier is not None else value
            self._wishes[what] = (together, capability)
            if self._telling is not None:
                self._tell_wish(self._telling, what)

        with self._lock:
            self._then(Step(run))

    def _tell_wish(self, telling: Telling, what: str) -> None:
        value, capability = self._wishes[what]
        if getattr(telling.backend.capabilities, capability):
            telling.tell(what, value)

    def _submit(self, call: RoutedCall, run: Callable[[], Handle[Any]], piece: Piece | None) -> Handle[Any]:
        with self._lock:
            if self._error is not None:
                made: Handle[Any] = Handle()
                made.fail(RequestCancelled("the session has ended"))
                return made
            if self._started and not self._steps and self._is_placed(call):
                made = run()
            else:
                self._router.pick(call, None)  # raises here and now where nobody can do it
                made = Handle(_flush=self.flush)
                self._then(Step(run, call, made, tuple(self._history)))
            if piece is not None:
                self._history.append(replace(piece, written=made))
            return made

    def _is_placed(self, call: RoutedCall) -> bool:
        """Whether the session is where the call can be done, be it that it goes there now."""
        now = None if self._telling is None else self._telling.backend
        chosen = self._router.pick(call, now)
        if now is None:
            self._place_at(chosen, self._history, moved=False)
        return now is None or chosen is now

    def _place_at(self, backend: Backend, history: Sequence[Piece], *, moved: bool) -> None:
        namespace, program = self._place
        old = self._telling
        writes_edges = self._router.takes_roles and not backend.capabilities.roles
        told = [(piece.what, _value_of(piece)) for piece in history]  # raises where a call failed: before one is opened
        telling = Telling(backend, backend.open(namespace=namespace, program=program), writes_edges=writes_edges)
        for what, value in told:
            telling.tell(what, value)
        for what in self._wishes:
            self._tell_wish(telling, what)
        self._telling = telling
        self._router.count(backend, moved=moved)
        if old is not None:
            self._num_places += 1
            old.session.close()

    def _then(self, step: Step) -> None:
        """Does a step after those that wait: at once where none does."""
        self._steps.append(step)
        if not self._pumping:
            self._pump()

    def _pump(self) -> None:
        """Does what can be done now. What has to move first waits for the calls before it."""
        with self._lock:
            self._pumping = True
            try:
                while self._steps and self._started:
                    if not self._do(self._steps[0]):
                        return  # whoever it waits for pumps again
            except Exception as error:
                self._pumping = False
                self._fail(error)
            self._pumping = False

    def _do(self, step: Step) -> bool:
        """Does the first step; False where it has to wait."""
        now = None if self._telling is None else self._telling.backend
        if step.call is not None and self._error is None:
            chosen = self._router.pick(step.call, now)
            if chosen is not now:
                waiting = next((p.written for p in step.before if p.written is not None and not p.written.done()), None)
                if waiting is not None:
                    self._await(waiting)
                    return False
                if not self._is_known:
                    raise BackendCapabilityError(
                        step.call.what(),
                        now.name if now is not None else "router",
                        "and what the session holds is not known well enough to move it",
                    )
                self._place_at(chosen, step.before, moved=now is not None)
        made = step.run()
        self._steps.popleft()  # not before, so that whoever waits for a step that fails is told
        if step.handle is not None and made is not None:
            pipe(made, step.handle)
            self._flush_now()
        return True

    def _await(self, handle: Handle[Any]) -> None:
        if self._telling is not None:
            self._telling.session.flush()

        def arrived(chunk: Chunk | None) -> None:
            if chunk is None:
                self._router.worker.post(self._pump)

        handle.subscribe(arrived)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            steps, self._steps = self._steps, deque()
        for step in steps:
            if step.handle is not None:
                step.handle.fail(error)
            elif step.always:
                step.run()

    # steps

    def _told(self) -> Any:
        if self._telling is None:
            raise BackendCapabilityError("a call without a backend", "router")
        return self._telling.put()

    def _named(self, name: str | None) -> Any:
        session = self._told()
        if self._telling is not None and self._telling.backend.capabilities.labels:
            session.label(name)
        return session

    def _begin(self, children: Sequence[RouterSession]) -> None:
        tellings: Sequence[Telling | None] = [None] * len(children)
        if self._telling is not None and self._error is None:
            tellings = self._telling.fork(len(children))
        for child, telling in zip(children, tellings, strict=True):
            child._wishes = dict(self._wishes)
            child._start(telling, self._error)

    def _start(self, telling: Telling | None, error: BaseException | None) -> None:
        with self._lock:
            self._telling, self._started = telling, True
            if self._error is not None and telling is not None:
                telling.session.cancel()
            if self._closed and telling is not None:
                telling.session.close()
        if error is not None:
            self._fail(error)
        self._pump()

    def _return_to(self, mark: Mark, num_tokens: int, history: tuple[Piece, ...]) -> None:
        telling = self._telling
        if telling is None:
            return
        if mark.telling is telling:
            telling.put().truncate(num_tokens - mark.offset)
            if mark.conversation is not None:
                telling.conversation = mark.conversation
        else:  # the session has moved since: it is told again, up to there
            self._place_at(telling.backend, history, moved=False)

    def _shut(self) -> None:
        self._closed = True  # a fork may get its session only after it was cancelled and closed
        if self._telling is not None:
            self._telling.session.close()


def _value_of(piece: Piece) -> Any:
    """What a session of any backend can be told of it: what was written, and token ids, as text."""
    as_text = piece.what == "append" and (piece.written is not None or not isinstance(piece.value, str))
    return piece.text() if as_text else piece.value
