"""Admission: which of the waiting requests are given places in a step."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.config import SchedulerConfig
from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.tiers.tiers import Tiers
from runtime.request import Phase, Request
from runtime.scheduler.deadlines import Deadlines
from runtime.scheduler.estimate import LengthEstimate
from runtime.scheduler.places import Places
from runtime.scheduler.plan import Limit, StepPlan
from runtime.scheduler.policies import PATIENCE, POLICIES, by_priority
from runtime.scheduler.preemption import Preemption
from runtime.scheduler.queue import WaitingQueue

__all__ = ["Admission"]

MOST_HELD_BACK = 64
"""So many requests are looked at in one step that wait for pages others are computing."""


class Admission:
    """Offers places in the policy's order until tokens, places or memory run out.

    Args:
        cache: pages and prefixes.
        config: policy and limits.
        waiting: who wants a place. places: who has one.
        estimate: what requests may still generate.
        deadlines: who is too late to be given a place.
        tiers: what is below the pool, if anything; a request waits until what they have of its prompt is there.

    Attributes:
        turn: steps that admitted somebody so far.
    """

    def __init__(
        self,
        cache: PrefixCache,
        config: SchedulerConfig,
        waiting: WaitingQueue,
        places: Places,
        estimate: LengthEstimate,
        deadlines: Deadlines,
        tiers: Tiers | None,
    ) -> None:
        self.turn = 0
        self.preemption = Preemption(cache, places, estimate)
        self._cache = cache
        self._preempts = config.preemption
        self._order = POLICIES[config.policy]
        self._waiting = waiting
        self._places = places
        self._estimate = estimate
        self._deadlines = deadlines
        self._tiers = tiers
        self._since_oldest = 0

    def offer(self, plan: StepPlan, budget: int, *, most: int | None = None, above: int | None = None) -> int:
        """Gives places, and says in the plan what keeps the others waiting.

        Args:
            budget: tokens that may still be computed in this step.
            most: requests with more uncached tokens than that are passed over.
            above: requests with no higher priority than that are passed over.

        Returns:
            The tokens left.
        """
        if not self._waiting:
            plan.limit = None
            return budget
        plan.limit = self._obstacle(plan, budget)
        if plan.limit is not None:
            return budget
        offer = _Offer(plan, budget, self._estimate.slots(self._places.running))
        offer.fillers = [request for request in self._places.running if request.sequence.kv_len < request.prompt_len]
        ordered = self._ordered()
        for request in ordered:
            if (above is not None and request.priority <= above) or request.deadline <= self._deadlines.now:
                continue
            if offer.budget <= 0:
                plan.limit = Limit.TOKENS
                break
            held = self._held_back(request, offer, most)
            if held is not None:
                plan.limit = plan.limit or held
                offer.num_held_back += held is not Limit.TIERS
                if offer.num_held_back >= MOST_HELD_BACK:
                    break
                continue
            limit = self._give_place(request, offer)
            if limit is None:
                continue
            plan.limit = limit
            if not (limit is Limit.PLACES and self._is_before_its_betters(request, ordered)):
                break
        if offer.started:
            self._count_passed(ordered[0])
        return offer.budget

    def _obstacle(self, plan: StepPlan, budget: int) -> Limit | None:
        """What keeps everybody waiting, whoever it is."""
        if plan.exhausted:
            return Limit.MEMORY
        if self._places.are_taken and not self._may_preempt():
            return Limit.PLACES
        return Limit.TOKENS if budget <= 0 else None

    def _may_preempt(self) -> bool:
        highest = self._waiting.highest_priority
        if not self._preempts or highest is None:
            return False
        return any(request.priority < highest for request in self._places.running)

    def _held_back(self, request: Request, offer: _Offer, most: int | None) -> Limit | None:
        """Why a request is passed over, though there may be a place and memory for it."""
        if not self.is_fetched(request):
            return Limit.TIERS
        if offer.fillers and self._is_being_filled(request, offer.fillers):
            return Limit.PREFIX
        return Limit.TOKENS if self._is_longer(request, most) else None

    def _give_place(self, request: Request, offer: _Offer) -> Limit | None:
        """Starts a request; what it lacks where that cannot be."""
        own = self._estimate.slots([request])
        limit = Limit.PLACES if self._places.are_taken else Limit.MEMORY
        if limit is Limit.PLACES or not self._places.start(request, offer.promised + own):
            victims = self._make_way(request, own, offer)
            if not victims:
                return limit
            offer.promised -= self._estimate.slots(victims)
            offer.fillers = [filler for filler in offer.fillers if filler.phase is Phase.RUNNING]
            if not self._places.start(request, 0):  # that it may was decided before they had to go
                return Limit.MEMORY
        offer.promised += own
        offer.fillers.append(request)
        offer.started.add(request)
        count = min(request.num_computable, offer.budget)
        offer.plan.add(request, count)
        offer.budget -= count
        return None

    def _make_way(self, request: Request, own: int, offer: _Offer) -> tuple[Request, ...]:
        if not self._preempts:
            return ()
        victims = self.preemption.make_way(request, own, offer.promised, offer.plan, offer.started)
        if not victims:
            self._cache.hand_over(request.sequence, Owner.SESSION)
        return victims

    def _is_before_its_betters(self, request: Request, ordered: Sequence[Request]) -> bool:
        """Whether it came first because it was its turn: those behind it may take places that it may not."""
        return request is ordered[0] and self._waiting.highest_priority != request.priority

    def _is_longer(self, request: Request, most: int | None) -> bool:
        """Whether more than `most` tokens of it are not cached."""
        if most is None or len(request.tokens) - request.sequence.kv_len <= most:
            return False
        return len(request.tokens) - self._cache.match(request.sequence, request.tokens) > most

    def _count_passed(self, first: Request) -> None:
        was_turn = self._since_oldest >= PATIENCE and first.phase is Phase.RUNNING
        self._since_oldest = 0 if was_turn else self._since_oldest + 1
        self.turn += 1

    def _ordered(self) -> list[Request]:
        """The waiting requests as they are offered places; where priorities differ, one turn in many is the oldest's.

        Were everybody put first who has waited long, a long queue would come before every fresh high priority.
        """
        ordered = self._order(list(self._waiting), self._cache, self.turn)
        if not self._waiting.has_priorities:
            return ordered
        return by_priority(ordered, self._since_oldest >= PATIENCE)

    def _is_being_filled(self, request: Request, fillers: Sequence[Request]) -> bool:
        """Whether one of the fillers is about to compute this one's next page: waiting a step saves computing it."""
        tokens = request.sequence.keyed(request.tokens)
        start = self._cache.match(request.sequence, request.tokens)
        start -= start % self._cache.page_size
        end = start + self._cache.page_size
        if end >= len(request.tokens):
            return False
        namespace = request.sequence.namespace
        return any(other.will_fill(tokens, start, end, namespace) for other in fillers)

    def is_fetched(self, request: Request) -> bool:
        """Whether there is nothing on its way to it; has it sent, where there is."""
        return self._tiers is None or self._tiers.prefetch(request)


class _Offer:
    """How far one step's offer of places has come.

    Attributes:
        budget: tokens that may still be computed.
        promised: slots for what those who run may still generate.
        fillers: who is going to compute pages that others may wait for.
        started: who was given a place.
    """

    def __init__(self, plan: StepPlan, budget: int, promised: int) -> None:
        self.plan = plan
        self.budget = budget
        self.promised = promised
        self.fillers: list[Request] = []
        self.started: set[Request] = set()
        self.num_held_back = 0
