"""The scheduler: which requests run in the next step, with how many tokens each.

It decides over ints alone; pages are moved through the prefix cache. Continuous batching after Orca (Yu et al.,
OSDI 2022), chunked prefill after Sarathi (Agrawal et al., 2023): decodes are never held back by a long prompt.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.config import SchedulerConfig
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV
from runtime.request import Phase, Request
from runtime.scheduler.estimate import LengthEstimate
from runtime.scheduler.plan import StepPlan
from runtime.scheduler.policies import PATIENCE, POLICIES, by_priority

__all__ = ["Scheduler"]


class Scheduler:
    """Waiting and running requests.

    Args:
        cache: pages and prefixes.
        config: policy and limits.
        reclaim: makes one idle session give its hold on KV back to the tree; False when none is left.
        restore: puts the KV of a sequence's next graft into its pages, where there is one and it is its turn.
    """

    def __init__(
        self,
        cache: PrefixCache,
        config: SchedulerConfig,
        reclaim: Callable[[], bool],
        restore: Callable[[SequenceKV], bool] = lambda _: False,
    ) -> None:
        self.cache = cache
        self.config = config
        self.waiting: list[Request] = []
        self.running: list[Request] = []
        self.num_retractions = 0
        self.estimate = LengthEstimate()
        self._since_oldest = 0
        self._order = POLICIES[config.policy]
        self._reclaim = reclaim
        self.restore = restore

    def submit(self, request: Request) -> None:
        """Queues a request."""
        self.waiting.append(request)

    def end(self, request: Request) -> None:
        """Takes a request out of whichever queue it is in. Its sequence goes back to the session, KV and all."""
        if request.phase is Phase.ENDED:
            return
        (self.running if request.phase is Phase.RUNNING else self.waiting).remove(request)
        request.phase = Phase.ENDED
        self.cache.hand_over(request.sequence, Owner.SESSION)
        if not self.running and not self.waiting:
            self.estimate.reset()

    def plan(self) -> StepPlan:
        """Decides the next step; every sequence in it has the pages it needs."""
        plan = StepPlan()
        retractions = self.num_retractions
        budget = self._plan_decodes(plan, self.config.chunked_prefill_size)
        budget = self._plan_prefills(plan, budget)
        if self.num_retractions == retractions:  # what was just taken must not be handed out in the same step
            self._admit(plan, budget)
        self.estimate.stepped()
        return plan

    def _plan_decodes(self, plan: StepPlan, budget: int) -> int:
        """At least one token of every request past its prompt; more, where some were forced, while there is budget."""
        page_size = self.cache.page_size
        for request in list(self.running):
            if request.phase is not Phase.RUNNING or not request.is_decoding:
                continue
            sequence, length = request.sequence, len(request.tokens)
            if length > len(sequence.pages) * page_size and not self._make_room(request, plan):
                continue
            count = self._extend(plan, request, max(1, budget))
            budget -= count if count > 1 else 0
        return budget

    def _make_room(self, request: Request, plan: StepPlan) -> bool:
        """Gets the pages for the request's next tokens: evicts, reclaims, and at last retracts the least progressed."""
        while not self._reserve(request):
            candidates = [r for r in self.running if r.phase is Phase.RUNNING]
            if len(candidates) == 1:
                plan.exhausted.append(request)
                return False
            victim = min(candidates, key=lambda r: (r.num_output, -r.num_remaining))
            self._retract(victim, plan)
            if victim is request:
                return False
        return True

    def _reserve(self, request: Request) -> bool:
        while not self.cache.reserve(request.sequence, len(request.tokens)):
            if not self._reclaim():
                return False
        return True

    def _retract(self, victim: Request, plan: StepPlan) -> None:
        """Takes the memory of a running request; what it computed stays in the tree, evictable, and is found again."""
        self.cache.release(victim.sequence, victim.tokens)
        self.cache.hand_over(victim.sequence, Owner.SESSION)
        self.running.remove(victim)
        plan.extends = [work for work in plan.extends if work.request is not victim]
        plan.decodes = [work for work in plan.decodes if work.request is not victim]
        victim.phase = Phase.WAITING
        victim.num_retractions += 1
        self.num_retractions += 1
        self.waiting.insert(0, victim)
        self.estimate.retracted()

    def _plan_prefills(self, plan: StepPlan, budget: int) -> int:
        for request in self.running:
            if budget > 0 and not request.is_decoding:
                budget -= self._extend(plan, request, budget)
        return budget

    @staticmethod
    def _extend(plan: StepPlan, request: Request, budget: int) -> int:
        count = min(request.num_computable, budget)
        plan.add(request, count)
        return count

    def _admit(self, plan: StepPlan, budget: int) -> None:
        """Offers places in the policy's order until tokens, places or memory run out."""
        if not self.waiting or plan.exhausted:
            return
        admitted = False
        ordered = self._ordered()
        for request in ordered:
            if budget <= 0 or len(self.running) >= self.config.max_running_requests:
                break
            if self._is_being_filled(request):
                continue
            if not self._start(request):
                break
            admitted = True
            budget -= self._extend(plan, request, budget)
        if admitted:
            was_turn = self._since_oldest >= PATIENCE and ordered[0].phase is Phase.RUNNING
            self._since_oldest = 0 if was_turn else self._since_oldest + 1
            self.waiting = [request for request in self.waiting if request.phase is Phase.WAITING]
            for request in self.waiting:
                request.num_passed += 1

    def _ordered(self) -> list[Request]:
        """The waiting requests as they are offered places; where priorities differ, one turn in many is the oldest's.

        Were everybody put first who has waited long, a long queue would come before every fresh high priority.
        """
        ordered = self._order(self.waiting, self.cache)
        if all(request.priority == ordered[0].priority for request in ordered):
            return ordered
        return by_priority(ordered, self._since_oldest >= PATIENCE)

    def _is_being_filled(self, request: Request) -> bool:
        """Whether a running request is about to compute this one's next page: waiting a step saves computing it."""
        tokens = request.sequence.keyed(request.tokens)
        start = self.cache.match(request.sequence, request.tokens)
        start -= start % self.cache.page_size
        end = start + self.cache.page_size
        if end >= len(request.tokens):
            return False
        namespace = request.sequence.namespace
        return any(other.will_fill(tokens, start, end, namespace) for other in self.running)

    def _start(self, request: Request) -> bool:
        """Locks the cached prefix, then sees whether the rest fits beside what is promised to those already running."""
        sequence = request.sequence
        self.cache.hand_over(sequence, Owner.REQUEST)
        self.cache.attach(sequence, request.tokens)
        while not self._fits(request):
            if not self._fits(request, self._reclaimable(request)) or not self._reclaim():
                self.cache.hand_over(sequence, Owner.SESSION)
                return False
        if not self._reserve(request):
            self.cache.hand_over(sequence, Owner.SESSION)
            return False
        self.restore(sequence)
        request.rewind()
        if request.cached_tokens is None:
            request.cached_tokens = min(request.cursor, request.prompt_len)
        request.phase = Phase.RUNNING
        self.running.append(request)
        return True

    def _reclaimable(self, request: Request) -> int:
        """At most so many slots idle sessions could give up: what they hold alone, and what they hold locked."""
        sequences = [other.sequence for other in self.running] + [request.sequence]
        needed = max(sequence.num_shared for sequence in sequences) * self.cache.page_size
        return self.cache.pool.ledger.slots(Owner.SESSION) + self.cache.tree.num_protected - needed

    def _fits(self, request: Request, extra: int = 0) -> bool:
        if not self.running:
            return True  # alone it need not leave room for anybody; reserve() decides
        missing = self.cache.pages_missing(request.sequence, len(request.tokens)) * self.cache.page_size
        promised = self.estimate.slots([*self.running, request])
        return missing + promised <= self.cache.num_available + extra
