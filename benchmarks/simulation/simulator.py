"""Simulator: a trace's programs over the runtime's own pool, tree and scheduler, on a clock of its own."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence

from benchmarks.simulation.cost import CostModel, context_tokens
from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.run import Run
from benchmarks.simulation.trace import Program
from runtime.config import SchedulerConfig
from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.plan import StepPlan, Work
from runtime.scheduler.scheduler import Scheduler
from runtime.session_state import SessionState
from runtime.session_table import SessionTable

__all__ = ["Simulator"]

PAGE_SIZE = 16


class Simulator:
    """One policy on one trace.

    Args:
        pool_tokens: slots of the pool.
        scheduler: policy and limits.
        eviction: which cached prefix goes first.
        cost: how long a step takes.
    """

    def __init__(
        self, pool_tokens: int, scheduler: SchedulerConfig, eviction: str = "lru", cost: CostModel | None = None
    ) -> None:
        self.cache = PrefixCache(-(-pool_tokens // PAGE_SIZE), PAGE_SIZE, eviction)
        self.sessions = SessionTable(self.cache, lambda copies: None)
        self.scheduler = Scheduler(self.cache, scheduler, self.sessions.reclaim)
        self.outcome = Outcome()
        self.now = 0.0
        self._cost = cost or CostModel()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._ends: dict[Request, tuple[SessionState, Sequence[int], Callable[[], None]]] = {}
        self._submitted: dict[Request, float] = {}

    def run(self, programs: Sequence[Program], rate: float) -> Outcome:
        """Runs all programs to their ends.

        Args:
            rate: programs that arrive in a second, of a trace with one a second.
        """
        for program in programs:
            arrival = program.arrival / rate
            self.at(arrival, Run(self, program, arrival).begin)
        while self._events or self._ends:
            if not self._ends:
                self.now = max(self.now, self._events[0][0])
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            if self._ends:
                self._step()
        self.outcome.seconds = self.now
        self.outcome.evictions = self.cache.tree.num_evicted
        self.outcome.retractions = self.scheduler.num_retractions
        return self.outcome

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Has something done at a time."""
        heapq.heappush(self._events, (time, next(self._sequence), action))

    def submit(
        self, session: SessionState, output: Sequence[int], max_new_tokens: int, then: Callable[[], None]
    ) -> None:
        """Has the session's tokens computed and `output` generated; calls `then` at the end of that."""
        sequence, prompt = session.sequence, len(session.tokens)
        if sequence is None:
            raise RuntimeError("a session that was never taken up")
        request = Request(
            tokens=session.tokens,
            sequence=sequence,
            prompt_len=prompt,
            max_length=prompt + max_new_tokens,
            run=session.run,
            hint=session.hint,
        )
        self._ends[request] = session, output, then
        self._submitted[request] = self.now
        if output:
            self.outcome.requests += 1
            self.outcome.prompt_tokens += prompt
        self.scheduler.submit(request)

    def _step(self) -> None:
        plan = self.scheduler.plan()
        for request in plan.exhausted:
            raise RuntimeError(f"the pool of {self.cache.pool.ledger.total} tokens cannot hold {request}")
        if not plan.work:
            raise RuntimeError("there is work but nothing is planned")
        began = self.now
        works = plan.work
        num_prompt = sum(self._prompt_tokens(work) for work in works)
        num_decodes = sum(work.request.cursor >= work.request.prompt_len for work in works)
        context = context_tokens((work.request for work in works), PAGE_SIZE)
        self.now += self._cost.seconds(num_prompt, num_decodes, context)
        self.outcome.computed_tokens += num_prompt
        if num_decodes == len(works) and not self.scheduler.waiting:
            self._decode_on(plan, context)
        self.outcome.busy += self.now - began
        self.outcome.steps += 1
        for work in works:
            waited = self._submitted.pop(work.request, None)
            if waited is not None:
                self.outcome.waited(began - waited)
            self._settle(work)

    def _prompt_tokens(self, work: Work) -> int:
        request = work.request
        return max(0, min(request.cursor + work.num_tokens, request.prompt_len) - request.cursor)

    def _decode_on(self, plan: StepPlan, context: int) -> None:
        """Takes several steps of nothing but decodes at once, as long as nobody ends and nobody comes."""
        requests = [work.request for work in plan.decodes]
        count = min(len(self._ends[r][1]) - r.num_output for r in requests) - 1
        number = len(requests)
        fixed, growing = self._cost.seconds(0, number, context), self._cost.context_token * number
        if self._events and count > 0:
            count = min(count, int((self._events[0][0] - self.now) / (fixed + growing * count)))
        if count <= 0 or not all(self.cache.reserve(r.sequence, len(r.tokens) + count) for r in requests):
            return
        for request in requests:
            output = self._ends[request][1]
            request.tokens.extend(output[request.num_output : request.num_output + count])
            request.cursor += count
            request.sequence.kv_len = max(request.sequence.kv_len, request.cursor)
        self.now += count * fixed + growing * count * (count + 1) / 2
        self.outcome.steps += count
        for _ in range(count):
            self.scheduler.estimate.stepped()

    def _settle(self, work: Work) -> None:
        request, sequence = work.request, work.request.sequence
        session, output, then = self._ends[request]
        request.cursor += work.num_tokens
        sequence.kv_len = max(sequence.kv_len, request.cursor)
        if work.num_tokens > 1 or request.cursor <= request.prompt_len:
            self.cache.commit(sequence, request.tokens)
        if request.cursor < len(request.tokens):
            return
        if output:
            request.tokens.append(output[request.num_output])
        if request.num_output < len(output):
            return
        del self._ends[request]
        self.scheduler.estimate.learn(request)
        self.scheduler.end(request)
        self.cache.commit(sequence, request.tokens)
        self.sessions.touch(session)
        then()
