"""Any sequence of arrivals, forks, cancellations and steps, under any policy: books stay right, all are served."""

from __future__ import annotations

import math
import sys
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from runtime.hint import Hint
from runtime.request import Phase, Request
from runtime.scheduler.policies import POLICIES

POOL_PAGES = 12


class Decisions(RuleBasedStateMachine):
    loops: ClassVar[Any]

    @initialize(
        policy=st.sampled_from(sorted(POLICIES)), running=st.integers(1, 6), chunk=st.sampled_from([1, 3, 8, 64])
    )
    def start(self, policy: str, running: int, chunk: int) -> None:
        self.loop = self.loops(policy, num_pages=POOL_PAGES, max_running=running, chunk=chunk)
        self.cancelled: set[Request] = set()
        self.asked: list[Request] = []

    @rule(
        prefix=st.integers(0, 2),
        length=st.integers(1, 24),
        max_new=st.integers(0, 12),
        rest=st.one_of(st.none(), st.integers(0, 100)),
        priority=st.sampled_from([0, 0, 0, 1, 2]),
        namespace=st.sampled_from(["", "", "tenant"]),
        timeout=st.sampled_from([math.inf, math.inf, 3.0, 10.0]),
    )
    def arrive(
        self, prefix: int, length: int, max_new: int, rest: int | None, priority: int, namespace: str, timeout: float
    ) -> None:
        session = self.loop.open([prefix] * length + [len(self.asked) % 5], None, namespace)
        deadline = self.loop.now + timeout
        self.asked.append(self.loop.ask(session, max_new, Hint(remaining_tokens=rest), priority, deadline))

    @rule(seconds=st.sampled_from([-50.0, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.now += seconds

    @precondition(lambda self: self.asked)
    @rule(place=st.integers(0, 1000), number=st.integers(1, 4))
    def fork(self, place: int, number: int) -> None:
        parent = self.asked[place % len(self.asked)]
        tokens = parent.tokens[: parent.prompt_len]
        for branch in range(number):
            session = self.loop.open([*tokens, branch], parent.run)
            self.asked.append(self.loop.ask(session, 3, Hint(gang=len(self.asked))))

    @precondition(lambda self: self.loop.sessions)
    @rule(place=st.integers(0, 1000))
    def cancel(self, place: int) -> None:
        requests = list(self.loop.sessions)
        victim = requests[place % len(requests)]
        self.cancelled.add(victim)
        self.loop.drop(victim)

    @precondition(lambda self: self.loop.sessions)
    @rule(count=st.integers(1, 8))
    def step(self, count: int) -> None:
        for _ in range(count):
            decoding = {r for r in self.loop.scheduler.running if r.is_decoding}
            late = len(self.loop.late)
            plan = self.loop.step() if self.loop.sessions else None
            if plan is None:
                return
            assert plan or len(self.loop.late) > late, "there is work but nothing is planned"
            assert sum(work.num_tokens for work in plan.extends) <= self.loop.chunk
            still = {r for r in decoding if r.phase is Phase.RUNNING}
            assert still <= self.loop.plans[-1].keys(), "a decode was held back"

    @invariant()
    def every_request_is_in_one_place(self) -> None:
        if not hasattr(self, "loop"):
            return
        scheduler = self.loop.scheduler
        assert len(scheduler.running) <= self.loop.max_running
        both = [*scheduler.running, *scheduler.waiting]
        assert len(set(both)) == len(both)
        assert set(both) == set(self.loop.sessions)
        assert all(request.phase is Phase.RUNNING for request in scheduler.running)
        assert all(request.phase is Phase.WAITING for request in scheduler.waiting)
        self.loop.table.audit()

    def teardown(self) -> None:
        if not hasattr(self, "loop") or sys.exc_info()[0] is not None:
            return
        self.loop.run()
        assert set(self.loop.ended) == set(self.asked) - self.cancelled - set(self.loop.late)
        assert len(self.loop.ended) + len(self.loop.late) + len(self.cancelled) == len(self.asked)
        self.loop.assert_clean()


def test_any_sequence_of_events_leaves_the_books_right_and_nobody_behind(make_loop: Any) -> None:
    limits = settings(max_examples=40, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(type("OnLoops", (Decisions,), {"loops": make_loop}), settings=limits)
