"""The scheduler: which requests run in the next step, with how many tokens each.

It decides over ints alone; pages are moved through the prefix cache. Continuous batching after Orca (Yu et al.,
OSDI 2022), chunked prefill after Sarathi (Agrawal et al., 2023): decodes are never held back by a long prompt.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

from runtime.config import SchedulerConfig
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV
from runtime.memory.tiers.tiers import Tiers
from runtime.request import Phase, Request
from runtime.scheduler.admission import Admission
from runtime.scheduler.deadlines import Deadlines
from runtime.scheduler.estimate import LengthEstimate
from runtime.scheduler.places import Places
from runtime.scheduler.plan import Limit, StepPlan, Work
from runtime.scheduler.preemption import keep
from runtime.scheduler.queue import WaitingQueue

__all__ = ["Scheduler"]

LONG_PROMPT = 2
"""Under the policy `program` a prompt is long when it takes more than so many steps."""

FEW_DECODES = 3
"""Long prompts give way to so many decodes …"""

MOST_STEPS_HELD = 64
"""… for so many steps."""


class Scheduler:
    """Waiting and running requests.

    Args:
        cache: pages and prefixes.
        config: policy and limits.
        reclaim: makes one idle session give its hold on KV back to the tree; False when none is left.
        restore: puts the KV of a sequence's next graft into its pages, where there is one and it is its turn.
        tiers: what is below the pool, if anything; a request waits until what they have of its prompt is there.
        clock: seconds, for deadlines.
    """

    def __init__(
        self,
        cache: PrefixCache,
        config: SchedulerConfig,
        reclaim: Callable[[], bool],
        restore: Callable[[SequenceKV], bool] = lambda _: False,
        tiers: Tiers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cache = cache
        self.tiers = tiers
        self.config = config
        self.restore = restore
        self.num_retractions = 0
        self.estimate = LengthEstimate(page_size=cache.page_size)
        self.deadlines = Deadlines(clock)
        self.waiting = WaitingQueue()
        self._places = Places(cache, self.waiting, config.max_running_requests, reclaim, restore, tiers)
        self._admission = Admission(cache, config, self.waiting, self._places, self.estimate, self.deadlines, tiers)
        self._steps_held = 0
        self._arrivals = itertools.count()
        self._is_by_program = config.policy == "program"

    @property
    def running(self) -> list[Request]:
        """Who has a place."""
        return self._places.running

    @property
    def num_preemptions(self) -> int:
        """How often a request gave way to one of higher priority."""
        return self._admission.preemption.count

    def submit(self, request: Request) -> None:
        """Queues a request."""
        if request.run.arrival < 0:
            request.run.arrival = next(self._arrivals)
        request.turn = self._admission.turn
        self.estimate.expect(request)
        self.waiting.add(request)
        self.deadlines.add(request)
        self._admission.is_fetched(request)

    def end(self, request: Request) -> None:
        """Takes a request out of whichever queue it is in. Its sequence goes back to the session, KV and all."""
        if request.phase is Phase.ENDED:
            return
        self._places.end(request)
        self.deadlines.remove(request)
        if not self.running and not self.waiting:
            self.estimate.reset()

    def late(self) -> list[Request]:
        """Requests whose time is up, to be ended before the next step is planned; others are not given places."""
        return self.deadlines.passed(self.running)

    def plan(self) -> StepPlan:
        """Decides the next step; every sequence in it has the pages it needs."""
        plan = StepPlan()
        retractions = self.num_retractions
        budget = self._plan_decodes(plan, self.config.chunked_prefill_size)
        prefilling = [r for r in self.running if r.cursor < r.prompt_len and not r.is_decoding]
        if self.num_retractions > retractions:  # what was just taken is not handed out in the same step
            plan.limit = Limit.MEMORY
            self._plan_prefills(plan, budget, _by_priority(prefilling))
        else:
            budget, prefilling = self._plan_urgent(plan, budget, prefilling)
            if self._is_by_program:
                self._plan_by_program(plan, budget, prefilling)
            else:
                budget = self._plan_prefills(plan, budget, _by_priority(prefilling))
                self._admission.offer(plan, budget)
        self.estimate.stepped()
        return plan

    def _plan_decodes(self, plan: StepPlan, budget: int) -> int:
        """At least one token of every request past its prompt; more, where some were forced, while there is budget."""
        page_size = self.cache.page_size
        for request in list(self.running):
            length, cursor, sequence = len(request.tokens), request.cursor, request.sequence
            is_single = length - cursor == 1
            if request.phase is not Phase.RUNNING or not (is_single or cursor >= request.prompt_len):
                continue
            if length > len(sequence.pages) * page_size and not self._make_room(request, plan):
                continue
            if is_single and not sequence.grafts:  # nearly all of them, so nothing is asked twice
                plan.decodes.append(Work(request, 1))
                continue
            count = self._extend(plan, request, max(1, budget))
            budget -= count if count > 1 else 0
        return budget

    def _make_room(self, request: Request, plan: StepPlan) -> bool:
        """Gets the pages for the request's next tokens: evicts, reclaims, and at last retracts others, or itself."""
        while not self._places.reserve(request):
            candidates = [r for r in self.running if r.phase is Phase.RUNNING]
            if len(candidates) == 1:
                plan.exhausted.append(request)
                return False
            victim = min(candidates, key=lambda r: (r.is_kept, r.priority, r.num_output, -r.num_remaining))
            self._retract(victim, plan)
            if victim is request:
                return False
        return True

    def _retract(self, victim: Request, plan: StepPlan) -> None:
        """Takes a place for want of memory: of the lowest priority, the one that has progressed least."""
        if any(other.priority > victim.priority for other in self.running):
            keep(victim)
        self._places.vacate(victim, plan)
        victim.num_retractions += 1
        self.num_retractions += 1
        self.estimate.retracted()

    def _plan_prefills(self, plan: StepPlan, budget: int, requests: Iterable[Request]) -> int:
        for request in requests:
            if budget <= 0:
                break
            budget -= self._extend(plan, request, budget)
        return budget

    def _plan_urgent(self, plan: StepPlan, budget: int, prefilling: list[Request]) -> tuple[int, list[Request]]:
        """Whoever waits with a higher priority than the prompts being computed does not wait for their ends.

        Returns:
            The tokens left, and whose prompts are to go on with them.
        """
        highest = self.waiting.highest_priority
        lower = [] if highest is None else [request for request in prefilling if request.priority < highest]
        if not lower:
            return budget, prefilling
        budget = self._plan_prefills(plan, budget, _by_priority(r for r in prefilling if r not in lower))
        budget = self._admission.offer(plan, budget, above=max(request.priority for request in lower))
        return budget, [request for request in lower if request.phase is Phase.RUNNING]

    def _plan_by_program(self, plan: StepPlan, budget: int, prefilling: list[Request]) -> None:
        """Short prompts first, whether they are running or only come now; long ones when few others are decoding.

        A step with a part of a long prompt takes many times as long as one without, so the next gens of programs that
        have begun would wait until somebody else's document is read. Every so many steps it is the document's turn.
        """
        most = LONG_PROMPT * self.config.chunked_prefill_size
        long = [request for request in prefilling if request.num_pending > most]
        short = sorted((r for r in prefilling if r.num_pending <= most), key=lambda request: request.num_pending)
        is_turn = self._steps_held >= MOST_STEPS_HELD
        runs_long = is_turn or len(plan.decodes) < FEW_DECODES
        self._steps_held = self._steps_held + 1 if long and not runs_long else 0
        if not long:
            left = self._plan_prefills(plan, budget, short)
            self._admission.offer(plan, left)
        elif is_turn:
            plan.limit = Limit.TOKENS
            self._plan_prefills(plan, budget, [*long, *short])
        else:
            left = self._plan_prefills(plan, budget, short)
            left = self._admission.offer(plan, left, most=most)
            self._plan_prefills(plan, left, [r for r in long if r.phase is Phase.RUNNING] if runs_long else ())

    @staticmethod
    def _extend(plan: StepPlan, request: Request, budget: int) -> int:
        count = min(request.num_computable, budget)
        plan.add(request, count)
        return count


def _by_priority(requests: Iterable[Request]) -> list[Request]:
    return sorted(requests, key=lambda request: -request.priority)
