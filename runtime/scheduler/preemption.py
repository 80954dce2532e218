"""Preemption: requests of lower priority give way to one that finds no place or no memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from runtime.memory.cache import PrefixCache
from runtime.request import Request
from runtime.scheduler.estimate import LengthEstimate
from runtime.scheduler.places import Places
from runtime.scheduler.plan import StepPlan

__all__ = ["LEAST_PROGRESS", "Preemption"]

LEAST_PROGRESS = 32
"""So many tokens a request gets done between two times that it gives way, so that it ends however many come."""


class Preemption:
    """Takes places away, only for strictly higher priorities and only where that makes enough room.

    Args:
        cache: pages and prefixes.
        places: who runs.
        estimate: what they may still generate.

    Attributes:
        count: how often a place was taken.
    """

    def __init__(self, cache: PrefixCache, places: Places, estimate: LengthEstimate) -> None:
        self.count = 0
        self._cache = cache
        self._places = places
        self._estimate = estimate

    def make_way(
        self, request: Request, own: int, promised: int, plan: StepPlan, started: Collection[Request]
    ) -> tuple[Request, ...]:
        """Takes as many places as a waiting request needs to have one: of the lowest priority, least progressed first.

        Args:
            own: slots for what it may still generate. promised: for what those who run may still generate.
            plan: what the victims were to do in this step is taken out of it.
            started: who was given a place in this very step.

        Returns:
            The victims, which wait again; nobody where that would not be enough.
        """
        candidates = sorted(
            (r for r in self._places.running if r.priority < request.priority and not r.is_kept and r not in started),
            key=lambda r: (r.priority, r.num_output, -r.num_remaining),
        )
        victims = tuple(self._enough(request, own, promised, candidates)) if candidates else ()
        for victim in victims:
            keep(victim)
            victim.num_preemptions += 1
            self.count += 1
            self._places.vacate(victim, plan)
        return victims

    def _enough(self, request: Request, own: int, promised: int, candidates: list[Request]) -> list[Request]:
        """The first of the candidates, as few of them as make room; none where all of them do not.

        What the pool lacks for those who run is not this one's to make up for: they have less than promised anyway.
        """
        self._places.look_up(request)
        promised = min(promised, self._cache.num_available)
        locks: Counter[int] = Counter()
        freed, least = 0, 1 if self._places.are_taken else 0
        for count, victim in enumerate(candidates):
            if count >= least and self._places.make_fit(request, own + promised, freed, count):
                return candidates[:count]
            freed += self._freed(victim, locks)
            promised = max(0, promised - self._estimate.slots([victim]))
        return candidates if self._places.make_fit(request, own + promised, freed, len(candidates)) else []

    def _freed(self, victim: Request, locks: Counter[int]) -> int:
        """Slots that become available when a victim leaves, after others: its own, and what no one else has locked."""
        sequence = victim.sequence
        freed = len(sequence.private_pages) * self._cache.page_size
        for node in sequence.node.path():
            locks[id(node)] += 1
            if locks[id(node)] == node.num_locks:
                freed += node.num_tokens
        return freed


def keep(victim: Request) -> None:
    """Has a request come further than it is now before it gives way again."""
    victim.kept_until = max(victim.kept_until, victim.cursor + LEAST_PROGRESS)
