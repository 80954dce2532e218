"""The scheduler: which requests run in the next step, with how many tokens each.

It decides over ints alone; pages are moved through the prefix cache. Continuous batching after Orca (Yu et al.,
OSDI 2022), chunked prefill after Sarathi (Agrawal et al., 2023): decodes are never held back by a long prompt.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter

from runtime.config import SchedulerConfig
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV
from runtime.memory.tiers.tiers import Tiers
from runtime.request import Phase, Request
from runtime.scheduler.estimate import LengthEstimate
from runtime.scheduler.plan import StepPlan, Work
from runtime.scheduler.policies import PATIENCE, POLICIES, by_priority

__all__ = ["Scheduler"]

MOST_HELD_BACK = 64
"""So many requests are looked at in one step that wait for pages others are computing."""

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
    """

    def __init__(
        self,
        cache: PrefixCache,
        config: SchedulerConfig,
        reclaim: Callable[[], bool],
        restore: Callable[[SequenceKV], bool] = lambda _: False,
        tiers: Tiers | None = None,
    ) -> None:
        self.cache = cache
        self.tiers = tiers
        self.config = config
        self.waiting: list[Request] = []
        self.running: list[Request] = []
        self.num_retractions = 0
        self.estimate = LengthEstimate()
        self._turn = self._since_oldest = 0
        self._steps_held = 0
        self._arrivals = itertools.count()
        self._is_by_program = config.policy == "program"
        self._order = POLICIES[config.policy]
        self._reclaim = reclaim
        self.restore = restore

    def submit(self, request: Request) -> None:
        """Queues a request."""
        if request.run.arrival < 0:
            request.run.arrival = next(self._arrivals)
        request.turn = self._turn
        self.estimate.expect(request)
        self.waiting.append(request)
        self._is_fetched(request)

    def end(self, request: Request) -> None:
        """Takes a request out of whichever queue it is in. Its sequence goes back to the session, KV and all."""
        if request.phase is Phase.ENDED:
            return
        (self.running if request.phase is Phase.RUNNING else self.waiting).remove(request)
        request.phase = Phase.ENDED
        if self.tiers is not None:
            self.tiers.drop(request)
        self.cache.hand_over(request.sequence, Owner.SESSION)
        if not self.running and not self.waiting:
            self.estimate.reset()

    def plan(self) -> StepPlan:
        """Decides the next step; every sequence in it has the pages it needs."""
        plan = StepPlan()
        retractions = self.num_retractions
        budget = self._plan_decodes(plan, self.config.chunked_prefill_size)
        may_admit = self.num_retractions == retractions  # what was just taken is not handed out in the same step
        if self._is_by_program:
            self._plan_by_program(plan, budget, may_admit)
        else:
            budget = self._plan_prefills(plan, budget, self.running)
            if may_admit:
                self._admit(plan, budget)
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
        if self.tiers is not None:
            self.tiers.drop(victim)
        victim.num_retractions += 1
        self.num_retractions += 1
        self.waiting.insert(0, victim)
        self.estimate.retracted()

    def _plan_prefills(self, plan: StepPlan, budget: int, requests: Iterable[Request]) -> int:
        for request in requests:
            if budget <= 0:
                break
            if request.cursor < request.prompt_len and not request.is_decoding:
                budget -= self._extend(plan, request, budget)
        return budget

    def _plan_by_program(self, plan: StepPlan, budget: int, may_admit: bool) -> None:
        """Short prompts first, whether they are running or only come now; long ones when few others are decoding.

        A step with a part of a long prompt takes many times as long as one without, so the next gens of programs that
        have begun would wait until somebody else's document is read. Every so many steps it is the document's turn.
        """
        most = LONG_PROMPT * self.config.chunked_prefill_size
        prefilling = [r for r in self.running if r.cursor < r.prompt_len and not r.is_decoding]
        long = [request for request in prefilling if request.num_pending > most]
        short = sorted((r for r in prefilling if r.num_pending <= most), key=lambda request: request.num_pending)
        is_turn = self._steps_held >= MOST_STEPS_HELD
        runs_long = is_turn or len(plan.decodes) < FEW_DECODES
        self._steps_held = self._steps_held + 1 if long and not runs_long else 0
        ordered = [*long, *short] if is_turn else [*short, *long] if runs_long else short
        if may_admit and not long:
            left = self._plan_prefills(plan, budget, ordered)
            self._admit(plan, left)
        elif may_admit and not is_turn:
            left = self._plan_prefills(plan, budget, short)
            left = self._admit(plan, left, most)
            self._plan_prefills(plan, left, long if runs_long else ())
        else:
            self._plan_prefills(plan, budget, ordered)

    @staticmethod
    def _extend(plan: StepPlan, request: Request, budget: int) -> int:
        count = min(request.num_computable, budget)
        plan.add(request, count)
        return count

    def _admit(self, plan: StepPlan, budget: int, most: int | None = None) -> int:
        """Offers places in the policy's order until tokens, places or memory run out; returns the tokens left.

        Args:
            most: requests with more uncached tokens than that are passed over.
        """
        places = self.config.max_running_requests - len(self.running)
        if not self.waiting or plan.exhausted or budget <= 0 or places <= 0:
            return budget
        num_held_back = 0
        ordered = self._ordered()
        fillers = [request for request in self.running if request.sequence.kv_len < request.prompt_len]
        promised = self.estimate.slots(self.running)
        before = len(self.running)
        for request in ordered:
            if budget <= 0 or len(self.running) - before >= places or num_held_back >= MOST_HELD_BACK:
                break
            if not self._is_fetched(request):
                continue
            if (fillers and self._is_being_filled(request, fillers)) or self._is_longer(request, most):
                num_held_back += 1
                continue
            own = self.estimate.slots([request])
            if not self._start(request, promised + own):
                break
            promised += own
            fillers.append(request)
            budget -= self._extend(plan, request, budget)
        if len(self.running) > before:
            self._count_passed(ordered[0])
        return budget

    def _is_longer(self, request: Request, most: int | None) -> bool:
        """Whether more than `most` tokens of it are not cached."""
        if most is None or len(request.tokens) - request.sequence.kv_len <= most:
            return False
        return len(request.tokens) - self.cache.match(request.sequence, request.tokens) > most

    def _count_passed(self, first: Request) -> None:
        was_turn = self._since_oldest >= PATIENCE and first.phase is Phase.RUNNING
        self._since_oldest = 0 if was_turn else self._since_oldest + 1
        waiting = Phase.WAITING
        self.waiting = [request for request in self.waiting if request.phase is waiting]
        self._turn += 1

    def _ordered(self) -> list[Request]:
        """The waiting requests as they are offered places; where priorities differ, one turn in many is the oldest's.

        Were everybody put first who has waited long, a long queue would come before every fresh high priority.
        """
        ordered = self._order(self.waiting, self.cache, self._turn)
        if len(set(map(attrgetter("priority"), self.waiting))) == 1:
            return ordered
        return by_priority(ordered, self._since_oldest >= PATIENCE)

    def _is_being_filled(self, request: Request, fillers: Sequence[Request]) -> bool:
        """Whether one of the fillers is about to compute this one's next page: waiting a step saves computing it."""
        tokens = request.sequence.keyed(request.tokens)
        start = self.cache.match(request.sequence, request.tokens)
        start -= start % self.cache.page_size
        end = start + self.cache.page_size
        if end >= len(request.tokens):
            return False
        namespace = request.sequence.namespace
        return any(other.will_fill(tokens, start, end, namespace) for other in fillers)

    def _is_fetched(self, request: Request) -> bool:
        """Whether there is nothing on its way to it; has it sent, where there is."""
        return self.tiers is None or self.tiers.prefetch(request)

    def _start(self, request: Request, promised: int) -> bool:
        """Locks the cached prefix, then sees whether the rest fits beside what is promised to those already running.

        Args:
            promised: slots for what those who run, and this one, may still generate.
        """
        sequence = request.sequence
        if self.tiers is not None:
            self.tiers.bring_in(request)
        self.cache.hand_over(sequence, Owner.REQUEST)
        self.cache.attach(sequence, request.tokens)
        while not self._fits(request, promised):
            if not self._fits(request, promised - self._reclaimable(request)) or not self._reclaim():
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
        request.run.num_started += 1
        self.running.append(request)
        return True

    def _reclaimable(self, request: Request) -> int:
        """At most so many slots idle sessions could give up: what they hold alone, and what they hold locked."""
        sequences = [other.sequence for other in self.running] + [request.sequence]
        needed = max(sequence.num_shared for sequence in sequences) * self.cache.page_size
        return self.cache.pool.ledger.slots(Owner.SESSION) + self.cache.tree.num_protected - needed

    def _fits(self, request: Request, promised: int) -> bool:
        if not self.running:
            return True  # alone it need not leave room for anybody; reserve() decides
        missing = self.cache.pages_missing(request.sequence, len(request.tokens)) * self.cache.page_size
        return missing + promised <= self.cache.num_available
