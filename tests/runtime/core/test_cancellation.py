"""A request that is cancelled, dropped, or ended with its engine, in every state there is: nothing is held after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grammars import Regex
from runtime.core import EngineCore
from runtime.errors import EngineClosed, RequestCancelled
from runtime.handle import Handle
from runtime.ledger import Owner
from runtime.request import Phase, Request
from runtime.sampling.params import SamplingParams
from runtime.scheduler.plan import StepPlan
from runtime.session import Session
from runtime.session_state import SessionState

PROMPT = [5, 6] * 10


class Stage:
    """One session under test, others beside it, and what is needed to bring it into a state."""

    def __init__(self, make_core: Callable[..., EngineCore], folder: Path) -> None:
        self._make, self._folder = make_core, folder
        self.gate = threading.Event()
        self.others: list[Session] = []
        self.handles: list[Handle[Any]] = []
        self.begin()

    def begin(self, **settings: Any) -> None:
        self.core = self._make(page_size=4, **settings)

    def open(self, tokens: list[int]) -> Session:
        state = SessionState("", "test")
        self.core.post(lambda: self.core.sessions.take_up(state))
        session = Session(self.core, self.core.tokenizer, state)
        session.append(tokens)
        return session

    def generate(self, session: Session, count: int = 20, **more: Any) -> None:
        params = SamplingParams(temperature=0, max_new_tokens=count, ignore_eos=True, **more)
        self.handles.append(session.generate(params))
        session.flush()

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.core._drain()
            self.core.step()
            self.core.sessions.audit()

    def finish(self) -> None:
        for _ in range(300):
            self.core._drain()
            if not self.core.step() and self.core._inbox.empty():
                return
            self.core.sessions.audit()
        raise AssertionError("no end in sight")

    @property
    def request(self) -> Request:
        """The only one there is."""
        (request,) = self.core._stepper._jobs
        return request

    # ---- states

    def waiting(self) -> Session:
        self.begin(max_running_requests=1)
        self.others.append(self.open([7] * 8))
        self.generate(self.others[0])
        self.step()
        session = self.open(PROMPT)
        self.generate(session)
        self.step()
        assert [request.tokens for request in self.core.scheduler.waiting] == [PROMPT]
        return session

    def fetching(self) -> Session:
        self.begin(disk_cache_dir=self._folder)
        tiers: Any = self.core.tiers
        before = self.open(PROMPT)
        self.generate(before, 1)
        while not self.handles[0].done():
            self.step()
        before.close()
        self.core._drain()
        tiers.drop_tree()
        tiers._disk._writer.submit(lambda: None).result(timeout=20)
        tiers._disk.submit(lambda: self.gate.wait(20) and None)  # the disk is slow
        session = self.open(PROMPT)
        self.generate(session)
        self.step(3)
        assert self.request.phase is Phase.WAITING
        assert self.request.fetch is not None
        assert self.request.fetch.num_staged > 0
        return session

    def prefilling(self) -> Session:
        self.begin(chunked_prefill_size=3)
        session = self.open(PROMPT)
        self.generate(session)
        self.step(2)
        assert self.request.cursor == 6
        return session

    def decoding(self) -> Session:
        session = self.open(PROMPT)
        self.generate(session)
        self.step(4)
        assert self.request.num_output == 4
        return session

    def compiling(self) -> Session:
        compiler: Any = self.core._compilation._compiler
        compiler.compile = lambda spec, is_cancelled=None: self.gate.wait(20) and None
        session = self.open(PROMPT)
        self.generate(session, constraint=Regex("a+"))
        self.step()
        assert session._state.is_suspended
        return session

    def retracted(self) -> Session:
        session = self.decoding()
        self.core.scheduler._retract(self.request, StepPlan())
        assert self.request.was_interrupted
        assert not self.request.sequence.pages
        return session

    def preempted(self) -> Session:
        self.begin(max_running_requests=1)
        session = self.decoding()
        self.others.append(self.open([7] * 8))
        self.generate(self.others[0], 60, priority=1)
        self.step(12)
        assert self.core.scheduler.num_preemptions == 1
        return session

    def concatenating(self) -> Session:
        session = self.open(PROMPT)
        forks = session.fork(2)
        for fork, count in zip(forks, (9, 1), strict=True):  # the second waits until the first has been taken
            fork.append([6, 6, 5])
            self.generate(fork, count)
        self.handles.append(session.concat(forks))
        self.others += forks
        self.step(5)
        assert session._state.is_suspended
        return session

    def being_concatenated(self) -> Session:
        parent = self.concatenating()
        fork = self.others.pop()
        self.others.append(parent)
        return fork

    def forking(self) -> Session:
        """Its prompt is computed for forks that wait for it."""
        self.begin(chunked_prefill_size=3)
        session = self.open(PROMPT)
        self.others += session.fork(2)
        for fork in self.others:
            self.generate(fork, 3)
        self.step(2)
        return session

    def scoring(self) -> Session:
        self.begin(chunked_prefill_size=3)
        session = self.open(PROMPT)
        self.handles.append(session.score(["yes", "no", "true"], lambda logprobs: 0))
        session.flush()
        self.step(8)
        assert self.core.scheduler.running
        return session

    def pinning(self) -> Session:
        self.begin(chunked_prefill_size=3)
        session = self.open(PROMPT)
        self.handles.append(session.pin(10.0))
        session.flush()
        self.step(2)
        return session

    def just_finished(self) -> Session:
        session = self.open(PROMPT)
        self.generate(session, 2)
        while not self.handles[0].done():
            self.step()
        return session

    def idle(self) -> Session:
        session = self.just_finished()
        self.finish()
        assert self.core.cache.pool.ledger.slots(Owner.SESSION) > 0
        return session

    def never_begun(self) -> Session:
        session = self.open(PROMPT)
        self.handles.append(session.generate(SamplingParams()))
        return session


STATES = [
    "waiting", "fetching", "prefilling", "decoding", "compiling", "retracted", "preempted", "concatenating",
    "being_concatenated", "forking", "scoring", "pinning", "just_finished", "idle", "never_begun",
]  # fmt: skip


@pytest.fixture
def stage(make_core: Callable[..., EngineCore], tmp_path: Path) -> Iterator[Stage]:
    made = Stage(make_core, tmp_path)
    yield made
    made.gate.set()
    made.core._stepper.close()
    made.core._compilation.shutdown()
    if made.core.tiers is not None:
        made.core.tiers.close(save=False)


def cancelled(stage: Stage, session: Session) -> None:
    session.cancel()
    stage.core._drain()
    stage.core.sessions.audit()
    assert not session._state.jobs
    session.close()


def dropped(stage: Stage, session: Session) -> None:
    session._finalizer()
    stage.core._drain()
    stage.core.sessions.audit()
    assert session._state.is_closed


def closed(stage: Stage, session: Session) -> None:
    """Its script goes on to its end, and it is closed then."""
    session.close()
    stage.gate.set()


@pytest.mark.parametrize("end", [cancelled, dropped, closed])
@pytest.mark.parametrize("state", STATES)
def test_ended_in_any_state_a_request_leaves_nothing(
    stage: Stage, state: str, end: Callable[[Stage, Session], None]
) -> None:
    session = getattr(stage, state)()
    stage.core.sessions.audit()
    end(stage, session)
    stage.core.sessions.audit()
    stage.gate.set()
    for other in stage.others:
        other.close()
    waiting = [handle for handle in stage.handles if not handle.done()]
    for handle in waiting:  # a thread of its own may have to end first
        if state in ("fetching", "compiling") and end is closed:
            _until(stage, handle)
    stage.finish()
    for handle in stage.handles:
        assert handle.done() or (state == "never_begun" and end is dropped)
        assert handle.error() is None or end is not closed or state == "compiling"
        assert handle.error() is None or state == "compiling" or isinstance(handle.error(), RequestCancelled)
    _assert_nothing_held(stage)


@pytest.mark.parametrize("state", STATES)
def test_an_engine_that_ends_leaves_nobody_waiting(stage: Stage, state: str) -> None:
    session = getattr(stage, state)()
    session.flush()
    stage.core.halt()
    stage.gate.set()
    stage.core.run()
    assert all(handle.done() for handle in stage.handles)
    assert all(isinstance(handle.error(), EngineClosed | None) for handle in stage.handles)
    _assert_nothing_held(stage)


def _until(stage: Stage, handle: Handle[Any]) -> None:
    for _ in range(2000):
        if handle.done():
            return
        stage.core._drain()
        if not stage.core.step():
            threading.Event().wait(0.01)
    raise AssertionError("it never ended")


def _assert_nothing_held(stage: Stage) -> None:
    core = stage.core
    core.sessions.audit()
    while core.pins.give_up():
        pass
    assert not list(core.sessions)
    assert not core._stepper._jobs
    assert core.cache.tree.num_protected == 0
    assert core.tiers is None or core.tiers._num_staged == 0
    table = core.cache.pool.ledger.table()
    assert table["free"] + table["tree"] == table["total"]
    core.cache.tree.clear()
    assert core.cache.pool.num_free == core.cache.pool.num_pages


def test_eviction_while_everything_is_locked_frees_nothing_and_the_request_waits(stage: Stage) -> None:
    """Three requests hold the whole pool; what comes then is served when one of them has ended."""
    stage.begin(max_running_requests=8)
    sessions = [stage.open([5 + place] * 15) for place in range(3)]
    for session in sessions:
        stage.generate(session, 5)
    stage.step()
    core = stage.core
    assert core.cache.num_available < 24
    evictable = core.cache.tree.num_evictable
    assert core.cache.tree.evict(16) * 4 == evictable
    assert core.cache.tree.evict(1) == 0
    late = stage.open([9] * 40)
    stage.generate(late, 5)
    stage.step()
    assert late._state.jobs[0].request.phase is Phase.WAITING
    stage.finish()
    assert [handle.error() for handle in stage.handles] == [None] * 4
    for session in [*sessions, late]:
        session.close()
    core._drain()
    _assert_nothing_held(stage)


def test_256_requests_of_any_length_leave_no_hole(stage: Stage) -> None:
    """0 lost slots: every page is as good as any other, so a request for the whole pool is served at once."""
    sessions = [stage.open([5 + place % 7, 5 + place % 3] * (1 + place % 25)) for place in range(256)]
    for place, session in enumerate(sessions):
        stage.generate(session, place % 9)
        session.close()
    for _ in range(4000):
        stage.core._drain()
        if not stage.core.step():
            break
    assert all(handle.error() is None for handle in stage.handles)
    table = stage.core.cache.pool.ledger.table()
    assert table["free"] + table["tree"] == table["total"] == 64
    steps = stage.core.stats.steps
    whole = stage.open([11] * 63)
    stage.generate(whole, 1)
    stage.step()
    assert stage.handles[-1].error() is None
    assert stage.handles[-1].done(), "what nobody holds is evicted in the very step that needs it"
    assert stage.core.stats.steps == steps + 1
    assert whole._state.sequence is not None
    assert len(set(whole._state.sequence.pages)) == 16
    whole.close()
    stage.core._drain()
    _assert_nothing_held(stage)


def test_pages_are_back_in_the_step_in_which_a_request_ends(stage: Stage) -> None:
    """Recovery takes no step at all, however many are cancelled and whatever they were doing."""
    stage.begin(max_running_requests=8, chunked_prefill_size=16)
    sessions = [stage.open([5 + place] * (4 + place)) for place in range(8)]
    for session in sessions:
        stage.generate(session, 9)
    stage.step(2)
    steps = stage.core.stats.steps
    for session in sessions:
        session._finalizer()
    stage.core._drain()
    assert stage.core.stats.steps == steps
    _assert_nothing_held(stage)
