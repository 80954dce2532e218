"""Simulator: a trace's programs over the runtime's own pool, tree and scheduler, on a clock of its own."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.simulation.client import CLIENTS, Text
from benchmarks.simulation.contender import Contender
from benchmarks.simulation.cost import CostModel, context_tokens
from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.trace import Program
from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.plan import StepPlan, Work
from runtime.scheduler.scheduler import Scheduler
from runtime.session_table import SessionTable

__all__ = ["PAGE_SIZE", "Simulator"]

PAGE_SIZE = 16


@dataclass(slots=True)
class _Call:
    """What is done for one request; `submitted` is negative once it has been given its place."""

    session: Text
    output: Sequence[int]
    then: Callable[[], None]
    submitted: float


class Simulator:
    """One contender on one trace.

    Args:
        pool_tokens: slots of the pool.
        contender: policy, eviction and client, and the scheduler's limits.
        cost: how long a step takes.
    """

    def __init__(self, pool_tokens: int, contender: Contender, cost: CostModel | None = None) -> None:
        self.cache = PrefixCache(-(-pool_tokens // PAGE_SIZE), PAGE_SIZE, contender.eviction, lambda copies: None)
        self.sessions = SessionTable(self.cache, lambda copies: None)
        self.scheduler = Scheduler(self.cache, contender.scheduler, self.sessions.reclaim)
        self.outcome = Outcome()
        self.now = 0.0
        self._client = CLIENTS[contender.client]
        self._cost = cost or CostModel()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._calls: dict[Request, _Call] = {}

    def run(self, programs: Iterable[Program], rate: float) -> Outcome:
        """Runs all programs to their ends.

        Args:
            programs: in the order of their arrival; each is taken when the one before has come.
            rate: programs that arrive in a second, of a trace with one a second.
        """
        began = time.process_time()
        self._expect(iter(programs), rate)
        while self._events or self._calls:
            if not self._calls:
                self.now = max(self.now, self._events[0][0])
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            if self._calls:
                self._step()
        outcome = self.outcome
        outcome.seconds = self.now
        outcome.evictions = self.cache.tree.num_evicted
        outcome.retractions = self.scheduler.num_retractions
        outcome.cpu_seconds = time.process_time() - began
        return outcome

    def _expect(self, programs: Iterator[Program], rate: float) -> None:
        program = next(programs, None)
        if program is None:
            return
        arrival = program.arrival / rate

        def arrive() -> None:
            self.outcome.last_arrival = arrival
            self._expect(programs, rate)
            self._client(self, program, arrival).begin()

        self.at(arrival, arrive)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Has something done at a time."""
        heapq.heappush(self._events, (moment, next(self._sequence), action))

    def submit(self, session: Text, output: Sequence[int], max_new_tokens: int, then: Callable[[], None]) -> None:
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
        self._calls[request] = _Call(session, output, then, self.now)
        if output:
            self.outcome.requests += 1
            self.outcome.prompt_tokens += prompt
        self.scheduler.submit(request)

    def _step(self) -> None:
        plan = self.scheduler.plan()
        for request in plan.exhausted:
            raise RuntimeError(f"the pool of {self.cache.pool.ledger.total} tokens cannot hold {request}")
        if not plan:
            raise RuntimeError("there is work but nothing is planned")
        outcome, began = self.outcome, self.now
        for work in plan.work:
            call = self._calls[work.request]
            if call.submitted >= 0.0:
                outcome.waits.add(began - call.submitted)
                call.submitted = -1.0
        num_prompt = sum(map(_prompt_tokens, plan.extends)) + sum(
            work.request.cursor < work.request.prompt_len for work in plan.decodes
        )
        num_decodes = sum(work.request.cursor >= work.request.prompt_len for work in plan.work)
        context = context_tokens((work.request for work in plan.work), PAGE_SIZE)
        self.now += self._cost.seconds(num_prompt, num_decodes, context)
        outcome.computed_tokens += num_prompt
        if num_decodes == len(self.scheduler.running) and not plan.extends and not self.scheduler.waiting:
            self._decode_on(plan, context)
        outcome.busy += self.now - began
        outcome.steps += 1
        for work in plan.work:
            self._settle(work)

    def _decode_on(self, plan: StepPlan, context: int) -> None:
        """Takes several steps of nothing but decodes at once, as long as nobody ends and nobody comes."""
        requests = [work.request for work in plan.decodes]
        count = min(len(self._calls[r].output) - r.num_output for r in requests) - 1
        number = len(requests)
        fixed, growing = self._cost.seconds(0, number, context), self._cost.context_token * number
        if self._events and count > 0:
            count = min(count, int((self._events[0][0] - self.now) / (fixed + growing * count)))
        if count <= 0 or not all(self.cache.reserve(r.sequence, len(r.tokens) + count) for r in requests):
            return
        for request in requests:
            done = request.num_output
            request.tokens.extend(self._calls[request].output[done : done + count])
            request.cursor += count
            request.sequence.kv_len = max(request.sequence.kv_len, request.cursor)
        self.now += count * fixed + growing * count * (count + 1) / 2
        self.outcome.steps += count
        for _ in range(count):
            self.scheduler.estimate.stepped()

    def _settle(self, work: Work) -> None:
        request, sequence = work.request, work.request.sequence
        call = self._calls[request]
        cursor = request.cursor = request.cursor + work.num_tokens
        sequence.kv_len = max(sequence.kv_len, cursor)
        if work.num_tokens > 1 or cursor <= request.prompt_len:
            self.cache.commit(sequence, request.tokens)
        if cursor < len(request.tokens):
            return
        done = len(request.tokens) - request.prompt_len
        if call.output:
            request.tokens.append(call.output[done])
            done += 1
        if done < len(call.output):
            return
        del self._calls[request]
        self.scheduler.estimate.learn(request)
        self.scheduler.end(request)
        self.cache.commit(sequence, request.tokens)
        self.sessions.touch(call.session)
        call.then()


def _prompt_tokens(work: Work) -> int:
    request = work.request
    return max(0, min(request.cursor + work.num_tokens, request.prompt_len) - request.cursor)
