"""Any sequence of calls, steps, cancellations and faults on an engine's inside: no page is lost and no token wrong."""

from __future__ import annotations

import array
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from runtime.config import Eviction, Policy
from runtime.core import EngineCore
from runtime.errors import EngineError
from runtime.handle import Handle
from runtime.hint import Hint
from runtime.ledger import Owner
from runtime.sampling.params import SamplingParams
from runtime.scheduler.plan import StepPlan
from runtime.session import Session
from runtime.session_state import SessionState

POOL_TOKENS = 64
COMMON = [5, 5, 6, 5, 6, 6, 5, 6, 5, 5, 5, 6, 6, 6, 5, 6, 6, 5, 5, 6]
PROMPT = st.builds(
    lambda length, rest: COMMON[:length] + rest,
    st.integers(0, len(COMMON)),
    st.lists(st.integers(5, 6), min_size=1, max_size=6),
)
PLACE = st.integers(0, 1000)
MOST_SESSIONS = 10
RARELY = st.sampled_from([False, False, False, True])
"""So that faults and ends do not stop what has just begun."""


def digest(before: int, token: int) -> int:
    """What the KV of a token is, by the KV before it: as in the runner."""
    return hash((before, token)) & 0x7FFFFFFFFFFFFFFF


def following(before: int) -> int:
    """The token the model says after that KV: as in the runner."""
    return 5 + before % 3


class Engines(RuleBasedStateMachine):
    """Sessions of all kinds on a pool that holds one or two of them."""

    make: ClassVar[Callable[..., EngineCore]]
    num_steps: ClassVar[Counter[str]]

    @initialize(
        policy=st.sampled_from(get_args(Policy)),
        eviction=st.sampled_from(get_args(Eviction)),
        page_size=st.sampled_from([1, 4]),
        running=st.sampled_from([1, 3, 8]),
        chunk=st.sampled_from([3, 8, 64]),
        host=st.sampled_from([0, 0, 200, 4000]),
    )
    def start(self, policy: str, eviction: str, page_size: int, running: int, chunk: int, host: int) -> None:
        self.core = self.make(
            policy=policy, eviction=eviction, page_size=page_size, max_running_requests=running,
            chunked_prefill_size=chunk, host_cache_bytes=host,
        )  # fmt: skip
        self.runner: Any = self.core.runner
        self.seconds = 0.0
        self.core.pins._clock = self.core.scheduler.deadlines.clock = lambda: self.seconds
        self.sessions: list[Session] = []
        self.forks: dict[int, list[Session]] = {}
        self.handles: list[Handle[Any]] = []
        self.pins: list[Handle[str]] = []
        self.open(COMMON[:9], "", 4)

    def _pick(self, place: int) -> Session:
        return self.sessions[place % len(self.sessions)]

    @rule(tokens=PROMPT, namespace=st.sampled_from(["", "", "other"]), count=st.integers(0, 12))
    def open(self, tokens: list[int], namespace: str, count: int) -> None:
        if len(self.sessions) >= MOST_SESSIONS:
            return
        state = SessionState(namespace, "machine")
        self.core.post(lambda: self.core.sessions.take_up(state))
        session = Session(self.core, self.core.tokenizer, state)
        self.sessions.append(session)
        session.append(tokens)
        self._generate(session, count, 0)

    def _generate(self, session: Session, count: int, priority: int, timeout: float | None = None) -> None:
        params = SamplingParams(
            temperature=0, max_new_tokens=count, ignore_eos=True, priority=priority, timeout=timeout
        )  # fmt: skip
        self.handles.append(session.generate(params))
        session.flush()

    @rule(
        place=PLACE, tokens=PROMPT, count=st.integers(0, 20), priority=st.sampled_from([0, 0, -1, 2]),
        timeout=st.sampled_from([None, None, 1.0, 4.0]),
    )  # fmt: skip
    def go_on(self, place: int, tokens: list[int], count: int, priority: int, timeout: float | None) -> None:
        if self.sessions and len((session := self._pick(place))._state.tokens) < POOL_TOKENS - 30:
            session.append(tokens)
            self._generate(session, count, priority, timeout)

    @rule(place=PLACE)
    def score(self, place: int) -> None:
        if self.sessions:
            session = self._pick(place)
            self.handles.append(session.score(["yes", "no then"], lambda logprobs: 1))
            session.flush()

    @rule(place=PLACE, number=st.integers(1, 3), count=st.integers(0, 6), joins=st.booleans())
    def fork(self, place: int, number: int, count: int, joins: bool) -> None:
        if self.sessions and len(self.sessions) < MOST_SESSIONS:
            parent = self._pick(place)
            children = parent.fork(number)
            self.forks[id(parent)] = children
            self.sessions += children
            for child in children:
                self._generate(child, count, 0)
            if joins:
                self.handles.append(parent.concat(children))

    @rule(place=PLACE)
    def concat(self, place: int) -> None:
        if self.sessions:
            session = self._pick(place)
            parts = [fork for fork in self.forks.get(id(session), []) if fork in self.sessions]
            if parts:
                self.handles.append(session.concat(parts))

    @rule(place=PLACE, num_tokens=st.integers(0, 30))
    def truncate(self, place: int, num_tokens: int) -> None:
        if self.sessions:
            session = self._pick(place)
            session.truncate(min(num_tokens, len(session._state.tokens)))
            session.flush()

    @rule(place=PLACE, again=st.sampled_from([None, True, False]), rest=st.integers(0, 50))
    def foretell(self, place: int, again: bool | None, rest: int) -> None:
        if self.sessions:
            self._pick(place).hint(Hint(extends_again=again, remaining_tokens=rest))

    @rule(place=PLACE, comes=RARELY)
    def cancel(self, place: int, comes: bool) -> None:
        if self.sessions and comes:
            self._pick(place).cancel()

    @rule(place=PLACE, says_so=st.booleans(), comes=RARELY)
    def leave(self, place: int, says_so: bool, comes: bool) -> None:
        """Closes a session when its script has ended, or drops it."""
        if self.sessions and (comes or len(self.sessions) == MOST_SESSIONS):
            session = self._pick(place)
            self.sessions.remove(session)
            if says_so:
                session.close()
            else:
                session._finalizer()

    @rule(place=PLACE, ttl=st.sampled_from([1.0, 3.0, 50.0]))
    def pin(self, place: int, ttl: float) -> None:
        if self.sessions:
            self.pins.append(self._pick(place).pin(ttl))
            self._pick(place).flush()

    @rule(place=PLACE)
    def unpin(self, place: int) -> None:
        ended = [pin for pin in self.pins if pin.done() and pin.error() is None]
        if ended:
            self.core.pins.remove(ended[place % len(ended)].result())

    @rule(passed=st.sampled_from([0.5, 2.0, -5.0, 100.0]))
    def wait(self, passed: float) -> None:
        self.seconds += passed

    @rule(count=st.integers(1, 8))
    def evict(self, count: int) -> None:
        self.core.cache.tree.evict(count)

    @rule(comes=RARELY)
    def flush_cache(self, comes: bool) -> None:
        if comes:
            self.core.flush_cache()

    @rule(place=PLACE)
    def retract(self, place: int) -> None:
        scheduler = self.core.scheduler
        if scheduler.running:
            scheduler._retract(scheduler.running[place % len(scheduler.running)], StepPlan())

    @rule(tokens=PROMPT, num_pages=st.integers(1, 6), crash_at=st.integers(0, 8))
    def bring_in(self, tokens: list[int], num_pages: int, crash_at: int) -> None:
        """KV from outside, whose transfer breaks off somewhere, or does not."""
        size = self.core.budget.page_size
        whole = (tokens * 24)[: num_pages * size]
        digests = [0]
        for token in whole:
            digests.append(digest(digests[-1], token))
            self.runner.before[digests[-1]] = digests[-2]

        def fill(place: int, page: int) -> None:
            if place == crash_at:
                raise OSError("the other side is gone")
            assert self.core.cache.pool.ledger.owner(page) is Owner.IN_TRANSFER
            self.runner.write_page(page, array.array("q", digests[1:][place * size : (place + 1) * size]).tobytes())

        try:
            self.core.cache.bring_in(whole, "", 0, num_pages, fill)
        except OSError:
            assert crash_at < num_pages

    @rule(comes=RARELY)
    def fail_a_step(self, comes: bool) -> None:
        self.runner.fails = comes

    @rule(count=st.integers(5, 20))
    def run_on(self, count: int) -> None:
        self.step(count)

    @rule(count=st.integers(1, 6))
    def step(self, count: int) -> None:
        for _ in range(count):
            self.core._drain()
            if not self.core.step():
                return
            self.core.sessions.audit()

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "core"):
            return
        self.num_steps["rules"] += 1
        core = self.core
        core.sessions.audit()
        scheduler = core.scheduler
        assert {*scheduler.running, *scheduler.waiting} == set(core._stepper._jobs)
        assert all(request.sequence.holder is Owner.SESSION for request in scheduler.waiting)
        assert all(request.sequence.holder is Owner.REQUEST for request in scheduler.running)
        held = [state.sequence.node for state in core.sessions if state.sequence is not None]
        held += [pin.node for pin in core.pins._pins.values()]
        locks = Counter(id(step) for node in held for step in node.path())
        assert all(node.num_locks == locks[id(node)] for node in core.cache.tree.root.walk())

    @invariant()
    def every_session_holds_its_own_kv_and_the_models_words(self) -> None:
        for state in self.core.sessions if hasattr(self, "core") else ():
            sequence = state.sequence
            if sequence is None:
                continue
            slots = sequence.slots(0, sequence.kv_len, self.core.budget.page_size)
            before, grafted = 0, False
            for slot, token, origin in zip(slots, state.tokens, state.origins, strict=False):
                own = self.runner.kv[slot]
                grafted = grafted or self.runner.before[own] is None
                assert grafted or own == digest(before, token)
                if not grafted and origin and state.program == "machine" and not state.fork_of:
                    assert token == following(before) or token > 7
                before = own

    def teardown(self) -> None:
        if not hasattr(self, "core") or sys.exc_info()[0] is not None:
            return
        core = self.core
        self.runner.fails = False
        for _ in range(3000):
            core._drain()
            if not core.step() and core._inbox.empty():
                break
        for handle in [*self.handles, *self.pins]:
            assert handle.done(), "somebody waits for ever"
            assert handle.error() is None or isinstance(handle.error(), EngineError)
        for session in self.sessions:
            session.close()
        core._drain()
        while core.pins.give_up():
            pass
        core.sessions.audit()
        table = core.cache.pool.ledger.table()
        assert table["free"] + table["tree"] == table["total"]
        core.flush_cache()
        assert core.cache.pool.num_free == core.cache.pool.num_pages, "a request for the whole pool would not fit"
        assert not list(core.sessions)
        core._stepper.close()
        core._compilation.shutdown()


def _run(make_core: Callable[..., EngineCore], num_examples: int) -> int:
    limits = settings(
        max_examples=num_examples, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
    counted: Counter[str] = Counter()
    kind = type("OnCores", (Engines,), {"make": staticmethod(make_core), "num_steps": counted})
    run_state_machine_as_test(kind, settings=limits)
    return counted["rules"]


def test_any_short_history_leaves_the_books_right(make_core: Callable[..., EngineCore]) -> None:
    assert _run(make_core, 20) > 100


@pytest.mark.slow
def test_any_of_many_histories_leaves_the_books_right(make_core: Callable[..., EngineCore]) -> None:
    assert _run(make_core, 600) > 15_000
