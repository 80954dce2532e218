"""Places: who runs, and the memory that goes with it."""

from __future__ import annotations

from collections.abc import Callable

from runtime.ledger import Owner
from runtime.memory.cache import PrefixCache
from runtime.memory.sequence import SequenceKV
from runtime.memory.tiers.tiers import Tiers
from runtime.request import Phase, Request
from runtime.scheduler.plan import StepPlan
from runtime.scheduler.queue import WaitingQueue

__all__ = ["Places"]


class Places:
    """The running requests.

    Args:
        cache: pages and prefixes.
        waiting: where those go who lose their places.
        most: how many places there are.
        reclaim: makes one idle session give its hold on KV back to the tree; False when none is left.
        restore: puts the KV of a sequence's next graft into its pages, where there is one and it is its turn.
        tiers: what is below the pool, if anything.
    """

    def __init__(
        self,
        cache: PrefixCache,
        waiting: WaitingQueue,
        most: int,
        reclaim: Callable[[], bool],
        restore: Callable[[SequenceKV], bool],
        tiers: Tiers | None,
    ) -> None:
        self.running: list[Request] = []
        self._cache = cache
        self._waiting = waiting
        self._most = most
        self._reclaim = reclaim
        self._restore = restore
        self._tiers = tiers

    @property
    def are_taken(self) -> bool:
        """Whether there is no place left."""
        return len(self.running) >= self._most

    def reserve(self, request: Request) -> bool:
        """Gets the pages for a request's tokens; False where evicting and idle sessions do not make enough room."""
        while not self._cache.reserve(request.sequence, len(request.tokens)):
            if not self._reclaim():
                return False
        return True

    def start(self, request: Request, promised: int) -> bool:
        """Locks the cached prefix, then sees whether the rest fits beside what is promised to those already running.

        Args:
            promised: slots for what those who run, and this one, may still generate.
        """
        self.look_up(request)
        if not self.make_fit(request, promised) or not self.reserve(request):
            self._cache.hand_over(request.sequence, Owner.SESSION)
            return False
        self._restore(request.sequence)
        request.rewind()
        if request.cached_tokens is None:
            request.cached_tokens = min(request.cursor, request.prompt_len)
        request.phase = Phase.RUNNING
        request.run.num_started += 1
        self._waiting.remove(request)
        self.running.append(request)
        return True

    def look_up(self, request: Request) -> None:
        """Takes hold of what is cached of a request that is about to run."""
        if self._tiers is not None:
            self._tiers.bring_in(request)
        self._cache.hand_over(request.sequence, Owner.REQUEST)
        self._cache.attach(request.sequence, request.tokens)

    def make_fit(self, request: Request, promised: int, freed: int = 0, leaving: int = 0) -> bool:
        """Whether a request fits that has been looked up; makes idle sessions give way as long as that may help.

        Args:
            promised: as in `start`.
            freed: slots that will be available besides, leaving: as so many will run no longer.
        """
        if not self.running:
            return True  # alone it need not leave room for anybody; reserve() decides
        if len(self.running) == leaving:
            promised = 0
        while not self._fits(request, promised, freed):
            may_help = self._fits(request, promised, freed + self._reclaimable(request))
            if not may_help or not self._reclaim():
                return False
        return True

    def _fits(self, request: Request, promised: int, freed: int) -> bool:
        missing = self._cache.pages_missing(request.sequence, len(request.tokens)) * self._cache.page_size
        return missing + promised <= self._cache.num_available + freed

    def _reclaimable(self, request: Request) -> int:
        """At most so many slots idle sessions could give up: what they hold alone, and what they hold locked."""
        sequences = [other.sequence for other in self.running] + [request.sequence]
        needed = max(sequence.num_shared for sequence in sequences) * self._cache.page_size
        return self._cache.pool.ledger.slots(Owner.SESSION) + self._cache.tree.num_protected - needed

    def vacate(self, victim: Request, plan: StepPlan) -> None:
        """Takes the place of a running request; what it computed stays in the tree, evictable, and is found again."""
        self._cache.release(victim.sequence, victim.tokens)
        self._cache.hand_over(victim.sequence, Owner.SESSION)
        self.running.remove(victim)
        plan.drop(victim)
        victim.phase = Phase.WAITING
        if self._tiers is not None:
            self._tiers.drop(victim)
        self._waiting.put_back(victim)

    def end(self, request: Request) -> None:
        """Takes a request out, wherever it stands."""
        if request.phase is Phase.RUNNING:
            self.running.remove(request)
        else:
            self._waiting.remove(request)
        request.phase = Phase.ENDED
        if self._tiers is not None:
            self._tiers.drop(request)
        self._cache.hand_over(request.sequence, Owner.SESSION)
