"""A pretended engine around the scheduler: it computes nothing, and samples a number that says when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtime.config import SchedulerConfig
from runtime.hint import Hint
from runtime.memory.cache import PrefixCache
from runtime.program_run import ProgramRun
from runtime.request import Phase, Request
from runtime.scheduler.plan import StepPlan
from runtime.scheduler.scheduler import Scheduler
from runtime.session_state import SessionState
from runtime.session_table import SessionTable


@dataclass
class Loop:
    """Steps of a scheduler, with what was planned in each."""

    policy: str
    num_pages: int = 64
    max_running: int = 8
    chunk: int = 16
    preemption: bool = True
    now: float = 0.0
    plans: list[dict[Request, int]] = field(default_factory=list)
    ended: list[Request] = field(default_factory=list)
    late: list[Request] = field(default_factory=list)
    sessions: dict[Request, SessionState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = PrefixCache(self.num_pages, 4)
        self.table = SessionTable(self.cache, lambda copies: None)
        config: Any = {
            "policy": self.policy,
            "max_running_requests": self.max_running,
            "chunked_prefill_size": self.chunk,
            "preemption": self.preemption,
        }
        scheduler = SchedulerConfig(**config)
        self.scheduler = Scheduler(self.cache, scheduler, self.table.reclaim, clock=lambda: self.now)

    def open(self, tokens: Sequence[int], run: ProgramRun | None = None, namespace: str = "") -> SessionState:
        """A session that holds `tokens`."""
        session = SessionState(namespace, "p", run)
        self.table.take_up(session)
        session.extend(list(tokens))
        return session

    def ask(
        self,
        session: SessionState,
        max_new: int = 4,
        hint: Hint | None = None,
        priority: int = 0,
        deadline: float = math.inf,
    ) -> Request:
        """A request on a session."""
        assert session.sequence is not None
        prompt = len(session.tokens)
        request = Request(
            tokens=session.tokens,
            sequence=session.sequence,
            prompt_len=prompt,
            max_length=prompt + max_new,
            priority=priority,
            deadline=deadline,
            run=session.run,
            hint=hint,
        )
        self.sessions[request] = session
        self.scheduler.submit(request)
        return request

    def step(self) -> StepPlan:
        """One step; whoever is complete or late ends, and its session with it."""
        for request in self.scheduler.late():
            self.late.append(request)
            self.drop(request)
        plan = self.scheduler.plan()
        assert not plan.exhausted
        self.plans.append({work.request: work.num_tokens for work in plan.work})
        for work in plan.work:
            request = work.request
            request.cursor += work.num_tokens
            request.sequence.kv_len = max(request.sequence.kv_len, request.cursor)
            self.cache.commit(request.sequence, request.tokens)
            if request.cursor == len(request.tokens) and request.num_remaining:
                request.tokens.append(len(self.plans))
            if request.num_remaining == 0 and request.cursor >= len(request.tokens) - 1:
                self.ended.append(request)
                self.drop(request)
        self.table.audit()
        return plan

    def drop(self, request: Request) -> None:
        """Ends a request, complete or not, and closes its session."""
        self.scheduler.end(request)
        self.table.drop(self.sessions.pop(request))

    def run(self, most: int = 3000) -> None:
        """Steps until nothing is left."""
        for _ in range(most):
            if not self.sessions:
                return
            late = len(self.late)
            assert self.step() or len(self.late) > late, "there is work but nothing is planned"
        raise AssertionError(f"no end in sight: {self.scheduler.waiting}, {self.scheduler.running}")

    def first(self, request: Request) -> int:
        """The step in which a request first ran."""
        return next(number for number, plan in enumerate(self.plans) if request in plan)

    def assert_clean(self) -> None:
        """Nothing is held any more."""
        assert not self.scheduler.running
        assert not self.scheduler.waiting
        self.cache.tree.clear()
        assert self.cache.pool.num_free == self.num_pages
        assert all(request.phase is Phase.ENDED for request in self.ended)


@pytest.fixture
def make_loop() -> type[Loop]:
    """A scheduler's loop without a model."""
    return Loop
